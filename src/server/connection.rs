//! One connection: HTTP/2, and its end.

use std::pin::pin;

use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::{body::Body, codegen::http};
use tower::ServiceExt;

use super::listen::Closing;
use crate::{
    config::Transport,
    service::{layer::Layers, peer::Peer},
};

/// Serves a connection to its end. Once the service is stopping it takes no further calls (GOAWAY), and ends with the
/// last one, or when it is cut.
pub async fn serve<T>(stream: T, peer: Peer, service: Layers, config: Transport, closing: Closing)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = peer.address;
    let service = service.map_request(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.map(Body::new)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(config.keepalive);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let served = async {
        tokio::select! {
            ended = &mut connection => return ended,
            () = closing.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    if let Some(Err(error)) = closing.cut.run_until_cancelled(served).await {
        tracing::debug!(%address, %error, "a connection broke");
    }
}
