//! HTTP/2 by hand: a client that need not keep to it.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::data_dir::patiently;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of frames (RFC 9113, 6).
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

/// Of HEADERS: no more of them follow.
pub const END_HEADERS: u8 = 4;

/// The code of a GOAWAY to somebody who floods (RFC 9113, 7).
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A connection on which frames are written as they are.
pub struct Wire {
    pub reader: Reader,
    pub writer: OwnedWriteHalf,
}

/// What comes back over a connection.
pub struct Reader(OwnedReadHalf);

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Wire {
    /// Connects, and says nothing.
    pub async fn silent(address: SocketAddr) -> Self {
        let (read, writer) = TcpStream::connect(address).await.expect("it listens").into_split();
        Self { reader: Reader(read), writer }
    }

    /// Connects and greets, as every client does.
    pub async fn greeted(address: SocketAddr) -> Self {
        let mut wire = Self::silent(address).await;
        // It may be closed already.
        let _ = wire.write(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        wire
    }

    /// An error: the connection is closed.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// Reads up to a frame that is such; nothing where the connection ends before.
    pub async fn until(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        self.reader.until(is_it).await
    }

    /// Reads to the end of the connection; the code of the last GOAWAY before it.
    pub async fn end(&mut self) -> Option<u32> {
        self.reader.end().await
    }
}

impl Reader {
    /// The next frame; nothing once the connection is closed.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        patiently("a frame", self.0.read_exact(&mut head)).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        patiently("a payload", self.0.read_exact(&mut payload)).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], stream, payload })
    }

    async fn until(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if is_it(&frame) {
                return Some(frame);
            }
        }
    }

    /// Reads to the end of the connection; the code of the last GOAWAY before it.
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

/// The headers of a call (HPACK, literals without an index), and these.
pub fn headers(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // :method POST, :scheme http of the static table; :path and :authority as values of it.
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

/// A text of a header: its length, as an integer with a prefix of seven bits (RFC 7541, 5.1), and itself.
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
