//! Detects the protocol of a client from its first bytes: HTTP/2, TLS or another one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The connection preface, which every HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The record type that a TLS client sends first (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// The protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The client has sent the whole HTTP/2 preface.
    Http2,
    /// The client has begun a TLS handshake.
    Tls,
    /// Another protocol, most likely HTTP/1.1.
    Other,
}

/// A stream whose first bytes are peeked at: a reader still gets them.
#[derive(Debug)]
pub struct PrefaceStream<T> {
    peeked: Vec<u8>,
    /// The number of peeked bytes that a reader has consumed.
    read: usize,
    stream: T,
}

impl<T> PrefaceStream<T> {
    /// Wraps a stream from which nothing has been read.
    pub fn new(stream: T) -> Self {
        Self { peeked: Vec::new(), read: 0, stream }
    }

    /// The bytes that have been peeked at.
    pub fn peeked(&self) -> &[u8] {
        &self.peeked
    }
}

impl<T: AsyncRead + Unpin> PrefaceStream<T> {
    /// Reads until the protocol of the client is clear.
    ///
    /// # Errors
    /// The client disconnected before.
    pub async fn detect_protocol(&mut self) -> io::Result<Protocol> {
        loop {
            if let Some(protocol) = protocol_of(&self.peeked) {
                return Ok(protocol);
            }
            self.read_more().await?;
        }
    }

    /// Peeks at more bytes. Cancel safe: dropping the future loses none.
    pub async fn read_more(&mut self) -> io::Result<()> {
        self.peeked.reserve(512);
        match self.stream.read_buf(&mut self.peeked).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// `None` while the bytes are too few to decide.
fn protocol_of(peeked: &[u8]) -> Option<Protocol> {
    match peeked {
        [] => None,
        [HANDSHAKE, ..] => Some(Protocol::Tls),
        peeked if peeked.starts_with(PREFACE) => Some(Protocol::Http2),
        peeked if PREFACE.starts_with(peeked) => None,
        _ => Some(Protocol::Other),
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for PrefaceStream<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.peeked[self.read..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buf);
        }
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        self.read += length;
        if self.read == self.peeked.len() {
            (self.peeked, self.read) = (Vec::new(), 0);
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
    async fn protocol_is_detected_from_bytes_in_pieces_of_any_size() {
        for (sent, protocol) in [
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
                let write = tokio::spawn(async move { client.write_all(sent).await });
                // The client disconnects after its last byte.
                let detected = PrefaceStream::new(server).detect_protocol().await.ok();
                assert_eq!(detected, protocol, "{sent:?} in pieces of {bytes}");
                let _ = write.await;
            }
        }
    }

    #[tokio::test]
    async fn reader_gets_the_peeked_bytes() {
        let sent = [PREFACE, b"and more"].concat();
        let (mut client, server) = duplex(64);
        client.write_all(&sent).await.unwrap();
        drop(client);
        let mut preface = PrefaceStream::new(server);
        assert_eq!(preface.detect_protocol().await.unwrap(), Protocol::Http2);
        let mut read = Vec::new();
        preface.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, sent);
    }
}
