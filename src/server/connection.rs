//! Serves one connection: the handshake, and then its calls (`served_calls`).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{self, Instant},
};

use super::{
    connection_end::{ConnectionEnd, count_connection},
    connection_limit::ConnectionHandle,
    context::ServerContext,
    lingering_close::LingeringStream,
    protocol_detection::{PrefaceStream, Protocol},
    served_calls::{serve_http1, serve_http2},
    tls, wrong_protocol,
};
use crate::service::peer::Peer;

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

/// Does the TLS handshake if this port has certificates, then serves HTTP.
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

/// Serves HTTP/2 if the client speaks it and has negotiated it, and HTTP/1.1. Explains in HTTP/1.1 what the port speaks
/// otherwise.
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
        Some(Ok(Protocol::Other)) => {
            let head = limit.within(wrong_protocol::read_head(&mut preface)).await;
            match head {
                Some(Ok(())) if wrong_protocol::is_http1(preface.peeked()) => {
                    serve_http1(preface, peer, limit.handle, limit.context).await
                }
                Some(Err(error)) => Err(error.into()),
                head => refuse(preface, "", head.is_some(), limit).await,
            }
        }
        Some(Ok(Protocol::Tls)) => refuse_protocol(preface, "", limit).await,
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
    refuse(preface, note, head.is_some(), limit).await
}

/// Answers what this port speaks. `is_read` is true if the head of a request has arrived in time.
async fn refuse<T>(
    mut preface: PrefaceStream<T>,
    note: &str,
    is_read: bool,
    limit: &HandshakeLimit<'_>,
) -> Result<(), ConnectionEnd>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if !is_read {
        limit.log_silence("no whole request in HTTP/1.1");
    }
    let _ = limit.unless_stopping(wrong_protocol::respond(&mut preface, note)).await;
    match is_read {
        true => Err(ConnectionEnd::Failed(io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP"))),
        false => Err(ConnectionEnd::Silent),
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
