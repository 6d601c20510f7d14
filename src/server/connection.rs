//! One connection: its handshake, its calls, and its end.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time,
};
use tonic::{body::Body, codegen::http};
use tower::ServiceExt;

use super::{
    calls::{Calls, Counted},
    greeting::greeted,
    listen::Door,
    tls,
};
use crate::{config::Transport, service::peer::Peer};

/// Calls that a client may give up before they are looked at, and calls that we may break off because of what their
/// client does wrong; with one more the connection ends (CVE-2023-44487, CVE-2025-8671).
const RESETS: (usize, usize) = (20, 1024);

/// Bytes of an answer that are kept for a client which does not read, beside the message that is under way.
const SEND_BUFFER: usize = 64 * 1024;

/// Serves a connection to its end.
pub async fn serve(stream: TcpStream, address: SocketAddr, door: Arc<Door>) {
    let served = async {
        let Some(certificates) = &door.certificates else {
            let stream = in_time(&door, greeted(stream)).await?;
            return Ok(http(stream, Peer { address, certificate: None }, &door).await);
        };
        let server = certificates.borrow().clone();
        let handshake = async {
            let (stream, certificate) = tls::accept(server, stream).await?;
            Ok((greeted(stream).await?, certificate))
        };
        let (stream, certificate) = in_time(&door, handshake).await?;
        Ok(http(stream, Peer { address, certificate }, &door).await)
    };
    let outcome: Option<io::Result<hyper::Result<()>>> = door.closing.cut.run_until_cancelled(served).await;
    match outcome {
        None | Some(Ok(Ok(()))) => tell("served"),
        Some(Ok(Err(error))) => {
            tell("broken");
            tracing::debug!(%address, %error, "a connection broke");
        }
        Some(Err(error)) => {
            tell("handshake_failed");
            tracing::debug!(%address, %error, "a handshake failed");
        }
    }
}

/// Counts what became of a connection.
pub fn tell(outcome: &'static str) {
    metrics::counter!("readout_connections_total", "outcome" => outcome).increment(1);
}

/// Bounds a handshake, and ends it when no calls are taken any more.
async fn in_time<T>(door: &Door, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::select! {
        done = time::timeout(door.config.handshake_timeout, handshake) => done?,
        () = door.closing.stopping.cancelled() => Err(io::Error::other("the service is stopping")),
    }
}

/// Serves calls. Once the service is stopping, or the connection is old or idle, it takes no further ones (GOAWAY), and
/// ends with the last one.
async fn http<T>(stream: T, peer: Peer, door: &Door) -> hyper::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (config, calls) = (&door.config, Calls::none());
    let service = service_fn(|mut request: http::Request<Incoming>| {
        let call = calls.open();
        request.extensions_mut().insert(peer.clone());
        let answer = door.service.clone().oneshot(request.map(Body::new));
        async { Ok::<_, std::convert::Infallible>(answer.await?.map(|body| Counted::new(body, call))) }
    });
    let mut connection = pin!(builder(config).serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = &mut connection => return ended,
        () = door.closing.stopping.cancelled() => {}
        () = unless_zero(config.idle_timeout, |timeout| calls.idle(timeout)) => {}
        () = unless_zero(config.connection_age, |age| time::sleep(jitter(age))) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => ended,
        // The last call has ended, and the client does not answer.
        () = calls.idle(config.handshake_timeout) => Ok(()),
    }
}

fn builder(config: &Transport) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(config.keepalive)
        .keep_alive_timeout(config.keepalive_timeout)
        .max_concurrent_streams(config.max_concurrent_streams)
        .max_header_list_size(config.max_header_bytes)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS.0)
        .max_local_error_reset_streams(RESETS.1);
    builder
}

/// Waits for something that takes so long; for ever where no time is given.
async fn unless_zero<F: Future<Output = ()>>(duration: Duration, wait: impl FnOnce(Duration) -> F) {
    if duration.is_zero() {
        return std::future::pending().await;
    }
    wait(duration).await;
}

/// A tenth more or less, so that connections which came at once do not all go at once.
fn jitter(age: Duration) -> Duration {
    let chance = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    age.mul_f64(0.9 + 0.2 * chance)
}
