//! One connection: its handshake, its calls, and its end.

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
    context::ServerContext,
    http2_preface::{PrefaceStream, Protocol},
    lingering_close::LingeringStream,
    open_calls::{CountedBody, OpenCalls},
    protocol_error, tls,
    write_timeout::WriteTimeout,
};
use crate::{config::Transport, service::peer::Peer};

/// Calls that a client may give up before they are looked at, and calls that we may break off because of what their
/// client does wrong; with one more the connection ends (CVE-2023-44487, CVE-2025-8671).
const RESETS: (usize, usize) = (20, 1024);

/// Bytes of an answer that are kept for a client which does not read, beside the message that is under way.
const SEND_BUFFER: usize = 64 * 1024;

/// Serves a connection to its end.
pub async fn serve(mut stream: LingeringStream, address: SocketAddr, door: Arc<ServerContext>) {
    let served = door.closing.cut.run_until_cancelled(open(&mut stream, address, &door)).await;
    match served.unwrap_or(Ok(())) {
        Ok(()) => tell("served"),
        Err(ConnectionEnd::Unresponsive(reason)) => {
            tell("broken");
            door.silences.log(address, reason);
        }
        Err(ConnectionEnd::Broken(error)) => {
            tell("broken");
            tracing::debug!(%address, %error, "a connection broke");
        }
        Err(ConnectionEnd::Silent) => tell("handshake_failed"),
        Err(ConnectionEnd::Failed(error)) => {
            tell("handshake_failed");
            tracing::debug!(%address, %error, "a handshake failed");
        }
    }
}

/// How a connection ended that was not served to its end.
enum ConnectionEnd {
    /// It was not begun in time, which is in the log.
    Silent,
    /// It was begun in another way than this port's.
    Failed(io::Error),
    /// It broke while it was served.
    Broken(hyper::Error),
    /// Its client fell silent while it was served.
    Unresponsive(&'static str),
}

impl From<io::Error> for ConnectionEnd {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Counts what became of a connection.
pub fn tell(outcome: &'static str) {
    metrics::counter!("readout_connections_total", "outcome" => outcome).increment(1);
}

/// Serves a stream on which nothing was said yet: a handshake of TLS where this port has certificates, then HTTP/2.
async fn open(stream: &mut LingeringStream, address: SocketAddr, door: &ServerContext) -> Result<(), ConnectionEnd> {
    let limit = HandshakeLimit { deadline: Instant::now() + door.config.handshake_timeout, address, door };
    let mut opening = PrefaceStream::new(stream);
    let Some(certificates) = &door.certificates else {
        return begin(opening, true, Peer { address, certificate: None }, &limit).await;
    };
    match limit.within(opening.spoken()).await {
        Some(Ok(Protocol::Http2)) => {
            let end = protocol_error::go_away(&mut opening, "this port speaks TLS", limit.timeout());
            let _ = limit.unless_stopping(end).await;
            return Err(ConnectionEnd::Failed(io::Error::new(io::ErrorKind::InvalidData, "plaintext HTTP/2")));
        }
        Some(Ok(Protocol::Other)) if opening.said()[0].is_ascii_uppercase() => {
            return other(opening, protocol_error::NEEDS_TLS, &limit).await;
        }
        // Another first byte gets an alert.
        Some(spoken) => spoken?,
        None => return limit.silent(&mut opening).await,
    };
    let server = certificates.borrow().clone();
    let accepted = match limit.within(tls::accept(server, &mut opening)).await {
        Some(accepted) => accepted?,
        None => return limit.silent(&mut opening).await,
    };
    let peer = Peer { address, certificate: accepted.certificate };
    begin(PrefaceStream::new(accepted.stream), accepted.is_http2, peer, &limit).await
}

/// Serves HTTP/2 where the client speaks it and may, and answers in HTTP/1.1 otherwise.
async fn begin<T>(
    mut opening: PrefaceStream<T>,
    is_http2: bool,
    peer: Peer,
    limit: &HandshakeLimit<'_>,
) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    match limit.within(opening.spoken()).await {
        Some(Ok(Protocol::Http2)) if is_http2 => http(opening, peer, limit.door).await,
        Some(Ok(Protocol::Http2)) => other(opening, protocol_error::NEEDS_ALPN, limit).await,
        Some(Ok(Protocol::Other | Protocol::Tls)) => other(opening, "", limit).await,
        Some(Err(error)) => Err(error.into()),
        None => {
            let why = limit.log_silence("no HTTP/2 preface");
            let _ = limit.unless_stopping(protocol_error::go_away(&mut opening, &why, limit.timeout())).await;
            Err(ConnectionEnd::Silent)
        }
    }
}

/// Answers a client that speaks something else, once it has said what.
async fn other<T>(mut opening: PrefaceStream<T>, note: &str, limit: &HandshakeLimit<'_>) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let head = limit.within(protocol_error::head(&mut opening)).await;
    if head.is_none() {
        limit.log_silence("no whole request in HTTP/1.1");
    }
    let _ = limit.unless_stopping(protocol_error::answer(&mut opening, note)).await;
    match head {
        Some(_) => Err(ConnectionEnd::Failed(io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP/2"))),
        None => Err(ConnectionEnd::Silent),
    }
}

/// How long a connection may take to begin.
struct HandshakeLimit<'a> {
    deadline: Instant,
    address: SocketAddr,
    door: &'a ServerContext,
}

impl HandshakeLimit<'_> {
    fn timeout(&self) -> Duration {
        self.door.config.handshake_timeout
    }

    /// Nothing where it has not happened in time. Where no calls are taken any more, an error.
    async fn within<T>(&self, beginning: impl Future<Output = io::Result<T>>) -> Option<io::Result<T>> {
        let in_time = time::timeout_at(self.deadline, beginning);
        self.unless_stopping(async { Ok(in_time.await.ok()) }).await.transpose().map(Result::flatten)
    }

    /// Logs what did not come in time, and answers why the connection ends.
    fn log_silence(&self, missing: &str) -> String {
        let why = format!("{missing} within {:?}", self.timeout());
        self.door.silences.log(self.address, &why);
        why
    }

    async fn unless_stopping<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::select! {
            done = work => done,
            () = self.door.closing.stopping.cancelled() => Err(io::Error::other("the service is stopping")),
        }
    }

    /// The end of a connection that is not HTTP/2 yet, and so has no words for it. A client that speaks late is not reset.
    async fn silent<T>(&self, opening: &mut PrefaceStream<T>) -> Result<(), ConnectionEnd>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        self.log_silence("no whole handshake of TLS");
        let _ = self.unless_stopping(protocol_error::end_with(opening, b"", self.timeout(), self.timeout())).await;
        Err(ConnectionEnd::Silent)
    }
}

/// Serves calls. Once the service is stopping, or the connection is old or idle, it takes no further ones (GOAWAY), and
/// ends with the last one.
async fn http<T>(stream: T, peer: Peer, door: &ServerContext) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (config, calls) = (&door.config, OpenCalls::none());
    let service = service_fn(|mut request: http::Request<Incoming>| {
        let call = calls.open();
        request.extensions_mut().insert(peer.clone());
        let answer = door.service.clone().oneshot(request.map(Body::new));
        async { Ok::<_, std::convert::Infallible>(answer.await?.map(|body| CountedBody::new(body, call))) }
    });
    let address = peer.address;
    let has_stalled = Arc::new(AtomicBool::new(false));
    // A client that answers PINGs reads them first.
    let stream = WriteTimeout::new(stream, config.keepalive + config.keepalive_timeout, has_stalled.clone());
    let broken = |error: hyper::Error| match has_stalled.load(Ordering::Relaxed) {
        true => ConnectionEnd::Unresponsive("it reads nothing"),
        false if error.is_timeout() => ConnectionEnd::Unresponsive("no answer to PING"),
        false => ConnectionEnd::Broken(error),
    };
    let mut connection = pin!(builder(config).serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = &mut connection => return ended.map_err(broken),
        () = door.closing.stopping.cancelled() => {}
        () = unless_zero(config.idle_timeout, |timeout| calls.idle(timeout)) => {
            door.silences.log(address, &format!("no call within {:?}", config.idle_timeout));
        }
        () = unless_zero(config.connection_age, |age| time::sleep(jitter(age))) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => ended.map_err(broken),
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
