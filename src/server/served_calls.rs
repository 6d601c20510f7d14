//! Serves the calls of a connection, and ends it gracefully.

use std::{
    convert::Infallible,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};
use tonic::{body::Body, codegen::http};
use tower::ServiceExt;

use super::{
    connection_end::ConnectionEnd,
    connection_limit::ConnectionHandle,
    context::ServerContext,
    header_blocks::{HeaderBlocks, MAX_HEADER_LIST},
    open_calls::CountedBody,
    write_timeout::WriteTimeout,
};
use crate::{
    config::Transport,
    service::{layer::header_limit, peer::Peer},
};

/// Rapid-reset limits: calls that a client may reset before they are accepted, and calls that the server may reset
/// because of errors of the client. One more ends the connection (CVE-2023-44487, CVE-2025-8671).
const RESETS: (usize, usize) = (20, 1024);

/// Bytes of a response that are buffered for a client that does not read, in addition to the message being sent.
const SEND_BUFFER: usize = 16 * 1024;

/// The time that a connection which lost its slot has to end, with calls that its client began at the same time.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(200);

/// The bytes of a request that a connection may send before the service reads them.
const RECEIVE_WINDOW: u32 = 64 * 1024;

/// The bytes of all requests that a connection may send before the service reads them, for each call that it may have
/// open. The library counts an unread frame as at least 256 bytes, and closes a connection whose frames take more than
/// half of its window: too small a window would close that of a client with many small calls. The worst case of memory is
/// this for each connection, so that it is smaller than the default of the library.
const RECEIVED_PER_CALL: u32 = 2 * 256;

/// Bytes of a request that are buffered, its head included.
const HTTP1_BUFFER: usize = 64 * 1024;

/// Maximum number of headers of a request in HTTP/1.1. One more is answered with 431.
const MAX_HTTP1_HEADERS: usize = 256;

/// Serves calls. Once the service is stopping, or the connection is old or idle, sends GOAWAY, and ends with the last
/// open call.
pub async fn serve_http2<T>(
    stream: T,
    peer: Peer,
    handle: &ConnectionHandle,
    context: &ServerContext,
) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let address = peer.address;
    let has_stalled = Arc::new(AtomicBool::new(false));
    let stream = HeaderBlocks::new(
        write_timeout(stream, &context.config, &has_stalled),
        address.ip(),
        context.long_header_blocks.clone(),
    );
    let service = service_fn(|request| call(request, &peer, handle, context));
    let connection = http2_builder(&context.config).serve_connection(TokioIo::new(stream), service);
    let late = "no answer to PING";
    until_end(connection, http2::Connection::graceful_shutdown, &has_stalled, late, address, handle, context).await
}

/// Serves calls in HTTP/1.1, as [`serve_http2`] does.
pub async fn serve_http1<T>(
    stream: T,
    peer: Peer,
    handle: &ConnectionHandle,
    context: &ServerContext,
) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let address = peer.address;
    let has_stalled = Arc::new(AtomicBool::new(false));
    let stream = write_timeout(stream, &context.config, &has_stalled);
    let service = service_fn(|request| call(request, &peer, handle, context));
    let connection = http1_builder(&context.config).serve_connection(TokioIo::new(stream), service);
    let late = "no whole head of a request";
    until_end(connection, http1::Connection::graceful_shutdown, &has_stalled, late, address, handle, context).await
}

/// The write timeout is as long as the wait for a PING: a client that answers PINGs also reads.
fn write_timeout<T>(stream: T, config: &Transport, has_stalled: &Arc<AtomicBool>) -> WriteTimeout<T> {
    WriteTimeout::new(stream, config.keepalive + config.keepalive_timeout, has_stalled.clone())
}

/// Makes a call.
fn call(
    mut request: http::Request<Incoming>,
    peer: &Peer,
    handle: &ConnectionHandle,
    context: &ServerContext,
) -> impl Future<Output = Result<http::Response<CountedBody>, Infallible>> + use<> {
    let call = handle.calls.open();
    request.extensions_mut().insert(peer.clone());
    // Here, and not in a layer, so that the memory of large headers is freed before the next ones are read.
    header_limit::mark(&mut request, context.config.max_header_bytes as usize);
    let response = context.service.clone().oneshot(request.map(Body::new));
    async { Ok(response.await?.map(|body| CountedBody::new(body, call))) }
}

/// Serves a connection until it ends. `late` is the fault of a client that is too slow.
async fn until_end<C>(
    connection: C,
    graceful_shutdown: fn(Pin<&mut C>),
    has_stalled: &AtomicBool,
    late: &'static str,
    address: SocketAddr,
    handle: &ConnectionHandle,
    context: &ServerContext,
) -> Result<(), ConnectionEnd>
where
    C: Future<Output = hyper::Result<()>>,
{
    let (config, calls) = (&context.config, &handle.calls);
    let classify = |error: hyper::Error| match has_stalled.load(Ordering::Relaxed) {
        true => ConnectionEnd::Unresponsive("it reads nothing"),
        false if error.is_timeout() => ConnectionEnd::Unresponsive(late),
        false => ConnectionEnd::Broken(error),
    };
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended.map_err(classify),
        () = context.shutdown.stopping.cancelled() => {}
        () = handle.evicted.cancelled() => {
            // No client waits for an answer on a connection that never had a call.
            if calls.was_used() {
                graceful_shutdown(connection.as_mut());
                let _ = time::timeout(EVICTION_TIMEOUT, connection).await;
            }
            return Err(ConnectionEnd::Evicted);
        }
        () = unless_zero(config.idle_timeout, |timeout| calls.idle(timeout)) => {
            context.dropped_connections.log(address, &format!("no call within {:?}", config.idle_timeout));
        }
        () = unless_zero(config.connection_age, |age| time::sleep(jitter(age))) => {}
    }
    graceful_shutdown(connection.as_mut());
    tokio::select! {
        ended = connection => ended.map_err(classify),
        // All calls have ended, but the client does not close the connection.
        () = calls.idle(config.handshake_timeout) => Ok(()),
    }
}

fn connection_window(config: &Transport) -> u32 {
    // The largest window of HTTP/2 (RFC 9113, 6.9.1).
    RECEIVED_PER_CALL.saturating_mul(config.max_concurrent_streams).clamp(RECEIVE_WINDOW, (1 << 31) - 1)
}

fn http2_builder(config: &Transport) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(config.keepalive)
        .keep_alive_timeout(config.keepalive_timeout)
        .max_concurrent_streams(config.max_concurrent_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_connection_window_size(connection_window(config))
        .initial_stream_window_size(RECEIVE_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS.0)
        .max_local_error_reset_streams(RESETS.1);
    builder
}

/// A client that is idle, or does not complete the head of a request, is closed as one that does not answer a PING.
fn http1_builder(config: &Transport) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.keepalive)
        .max_headers(MAX_HTTP1_HEADERS)
        .max_buf_size(HTTP1_BUFFER.max(2 * config.max_header_bytes as usize));
    builder
}

/// Waits for `wait(duration)`. A zero duration disables it: the wait never ends.
async fn unless_zero<F: Future<Output = ()>>(duration: Duration, wait: impl FnOnce(Duration) -> F) {
    if duration.is_zero() {
        return std::future::pending().await;
    }
    wait(duration).await;
}

/// Varies an age by up to a tenth, so that connections that were opened together are not closed together.
fn jitter(age: Duration) -> Duration {
    let fraction = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    age.mul_f64(0.9 + 0.2 * fraction)
}
