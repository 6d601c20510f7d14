//! Messages and their prefixes in the bodies of gRPC: a flag and the length, five bytes.

use prost::bytes::{Buf, BytesMut};
use tonic::codegen::Bytes;

/// The bytes before each message.
pub const PREFIX: usize = 5;

/// The flag of a compressed message.
pub const COMPRESSED: u8 = 1;

/// Returns the prefix of a message.
pub fn prefix(flags: u8, length: usize) -> [u8; PREFIX] {
    let [a, b, c, d] = (length as u32).to_be_bytes();
    [flags, a, b, c, d]
}

/// Returns a message with its prefix.
pub fn framed(flags: u8, message: &[u8]) -> Bytes {
    [&prefix(flags, message.len()), message].concat().into()
}

/// Takes messages out of the data of a body.
#[derive(Debug, Default)]
pub struct Messages {
    /// The data that was taken last. A message that lies in it is not copied.
    last: Bytes,
    /// The begin of a message that lies in several pieces of data.
    begun: BytesMut,
}

impl Messages {
    /// Adds data of the body.
    pub fn push(&mut self, data: Bytes) {
        if self.begun.is_empty() && self.last.is_empty() {
            self.last = data;
            return;
        }
        let last = std::mem::take(&mut self.last);
        self.begun.extend_from_slice(&last);
        self.begun.extend_from_slice(&data);
    }

    /// The bytes that belong to no whole message yet.
    pub fn pending(&self) -> usize {
        self.begun.len() + self.last.len()
    }

    /// The length of the message that is begun, once it is known.
    pub fn announced(&self) -> Option<usize> {
        let bytes: &[u8] = if self.begun.is_empty() { &self.last } else { &self.begun };
        let (prefix, _) = bytes.split_first_chunk::<PREFIX>()?;
        let [_, length @ ..] = *prefix;
        Some(u32::from_be_bytes(length) as usize)
    }

    /// Takes the next message and its flags, if it is there as a whole.
    pub fn take(&mut self) -> Option<(u8, Bytes)> {
        let length = self.announced()?;
        if self.pending() - PREFIX < length {
            return None;
        }
        let mut message = match self.begun.is_empty() {
            true => self.last.split_to(PREFIX + length),
            false => self.begun.split_to(PREFIX + length).freeze(),
        };
        let flags = message.get_u8();
        message.advance(PREFIX - 1);
        Some((flags, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_from_pieces_of_any_size() {
        let body = [framed(0, b"one"), framed(1, b""), framed(0, &[7; 300]), framed(2, b"{}")].concat();
        for size in 1..=body.len() {
            let (mut messages, mut read) = (Messages::default(), Vec::new());
            for piece in body.chunks(size) {
                messages.push(Bytes::copy_from_slice(piece));
                while let Some((flags, message)) = messages.take() {
                    read.push((flags, message.len()));
                }
            }
            assert_eq!(read, [(0, 3), (1, 0), (0, 300), (2, 2)], "{size}");
            assert_eq!(messages.pending(), 0);
        }
    }
}
