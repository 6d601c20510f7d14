//! The door: takes connections in, and sees the last one out.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, time};
use tokio_util::task::TaskTracker;

use super::{connection, connection_limit::Places, context::ServerContext, lingering_close::LingeringStream};

/// When no connection can be taken in (out of file descriptors, say), the next try is so much later.
const BREATH: Duration = Duration::from_millis(50);

/// Serves connections until the door is closed, then takes no more, and ends when the last one has.
pub async fn run(listener: TcpListener, door: ServerContext) {
    let (connections, places) = (TaskTracker::new(), Places::new(&door.config));
    let door = Arc::new(door);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.closing.stopping.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken in");
                time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(place) = places.take(address.ip()) else {
            connection::tell("refused");
            tracing::debug!(%address, "there are as many connections as there may be");
            continue;
        };
        // What is answered is not held back in order to be sent together with more.
        let _ = stream.set_nodelay(true);
        let stream = LingeringStream::new(stream, place, connections.clone(), door.closing.cut.clone());
        connections.spawn(connection::serve(stream, address, door.clone()));
    }
    // Who comes from here on is refused, and tries elsewhere.
    drop(listener);
    connections.close();
    connections.wait().await;
}
