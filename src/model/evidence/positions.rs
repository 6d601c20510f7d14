//! Positions in a text: code points, UTF-16 code units and bytes.

use std::cell::OnceCell;

use crate::pb::OffsetEncoding;

/// A text with an index from code points and UTF-16 code units to bytes.
pub struct Positions<'a> {
    /// The text.
    pub text: &'a str,
    /// Byte offset of every `STRIDE`th code point.
    marks: Vec<usize>,
    /// Length in code points.
    pub len: usize,
    /// The UTF-16 code units before each mark. Computed for the first offset in this unit.
    utf16_marks: OnceCell<Vec<usize>>,
}

const STRIDE: usize = 256;

/// The reason why an offset is not a position in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    /// The text ends before it.
    BeyondEnd,
    /// It is within a code point.
    InCodePoint,
}

impl<'a> Positions<'a> {
    /// Indexes a text.
    pub fn of(text: &'a str) -> Self {
        let marks = text.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect();
        Self { text, marks, len: text.chars().count(), utf16_marks: OnceCell::new() }
    }

    /// The byte offset of a code point, or of the end of the text. `None` beyond the end.
    pub fn byte(&self, code_point: usize) -> Option<usize> {
        if code_point >= self.len {
            return (code_point == self.len).then_some(self.text.len());
        }
        let mark = *self.marks.get(code_point / STRIDE)?;
        self.text[mark..].char_indices().nth(code_point % STRIDE).map(|(byte, _)| mark + byte)
    }

    /// The code point at a byte offset.
    pub fn code_point(&self, byte: usize) -> usize {
        let mark = self.marks.partition_point(|&mark| mark <= byte).saturating_sub(1);
        let start = self.marks.get(mark).copied().unwrap_or(0);
        mark * STRIDE + self.text[start..byte].chars().count()
    }

    /// The byte offset of an offset in this unit.
    ///
    /// # Errors
    /// For an offset that is not a position.
    pub fn byte_of(&self, offset: usize, unit: OffsetEncoding) -> Result<usize, Misplaced> {
        match unit {
            OffsetEncoding::Unspecified | OffsetEncoding::CodePoint => self.byte(offset).ok_or(Misplaced::BeyondEnd),
            OffsetEncoding::Byte if offset > self.text.len() => Err(Misplaced::BeyondEnd),
            OffsetEncoding::Byte => {
                Some(offset).filter(|at| self.text.is_char_boundary(*at)).ok_or(Misplaced::InCodePoint)
            }
            OffsetEncoding::Utf16 => self.byte_of_utf16(offset),
        }
    }

    fn byte_of_utf16(&self, offset: usize) -> Result<usize, Misplaced> {
        let marks = self.utf16_marks();
        let mark = marks.partition_point(|&units| units <= offset).saturating_sub(1);
        let (Some(&byte), Some(&before)) = (self.marks.get(mark), marks.get(mark)) else {
            return if offset == 0 { Ok(0) } else { Err(Misplaced::BeyondEnd) };
        };
        let mut left = offset - before;
        for (at, c) in self.text[byte..].char_indices() {
            if left == 0 {
                return Ok(byte + at);
            }
            left = left.checked_sub(c.len_utf16()).ok_or(Misplaced::InCodePoint)?;
        }
        if left == 0 { Ok(self.text.len()) } else { Err(Misplaced::BeyondEnd) }
    }

    fn utf16_marks(&self) -> &[usize] {
        self.utf16_marks.get_or_init(|| {
            let mut units = 0;
            let mut marks = Vec::with_capacity(self.marks.len());
            for (at, start) in self.marks.iter().enumerate() {
                marks.push(units);
                let end = self.marks.get(at + 1).copied().unwrap_or(self.text.len());
                units += self.text[*start..end].chars().map(char::len_utf16).sum::<usize>();
            }
            marks
        })
    }

    /// The length of the text in a unit.
    pub fn len_in(&self, unit: OffsetEncoding) -> usize {
        match unit {
            OffsetEncoding::Unspecified | OffsetEncoding::CodePoint => self.len,
            OffsetEncoding::Byte => self.text.len(),
            OffsetEncoding::Utf16 => self.text.encode_utf16().count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn code_point_is_the_inverse_of_byte(text in "[aéə東🕊]{0,600}", at in 0usize..700) {
            let positions = Positions::of(&text);
            let expected = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(at);
            prop_assert_eq!(positions.byte(at), expected);
            if let Some(byte) = expected {
                prop_assert_eq!(positions.code_point(byte), at);
            }
        }

        #[test]
        fn byte_of_finds_each_code_point_in_each_unit(text in "[aéə東🕊]{0,600}", at in 0usize..600) {
            let positions = Positions::of(&text);
            let byte = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(at);
            let Some(byte) = byte else { return Ok(()) };
            let utf16 = text[..byte].encode_utf16().count();
            prop_assert_eq!(positions.byte_of(at, OffsetEncoding::Unspecified), Ok(byte));
            prop_assert_eq!(positions.byte_of(at, OffsetEncoding::CodePoint), Ok(byte));
            prop_assert_eq!(positions.byte_of(byte, OffsetEncoding::Byte), Ok(byte));
            prop_assert_eq!(positions.byte_of(utf16, OffsetEncoding::Utf16), Ok(byte));
            let Some(c) = text[byte..].chars().next() else { return Ok(()) };
            for inner in 1..c.len_utf8() {
                prop_assert_eq!(positions.byte_of(byte + inner, OffsetEncoding::Byte), Err(Misplaced::InCodePoint));
            }
            if c.len_utf16() == 2 {
                prop_assert_eq!(positions.byte_of(utf16 + 1, OffsetEncoding::Utf16), Err(Misplaced::InCodePoint));
            }
        }

        #[test]
        fn byte_of_refuses_an_offset_beyond_the_end(text in "[aé東🕊]{0,600}", beyond in 1usize..4) {
            let positions = Positions::of(&text);
            for unit in [OffsetEncoding::CodePoint, OffsetEncoding::Utf16, OffsetEncoding::Byte] {
                let end = positions.len_in(unit);
                prop_assert_eq!(positions.byte_of(end, unit), Ok(text.len()));
                prop_assert_eq!(positions.byte_of(end + beyond, unit), Err(Misplaced::BeyondEnd));
            }
        }
    }
}
