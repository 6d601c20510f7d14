//! Reads protobuf primitives from bytes that are in several chunks.

/// The bytes do not form a message. The decoder refuses them at the same place, or earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A position in a sequence of chunks.
pub struct Cursor<'a, B> {
    /// The rest of the current chunk.
    chunk: &'a [u8],
    more: std::slice::Iter<'a, B>,
    /// The bytes from here to the end of the message.
    remaining: usize,
}

impl<'a, B: AsRef<[u8]>> Cursor<'a, B> {
    /// The start of a message of `len` bytes, of which the last may be missing. Reading them is an error.
    pub fn new(chunks: &'a [B], len: usize) -> Self {
        Self { chunk: &[], more: chunks.iter(), remaining: len }
    }

    /// The bytes that are left.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        loop {
            if let Some((first, rest)) = self.chunk.split_first() {
                self.chunk = rest;
                self.remaining -= 1;
                return Ok(*first);
            }
            self.chunk = self.more.next().ok_or(Malformed)?.as_ref();
        }
    }

    /// Reads a varint of at most ten bytes and 64 bits.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if shift == 63 && byte > 1 { Err(Malformed) } else { Ok(value) };
            }
        }
        Err(Malformed)
    }

    /// Reads the length of what follows, which must be there.
    pub fn length(&mut self) -> Result<usize, Malformed> {
        let length = self.varint()?;
        usize::try_from(length).ok().filter(|length| *length <= self.remaining).ok_or(Malformed)
    }

    /// Skips bytes.
    pub fn skip(&mut self, mut bytes: usize) -> Result<(), Malformed> {
        if bytes > self.remaining {
            return Err(Malformed);
        }
        self.remaining -= bytes;
        while bytes > self.chunk.len() {
            bytes -= self.chunk.len();
            self.chunk = self.more.next().ok_or(Malformed)?.as_ref();
        }
        self.chunk = &self.chunk[bytes..];
        Ok(())
    }

    /// The next bytes, at most this many, without moving. Stops at the end of a chunk.
    pub fn peek(&self, bytes: usize) -> &'a [u8] {
        let chunk = match self.chunk {
            [] => self.more.as_slice().first().map_or(&[][..], AsRef::as_ref),
            chunk => chunk,
        };
        &chunk[..bytes.min(chunk.len())]
    }
}
