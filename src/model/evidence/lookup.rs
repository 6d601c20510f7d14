//! Looks a quote up in the text: as it was sent, else in another spelling.
//!
//! Time: a search reads the text, or the folded text, once for each pattern, and the budgets of the call bound the bytes
//! that all searches read. A folded text is made for the first quote that does not occur as sent.

use std::ops::Range;

use memchr::memmem::{self, Finder};

use super::{
    fold::{self, Looseness, fold, is_blank},
    folded_text::FoldedText,
    text::IndexedText,
};
use crate::pb::{Evidence, evidence::Match};

/// Maximum number of places that are compared with the quote as sent. With more of them the quote is ambiguous.
const MAX_PLACES: usize = 64;
/// Bytes before and after a passage that are folded for its prefix and suffix: at first, and at most. More are needed if
/// much white space is between the two.
const CONTEXT_BYTES: usize = 2 * 1024;
const MAX_CONTEXT_BYTES: usize = 32 * 1024;

/// The result of a lookup. Passages are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The only passage.
    Found(Range<usize>, Match),
    /// The text has no such passage.
    Nowhere,
    /// The text has several; the first two.
    Often([Range<usize>; 2]),
    /// The budget is used up.
    TooCostly,
}

/// A folded quote with its prefix and suffix.
struct Pattern {
    text: String,
    /// The quote in it.
    quote: Range<usize>,
}

impl IndexedText<'_> {
    /// Searches for a quote with its prefix and suffix. An empty quote is nowhere.
    pub fn find(&self, cited: &Evidence) -> Lookup {
        if cited.quote.is_empty() {
            return Lookup::Nowhere;
        }
        match self.find_exactly(cited) {
            Lookup::Nowhere => self.find_respelled(cited),
            found => found,
        }
    }

    fn find_exactly(&self, cited: &Evidence) -> Lookup {
        if !self.may_search() {
            return Lookup::TooCostly;
        }
        let text = self.text();
        let whole = [cited.prefix.as_str(), &cited.quote, &cited.suffix].concat();
        let finder = Finder::new(&whole);
        let Some(first) = finder.find(text.as_bytes()) else { return Lookup::Nowhere };
        let next = first + text[first..].chars().next().map_or(1, char::len_utf8);
        let second = finder.find(&text.as_bytes()[next..]).map(|at| next + at);
        let quote = |at: usize| at + cited.prefix.len()..at + cited.prefix.len() + cited.quote.len();
        match second {
            Some(second) => Lookup::Often([quote(first), quote(second)]),
            None => {
                if !has_context(cited) {
                    self.unique.borrow_mut().insert(quote(first));
                }
                Lookup::Found(quote(first), Match::Exact)
            }
        }
    }

    fn find_respelled(&self, cited: &Evidence) -> Lookup {
        for quote in spellings(&cited.quote) {
            let mut places: Vec<Range<usize>> = Vec::new();
            for pattern in patterns(cited, &quote) {
                if self.add_places(&pattern, has_context(cited), &mut places).is_none() {
                    return Lookup::TooCostly;
                }
            }
            places.sort_by_key(|place| (place.start, place.end));
            places.dedup();
            let is_exact = |place: &&Range<usize>| self.text()[(*place).clone()] == cited.quote;
            let exact: Vec<_> = places.iter().filter(is_exact).take(2).cloned().collect();
            // Places beyond the maximum were not compared.
            let is_complete = places.len() < MAX_PLACES;
            match (&exact[..], &places[..]) {
                ([one], _) if is_complete => return Lookup::Found(one.clone(), Match::Exact),
                ([first, second, ..], _) | ([_], [first, second, ..]) => {
                    return Lookup::Often([first.clone(), second.clone()]);
                }
                ([], [one]) => return Lookup::Found(one.clone(), Match::Repaired),
                ([], [first, second, ..]) => return Lookup::Often([first.clone(), second.clone()]),
                (_, []) | ([_], _) => {}
            }
        }
        Lookup::Nowhere
    }

    /// Adds the passages of a pattern. Without a context two suffice, none of which is exact. `None` if the budget is
    /// used up.
    fn add_places(&self, pattern: &Pattern, has_context: bool, places: &mut Vec<Range<usize>>) -> Option<()> {
        if !self.may_search_respelled() {
            return None;
        }
        let folded = self.folded();
        let finder = Finder::new(&pattern.text);
        let most = if has_context { MAX_PLACES } else { 2 };
        let mut from = 0;
        while places.len() < most
            && let Some(at) = folded.find(&finder, from, |bytes| self.may_retry(bytes)).ok()?
        {
            let quote = at + pattern.quote.start..at + pattern.quote.end;
            if folded.is_boundary(quote.start) && folded.is_boundary(quote.end) {
                places.push(folded.source_of(quote));
            }
            if has_context && !self.may_retry(pattern.text.len()) {
                return None;
            }
            from = at + 1;
        }
        Some(())
    }

    /// The quote among passages, exactly or in another spelling, between its prefix and suffix.
    pub fn find_among(&self, cited: &Evidence, passages: &[Range<usize>]) -> Option<(Range<usize>, Match)> {
        let mut exact = passages.iter().filter(|passage| self.text()[(*passage).clone()] == cited.quote);
        if let Some(passage) = exact.find(|passage| self.has_context_at(cited, passage)) {
            return Some((passage.clone(), Match::Exact));
        }
        let spellings = spellings(&cited.quote);
        passages.iter().filter(|_| !spellings.is_empty()).find_map(|passage| {
            let passage = self.respelled_at(&cited.quote, &spellings, passage.clone())?;
            self.has_context_at(cited, &passage).then_some((passage, Match::Repaired))
        })
    }

    /// The passage without white space at its ends, if it is one of these spellings of the quote. A passage with white
    /// space that the quote lacks is at other offsets than the quote.
    fn respelled_at(&self, quote: &str, spellings: &[String], passage: Range<usize>) -> Option<Range<usize>> {
        let text = self.text();
        let words = &text[passage.clone()];
        if words.starts_with(char::is_whitespace) && !quote.starts_with(char::is_whitespace)
            || words.ends_with(char::is_whitespace) && !quote.ends_with(char::is_whitespace)
        {
            return None;
        }
        if !self.may_fold(passage.len()) {
            return None;
        }
        let folded = FoldedText::of(&text[passage.clone()], Looseness::Spelling);
        let start = folded.text.len() - folded.text.trim_start_matches(' ').len();
        let words = folded.text.trim_matches(' ');
        if !spellings.iter().any(|spelling| spelling == words) {
            return None;
        }
        let inner = folded.source_of(start..start + words.len());
        let inner = passage.start + inner.start..passage.start + inner.end;
        let is_whole = fold::is_boundary(text, inner.start) && fold::is_boundary(text, inner.end);
        is_whole.then_some(inner)
    }

    /// True if the prefix and the suffix are around a passage, in any spelling.
    fn has_context_at(&self, cited: &Evidence, passage: &Range<usize>) -> bool {
        let text = self.text();
        let (before, after) = (&text[..passage.start], &text[passage.end..]);
        (before.ends_with(&cited.prefix) || self.ends_with(before, &fold(&cited.prefix, Looseness::Spelling)))
            && (after.starts_with(&cited.suffix) || self.starts_with(after, &fold(&cited.suffix, Looseness::Spelling)))
    }

    fn ends_with(&self, before: &str, prefix: &str) -> bool {
        let window = |bytes: usize| {
            let start = before.len().saturating_sub(bytes);
            let is_start = |at: &usize| before.is_char_boundary(*at) && fold::is_boundary(before, *at);
            &before[(start..before.len()).find(is_start).unwrap_or(before.len())..]
        };
        self.folds_nearby(before.len(), window, |folded| {
            let words = folded.text.trim_end_matches(' ');
            let start = words.len().checked_sub(prefix.len())?;
            Some(words.ends_with(prefix) && folded.is_boundary(start))
        })
    }

    fn starts_with(&self, after: &str, suffix: &str) -> bool {
        let window = |bytes: usize| &after[..after.floor_char_boundary(bytes)];
        self.folds_nearby(after.len(), window, |folded| {
            let words = folded.text.trim_start_matches(' ');
            let end = folded.text.len() - words.len() + suffix.len();
            (words.len() >= suffix.len()).then(|| words.starts_with(suffix) && folded.is_boundary(end))
        })
    }

    /// The result of `has_words` on the folded words next to a passage: on those of a small window, or of larger ones if it
    /// returns `None`.
    fn folds_nearby<'w>(
        &self,
        length: usize,
        window: impl Fn(usize) -> &'w str,
        has_words: impl Fn(&FoldedText<'_>) -> Option<bool>,
    ) -> bool {
        let mut bytes = CONTEXT_BYTES;
        loop {
            let window = window(bytes.min(length));
            if !self.may_fold(window.len()) {
                return false;
            }
            let result = has_words(&FoldedText::of(window, Looseness::Spelling));
            if result.is_some() || bytes >= length.min(MAX_CONTEXT_BYTES) {
                return result == Some(true);
            }
            bytes *= 4;
        }
    }

    /// True if the text has a quote, in any spelling. `None` if the budget is used up.
    pub fn has(&self, quote: &str) -> Option<bool> {
        if !self.may_search() {
            return None;
        }
        if memmem::find(self.text().as_bytes(), quote.as_bytes()).is_some() {
            return Some(true);
        }
        for spelling in spellings(quote) {
            if !self.may_search_respelled() {
                return None;
            }
            let finder = Finder::new(&spelling);
            if self.folded().find(&finder, 0, |bytes| self.may_retry(bytes)).ok()?.is_some() {
                return Some(true);
            }
        }
        Some(false)
    }

    /// True if the words of a passage occur nowhere else. False if the budget is used up.
    pub fn is_unique(&self, passage: &Range<usize>) -> bool {
        if self.unique.borrow().contains(passage) {
            return true;
        }
        let (text, words) = (self.text().as_bytes(), &self.text().as_bytes()[passage.clone()]);
        self.may_search_offsets()
            && memmem::find(text, words) == Some(passage.start)
            && memmem::find(&text[passage.start + 1..], words).is_none()
    }
}

/// True if two quotes differ in their spelling at most.
pub fn is_respelled(left: &str, right: &str) -> bool {
    left == right || spellings(left).contains(&fold(right, Looseness::Spelling))
}

fn has_context(cited: &Evidence) -> bool {
    !(cited.prefix.is_empty() && cited.suffix.is_empty())
}

/// The folds of a quote to search for, in order: the quote, and the quote without a pair of quotation marks around it.
/// None for a quote without words.
fn spellings(quote: &str) -> Vec<String> {
    let folded = fold(quote, Looseness::Spelling);
    if is_blank(&folded) {
        return Vec::new();
    }
    let inner = folded.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
    let inner = inner.map(|inner| inner.trim_matches(' ').to_owned()).filter(|inner| !is_blank(inner));
    [folded].into_iter().chain(inner).collect()
}

/// The patterns of a folded quote with its prefix and suffix: with and without white space between them.
fn patterns(cited: &Evidence, quote: &str) -> Vec<Pattern> {
    let [prefix, suffix] = [&cited.prefix, &cited.suffix].map(|part| fold(part, Looseness::Spelling));
    let mut befores = vec![prefix.clone()];
    let mut afters = vec![suffix.clone()];
    if !prefix.is_empty() {
        befores.push(format!("{prefix} "));
    }
    if !suffix.is_empty() {
        afters.push(format!(" {suffix}"));
    }
    // Neighbouring marks of one kind fold to one, which is a part of the quote.
    for mark in ['\'', '-'] {
        if quote.starts_with(mark) {
            befores.extend(prefix.strip_suffix(mark).map(str::to_owned));
        }
        if quote.ends_with(mark) {
            afters.extend(suffix.strip_prefix(mark).map(str::to_owned));
        }
    }
    let pattern = |before: &String, after: &String| Pattern {
        text: format!("{before}{quote}{after}"),
        quote: before.len()..before.len() + quote.len(),
    };
    befores.iter().flat_map(|before| afters.iter().map(|after| pattern(before, after)).collect::<Vec<_>>()).collect()
}
