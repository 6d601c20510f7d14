//! The operations port: metrics, liveness and readiness, over plain HTTP/1.1.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State as Shared,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    bound_socket::BoundAddress,
    evicting_limit::{EvictingLimit, Slot},
    readiness::Readiness,
};
use crate::telemetry::metrics::{self, Metrics};

/// Maximum number of open connections. One more closes another one, so that a probe never waits for the others.
const MAX_CONNECTIONS: usize = 64;
/// The time to read the head of a request, which includes the wait for the next request on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum bytes of the head of a request.
const MAX_BUFFER: usize = 16 * 1024;
/// Maximum age of a connection.
const MAX_AGE: Duration = Duration::from_secs(60);
/// The time that open requests have to end when the service stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause after a failed accept.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// The content type of the Prometheus text format.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The open operations port.
pub struct Operations {
    closing: CancellationToken,
    connections: TaskTracker,
}

impl Operations {
    /// Opens the port and installs the metrics recorder: metrics count from here on.
    ///
    /// # Errors
    /// The address cannot be bound, or a recorder is installed already.
    pub fn open(address: SocketAddr, readiness: Readiness) -> anyhow::Result<Self> {
        let listener = BoundAddress::to(address, "--operations-listen")?.listen()?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/livez", get("ok\n"))
            .route("/readyz", get(ready))
            .with_state(readiness)
            .route("/metrics", get(metrics))
            .with_state(Exposition { metrics: metrics::install()?, turn: Arc::new(Semaphore::new(1)) });
        let (closing, connections) = (CancellationToken::new(), TaskTracker::new());
        connections.spawn(accept(listener, router, connections.clone(), closing.clone()));
        tracing::info!(%address, "metrics and readiness");
        Ok(Self { closing, connections })
    }

    /// Closes the port, after open requests or a timeout.
    pub async fn close(self) {
        self.closing.cancel();
        self.connections.close();
        let _ = time::timeout(CLOSE_TIMEOUT, self.connections.wait()).await;
    }
}

async fn ready(Shared(readiness): Shared<Readiness>) -> impl IntoResponse {
    match readiness.state().reason() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

/// The metrics, and the turn to render them. One worker thread renders at a time, so that clients that ask for many
/// leave the others to probes and calls.
#[derive(Clone)]
struct Exposition {
    metrics: Metrics,
    turn: Arc<Semaphore>,
}

async fn metrics(Shared(exposition): Shared<Exposition>) -> impl IntoResponse {
    // The semaphore is never closed.
    let _turn = exposition.turn.acquire().await;
    ([(CONTENT_TYPE, CONTENT)], exposition.metrics.render())
}

async fn accept(listener: TcpListener, router: Router, connections: TaskTracker, closing: CancellationToken) {
    let open = EvictingLimit::new(MAX_CONNECTIONS);
    loop {
        let Some(accepted) = closing.run_until_cancelled(listener.accept()).await else { return };
        match accepted {
            Ok((stream, address)) => {
                let slot = open.open(address.ip());
                let (router, closing) = (router.clone(), closing.clone());
                connections.spawn(async move {
                    let served = serve(stream, router, &slot, closing);
                    let bounded = time::timeout(MAX_AGE, served);
                    let _ = slot.evicted.run_until_cancelled(bounded).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connections for operations cannot be accepted");
                time::sleep(RETRY_DELAY).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router, slot: &Slot, closing: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_BUFFER);
    let service = service_fn(|request| {
        slot.used();
        TowerToHyperService::new(router.clone()).call(request)
    });
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        ended = &mut served => ended,
        () = closing.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection for operations broke");
    }
}
