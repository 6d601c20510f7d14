//! A text as it was sent, in another form than Unicode NFC, and where its positions are in the stored text.

use unicode_normalization::{IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfc_quick};

use super::positions::Positions;

/// A text as it was sent.
pub struct SentText<'a> {
    /// The positions in it.
    pub positions: Positions<'a>,
    /// The parts that differ in the stored text, in order: at most one for three bytes of the text.
    changes: Vec<Change>,
}

/// A part of the text that differs in the stored text. Bytes, as `u32`: a text has at most 1 MiB.
struct Change {
    start: u32,
    end: u32,
    /// The end of the part in the stored text.
    stored_end: u32,
}

impl<'a> SentText<'a> {
    /// Compares a text with its stored form.
    pub fn of(text: &'a str) -> Self {
        let mut changes = Vec::new();
        let (mut start, mut stored) = (0, 0);
        let ends = text.char_indices().skip(1).filter(|(_, c)| is_boundary(*c)).map(|(at, _)| at);
        let mut composed = String::new();
        for end in ends.chain([text.len()]) {
            let part = &text[start..end];
            // A single code point that begins a part is composed, except at the start of the text.
            if part.is_ascii() || start > 0 && part.chars().nth(1).is_none() {
                stored += part.len();
            } else {
                composed.clear();
                composed.extend(part.nfc());
                stored += composed.len();
                if composed != part {
                    changes.push(Change { start: start as u32, end: end as u32, stored_end: stored as u32 });
                }
            }
            start = end;
        }
        Self { positions: Positions::of(text), changes }
    }

    /// The byte offset in the stored text of a byte offset in this text. `None` within a part that differs.
    pub fn stored_byte(&self, byte: usize) -> Option<usize> {
        let at = self.changes.partition_point(|change| (change.start as usize) < byte);
        let Some(change) = at.checked_sub(1).and_then(|at| self.changes.get(at)) else { return Some(byte) };
        let beyond = byte.checked_sub(change.end as usize)?;
        Some(change.stored_end as usize + beyond)
    }
}

/// True if the text before this character and the text from it on are composed independently.
fn is_boundary(c: char) -> bool {
    c < '\u{300}' || canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stored_byte_follows_each_composed_character() {
        let sent = "e\u{301}a\u{327}\u{301}x";
        let text = SentText::of(sent);
        let stored: Vec<_> = (0..=sent.len()).map(|byte| text.stored_byte(byte)).collect();
        let within = None;
        // é has two bytes; á̧ is á with a cedilla, in four bytes.
        assert_eq!(sent.nfc().collect::<String>(), "\u{e9}\u{e1}\u{327}x");
        let expected = [Some(0), within, within, Some(2), within, within, within, within, Some(6), Some(7)];
        assert_eq!(stored, expected);
    }

    proptest! {
        #[test]
        fn stored_byte_finds_the_same_words(
            text in "([a-c ]|e\u{301}|\u{1112}\u{1161}\u{11ab}|\u{212b}|[\u{300}-\u{330}]|東|é){0,60}",
            start in 0usize..100,
            end in 0usize..100,
        ) {
            let stored: String = text.nfc().collect();
            let sent = SentText::of(&text);
            let byte = |at: usize| text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(at);
            let (Some(start), Some(end)) = (byte(start), byte(end)) else { return Ok(()) };
            prop_assume!(start <= end);
            let (Some(from), Some(to)) = (sent.stored_byte(start), sent.stored_byte(end)) else { return Ok(()) };
            prop_assert_eq!(&stored[from..to], text[start..end].nfc().collect::<String>());
            prop_assert_eq!(sent.stored_byte(text.len()), Some(stored.len()));
        }
    }
}
