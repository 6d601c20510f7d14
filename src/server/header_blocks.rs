//! Bounds the memory of the headers that arrive on a connection, so that the HTTP/2 library can accept headers that are
//! much larger than a call may have. Such a call is then refused alone; with a low limit, the library would end the
//! connection with all of its calls.
//!
//! A header can have one byte on the wire, by which it refers to an earlier one (RFC 7541), and takes about 80 bytes of
//! memory. A header block is one HEADERS frame and the CONTINUATION frames after it (RFC 9113, 4.3). So:
//!
//! - after each block that is not small, the reader pauses once. The library then hands the call over, and its headers
//!   are counted and freed (`service::layer::header_limit`), before it reads the next block;
//! - at most [`MAX_LONG_BLOCKS`] blocks of several frames arrive at a time, over all connections. One more ends the
//!   connection whose block began first, of the address with most of them;
//! - trailers, which wait until a handler reads them, must be small. gRPC clients send none.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::evicting_limit::{EvictingLimit, Slot};

/// Maximum size of the headers of a call that gets a status, as RFC 9113, 6.5.2, counts it. One more is answered with
/// 431 by the library, and several times as much ends the connection.
pub const MAX_HEADER_LIST: u32 = 1024 * 1024 + 64 * 1024;

/// Maximum number of blocks of several frames that arrive at a time. Each takes at most 6 MiB: its frames, which the
/// library limits to 87 (1.4 MiB), and 32,768 headers of the smallest size with the spare room of their table.
pub const MAX_LONG_BLOCKS: usize = 8;

/// Maximum bytes of a small block. A connection can have one of them for each of its calls.
const MAX_SMALL_BLOCK: usize = 256;

/// The length of the preface and of the head of a frame (RFC 9113, 3.4 and 4.1).
const PREFACE: usize = 24;
const HEAD: usize = 9;

/// Types of frames, and the flag of the last frame of a block (RFC 9113, 6.2).
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// A stream of HTTP/2 frames from a client.
pub struct HeaderBlocks<T> {
    stream: T,
    address: IpAddr,
    limit: EvictingLimit,
    frames: Frames,
    /// Bytes that were read after the end of a block, and the number of them that a reader has consumed.
    rest: (Vec<u8>, usize),
    /// The end of a block was read, and the library must hand it over.
    pauses: bool,
    /// The slot of a block of several frames, until its end is handed over.
    long: Option<(Slot, Pin<Box<WaitForCancellationFutureOwned>>)>,
}

impl<T> HeaderBlocks<T> {
    /// Wraps the stream of a client, which begins with the preface. Connections share `limit`.
    pub fn new(stream: T, address: IpAddr, limit: EvictingLimit) -> Self {
        let frames = Frames { skipped: PREFACE, ..Frames::default() };
        Self { stream, address, limit, frames, rest: (Vec::new(), 0), pauses: false, long: None }
    }

    /// Follows bytes that were read. Returns how many of them the reader may have.
    fn follow(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut followed = 0;
        while followed < bytes.len() {
            let (length, event) = self.frames.follow(&bytes[followed..]);
            followed += length;
            match event {
                None => {}
                Some(Event::LargeTrailers) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a request has large trailers"));
                }
                Some(Event::LongBlock) => {
                    let slot = self.limit.open(self.address);
                    let evicted = Box::pin(slot.evicted.clone().cancelled_owned());
                    self.long = Some((slot, evicted));
                }
                Some(Event::BlockEnd) => {
                    self.pauses = true;
                    return Ok(followed);
                }
            }
        }
        Ok(followed)
    }
}

/// An event to which the reader reacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A block of several frames begins.
    LongBlock,
    /// A block that is not small has ended.
    BlockEnd,
    /// A second block of headers for one call is not small.
    LargeTrailers,
}

/// The position in a sequence of frames.
#[derive(Debug, Default)]
struct Frames {
    /// The head of the next frame, as far as it was read.
    head: Vec<u8>,
    /// Bytes until the next head.
    skipped: usize,
    /// The bytes of the open block. `None` outside of a block.
    block: Option<usize>,
    /// The current frame is the last one of its block.
    ends_block: bool,
    /// The highest stream with headers.
    last_stream: u32,
}

impl Frames {
    /// Follows some of the bytes, up to the first event. Returns their number.
    fn follow(&mut self, bytes: &[u8]) -> (usize, Option<Event>) {
        if self.skipped > 0 {
            let length = self.skipped.min(bytes.len());
            self.skipped -= length;
            return (length, self.frame_end());
        }
        let length = (HEAD - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..length]);
        let &[a, b, c, kind, flags, e, f, g, h] = &self.head[..] else { return (length, None) };
        self.head.clear();
        let payload = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([e, f, g, h]) & 0x7fff_ffff;
        self.skipped = payload;
        let event = self.begin(kind, flags & END_HEADERS != 0, stream, payload);
        // A frame without a payload ends at once.
        (length, event.or_else(|| self.frame_end()))
    }

    fn begin(&mut self, kind: u8, ends_block: bool, stream: u32, payload: usize) -> Option<Event> {
        match (kind, self.block) {
            (HEADERS | PUSH_PROMISE, None) => {
                let is_trailers = kind == HEADERS && stream <= self.last_stream;
                self.last_stream = self.last_stream.max(stream);
                (self.block, self.ends_block) = (Some(payload), ends_block);
                match ends_block && payload <= MAX_SMALL_BLOCK {
                    true => None,
                    false if is_trailers => Some(Event::LargeTrailers),
                    false => (!ends_block).then_some(Event::LongBlock),
                }
            }
            (CONTINUATION, Some(bytes)) => {
                (self.block, self.ends_block) = (Some(bytes.saturating_add(payload)), ends_block);
                None
            }
            // The library refuses frames out of order.
            _ => None,
        }
    }

    /// The end of a block, if the current frame is its last one and has ended.
    fn frame_end(&mut self) -> Option<Event> {
        if self.skipped > 0 || !self.ends_block {
            return None;
        }
        self.ends_block = false;
        self.block.take().filter(|bytes| *bytes > MAX_SMALL_BLOCK).map(|_| Event::BlockEnd)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for HeaderBlocks<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if std::mem::take(&mut this.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.frames.block.is_none() {
            this.long = None;
        }
        if let Some((_, evicted)) = &mut this.long
            && evicted.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many unfinished headers")));
        }
        let (start, is_new) = (buf.filled().len(), this.rest.0.is_empty());
        if is_new {
            ready!(Pin::new(&mut this.stream).poll_read(context, buf))?;
        } else {
            let (rest, consumed) = &this.rest;
            let length = (rest.len() - consumed).min(buf.remaining());
            buf.put_slice(&rest[*consumed..*consumed + length]);
        }
        let read = &buf.filled()[start..];
        let followed = this.follow(read)?;
        if !is_new {
            this.rest.1 += followed;
        } else if followed < read.len() {
            this.rest = (read[followed..].to_vec(), 0);
        }
        if this.rest.1 == this.rest.0.len() {
            this.rest = (Vec::new(), 0);
        }
        buf.set_filled(start + followed);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HeaderBlocks<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const DATA: u8 = 0;

    fn frame(kind: u8, flags: u8, stream: u8, length: usize) -> Vec<u8> {
        let [.., a, b, c] = length.to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, stream][..], &vec![b'x'; length]].concat()
    }

    fn blocks(bytes: &[u8]) -> HeaderBlocks<&[u8]> {
        HeaderBlocks::new(bytes, Ipv4Addr::LOCALHOST.into(), EvictingLimit::new(MAX_LONG_BLOCKS))
    }

    /// Reads all bytes with buffers of this size. Returns them, and the positions at which the reader paused.
    fn read(bytes: &[u8], size: usize) -> io::Result<(Vec<u8>, Vec<usize>)> {
        let (mut stream, mut read, mut pauses) = (blocks(bytes), Vec::new(), Vec::new());
        let mut context = Context::from_waker(std::task::Waker::noop());
        loop {
            let mut buffer = vec![0; size];
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut stream).poll_read(&mut context, &mut buffer) {
                Poll::Pending => pauses.push(read.len()),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Ok((read, pauses)),
                Poll::Ready(Ok(())) => read.extend_from_slice(buffer.filled()),
            }
        }
    }

    #[test]
    fn reader_pauses_after_each_block_that_is_not_small() {
        let parts = [
            (vec![b'p'; PREFACE], false),
            (frame(4, 0, 0, 0), false),
            (frame(HEADERS, END_HEADERS, 1, MAX_SMALL_BLOCK), false),
            (frame(HEADERS, END_HEADERS, 3, MAX_SMALL_BLOCK + 1), true),
            // Flags of DATA mean something else.
            (frame(DATA, END_HEADERS, 3, 5_000), false),
            (frame(HEADERS, 0, 5, 200), false),
            (frame(CONTINUATION, 0, 5, 0), false),
            (frame(CONTINUATION, END_HEADERS, 5, 57), true),
            (frame(HEADERS, 0, 7, 300), false),
            (frame(CONTINUATION, END_HEADERS, 7, 0), true),
            (frame(HEADERS, 0, 9, 0), false),
            (frame(CONTINUATION, END_HEADERS, 9, 9), false),
            (frame(HEADERS, END_HEADERS, 11, 300), true),
            (frame(HEADERS, END_HEADERS, 13, 300), true),
            (frame(HEADERS, END_HEADERS, 13, 20), false),
        ];
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (part, pauses) in parts {
            bytes.extend(part);
            expected.extend(pauses.then_some(bytes.len()));
        }
        for size in [1, 2, 7, 9, 10, 100, 1_000, 100_000] {
            assert_eq!(read(&bytes, size).unwrap(), (bytes.clone(), expected.clone()), "{size}");
        }
    }

    #[test]
    fn large_trailers_are_an_error() {
        for (stream, length, flags, is_error) in [
            (1, MAX_SMALL_BLOCK, END_HEADERS, false),
            (1, MAX_SMALL_BLOCK + 1, END_HEADERS, true),
            (1, 1, 0, true),
            (3, MAX_SMALL_BLOCK + 1, END_HEADERS, false),
        ] {
            let begin = [vec![b'p'; PREFACE], frame(HEADERS, END_HEADERS, 1, 100)].concat();
            let bytes = [begin, frame(HEADERS, flags, stream, length)].concat();
            assert_eq!(read(&bytes, 100).is_err(), is_error, "{stream} {length} {flags}");
        }
    }

    #[test]
    fn long_block_holds_a_slot_until_its_end_is_read() {
        let limit = EvictingLimit::new(1);
        let unfinished = [vec![b'p'; PREFACE], frame(HEADERS, 0, 1, 10)].concat();
        let whole = [unfinished.clone(), frame(CONTINUATION, END_HEADERS, 1, 10)].concat();
        let mut context = Context::from_waker(std::task::Waker::noop());
        for (bytes, is_evicted) in [(unfinished, true), (whole, false)] {
            let mut stream = HeaderBlocks::new(&bytes[..], Ipv4Addr::LOCALHOST.into(), limit.clone());
            let mut read = || {
                let mut buffer = [0; 1_000];
                Pin::new(&mut stream).poll_read(&mut context, &mut ReadBuf::new(&mut buffer))
            };
            assert!(matches!(read(), Poll::Ready(Ok(()))));
            let _other = limit.open(Ipv4Addr::LOCALHOST.into());
            assert_eq!(matches!(read(), Poll::Ready(Err(_))), is_evicted);
        }
    }
}
