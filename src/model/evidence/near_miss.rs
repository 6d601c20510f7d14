//! Near misses: for a quote that is not in the text as given, finds the passage that its sender probably meant.

use super::IndexedText;
use crate::model::text::quoted::quoted;

/// Budget of bytes searched for the near misses of all quotes of a call, about 0.1 s. A search costs the length of the
/// text.
pub const SEARCH_BYTES: usize = 64 * 1024 * 1024;

/// Code points of the shortest beginning or end of a quote that is reported. It must also be a third of the quote.
const MIN_PART: usize = 8;

/// The kinds of difference that a near miss ignores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IgnoredDifference {
    WhiteSpace,
    Case,
    Quotes,
    Dashes,
}

impl IgnoredDifference {
    const ALL: [Self; 4] = [Self::WhiteSpace, Self::Case, Self::Quotes, Self::Dashes];

    const fn as_str(self) -> &'static str {
        match self {
            Self::WhiteSpace => "white space",
            Self::Case => "case",
            Self::Quotes => "apostrophes or quotation marks",
            Self::Dashes => "dashes",
        }
    }
}

/// A text folded so that only differences worth reporting remain, to find a quote that differs in nothing else.
#[derive(Debug)]
pub struct Folded {
    text: String,
    /// Byte offset in the original of the letter that each byte comes from.
    origins: Vec<u32>,
}

impl Folded {
    fn of(text: &str) -> Self {
        let mut folded = Self { text: String::with_capacity(text.len()), origins: Vec::with_capacity(text.len()) };
        for (at, letter) in text.char_indices() {
            fold(letter, &IgnoredDifference::ALL, &mut folded.text);
            // A text has at most 1 MiB.
            folded.origins.resize(folded.text.len(), at as u32);
        }
        folded
    }

    /// Maps a range of bytes of the folded text to the range in `original`.
    fn range_in(&self, original: &str, start: usize, end: usize) -> (usize, usize) {
        let last = self.origins[end - 1] as usize;
        let length = original[last..].chars().next().map_or(0, char::len_utf8);
        (self.origins[start] as usize, last + length)
    }
}

/// Appends a letter, with these details removed.
fn fold(letter: char, details: &[IgnoredDifference], out: &mut String) {
    let has = |detail| details.contains(&detail);
    match letter {
        // White space includes invisible letters: soft hyphens, joiners, byte order marks.
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' if has(IgnoredDifference::WhiteSpace) => {}
        letter if letter.is_whitespace() && has(IgnoredDifference::WhiteSpace) => {}
        '"'
        | '\u{60}'
        | '\u{b4}'
        | '\u{ab}'
        | '\u{bb}'
        | '\u{2bc}'
        | '\u{2018}'..='\u{201f}'
        | '\u{2032}'
        | '\u{2033}'
            if has(IgnoredDifference::Quotes) =>
        {
            out.push('\'');
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' if has(IgnoredDifference::Dashes) => out.push('-'),
        letter if has(IgnoredDifference::Case) => out.extend(letter.to_lowercase()),
        letter => out.push(letter),
    }
}

fn without(text: &str, details: &[IgnoredDifference]) -> String {
    let mut folded = String::with_capacity(text.len());
    text.chars().for_each(|letter| fold(letter, details, &mut folded));
    folded
}

/// Describes how a quote differs from a passage with the same folded form.
fn differences(quote: &str, passage: &str) -> String {
    let differs = |detail: &IgnoredDifference| {
        let others: Vec<IgnoredDifference> =
            IgnoredDifference::ALL.into_iter().filter(|other| other != detail).collect();
        without(quote, &others) != without(passage, &others)
    };
    let names: Vec<&str> = IgnoredDifference::ALL.into_iter().filter(differs).map(IgnoredDifference::as_str).collect();
    let verb = if let [detail] = names[..]
        && !detail.ends_with('s')
    {
        "differs"
    } else {
        "differ"
    };
    format!("only {} {verb}", names.join(" and "))
}

impl IndexedText<'_> {
    /// The hint for a quote that is not at its offsets: where it occurs, else its near miss. A hint continues the
    /// sentence of the violation; it is empty if there is nothing to report.
    pub fn near_miss_of_offsets(&self, quote: &str, start: i32, end: i32) -> String {
        if start >= end {
            return format!("; start must be before end{}", self.near_miss_at(quote, start));
        }
        if usize::try_from(end).is_ok_and(|end| end > self.len) {
            return format!("; the text has {} characters{}", self.len, self.near_miss_at(quote, start));
        }
        self.near_miss_at(quote, start)
    }

    fn near_miss_at(&self, quote: &str, start: i32) -> String {
        if !self.may_hint() {
            return String::new();
        }
        let expected = usize::try_from(start).ok().and_then(|start| self.byte(start)).unwrap_or(self.text.len());
        let places = self.text.match_indices(quote).map(|(at, _)| at);
        match places.min_by_key(|at| at.abs_diff(expected)) {
            Some(at) => format!("; it is at {}", self.range(at, at + quote.len())),
            None => self.near_miss(quote),
        }
    }

    /// The hint for a quote that does not occur: the passage nearest to it.
    pub fn near_miss(&self, quote: &str) -> String {
        let folded_quote = without(quote, &IgnoredDifference::ALL);
        if folded_quote.is_empty() || !self.may_hint() {
            return String::new();
        }
        let folded = self.folded.get_or_init(|| Folded::of(self.text));
        if let Some(at) = folded.text.find(&folded_quote) {
            let (start, end) = folded.range_in(self.text, at, at + folded_quote.len());
            let passage = &self.text[start..end];
            let differences = differences(quote, passage);
            return format!("; at {} the text has {}: {differences}", self.range(start, end), quoted(passage));
        }
        self.nearest_part(folded, &folded_quote).unwrap_or_default()
    }

    /// The hint for the longest beginning or end of the quote that occurs in the text, with the words next to it there.
    fn nearest_part(&self, folded: &Folded, quote: &str) -> Option<String> {
        let ends: Vec<usize> = quote.char_indices().map(|(at, _)| at).chain([quote.len()]).collect();
        let head = self.longest(ends.len(), |length| folded.text.find(&quote[..ends[length]]));
        let tail = self.longest(ends.len(), |length| folded.text.rfind(&quote[ends[ends.len() - 1 - length]..]));
        let least = MIN_PART.max(ends.len() / 3);
        let is_long = |part: &(usize, usize)| part.0 >= least;
        match (head.filter(is_long), tail.filter(is_long)) {
            (Some((length, at)), tail) if tail.is_none_or(|tail| tail.0 <= length) => {
                let (start, end) = folded.range_in(self.text, at, at + ends[length]);
                let next = quoted(self.text[end..].trim_start());
                Some(format!("; its beginning is at {}, followed by {next}", self.range(start, end)))
            }
            (_, Some((length, at))) => {
                let bytes = quote.len() - ends[ends.len() - 1 - length];
                let (start, end) = folded.range_in(self.text, at, at + bytes);
                let before = self.text[..start].trim_end();
                let cut = before.char_indices().rev().nth(30).map_or(0, |(at, _)| at);
                let before = quoted(&before[cut..]);
                Some(format!("; its end is at {}, after {before}", self.range(start, end)))
            }
            _ => None,
        }
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

    /// The hint for an ambiguous quote: its first two places.
    pub fn first_places(&self, quote: &str) -> String {
        let next = |from: usize| Some(from + self.text[from..].find(quote)?);
        let places = next(0).and_then(|first| {
            let after = first + self.text[first..].chars().next().map_or(1, char::len_utf8);
            let second = next(after)?;
            let range = |at: usize| self.range(at, at + quote.len());
            Some(format!(", at {} and at {}", range(first), range(second)))
        });
        places.unwrap_or_default()
    }

    /// Formats a range of bytes as a range of code points.
    fn range(&self, start: usize, end: usize) -> String {
        format!("{} to {}", self.code_point(start), self.code_point(end))
    }

    /// Charges one search for a near miss to its budget. False if the budget is used up.
    fn may_hint(&self) -> bool {
        self.charge(&self.hint_budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "Président İlham Əliyev met Sergey Shoigu. “We don’t agree,” said Shoigu – and he left the table.";

    #[test]
    fn near_miss_reports_the_place_and_the_difference() {
        let text = IndexedText::new(TEXT);
        for (quote, expected) in [
            ("əliyev", "; at 16 to 22 the text has \"Əliyev\": only case differs"),
            ("Əliyev  met\n", "; at 16 to 26 the text has \"Əliyev met\": only white space differs"),
            ("SergeyShoigu", "; at 27 to 40 the text has \"Sergey Shoigu\": only white space differs"),
            (
                "We don't agree",
                "; at 43 to 57 the text has \"We don’t agree\": only apostrophes or quotation marks differ",
            ),
            ("Shoigu - and", "; at 65 to 77 the text has \"Shoigu – and\": only dashes differ"),
            (
                "\"we don't",
                "; at 42 to 51 the text has \"“We don’t\": only case and apostrophes or quotation marks differ",
            ),
            (
                "Sergey Shoigu said no",
                "; its beginning is at 27 to 40, followed by \". “We don’t agree,” said Shoigu – and he left the table.\"",
            ),
            ("but he left the table.", "; its end is at 78 to 96, after \"don’t agree,” said Shoigu – and\""),
            ("Lavrov", ""),
            (" \n", ""),
        ] {
            assert_eq!(text.near_miss(quote), expected, "{quote}");
        }
    }

    #[test]
    fn near_miss_of_offsets_reports_the_place_of_the_quote() {
        let text = IndexedText::new(TEXT);
        for (quote, start, end, expected) in [
            ("Əliyev", 15, 21, "; it is at 16 to 22"),
            ("Shoigu", 60, 66, "; it is at 65 to 71"),
            ("Shoigu", 30, 36, "; it is at 34 to 40"),
            ("Əliyev", 22, 16, "; start must be before end; it is at 16 to 22"),
            ("table.", 90, 99, "; the text has 96 characters; it is at 90 to 96"),
            ("əliyev", 16, 22, "; at 16 to 22 the text has \"Əliyev\": only case differs"),
            ("Lavrov", 0, 6, ""),
        ] {
            assert_eq!(text.near_miss_of_offsets(quote, start, end), expected, "{quote}");
        }
    }

    #[test]
    fn near_miss_is_skipped_beyond_the_budget() {
        let long = format!("{}{TEXT}", "ab ".repeat(300_000));
        let text = IndexedText::new(&long);
        let mut quotes = 0;
        while !text.near_miss(&format!("{}ac", "ab ".repeat(2_000))).is_empty() {
            quotes += 1;
        }
        assert!((1..20).contains(&quotes), "{quotes}");
        assert_eq!(text.near_miss("əliyev"), "");
    }

    #[test]
    fn near_miss_maps_letters_that_grow_in_lower_case() {
        let text = IndexedText::new("İİİ İstanbul, ŞƏKİ");
        assert_eq!(text.near_miss("i\u{307}stanbul"), "; at 4 to 12 the text has \"İstanbul\": only case differs");
        assert_eq!(text.near_miss("şəki\u{307}"), "; at 14 to 18 the text has \"ŞƏKİ\": only case differs");
    }
}
