//! Serves one connection: the handshake, the calls, and the graceful end.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{self, Instant},
};
use tonic::{body::Body, codegen::http};
use tower::ServiceExt;

use super::{
    connection_limit::ConnectionHandle,
    context::ServerContext,
    header_blocks::{HeaderBlocks, MAX_HEADER_LIST},
    lingering_close::LingeringStream,
    open_calls::CountedBody,
    protocol_detection::{PrefaceStream, Protocol},
    tls,
    write_timeout::WriteTimeout,
    wrong_protocol,
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

/// The bytes of requests that a connection may send before the service reads them. The worst case of memory is this for
/// each connection, so that it is smaller than the default of the library.
const RECEIVE_WINDOW: u32 = 64 * 1024;

/// Serves a connection to its end.
pub async fn serve(
    mut stream: LingeringStream,
    address: SocketAddr,
    handle: ConnectionHandle,
    context: Arc<ServerContext>,
) {
    let served = handshake(&mut stream, address, &handle, &context);
    let served = context.shutdown.abort.run_until_cancelled(served).await;
    match served.unwrap_or(Ok(())) {
        Ok(()) => count_connection("served"),
        Err(ConnectionEnd::Unresponsive(reason)) => {
            count_connection("broken");
            context.dropped_connections.log(address, reason);
        }
        Err(ConnectionEnd::Broken(error)) => {
            count_connection("broken");
            tracing::debug!(%address, %error, "a connection broke");
        }
        Err(ConnectionEnd::Evicted) => count_connection("evicted"),
        Err(ConnectionEnd::Silent) => count_connection("handshake_failed"),
        Err(ConnectionEnd::Failed(error)) => {
            count_connection("handshake_failed");
            tracing::debug!(%address, %error, "a handshake failed");
        }
    }
}

/// The reason why a connection ended before it was served to its end.
enum ConnectionEnd {
    /// The client did not complete the handshake in time. This is logged already.
    Silent,
    /// The handshake failed, or the client speaks another protocol than this port.
    Failed(io::Error),
    /// The connection broke while it was served.
    Broken(hyper::Error),
    /// The connection had no open call, and its slot was given to a new one.
    Evicted,
    /// The client stopped responding while it was served, for this reason.
    Unresponsive(&'static str),
}

impl From<io::Error> for ConnectionEnd {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Counts a connection by its outcome.
pub fn count_connection(outcome: &'static str) {
    metrics::counter!("readout_connections_total", "outcome" => outcome).increment(1);
}

/// Does the TLS handshake if this port has certificates, then serves HTTP/2.
async fn handshake(
    stream: &mut LingeringStream,
    address: SocketAddr,
    handle: &ConnectionHandle,
    context: &ServerContext,
) -> Result<(), ConnectionEnd> {
    let limit =
        HandshakeLimit { deadline: Instant::now() + context.config.handshake_timeout, address, handle, context };
    let mut preface = PrefaceStream::new(stream);
    let Some(certificates) = &context.certificates else {
        return serve_protocol(preface, true, Peer { address, certificate: None }, &limit).await;
    };
    match limit.within(preface.detect_protocol()).await {
        Some(Ok(Protocol::Http2)) => {
            let goaway = wrong_protocol::send_goaway(&mut preface, "this port speaks TLS", limit.timeout());
            let _ = limit.unless_stopping(goaway).await;
            return Err(ConnectionEnd::Failed(io::Error::new(io::ErrorKind::InvalidData, "plaintext HTTP/2")));
        }
        Some(Ok(Protocol::Other)) if preface.peeked()[0].is_ascii_uppercase() => {
            return refuse_protocol(preface, wrong_protocol::NEEDS_TLS, &limit).await;
        }
        // Any other first byte goes to the TLS library, which answers with an alert.
        Some(protocol) => protocol?,
        None => return limit.close_silent(&mut preface).await,
    };
    let server = certificates.borrow().clone();
    let accepted = match limit.within(tls::accept(server, &mut preface)).await {
        Some(accepted) => accepted?,
        None => return limit.close_silent(&mut preface).await,
    };
    let peer = Peer { address, certificate: accepted.certificate };
    serve_protocol(PrefaceStream::new(accepted.stream), accepted.is_http2, peer, &limit).await
}

/// Serves HTTP/2 if the client speaks it and has negotiated it, and answers in HTTP/1.1 otherwise.
async fn serve_protocol<T>(
    mut preface: PrefaceStream<T>,
    is_http2: bool,
    peer: Peer,
    limit: &HandshakeLimit<'_>,
) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    match limit.within(preface.detect_protocol()).await {
        Some(Ok(Protocol::Http2)) if is_http2 => serve_http2(preface, peer, limit.handle, limit.context).await,
        Some(Ok(Protocol::Http2)) => refuse_protocol(preface, wrong_protocol::NEEDS_ALPN, limit).await,
        Some(Ok(Protocol::Other | Protocol::Tls)) => refuse_protocol(preface, "", limit).await,
        Some(Err(error)) => Err(error.into()),
        None => {
            let reason = limit.log_silence("no HTTP/2 preface");
            let _ = limit.unless_stopping(wrong_protocol::send_goaway(&mut preface, &reason, limit.timeout())).await;
            Err(ConnectionEnd::Silent)
        }
    }
}

/// Reads the head of a request in another protocol, and answers what this port speaks.
async fn refuse_protocol<T>(
    mut preface: PrefaceStream<T>,
    note: &str,
    limit: &HandshakeLimit<'_>,
) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let head = limit.within(wrong_protocol::read_head(&mut preface)).await;
    if head.is_none() {
        limit.log_silence("no whole request in HTTP/1.1");
    }
    let _ = limit.unless_stopping(wrong_protocol::respond(&mut preface, note)).await;
    match head {
        Some(_) => Err(ConnectionEnd::Failed(io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP/2"))),
        None => Err(ConnectionEnd::Silent),
    }
}

/// The time limit of a handshake.
struct HandshakeLimit<'a> {
    deadline: Instant,
    address: SocketAddr,
    handle: &'a ConnectionHandle,
    context: &'a ServerContext,
}

impl HandshakeLimit<'_> {
    fn timeout(&self) -> Duration {
        self.context.config.handshake_timeout
    }

    /// Waits for a step of the handshake. `None` if the deadline has passed; an error if the service is stopping.
    async fn within<T>(&self, step: impl Future<Output = io::Result<T>>) -> Option<io::Result<T>> {
        let in_time = time::timeout_at(self.deadline, step);
        self.unless_stopping(async { Ok(in_time.await.ok()) }).await.transpose().map(Result::flatten)
    }

    /// Logs what the client did not send in time, and returns that as the reason.
    fn log_silence(&self, missing: &str) -> String {
        let reason = format!("{missing} within {:?}", self.timeout());
        self.context.dropped_connections.log(self.address, &reason);
        reason
    }

    /// Waits for some work. An error if the service is stopping, or a new connection has taken the slot.
    async fn unless_stopping<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::select! {
            done = work => done,
            () = self.context.shutdown.stopping.cancelled() => Err(io::Error::other("the service is stopping")),
            () = self.handle.evicted.cancelled() => Err(io::Error::other("a new connection took the slot")),
        }
    }

    /// Closes a connection that is not HTTP/2 yet, so that no GOAWAY can be sent. A late client is read from, not
    /// reset.
    async fn close_silent<T>(&self, preface: &mut PrefaceStream<T>) -> Result<(), ConnectionEnd>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        self.log_silence("no whole handshake of TLS");
        let _ =
            self.unless_stopping(wrong_protocol::write_and_drain(preface, b"", self.timeout(), self.timeout())).await;
        Err(ConnectionEnd::Silent)
    }
}

/// Serves calls. Once the service is stopping, or the connection is old or idle, sends GOAWAY, and ends with the last
/// open call.
async fn serve_http2<T>(
    stream: T,
    peer: Peer,
    handle: &ConnectionHandle,
    context: &ServerContext,
) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (config, calls) = (&context.config, &handle.calls);
    let service = service_fn(|mut request: http::Request<Incoming>| {
        let call = calls.open();
        request.extensions_mut().insert(peer.clone());
        // Here, and not in a layer, so that the memory of large headers is freed before the next ones are read.
        header_limit::mark(&mut request, config.max_header_bytes as usize);
        let response = context.service.clone().oneshot(request.map(Body::new));
        async { Ok::<_, std::convert::Infallible>(response.await?.map(|body| CountedBody::new(body, call))) }
    });
    let address = peer.address;
    let has_stalled = Arc::new(AtomicBool::new(false));
    // The write timeout is as long as the wait for a PING: a client that answers PINGs also reads.
    let stream = WriteTimeout::new(stream, config.keepalive + config.keepalive_timeout, has_stalled.clone());
    let stream = HeaderBlocks::new(stream, address.ip(), context.long_header_blocks.clone());
    let classify = |error: hyper::Error| match has_stalled.load(Ordering::Relaxed) {
        true => ConnectionEnd::Unresponsive("it reads nothing"),
        false if error.is_timeout() => ConnectionEnd::Unresponsive("no answer to PING"),
        false => ConnectionEnd::Broken(error),
    };
    let mut connection = pin!(builder(config).serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = &mut connection => return ended.map_err(classify),
        () = context.shutdown.stopping.cancelled() => {}
        () = handle.evicted.cancelled() => {
            // No client waits for an answer on a connection that never had a call.
            if calls.was_used() {
                connection.as_mut().graceful_shutdown();
                let _ = time::timeout(EVICTION_TIMEOUT, connection).await;
            }
            return Err(ConnectionEnd::Evicted);
        }
        () = unless_zero(config.idle_timeout, |timeout| calls.idle(timeout)) => {
            context.dropped_connections.log(address, &format!("no call within {:?}", config.idle_timeout));
        }
        () = unless_zero(config.connection_age, |age| time::sleep(jitter(age))) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => ended.map_err(classify),
        // All calls have ended, but the client does not close the connection.
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
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_connection_window_size(RECEIVE_WINDOW)
        .initial_stream_window_size(RECEIVE_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS.0)
        .max_local_error_reset_streams(RESETS.1);
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
