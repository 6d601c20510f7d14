//! Limits that are checked on the bytes of a message, before it is decoded.
//!
//! A decoded item takes many times its bytes: an empty report takes two bytes on the wire and two kilobytes in memory.
//! So a scan of tags and lengths counts the items of every list and map, and measures every string, before the decoder
//! makes anything of them.
//!
//! The limits are those that the `.proto` declares (`buf.validate`). The scan refuses a list at twice its declared limit:
//! below that the rules answer, with all violations at once, and in a stream of stories for one story only. A list
//! without a declared limit, such as an output-only one, has a default limit. Three more limits hold for the whole
//! message: on all of its items, on all of its fields, and on the memory that it takes once decoded.
//!
//! `table` reads the limits from the descriptors, `cursor` reads bytes that are in several chunks, `scan` counts.

mod cursor;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use prost_reflect::MessageDescriptor;

use self::table::TABLE;
use super::Violations;

/// Maximum number of items in all lists and maps of a request, at any depth.
pub const MAX_ITEMS: usize = 20_000;

/// Maximum length of a string without a declared limit, in bytes. The longest that the service gives out is a page
/// token or a cursor, of a few kilobytes; the text of a disputed value has at most 32,000 bytes.
pub const MAX_STRING_BYTES: usize = 64 * 1024;

/// Maximum number of fields of a request, unknown ones and each occurrence of a repeated one included. No item of the
/// contract has this many fields, so a client that sets each of them once stays below.
pub const MAX_FIELDS: usize = 16 * MAX_ITEMS;

/// A message may take this much memory once decoded, however few bytes it has: a story of 1,000 small reports, with a
/// participant for each, takes about 4 MiB, one with all fields set over 6 MiB.
pub const MIN_MEMORY: usize = 8 * 1024 * 1024;

/// A message may take this many times its bytes once decoded, if that is more than [`MIN_MEMORY`].
pub const MAX_MEMORY_PER_BYTE: usize = 4;

/// The type of a request, for [`check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestType(usize);

impl RequestType {
    /// The type of the requests of a method. `None` for a message that is no request of the contract.
    pub fn of(request: &MessageDescriptor) -> Option<Self> {
        TABLE.requests.get(request.full_name()).copied().map(Self)
    }
}

/// The size of a message, as far as its limits are concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// The number of items in all lists and maps.
    pub items: usize,
    /// The bytes of memory that the decoded message takes.
    pub memory: usize,
}

/// The limit that a message exceeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// A field has more items, or more bytes, than it may have.
    Field(Violations),
    /// The message has more than [`MAX_ITEMS`] items.
    Items,
    /// The message has more than [`MAX_FIELDS`] fields.
    Fields,
    /// The decoded message would take too much memory.
    Memory {
        /// The bytes of the message.
        bytes: usize,
        /// The bytes that it may take in memory.
        limit: usize,
    },
}

impl fmt::Display for Breach {
    /// Writes a clause whose subject is the message, or the field that it names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(violations) => {
                let first = violations.iter().next();
                first.map_or(Ok(()), |violation| write!(f, "{} {}", violation.field, violation.description))
            }
            Self::Items => write!(f, "has more than {MAX_ITEMS} items in total: split it"),
            Self::Fields => write!(f, "has more than {MAX_FIELDS} fields in total: split it"),
            Self::Memory { bytes, limit } => {
                write!(f, "of {bytes} bytes would take more than {limit} bytes of memory: split it")
            }
        }
    }
}

/// Checks a message that is in several chunks, and stops at the first breach. Bytes that are not a message of the type
/// are left to the decoder: whatever it decodes before it fails has been counted.
///
/// # Errors
/// The limit that the message exceeds.
pub fn check<B: AsRef<[u8]>>(request: RequestType, chunks: &[B]) -> Result<Measure, Breach> {
    check_start(request, chunks, chunks.iter().map(|chunk| chunk.as_ref().len()).sum())
}

/// As [`check`], for the first bytes of a message that has at most `len` bytes. A message that is refused by its start
/// need not be read to its end.
///
/// # Errors
/// The limit that the message exceeds.
pub fn check_start<B: AsRef<[u8]>>(request: RequestType, chunks: &[B], len: usize) -> Result<Measure, Breach> {
    scan::scan(&TABLE.types, request.0, chunks, len)
}
