//! A stream whose writes time out. A client that reads nothing blocks every write, also the GOAWAY that would end its
//! connection: hyper waits until that is written, so the connection would stay open.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A stream that fails once nothing could be written for a given time.
pub struct WriteTimeout<T> {
    stream: T,
    timeout: Duration,
    /// Ends when the pending write has waited too long. Reset when a write begins to wait.
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
    has_failed: Arc<AtomicBool>,
}

impl<T> WriteTimeout<T> {
    /// Wraps a stream whose writes wait at most `timeout`. `has_failed` becomes true when one has waited longer.
    pub fn new(stream: T, timeout: Duration, has_failed: Arc<AtomicBool>) -> Self {
        Self { stream, timeout, deadline: Box::pin(sleep(timeout)), is_waiting: false, has_failed }
    }

    /// Turns a pending write into an error once it and the writes before it have waited too long.
    fn bounded<O>(&mut self, context: &mut Context<'_>, write: Poll<io::Result<O>>) -> Poll<io::Result<O>> {
        if write.is_ready() {
            self.is_waiting = false;
            return write;
        }
        if !self.is_waiting {
            self.deadline.as_mut().reset(Instant::now() + self.timeout);
            self.is_waiting = true;
        }
        ready!(self.deadline.as_mut().poll(context));
        self.has_failed.store(true, Ordering::Relaxed);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WriteTimeout<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, buf);
        self.bounded(context, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(context, bufs);
        self.bounded(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn write_fails_after_the_client_stops_reading() {
        let (mut client, server) = duplex(4);
        let has_failed = Arc::new(AtomicBool::new(false));
        let mut server = WriteTimeout::new(server, Duration::from_millis(100), has_failed.clone());
        let mut read = [0; 7];
        let (written, ()) = tokio::join!(server.write_all(&[7; 20]), async {
            client.read_exact(&mut read).await.unwrap();
        });
        assert_eq!((written.unwrap_err().kind(), read), (io::ErrorKind::TimedOut, [7; 7]));
        assert!(has_failed.load(Ordering::Relaxed));
    }
}
