//! Converts between ProtoJSON and the wire format of protobuf, by descriptors.
//!
//! No message is made on the way: a value goes from one text to the other, so that a conversion takes no more memory
//! than its result. `parse` reads JSON, `scalars` its scalars, `writer` writes them, `shown` quotes a value that does not
//! match. `print` writes JSON. `kinds` has the scalars of both formats.

mod kinds;
mod parse;
mod print;
mod scalars;
mod shown;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;

pub use self::{
    kinds::base64 as to_bytes,
    parse::to_wire,
    print::{Malformed, from_wire},
    shown::{shortened, shown, shown_name},
    writer::JsonLimits,
};

/// Maximum number of characters of a problem that a library describes. The libraries quote the text in full, and a
/// message may have megabytes.
const MAX_PROBLEM: usize = 300;

/// A JSON text that is not converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is not JSON, or a value does not match its descriptor.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The message has more items than [`JsonLimits::items`].
    #[error("has too many items")]
    TooManyItems,
    /// The message would have more bytes than [`JsonLimits::bytes`].
    #[error("is too large")]
    TooLarge,
}

/// A value that does not match its descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// The path of the value in JSON names: `reports[0].account.kind`; empty for the message itself.
    pub path: String,
    /// The fault, as a sentence that continues from the path.
    pub problem: String,
    /// The name under which mismatches of this kind are counted.
    pub kind: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.problem),
            path => write!(f, "{path} {}", self.problem),
        }
    }
}
