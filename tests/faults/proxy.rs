//! A wire between a service and its database that can be cut, go dead and be slow. The database listens on a Unix
//! socket only; the service connects to this by TCP.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::watch,
    time::sleep,
};

/// How the wire is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wire {
    Up,
    /// What is sent arrives so much later.
    Slow(Duration),
    /// What is sent never arrives, and nobody is told.
    Dead,
    /// There is none.
    Down,
}

#[derive(Debug, Clone)]
struct State {
    wire: Wire,
    /// Grows when all connections are cut.
    cuts: u64,
    /// Grows when all connections go dead for good.
    strandings: u64,
    socket: PathBuf,
}

/// A proxy; connections end with it.
pub struct Proxy {
    pub address: SocketAddr,
    state: watch::Sender<State>,
}

impl Proxy {
    /// To the database behind a Unix socket.
    pub async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (state, _) = watch::channel(State { wire: Wire::Up, cuts: 0, strandings: 0, socket });
        let states = state.subscribe();
        tokio::spawn(async move {
            let mut ended = states.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = gone(&mut ended) => return,
                };
                if let Ok((client, _)) = accepted {
                    tokio::spawn(carry(client, states.clone()));
                }
            }
        });
        Self { address, state }
    }

    /// The url of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://readout@{}/{database}?sslmode=disable", self.address)
    }

    /// Cuts all connections; new ones can be made at once.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Goes dead: connections stay, and nothing passes.
    pub fn go_dead(&self) {
        self.state.send_modify(|state| state.wire = Wire::Dead);
    }

    /// Leaves all connections dead for good, as when a machine or a router between has gone; new ones can be made.
    pub fn strand(&self) {
        self.state.send_modify(|state| state.strandings += 1);
    }

    /// What passes takes so much longer.
    pub fn slow_down(&self, by: Duration) {
        self.state.send_modify(|state| state.wire = Wire::Slow(by));
    }

    /// Cuts all connections, and lets none be made.
    pub fn go_down(&self) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.wire = Wire::Down;
        });
    }

    /// As at the beginning. Connections that are still there go on.
    pub fn come_up(&self) {
        self.state.send_modify(|state| state.wire = Wire::Up);
    }

    /// Leads to another database from the next connection on.
    pub fn lead_to(&self, socket: PathBuf) {
        self.state.send_modify(|state| state.socket = socket);
    }
}

/// Waits for the end of the proxy.
async fn gone(state: &mut watch::Receiver<State>) {
    while state.changed().await.is_ok() {}
}

async fn carry(client: tokio::net::TcpStream, mut states: watch::Receiver<State>) {
    let State { wire, cuts, strandings, socket } = states.borrow().clone();
    if wire == Wire::Down {
        return;
    }
    let Ok(database) = UnixStream::connect(socket).await else { return };
    let _ = client.set_nodelay(true);
    let (client_reads, client_writes) = client.into_split();
    let (database_reads, database_writes) = database.into_split();
    // A side that ends ends the other one with it, as the death of a process does.
    tokio::select! {
        _ = pass(client_reads, database_writes, states.clone(), strandings) => {}
        _ = pass(database_reads, client_writes, states.clone(), strandings) => {}
        _ = states.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn pass(
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
        // What was sent into a dead wire arrives when it is mended, as with TCP.
        let _ = states.wait_for(|state| state.wire != Wire::Dead && state.strandings == strandings).await;
        to.write_all(&buffer[..count]).await?;
    }
}
