//! Writes the wire format of a message while its JSON is read.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use serde::de::Error;

use super::{Fault, Mismatch, kinds::Scalar};

/// The limits of a message.
#[derive(Debug, Clone, Copy)]
pub struct JsonLimits {
    /// Maximum bytes on the wire.
    pub bytes: usize,
    /// Maximum items of all lists and maps.
    pub items: usize,
}

impl JsonLimits {
    /// No limits, for texts that are trusted.
    pub const NONE: Self = Self { bytes: usize::MAX, items: usize::MAX };
}

/// Writes a message, and keeps the place of the value that is read.
pub struct WireWriter {
    pub out: Vec<u8>,
    /// The path of the value that is read, in JSON names.
    pub path: String,
    pub items: usize,
    pub value_depth: usize,
    pub limits: JsonLimits,
    /// The first fault. It ends the parsing.
    pub fault: Option<Fault>,
}

impl WireWriter {
    pub fn fail<E: Error>(&mut self, fault: impl Into<Fault>) -> E {
        self.fault.get_or_insert(fault.into());
        E::custom("the value does not match")
    }

    pub fn mismatch<E: Error>(&mut self, kind: &'static str, problem: String) -> E {
        let path = self.path.clone();
        self.fail(Mismatch { path, problem, kind })
    }

    pub fn key(&mut self, number: Option<u32>, wire: WireType) {
        if let Some(number) = number {
            encode_key(number, wire, &mut self.out);
        }
    }

    pub fn scalar<E: Error>(&mut self, number: Option<u32>, scalar: Scalar) -> Result<(), E> {
        self.key(number, scalar.wire_type());
        scalar.write(&mut self.out);
        self.check_size()
    }

    pub fn bytes<E: Error>(&mut self, number: Option<u32>, bytes: &[u8]) -> Result<(), E> {
        self.key(number, WireType::LengthDelimited);
        encode_varint(bytes.len() as u64, &mut self.out);
        self.out.extend_from_slice(bytes);
        self.check_size()
    }

    pub fn check_size<E: Error>(&mut self) -> Result<(), E> {
        match self.out.len() > self.limits.bytes {
            true => Err(self.fail(Fault::TooLarge)),
            false => Ok(()),
        }
    }

    pub fn count_item<E: Error>(&mut self) -> Result<(), E> {
        self.items += 1;
        match self.items > self.limits.items {
            true => Err(self.fail(Fault::TooManyItems)),
            false => Ok(()),
        }
    }

    /// Writes a part with its length in front. The message itself, which has no number, has none.
    pub fn part<E: Error>(
        &mut self,
        number: Option<u32>,
        write: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(number) = number else { return write(self) };
        encode_key(number, WireType::LengthDelimited, &mut self.out);
        let start = self.out.len();
        self.out.push(0);
        write(self)?;
        let length = self.out.len() - start - 1;
        // Most lengths take one byte. A longer one moves the part.
        let extra = encoded_len_varint(length as u64) - 1;
        if extra > 0 {
            self.out.resize(self.out.len() + extra, 0);
            self.out.copy_within(start + 1..start + 1 + length, start + 1 + extra);
        }
        let mut prefix = &mut self.out[start..=start + extra];
        encode_varint(length as u64, &mut prefix);
        self.check_size()
    }

    /// Reads a value whose name or index is appended to the path.
    pub fn within<T, E>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let length = self.path.len();
        self.path.push_str(step);
        let result = read(self);
        self.path.truncate(length);
        result
    }
}
