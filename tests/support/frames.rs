//! Handwritten HTTP/2: a client that can break the protocol.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::data_dir::within_timeout;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of frames (RFC 9113, 6).
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

/// Flag of HEADERS: no CONTINUATION follows.
pub const END_HEADERS: u8 = 4;

/// The error code of a GOAWAY to a client that floods (RFC 9113, 7).
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A connection on which frames are written without any check.
pub struct Wire {
    pub reader: Reader,
    pub writer: OwnedWriteHalf,
}

/// The receiving half of a connection.
pub struct Reader(OwnedReadHalf);

/// A received frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Wire {
    /// Connects without sending anything.
    pub async fn silent(address: SocketAddr) -> Self {
        let (read, writer) = TcpStream::connect(address).await.expect("the service listens").into_split();
        Self { reader: Reader(read), writer }
    }

    /// Connects and sends the preface and SETTINGS, as every client does.
    pub async fn greeted(address: SocketAddr) -> Self {
        let mut wire = Self::silent(address).await;
        // The service may have closed the connection already.
        let _ = wire.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        wire
    }

    /// Sends bytes. An error means that the connection is closed.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// Reads up to the first frame that matches; `None` if the connection ends before.
    pub async fn until(&mut self, matches: impl Fn(&Frame) -> bool) -> Option<Frame> {
        self.reader.until(matches).await
    }

    /// Reads to the end of the connection and returns the code of the last GOAWAY.
    pub async fn end(&mut self) -> Option<u32> {
        self.reader.end().await
    }
}

impl Reader {
    /// The next frame; `None` once the connection is closed.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        within_timeout("a frame", self.0.read_exact(&mut head)).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        within_timeout("a payload", self.0.read_exact(&mut payload)).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], stream, payload })
    }

    async fn until(&mut self, matches: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if matches(&frame) {
                return Some(frame);
            }
        }
    }

    /// Reads to the end of the connection and returns the code of the last GOAWAY.
    pub async fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = frame.payload[4..8].try_into().ok().map(u32::from_be_bytes);
            }
        }
        code
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a call, with further ones (HPACK, literals without an index).
pub fn headers(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // `:method POST` and `:scheme http` are in the static table; `:path` and `:authority` take their names from there.
    let mut block = vec![0x83, 0x86];
    for (index, value) in [(0x04, path), (0x01, "localhost")] {
        block.push(index);
        literal(&mut block, value);
    }
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")].iter().chain(more) {
        block.push(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    block
}

/// A string of a header: its length, as an integer with a prefix of seven bits (RFC 7541, 5.1), then its bytes.
pub fn literal(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 0x7f {
        block.push(length as u8);
    } else {
        block.push(0x7f);
        length -= 0x7f;
        while length >= 0x80 {
            block.push(length as u8 | 0x80);
            length >>= 7;
        }
        block.push(length as u8);
    }
    block.extend_from_slice(text.as_bytes());
}
