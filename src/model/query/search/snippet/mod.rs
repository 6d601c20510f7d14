//! Cuts the snippet of a text that best shows the matches of a search.

use std::{
    collections::{HashMap, HashSet},
    ops::{ControlFlow, Range},
};

use super::fold::{fold, for_each_cluster};
use crate::pb::{
    self,
    snippet::{Highlight, Source},
};

/// The mark that PostgreSQL puts before a matched word. Folded text never contains it.
pub const START: char = '<';
/// The mark after a matched word.
pub const END: char = '>';

/// Maximum number of code points in a snippet.
const LENGTH: usize = 240;
/// Maximum number of matches that the search for the best place considers.
const MAX_MATCHES: usize = 2_000;

/// A text, and its folded form with marks around the matches. There may be several such forms, each with other matches.
/// Text beyond the end of a folded form has no marks.
#[derive(Debug, Clone, Copy)]
pub struct FoldedText<'a> {
    /// The field of the record that the text is from.
    pub source: Source,
    /// The text.
    pub text: &'a str,
    /// The marked folded forms.
    pub marked: &'a [String],
}

/// The snippet of the first text with a match; without a match, the beginning of the first text that is not empty.
pub fn snippet(texts: &[FoldedText<'_>]) -> pb::Snippet {
    let matched =
        texts.iter().map(|text| (text, matches(text.text, text.marked))).find(|(_, matches)| !matches.is_empty());
    let first = || texts.iter().find(|text| !text.text.is_empty()).map(|text| (text, Vec::new()));
    let Some((FoldedText { source, text, .. }, matches)) = matched.or_else(first) else {
        return pb::Snippet::default();
    };
    let part = part(text, &matches);
    let within = matches.iter().map(|place| place.start.max(part.start)..place.end.min(part.end));
    // A text has at most 1 MiB: the numbers fit.
    let highlight = |place: Range<usize>| Highlight { start: place.start as i32, end: place.end as i32 };
    pb::Snippet {
        source: (*source).into(),
        text: text.chars().skip(part.start).take(part.len()).collect(),
        start: part.start as i32,
        highlights: within.filter(|place| !place.is_empty()).map(highlight).collect(),
    }
}

/// The places of the matches in the text, in code points and in order. Words that share a character, as both words of
/// `½` do, are one place.
fn matches(text: &str, marked: &[String]) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = marked.iter().flat_map(|marked| marks(text, marked)).collect();
    all.sort_unstable_by_key(|place| (place.start, place.end));
    all.dedup_by(|next, place| {
        let is_shared = next.start < place.end;
        if is_shared {
            place.end = place.end.max(next.end);
        }
        is_shared
    });
    all
}

/// The places of the marks. Reads the folded text and its marked form in step.
fn marks(text: &str, marked: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut start = None;
    let mut end = 0;
    let mut letters = marked.chars().peekable();
    for_each_cluster(text, |cluster| {
        for letter in cluster {
            while let Some(mark) = letters.next_if(|c| matches!(*c, START | END)) {
                match mark {
                    START => start = Some(letter.from.start),
                    _ => places.extend(start.take().map(|start| start..end)),
                }
            }
            // The marked form lacks words that are too long to be searched.
            if letters.next_if_eq(&letter.c).is_some() {
                end = letter.from.end;
            }
        }
        if letters.peek().is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if letters.next() == Some(END) {
        places.extend(start.map(|start| start..end));
    }
    places
}

/// The range of the snippet: at most `LENGTH` code points, cut at spaces if there are any, around the densest matches.
fn part(text: &str, matches: &[Range<usize>]) -> Range<usize> {
    let core = densest(text, &matches[..matches.len().min(MAX_MATCHES)]);
    // One more character shows if the end cuts a word.
    let chars: Vec<char> = text.chars().take(core.end + LENGTH + 1).collect();
    let margin = LENGTH.saturating_sub(core.len()) / 2;
    let end = chars.len().min(core.start.saturating_sub(margin) + LENGTH);
    let start = end.saturating_sub(LENGTH);
    let is_space = |at: &usize| chars[*at].is_whitespace();

    let is_cut = |at: usize| at > 0 && at < chars.len() && !is_space(&(at - 1)) && !is_space(&at);
    let from = if is_cut(start) { (start..core.start).find(is_space).unwrap_or(start) } else { start };
    let to = if is_cut(end) { (core.end.min(end)..end).rev().find(is_space).unwrap_or(end) } else { end };
    let from = (from..to).find(|at| !is_space(at)).unwrap_or(to);
    let to = (from..to).rev().find(|at| !is_space(at)).map_or(from, |at| at + 1);
    from..to
}

/// The range of at most `LENGTH` code points with most distinct words, then with most matches, then the first. A longer
/// match is a range by itself.
fn densest(text: &str, matches: &[Range<usize>]) -> Range<usize> {
    let words = words(text, matches);
    let mut best = (0, 0);
    let mut densest = 0..0;
    let mut end = 0;
    for (begin, first) in matches.iter().enumerate() {
        end = end.max(begin + 1);
        while end < matches.len() && matches[end].end <= first.start + LENGTH {
            end += 1;
        }
        let distinct: HashSet<usize> = words[begin..end].iter().copied().collect();
        if (distinct.len(), end - begin) > best {
            best = (distinct.len(), end - begin);
            densest = first.start..matches[end - 1].end;
        }
    }
    densest
}

/// Numbers the words of the matches. Equal words have equal numbers.
fn words(text: &str, matches: &[Range<usize>]) -> Vec<usize> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut chars = text.chars();
    let mut at = 0;
    let mut number = |place: &Range<usize>| {
        // The places are disjoint and in order, so one pass over the text suffices.
        chars.by_ref().take(place.start.saturating_sub(at)).for_each(drop);
        let word: String = chars.by_ref().take(place.end - place.start.max(at)).collect();
        at = place.end;
        let next = numbers.len();
        *numbers.entry(fold(&word, usize::MAX)).or_insert(next)
    };
    matches.iter().map(&mut number).collect()
}

#[cfg(test)]
mod tests;
