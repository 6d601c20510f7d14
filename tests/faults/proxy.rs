//! A proxy between a service and its database that can cut, stall or delay connections. The database listens on a Unix
//! socket only; the service connects to the proxy by TCP.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::watch,
    time::sleep,
};

/// The state of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wire {
    Up,
    /// Everything arrives later by this duration.
    Slow(Duration),
    /// Nothing arrives, and no side notices.
    Dead,
    /// Connections are refused.
    Down,
}

#[derive(Debug, Clone)]
struct State {
    wire: Wire,
    /// Number of times that all connections were cut.
    cuts: u64,
    /// Number of times that all connections were stalled permanently.
    strandings: u64,
    /// Connections lead to these databases in turn.
    sockets: Vec<PathBuf>,
}

/// A proxy. Its connections end when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    state: watch::Sender<State>,
}

impl Proxy {
    /// Starts a proxy to the database behind a Unix socket.
    pub async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (state, _) = watch::channel(State { wire: Wire::Up, cuts: 0, strandings: 0, sockets: vec![socket] });
        let states = state.subscribe();
        tokio::spawn(async move {
            let mut state = states.clone();
            for number in 0.. {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = dropped(&mut state) => return,
                };
                if let Ok((client, _)) = accepted {
                    tokio::spawn(forward(client, states.clone(), number));
                }
            }
        });
        Self { address, state }
    }

    /// The url of a database behind the proxy.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://readout@{}/{database}?sslmode=disable", self.address)
    }

    /// Cuts all connections; new ones can be opened at once.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Stalls all connections: they stay open, and nothing passes.
    pub fn go_dead(&self) {
        self.state.send_modify(|state| state.wire = Wire::Dead);
    }

    /// Stalls all open connections for good, as when a machine or a router fails; new ones can be opened.
    pub fn strand(&self) {
        self.state.send_modify(|state| state.strandings += 1);
    }

    /// Delays everything by this duration.
    pub fn slow_down(&self, by: Duration) {
        self.state.send_modify(|state| state.wire = Wire::Slow(by));
    }

    /// Cuts all connections and refuses new ones.
    pub fn go_down(&self) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.wire = Wire::Down;
        });
    }

    /// Restores the initial state. Open connections continue.
    pub fn come_up(&self) {
        self.state.send_modify(|state| state.wire = Wire::Up);
    }

    /// Directs further connections to another database.
    pub fn lead_to(&self, socket: PathBuf) {
        self.lead_to_in_turn(&[socket]);
    }

    /// Directs further connections to these databases in turn.
    pub fn lead_to_in_turn(&self, sockets: &[PathBuf]) {
        self.state.send_modify(|state| state.sockets = sockets.to_vec());
    }
}

/// Waits until the proxy is dropped.
async fn dropped(state: &mut watch::Receiver<State>) {
    while state.changed().await.is_ok() {}
}

async fn forward(client: tokio::net::TcpStream, mut states: watch::Receiver<State>, number: usize) {
    let State { wire, cuts, strandings, sockets } = states.borrow().clone();
    if wire == Wire::Down {
        return;
    }
    let Ok(database) = UnixStream::connect(&sockets[number % sockets.len()]).await else { return };
    let _ = client.set_nodelay(true);
    let (client_reads, client_writes) = client.into_split();
    let (database_reads, database_writes) = database.into_split();
    // When one side ends, the other ends too, as at the death of a process.
    tokio::select! {
        _ = copy(client_reads, database_writes, states.clone(), strandings) => {}
        _ = copy(database_reads, client_writes, states.clone(), strandings) => {}
        _ = states.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut states: watch::Receiver<State>,
    strandings: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let wire = states.borrow().wire.clone();
        if let Wire::Slow(by) = wire {
            sleep(by).await;
        }
        // Bytes that were sent into a dead wire arrive when it is up again, as with TCP.
        let _ = states.wait_for(|state| state.wire != Wire::Dead && state.strandings == strandings).await;
        to.write_all(&buffer[..count]).await?;
    }
}
