//! A connection that is closed so that what was answered last arrives: while a client still sends, the end of a
//! connection would make it break off instead of reading on (RFC 9112, 9.6, on the same in HTTP/1.1).

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

/// A client has so long to hear of the end.
const LONGEST: Duration = Duration::from_secs(1);

/// A connection that is read to its end after it has been dropped.
pub struct LingeringStream {
    /// None only while it is dropped.
    stream: Option<(TcpStream, ConnectionSlot)>,
    connections: TaskTracker,
    cut: CancellationToken,
}

impl LingeringStream {
    /// It is counted among the connections, and has its place, until its end, unless all are cut.
    pub fn new(stream: TcpStream, place: ConnectionSlot, connections: TaskTracker, cut: CancellationToken) -> Self {
        Self { stream: Some((stream, place)), connections, cut }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(|(stream, _)| Pin::new(stream)).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for LingeringStream {
    fn drop(&mut self) {
        let Some((mut stream, place)) = self.stream.take() else { return };
        let rest = async move {
            let _place = place;
            stream.shutdown().await?;
            copy(&mut stream, &mut sink()).await
        };
        let cut = self.cut.clone();
        self.connections.spawn(cut.run_until_cancelled_owned(timeout(LONGEST, rest)));
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
