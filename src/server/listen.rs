//! The accept loop: accepts connections within the limits, and waits for the last one to end.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, time};
use tokio_util::task::TaskTracker;

use super::{
    connection, connection_end, connection_limit::ConnectionLimit, context::ServerContext,
    lingering_close::LingeringStream,
};

/// The pause after a failed accept, for example when file descriptors run out.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Serves connections until the service is stopping. Then accepts no more, and returns when the last one has ended.
pub async fn run(listener: TcpListener, context: ServerContext) {
    let (connections, limit) = (TaskTracker::new(), ConnectionLimit::new(&context.config));
    let context = Arc::new(context);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = context.shutdown.stopping.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted");
                time::sleep(RETRY_DELAY).await;
                continue;
            }
        };
        let Some(slot) = limit.acquire(address.ip()) else {
            connection_end::count_connection("refused");
            tracing::debug!(%address, "the connection limit is reached");
            continue;
        };
        // Responses are sent at once: Nagle's algorithm would delay small ones.
        let _ = stream.set_nodelay(true);
        let handle = slot.handle().clone();
        let stream = LingeringStream::new(stream, slot, connections.clone(), context.shutdown.abort.clone());
        connections.spawn(connection::serve(stream, address, handle, context.clone()));
    }
    // Closing the listener refuses further connections, so that clients try another instance.
    drop(listener);
    connections.close();
    connections.wait().await;
}
