//! Bytes in chunks. Small pieces are joined, since each has an overhead of many times its bytes; chunks never grow beyond
//! a limit, since growing copies.

use std::{io, mem};

use prost::bytes::BytesMut;
use tonic::codegen::Bytes;

/// Pieces of this size and more are chunks of their own, and chunks of this size are full.
const FULL: usize = 16 * 1024;

/// A sequence of chunks.
#[derive(Debug, Default)]
pub struct Chunks {
    full: Vec<Bytes>,
    last: BytesMut,
    bytes: usize,
}

impl Chunks {
    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Appends a piece. A small one is copied, so that it does not keep the buffer alive that it was received in.
    pub fn push(&mut self, piece: Bytes) {
        if piece.len() < FULL {
            return self.append(&piece);
        }
        self.fill();
        self.bytes += piece.len();
        self.full.push(piece);
    }

    /// Appends a copy of a piece.
    pub fn append(&mut self, piece: &[u8]) {
        self.bytes += piece.len();
        if self.last.len() + piece.len() > FULL {
            self.fill();
        }
        self.last.extend_from_slice(piece);
    }

    /// Begins a new chunk.
    fn fill(&mut self) {
        if !self.last.is_empty() {
            self.full.push(mem::take(&mut self.last).freeze());
        }
    }

    /// The bytes of all chunks.
    pub fn slices(&self) -> Vec<&[u8]> {
        self.full.iter().map(AsRef::as_ref).chain([&*self.last]).collect()
    }

    /// The chunks.
    pub fn into_vec(mut self) -> Vec<Bytes> {
        self.fill();
        self.full
    }
}

/// Reads chunks from the first to the last, and frees those that were read.
#[derive(Debug)]
pub struct ChunkReader {
    chunk: Bytes,
    more: std::vec::IntoIter<Bytes>,
}

impl ChunkReader {
    pub fn new(chunks: Vec<Bytes>) -> Self {
        Self { chunk: Bytes::new(), more: chunks.into_iter() }
    }
}

impl io::BufRead for ChunkReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty()
            && let Some(next) = self.more.next()
        {
            self.chunk = next;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, bytes: usize) {
        drop(self.chunk.split_to(bytes));
    }
}

impl io::Read for ChunkReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = io::BufRead::fill_buf(self)?.read(into)?;
        io::BufRead::consume(self, bytes);
        Ok(bytes)
    }
}
