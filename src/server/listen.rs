//! The door: takes connections in, and sees the last one out.

use std::time::Duration;

use tokio::{net::TcpListener, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::connection;
use crate::{
    config::Transport,
    service::{layer::Layers, peer::Peer},
};

/// When no connection can be taken in (out of file descriptors, say), the next try is so much later.
const BREATH: Duration = Duration::from_millis(50);

/// How the door is closed.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    /// No further connections and calls are taken.
    pub stopping: CancellationToken,
    /// What is still open is cut.
    pub cut: CancellationToken,
}

/// Serves connections until `closing`, then takes no more, and ends when the last one has.
pub async fn run(listener: TcpListener, service: Layers, config: Transport, closing: Closing) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.stopping.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken in");
                time::sleep(BREATH).await;
                continue;
            }
        };
        // What is answered is not held back in order to be sent together with more.
        let _ = stream.set_nodelay(true);
        let peer = Peer { address, certificate: None };
        connections.spawn(connection::serve(stream, peer, service.clone(), config.clone(), closing.clone()));
    }
    // Who comes from here on is refused, and tries elsewhere.
    drop(listener);
    connections.close();
    connections.wait().await;
}
