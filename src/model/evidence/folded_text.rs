//! A folded text, with the way back from its positions to those of the original.
//!
//! Memory: the folded text, which has about the size of the original and at most 11 times that (one character of 3
//! bytes folds to 33), one bit per byte of it, and 8 bytes for 64 bytes. A text of 1 MiB takes about 1.3 MiB, and never
//! more than 14 MiB.

use std::ops::Range;

use memchr::memmem::Finder;

use super::fold::{Class, Folder, Looseness, Piece};

/// Bytes of the folded text, and of the original, after which a mark is set. A way back folds no more than that.
const FOLDED_STRIDE: usize = 64;
const SOURCE_STRIDE: usize = 256;
/// Maximum number of further quotation marks or dashes that belong to the last one of a passage.
const MAX_RUN: usize = 8;

/// A folded text.
pub struct FoldedText<'a> {
    source: &'a str,
    looseness: Looseness,
    /// The folded text.
    pub text: String,
    /// A bit for each byte of `text`: set where a match may begin or end.
    boundaries: Vec<u64>,
    /// Positions in `text`, and those of the same clusters in the original, in bytes.
    marks: Vec<(u32, u32)>,
}

impl<'a> FoldedText<'a> {
    /// Folds a text.
    pub fn of(source: &'a str, looseness: Looseness) -> Self {
        let mut folded = Self {
            source,
            looseness,
            text: String::with_capacity(source.len()),
            boundaries: Vec::new(),
            marks: Vec::new(),
        };
        let mut folder = Folder::new(source, 0, looseness);
        loop {
            let at = folded.text.len();
            let Some(piece) = folder.next(&mut folded.text) else { return folded };
            if piece.is_written && piece.is_boundary {
                folded.mark(at, piece.start);
            }
        }
    }

    fn mark(&mut self, at: usize, source: usize) {
        self.boundaries.resize(self.text.len() / 64 + 1, 0);
        self.boundaries[at / 64] |= 1 << (at % 64);
        let is_far = |&(folded, original): &(u32, u32)| {
            at >= folded as usize + FOLDED_STRIDE || source >= original as usize + SOURCE_STRIDE
        };
        if self.marks.last().is_none_or(is_far) {
            // A text has at most 1 MiB, and its fold 11 MiB.
            self.marks.push((at as u32, source as u32));
        }
    }

    /// True if a match may begin or end at this byte of the folded text.
    pub fn is_boundary(&self, at: usize) -> bool {
        at == self.text.len() || self.boundaries.get(at / 64).is_some_and(|bits| bits >> (at % 64) & 1 == 1)
    }

    /// The next place of `pattern` at or after `from`, between boundaries. Calls `may_retry` with the bytes of a further
    /// attempt, after a place that is not between boundaries.
    ///
    /// # Errors
    /// If `may_retry` returns false.
    pub fn find(
        &self,
        pattern: &Finder<'_>,
        mut from: usize,
        may_retry: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, TooCostly> {
        let length = pattern.needle().len();
        loop {
            let rest = self.text.as_bytes().get(from..).unwrap_or_default();
            let Some(at) = pattern.find(rest).map(|at| from + at) else { return Ok(None) };
            if self.is_boundary(at) && self.is_boundary(at + length) {
                return Ok(Some(at));
            }
            if !may_retry(length) {
                return Err(TooCostly);
            }
            from = at + 1;
        }
    }

    /// The passage of the original, in bytes, that folds to this range, which has whole clusters.
    pub fn source_of(&self, range: Range<usize>) -> Range<usize> {
        let (first, _) = self.piece_at(range.start);
        let (last, mut rest) = self.piece_at(range.end.saturating_sub(1));
        let mut end = last.source.end;
        if matches!(last.class, Class::Quote | Class::Dash) {
            let mut ignored = String::new();
            let same = std::iter::from_fn(|| rest.next(&mut ignored)).take(MAX_RUN);
            same.take_while(|piece| piece.class == last.class).for_each(|piece| end = piece.source.end);
        }
        first.source.start..end.max(first.source.start)
    }

    /// The cluster that a byte of the folded text comes from, and the rest of the text.
    fn piece_at(&self, at: usize) -> (Piece, Folder<'a>) {
        let mark = self.marks.partition_point(|&(folded, _)| folded as usize <= at).saturating_sub(1);
        let (folded, start) = self.marks.get(mark).copied().unwrap_or_default();
        let mut folder = Folder::new(self.source, start as usize, self.looseness);
        let mut text = String::new();
        let mut found = Piece { start: 0, source: 0..0, class: Class::Nothing, is_written: false, is_boundary: true };
        while folded as usize + text.len() <= at {
            let Some(piece) = folder.next(&mut text) else { break };
            found = piece;
        }
        (found, folder)
    }
}

/// The budget of searches is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooCostly;

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::model::evidence::fold::fold;

    fn places(text: &str, quote: &str) -> Vec<String> {
        let folded = FoldedText::of(text, Looseness::Spelling);
        let quote = fold(quote, Looseness::Spelling);
        let finder = Finder::new(&quote);
        let mut from = 0;
        std::iter::from_fn(|| {
            let at = folded.find(&finder, from, |_| true).expect("no limit")?;
            from = at + 1;
            Some(text[folded.source_of(at..at + quote.len())].to_owned())
        })
        .collect()
    }

    #[test]
    fn find_returns_the_passages_of_the_original() {
        for (text, quote, expected) in [
            ("They said: “We  don’t”", "we don't", &["We  don’t"][..]),
            ("ﬁnal ﬁ", "FI", &["ﬁ", "ﬁ"]),
            ("ﬁnal", "i", &[]),
            ("ﬁnal", "in", &[]),
            ("Straße", "stras", &[]),
            ("Straße", "strass", &["Straß"]),
            ("Straße", "STRASSE", &["Straße"]),
            ("ananas", "ANA", &["ana", "ana"]),
            ("q\u{301}", "Q", &[]),
            ("q\u{301}", "Q\u{301}", &["q\u{301}"]),
            ("e\u{ad}\u{301}", "E", &[]),
            ("का", "क", &[]),
            ("x\u{ad}y\u{ad} z", "xY", &["x\u{ad}y"]),
            ("He said ''No'' twice", "\"no\"", &["''No''"]),
            ("a “‘No’” b", "'no'", &["“‘No’”"]),
            ("\u{feff}\u{feff}No", "NO", &["No"]),
            ("a\n \u{a0}\t b", "a B", &["a\n \u{a0}\t b"]),
        ] {
            assert_eq!(places(text, quote), expected, "{quote} in {text}");
        }
    }

    #[test]
    fn long_clusters_and_runs_are_found_again() {
        let marks = "\u{301}".repeat(1_000);
        let spaces = " ".repeat(1_000);
        let text = format!("ab{marks}c{spaces}d{}e", "\u{ad}".repeat(1_000));
        assert_eq!(places(&text, "D E"), Vec::<String>::new());
        assert_eq!(places(&text, "c d").len(), 1);
        assert_eq!(places(&text, "DE").len(), 1);
        assert_eq!(places(&text, "B"), Vec::<String>::new());
    }

    #[test]
    fn memory_of_a_long_text_is_bounded() {
        for (part, most) in [("Words, and “more” – ", 2), ("Слова ", 2), ("\u{fdfa}", 14), ("ﬃ", 3), ("\u{390}", 5)]
        {
            let text = part.repeat(1024 * 1024 / part.len());
            let folded = FoldedText::of(&text, Looseness::Spelling);
            let bytes = folded.text.capacity() + folded.boundaries.capacity() * 8 + folded.marks.capacity() * 8;
            // A vector that grows has up to twice the capacity that it needs.
            assert!(bytes <= 2 * most * 1024 * 1024, "{bytes} bytes for {part}");
        }
    }

    proptest! {
        #[test]
        fn each_passage_between_boundaries_folds_to_its_part(
            text in "([a-cA-C ]|ﬁ|ß|e\u{301}|q\u{301}|’|''|—|\u{ad}|\u{a0}|½|\u{fdfa}|İ|が|का){0,200}",
            ends in any::<[Index; 2]>(),
        ) {
            let folded = FoldedText::of(&text, Looseness::Spelling);
            let boundaries: Vec<usize> = (0..=folded.text.len()).filter(|at| folded.is_boundary(*at)).collect();
            let [start, end] = ends.map(|end| boundaries[end.index(boundaries.len())]);
            if start >= end {
                return Ok(());
            }
            let passage = &text[folded.source_of(start..end)];
            prop_assert_eq!(fold(passage, Looseness::Spelling), folded.text[start..end].trim_matches(' '));
        }
    }
}
