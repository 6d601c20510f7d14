//! Cuts the snippet of a text that best shows the matches of a search.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::fold::fold;
use crate::pb::{
    self,
    snippet::{Highlight, Source},
};

/// Maximum number of code points in a snippet.
const LENGTH: usize = 240;
/// Maximum number of matches that the search for the best place considers.
const MAX_MATCHES: usize = 2_000;

/// A text, and the places in it that match a query.
#[derive(Debug, Clone)]
pub struct MatchedText<'a> {
    /// The field of the record that the text is from.
    pub source: Source,
    /// The text.
    pub text: &'a str,
    /// The places in code points: disjoint and in order.
    pub matches: Vec<Range<usize>>,
}

/// The snippet of the first text with a match; without a match, the beginning of the first text that is not empty.
/// Also returns the number of the text.
pub fn snippet(texts: &[MatchedText<'_>]) -> (pb::Snippet, usize) {
    let matched = texts.iter().position(|text| !text.matches.is_empty());
    let Some(number) = matched.or_else(|| texts.iter().position(|text| !text.text.is_empty())) else {
        return (pb::Snippet::default(), 0);
    };
    let MatchedText { source, text, matches } = &texts[number];
    let part = part(text, matches);
    let within = matches.iter().map(|place| place.start.max(part.start)..place.end.min(part.end));
    // A text has at most 1 MiB: the numbers fit.
    let highlight = |place: Range<usize>| Highlight { start: place.start as i32, end: place.end as i32 };
    let snippet = pb::Snippet {
        source: (*source).into(),
        text: text.chars().skip(part.start).take(part.len()).collect(),
        start: part.start as i32,
        highlights: within.filter(|place| !place.is_empty()).map(highlight).collect(),
        ..Default::default()
    };
    (snippet, number)
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
