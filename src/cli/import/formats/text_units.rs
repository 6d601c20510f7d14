//! Offsets in the text of an article, in the unit that an extractor counts in.

use std::ops::Range;

use crate::config::OffsetUnit;

/// A text with the byte of each offset.
#[derive(Debug)]
pub struct TextUnits<'a> {
    pub text: &'a str,
    unit: OffsetUnit,
    /// The byte at which each unit begins, and the end of the text. `None` for a unit within a code point.
    bytes: Vec<Option<usize>>,
}

impl<'a> TextUnits<'a> {
    pub fn new(text: &'a str, unit: OffsetUnit) -> Self {
        let mut bytes = Vec::new();
        for (at, letter) in text.char_indices() {
            bytes.push(Some(at));
            let more = match unit {
                OffsetUnit::CodePoint => 0,
                OffsetUnit::Utf16 => letter.len_utf16() - 1,
                OffsetUnit::Byte => letter.len_utf8() - 1,
            };
            bytes.extend(std::iter::repeat_n(None, more));
        }
        bytes.push(Some(text.len()));
        Self { text, unit, bytes }
    }

    /// The words between two offsets.
    ///
    /// # Errors
    /// The predicate of a sentence whose subject is the interval.
    pub fn words(&self, range: Range<u64>) -> Result<&'a str, String> {
        let (start, end) = (self.byte(range.start)?, self.byte(range.end)?);
        match self.text.get(start..end) {
            Some(words) if !words.is_empty() => Ok(words),
            _ => Err(format!("must end after its start, not at {} after {}", range.end, range.start)),
        }
    }

    fn byte(&self, offset: u64) -> Result<usize, String> {
        let known = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset));
        match (known, self.unit) {
            (Some(Some(byte)), _) => Ok(*byte),
            (Some(None), OffsetUnit::Utf16) => {
                Err(format!("has the offset {offset}, which is within a surrogate pair"))
            }
            (Some(None), _) => Err(format!("has the offset {offset}, which is within a code point")),
            (None, _) => Err(format!("has the offset {offset}, and the text ends at {}", self.bytes.len() - 1)),
        }
    }
}
