//! Closes a connection so that the last response arrives. Closing while the client still sends would reset the
//! connection, and the client would lose the response (RFC 9112, 9.6, describes it for HTTP/1.1).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy, sink},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::connection_limit::ConnectionSlot;

/// Maximum time for which a closed connection is still read.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that is shut down for writing and read to its end after it is dropped.
pub struct LingeringStream {
    /// `None` only during the drop.
    stream: Option<(TcpStream, ConnectionSlot)>,
    connections: TaskTracker,
    abort: CancellationToken,
}

impl LingeringStream {
    /// Wraps a connection. It keeps its slot and is tracked in `connections` until the lingering ends or `abort` is
    /// cancelled.
    pub fn new(stream: TcpStream, slot: ConnectionSlot, connections: TaskTracker, abort: CancellationToken) -> Self {
        Self { stream: Some((stream, slot)), connections, abort }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(|(stream, _)| Pin::new(stream)).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for LingeringStream {
    fn drop(&mut self) {
        let Some((mut stream, slot)) = self.stream.take() else { return };
        // A connection that gave its slot to a new one takes no resources any longer.
        if slot.handle().evicted.is_cancelled() {
            return;
        }
        let drain = async move {
            let _slot = slot;
            stream.shutdown().await?;
            copy(&mut stream, &mut sink()).await
        };
        let abort = self.abort.clone();
        self.connections.spawn(abort.run_until_cancelled_owned(timeout(LINGER_TIMEOUT, drain)));
    }
}

impl AsyncRead for LingeringStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buf)
    }
}

impl AsyncWrite for LingeringStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(|(stream, _)| stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}
