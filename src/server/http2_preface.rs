//! The beginning of a connection: by its first bytes, a client speaks HTTP/2, TLS or something else.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Every client of HTTP/2 says this first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The type of the record that a TLS client says first (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// The protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// It has sent the whole preface.
    Http2,
    /// It has begun a handshake.
    Tls,
    /// HTTP/1.1, most likely.
    Other,
}

/// A stream whose first bytes have been looked at. A reader gets them too.
#[derive(Debug)]
pub struct PrefaceStream<T> {
    said: Vec<u8>,
    /// How many of them a reader has got.
    read: usize,
    stream: T,
}

impl<T> PrefaceStream<T> {
    /// A stream of which nothing is read yet.
    pub fn new(stream: T) -> Self {
        Self { said: Vec::new(), read: 0, stream }
    }

    /// The bytes that have been looked at.
    pub fn said(&self) -> &[u8] {
        &self.said
    }
}

impl<T: AsyncRead + Unpin> PrefaceStream<T> {
    /// Reads until it is clear which protocol the client speaks. An error: it went away before.
    pub async fn spoken(&mut self) -> io::Result<Protocol> {
        loop {
            if let Some(spoken) = spoken_by(&self.said) {
                return Ok(spoken);
            }
            self.look_further().await?;
        }
    }

    /// Reads some more bytes. Nothing is lost where it is not waited for.
    pub async fn look_further(&mut self) -> io::Result<()> {
        self.said.reserve(512);
        match self.stream.read_buf(&mut self.said).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Nothing while it may still become one or the other.
fn spoken_by(said: &[u8]) -> Option<Protocol> {
    match said {
        [] => None,
        [HANDSHAKE, ..] => Some(Protocol::Tls),
        said if said.starts_with(PREFACE) => Some(Protocol::Http2),
        said if PREFACE.starts_with(said) => None,
        _ => Some(Protocol::Other),
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for PrefaceStream<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.said[self.read..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buf);
        }
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        self.read += length;
        if self.read == self.said.len() {
            (self.said, self.read) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for PrefaceStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn protocol_is_known_by_the_first_bytes_however_they_arrive() {
        for (said, spoken) in [
            (PREFACE, Some(Protocol::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore", Some(Protocol::Http2)),
            (&PREFACE[..23], None),
            (b"P", None),
            (b"", None),
            (b"POST / HTTP/1.1", Some(Protocol::Other)),
            (b"PRI * HTTP/2.0\r\n\r\nXX", Some(Protocol::Other)),
            (b"GET", Some(Protocol::Other)),
            (&[22, 3, 1], Some(Protocol::Tls)),
            (&[0x80, 46], Some(Protocol::Other)),
        ] {
            for bytes in [1, 7, 64] {
                let (mut client, server) = duplex(bytes);
                let write = tokio::spawn(async move { client.write_all(said).await });
                // The client goes away after its last byte.
                assert_eq!(PrefaceStream::new(server).spoken().await.ok(), spoken, "{said:?} in pieces of {bytes}");
                let _ = write.await;
            }
        }
    }

    #[tokio::test]
    async fn bytes_that_were_looked_at_are_read_too() {
        let said = [PREFACE, b"and more"].concat();
        let (mut client, server) = duplex(64);
        client.write_all(&said).await.unwrap();
        drop(client);
        let mut opening = PrefaceStream::new(server);
        assert_eq!(opening.spoken().await.unwrap(), Protocol::Http2);
        let mut read = Vec::new();
        opening.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, said);
    }
}
