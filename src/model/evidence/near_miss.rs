//! Near misses: for a quote that is refused, finds the passage that its sender probably meant.

use std::ops::Range;

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

use super::{
    fold::{Looseness, fold},
    text::IndexedText,
};
use crate::model::text::{
    letters::is_ignorable,
    quoted::{quoted, shortened},
};

/// Code points of the shortest beginning or end of a quote that is reported. It must also be a third of the quote.
const MIN_PART: usize = 8;
/// Code points of the shortest end of a quote that ends the passage of a beginning.
const MIN_END: usize = 4;
/// Maximum bytes of a passage in the metadata of an error.
const MAX_PASSAGE: usize = 240;

/// The passage nearest to a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// The passage, in bytes.
    pub passage: Range<usize>,
    /// How it differs from the quote.
    difference: Difference,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Difference {
    /// The passage has the words of the quote, at other offsets or with another prefix and suffix.
    Place,
    /// The words differ in these details.
    Details(Vec<Detail>),
    /// The passage has other words than the quote; one of the two may be empty.
    Words { passage: String, quote: String },
}

/// The kinds of difference that similar words have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    WhiteSpace,
    Case,
    Quotes,
    Dashes,
    Accents,
    Forms,
}

impl Detail {
    const ALL: [Self; 6] = [Self::WhiteSpace, Self::Case, Self::Quotes, Self::Dashes, Self::Accents, Self::Forms];

    const fn as_str(self) -> &'static str {
        match self {
            Self::WhiteSpace => "white space",
            Self::Case => "case",
            Self::Quotes => "apostrophes or quotation marks",
            Self::Dashes => "dashes",
            Self::Accents => "accents",
            Self::Forms => "forms of characters",
        }
    }
}

/// The text without all details but one.
fn with_only(detail: Detail, text: &str) -> String {
    let without = |other| detail != other;
    let mut text = text.to_owned();
    if without(Detail::Forms) {
        text = text.nfkc().collect();
    }
    if without(Detail::Accents) {
        text = text.nfd().filter(|c| canonical_combining_class(*c) == 0).collect();
    }
    let mut reduced = String::with_capacity(text.len());
    for c in text.chars() {
        let folded = fold(c.encode_utf8(&mut [0; 4]), Looseness::Spelling);
        match (c, folded.as_str()) {
            (c, _) if without(Detail::WhiteSpace) && (c.is_whitespace() || is_ignorable(c)) => {}
            (_, mark @ "'") if without(Detail::Quotes) => reduced.push_str(mark),
            (_, mark @ "-") if without(Detail::Dashes) => reduced.push_str(mark),
            (c, _) if without(Detail::Case) => reduced.extend(c.to_lowercase()),
            (c, _) => reduced.push(c),
        }
    }
    reduced
}

impl Difference {
    /// Compares a quote with a passage.
    fn of(quote: &str, passage: &str) -> Self {
        if fold(quote, Looseness::Similarity) != fold(passage, Looseness::Similarity) {
            return Self::of_words(quote, passage);
        }
        let differs = |detail: &Detail| with_only(*detail, quote) != with_only(*detail, passage);
        Self::Details(Detail::ALL.into_iter().filter(differs).collect())
    }

    /// The words between the common ones at both ends.
    fn of_words(quote: &str, passage: &str) -> Self {
        let words = |text: &str| -> Vec<(String, String)> {
            text.split_whitespace().map(|word| (fold(word, Looseness::Spelling), word.to_owned())).collect()
        };
        let (quote, passage) = (words(quote), words(passage));
        let same = |(left, right): &(&(String, String), &(String, String))| left.0 == right.0;
        let start = quote.iter().zip(&passage).take_while(same).count();
        let (quote, passage) = (&quote[start..], &passage[start..]);
        let end = quote.iter().rev().zip(passage.iter().rev()).take_while(same).count();
        let inner = |words: &[(String, String)]| {
            words[..words.len() - end].iter().map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" ")
        };
        Self::Words { passage: inner(passage), quote: inner(quote) }
    }

    /// Describes the difference in a few words.
    fn describe(&self) -> String {
        match self {
            Self::Place => "only the place differs".to_owned(),
            Self::Details(details) => {
                let names: Vec<&str> = details.iter().map(|detail| detail.as_str()).collect();
                match names[..] {
                    [] => "only the spelling differs".to_owned(),
                    [detail] if !detail.ends_with('s') => format!("only {detail} differs"),
                    _ => format!("only {} differ", names.join(" and ")),
                }
            }
            Self::Words { passage, quote } if passage.is_empty() => format!("it lacks {}", quoted(quote)),
            Self::Words { passage, quote } if quote.is_empty() => format!("it also has {}", quoted(passage)),
            Self::Words { passage, quote } => format!("it has {} in place of {}", quoted(passage), quoted(quote)),
        }
    }
}

impl NearMiss {
    /// The hint that continues the sentence of a violation.
    pub fn hint(&self, text: &IndexedText<'_>) -> String {
        let place = text.code_points(&self.passage);
        match &self.difference {
            Difference::Place => format!("; it is at {place}"),
            difference => {
                let passage = quoted(&text.text()[self.passage.clone()]);
                format!("; at {place} the text has {passage}: {}", difference.describe())
            }
        }
    }

    /// The metadata of the error.
    pub fn metadata(&self, text: &IndexedText<'_>) -> Vec<(&'static str, String)> {
        let offset = |byte| text.positions.code_point(byte).to_string();
        vec![
            ("nearest", shortened(&text.text()[self.passage.clone()], MAX_PASSAGE)),
            ("start", offset(self.passage.start)),
            ("end", offset(self.passage.end)),
            ("difference", self.difference.describe()),
        ]
    }
}

impl IndexedText<'_> {
    /// The near miss of a quote that is not at a place, in bytes, or not between its prefix and suffix: the place nearest to
    /// it that has the quote, else the passage nearest to the quote.
    pub fn near_miss_of_place(&self, quote: &str, place: usize) -> Option<NearMiss> {
        if quote.is_empty() || !self.may_hint() {
            return None;
        }
        let places = self.text().match_indices(quote).map(|(at, _)| at);
        match places.min_by_key(|at| at.abs_diff(place)) {
            Some(at) => Some(NearMiss { passage: at..at + quote.len(), difference: Difference::Place }),
            None => self.near_miss(quote),
        }
    }

    /// The passage nearest to a quote that does not occur.
    pub fn near_miss(&self, quote: &str) -> Option<NearMiss> {
        let folded_quote = fold(quote, Looseness::Similarity);
        if folded_quote.is_empty() || !self.may_hint() {
            return None;
        }
        let similar = self.similar();
        let passage = match similar.text.find(&folded_quote) {
            Some(at) => similar.source_of(at..at + folded_quote.len()),
            None => self.around_part(quote, &folded_quote)?,
        };
        let difference = Difference::of(quote, &self.text()[passage.clone()]);
        Some(NearMiss { passage, difference })
    }

    /// The passage around the longest beginning or end of the quote that occurs in the text: up to another part of the
    /// quote nearby, else as many words as the quote has.
    fn around_part(&self, quote: &str, folded_quote: &str) -> Option<Range<usize>> {
        let (folded, similar) = (folded_quote, self.similar());
        let ends: Vec<usize> = folded.char_indices().map(|(at, _)| at).chain([folded.len()]).collect();
        let total = ends.len();
        let head = self.longest(total, |length| similar.text.find(&folded[..ends[length]]));
        let tail = self.longest(total, |length| similar.text.rfind(&folded[ends[total - 1 - length]..]));
        let least = MIN_PART.max(total / 3);
        let is_long = |part: &(usize, usize)| part.0 >= least;
        let words = quote.split_whitespace().count();
        match (head.filter(is_long), tail.filter(is_long)) {
            (Some((length, at)), tail) if tail.is_none_or(|tail| tail.0 <= length) => {
                let head = similar.source_of(at..at + ends[length]);
                let rest = &folded[ends[length]..];
                let end = end_of(rest, &similar.text[at + ends[length]..]).map(|end| at + ends[length] + end);
                let end = end.map(|end| similar.source_of(at..end).end);
                Some(head.start..end.unwrap_or_else(|| self.after_words(head, words, quote.len())))
            }
            (_, Some((length, at))) => {
                let cut = ends[total - 1 - length];
                let end = at + folded.len() - cut;
                let tail = similar.source_of(at..end);
                let start = start_of(&folded[..cut], &similar.text[..at]);
                let start = start.map(|start| similar.source_of(start..end).start);
                Some(start.unwrap_or_else(|| self.before_words(&tail, words, quote.len()))..tail.end)
            }
            _ => None,
        }
    }

    /// The end of a passage that begins with `head` and has a number of words, or about as many bytes as the quote.
    fn after_words(&self, head: Range<usize>, words: usize, bytes: usize) -> usize {
        let rest = &self.text()[head.start..];
        let rest = &rest[..rest.floor_char_boundary((2 * bytes).max(head.len()))];
        let ends = rest.split_whitespace().take(words).map(|word| word.as_ptr() as usize + word.len());
        let end = ends.last().map_or(0, |end| end - rest.as_ptr() as usize);
        head.end.max(head.start + end)
    }

    /// The start of a passage that ends with `tail`, as `after_words`.
    fn before_words(&self, tail: &Range<usize>, words: usize, bytes: usize) -> usize {
        let whole = &self.text()[..tail.end];
        let from = whole.ceil_char_boundary(whole.len().saturating_sub((2 * bytes).max(tail.len())));
        let start = whole[from..].split_whitespace().rev().take(words).last();
        let start = start.map_or(tail.start, |word| word.as_ptr() as usize - whole.as_ptr() as usize);
        start.min(tail.start)
    }

    /// The largest length below `most` that `find` locates, and its place. Bisects: a text that occurs with some length
    /// occurs with every smaller one.
    fn longest(&self, most: usize, find: impl Fn(usize) -> Option<usize>) -> Option<(usize, usize)> {
        let (mut best, mut least, mut most) = (None, 1, most);
        while least < most {
            if !self.may_hint() {
                return None;
            }
            let middle = least + (most - least) / 2;
            match find(middle) {
                Some(at) => (best, least) = (Some((middle, at)), middle + 1),
                None => most = middle,
            }
        }
        best
    }
}

/// The start of the longest beginning of `rest` that is near the end of a text.
fn start_of(rest: &str, text: &str) -> Option<usize> {
    let from = text.ceil_char_boundary(text.len().saturating_sub(2 * rest.len() + 64));
    let window = &text[from..];
    let ends: Vec<usize> = rest.char_indices().skip(1).map(|(at, _)| at).chain([rest.len()]).collect();
    // A beginning that occurs with some length occurs with every smaller one.
    let length = ends.partition_point(|end| window.contains(&rest[..*end]));
    let is_long = length > 0 && length >= MIN_END.min(ends.len());
    let start = window.rfind(&rest[..*ends.get(length.checked_sub(1)?)?])?;
    is_long.then_some(from + start)
}

/// The end of the longest end of `rest` that follows soon in a text.
fn end_of(rest: &str, text: &str) -> Option<usize> {
    let window = &text[..text.floor_char_boundary(2 * rest.len() + 64)];
    let starts: Vec<usize> = rest.char_indices().map(|(at, _)| at).collect();
    // An end that occurs with some length occurs with every smaller one.
    let first = starts.partition_point(|start| !window.contains(&rest[*start..]));
    let end = &rest[*starts.get(first)?..];
    let is_long = starts.len() - first >= MIN_END.min(starts.len());
    window.find(end).filter(|_| is_long).map(|at| at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "Président İlham Əliyev met Sergey Shoigu. “We don’t agree,” said Shoigu – and he left the table.";

    fn hint(near: Option<NearMiss>, text: &IndexedText<'_>) -> String {
        near.map(|near| near.hint(text)).unwrap_or_default()
    }

    #[test]
    fn near_miss_reports_the_passage_and_the_difference() {
        let text = IndexedText::new(TEXT);
        for (quote, expected) in [
            ("Əliyevmet", "; at 16 to 26 the text has \"Əliyev met\": only white space differs"),
            ("president i", "; at 0 to 11 the text has \"Président İ\": only case and accents differ"),
            ("SergeyShoigu", "; at 27 to 40 the text has \"Sergey Shoigu\": only white space differs"),
            (
                "Sergey Shoigu said no",
                "; at 27 to 51 the text has \"Sergey Shoigu. “We don’t\": it has \"Shoigu. “We don’t\" in place of \"Shoigu \
                 said no\"",
            ),
            (
                "İlham Əliyev met Sergei Shoigu",
                "; at 10 to 40 the text has \"İlham Əliyev met Sergey Shoigu\": it has \"Sergey\" in place of \"Sergei\"",
            ),
            ("Əliyev met Shoigu", "; at 16 to 40 the text has \"Əliyev met Sergey Shoigu\": it also has \"Sergey\""),
            (
                "Əliyev met General Sergey Shoigu",
                "; at 16 to 40 the text has \"Əliyev met Sergey Shoigu\": it lacks \"General\"",
            ),
            (
                "but he left the table.",
                "; at 74 to 96 the text has \"and he left the table.\": it has \"and\" in place of \"but\"",
            ),
            ("Lavrov", ""),
            (" \n", ""),
        ] {
            assert_eq!(hint(text.near_miss(quote), &text), expected, "{quote}");
        }
    }

    #[test]
    fn near_miss_of_place_reports_the_nearest_place_of_the_quote() {
        let text = IndexedText::new(TEXT);
        for (quote, place, expected) in [
            ("Əliyev", 15, "; it is at 16 to 22"),
            ("Shoigu", 60, "; it is at 65 to 71"),
            ("Shoigu", 30, "; it is at 34 to 40"),
            ("table.", 96, "; it is at 90 to 96"),
            ("əliyev", 16, "; at 16 to 22 the text has \"Əliyev\": only case differs"),
            ("Lavrov", 0, ""),
        ] {
            let place = text.positions.byte(place).unwrap();
            assert_eq!(hint(text.near_miss_of_place(quote, place), &text), expected, "{quote}");
        }
    }

    #[test]
    fn near_miss_is_skipped_beyond_the_budget() {
        let long = format!("{}{TEXT}", "ab ".repeat(300_000));
        let text = IndexedText::new(&long);
        let mut quotes = 0;
        while text.near_miss(&format!("{}ac", "ab ".repeat(2_000))).is_some() {
            quotes += 1;
        }
        assert!((1..20).contains(&quotes), "{quotes}");
        assert_eq!(text.near_miss("əliyev"), None);
    }
}
