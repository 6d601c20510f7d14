//! The part of a text that shows best what was found.

use std::{
    collections::{HashMap, HashSet},
    ops::{ControlFlow, Range},
};

use super::fold::{fold, for_each_cluster};
use crate::pb::{
    self,
    snippet::{Highlight, Source},
};

/// Marks that PostgreSQL puts around the words that it finds. No folded text has them.
pub const START: char = '<';
/// Behind such a word.
pub const END: char = '>';

/// How many code points a snippet has.
const LENGTH: usize = 240;
/// So many words that were found are looked at for the best place.
const MOST_FOUND: usize = 2_000;

/// A text and, with marks around what was found in it, its folded form: perhaps more than one, as other words were found in
/// each. What is cut off at the end has no marks.
#[derive(Debug, Clone, Copy)]
pub struct FoldedText<'a> {
    /// Which of the texts of a record it is.
    pub source: Source,
    /// The text.
    pub text: &'a str,
    /// Its folded form, marked.
    pub marked: &'a [String],
}

/// The best part of the first of these texts that has what was found; if none has, the beginning of the first that there
/// is.
pub fn snippet(texts: &[FoldedText<'_>]) -> pb::Snippet {
    let found = texts.iter().map(|one| (one, found(one.text, one.marked))).find(|(_, found)| !found.is_empty());
    let first = || texts.iter().find(|one| !one.text.is_empty()).map(|one| (one, Vec::new()));
    let Some((one, found)) = found.or_else(first) else { return pb::Snippet::default() };
    let part = part(one.text, &found);
    let within = found.iter().map(|one| one.start.max(part.start)..one.end.min(part.end));
    // A text has at most 1 MiB: the numbers fit.
    let highlight = |one: Range<usize>| Highlight { start: one.start as i32, end: one.end as i32 };
    pb::Snippet {
        source: one.source.into(),
        text: one.text.chars().skip(part.start).take(part.len()).collect(),
        start: part.start as i32,
        highlights: within.filter(|one| !one.is_empty()).map(highlight).collect(),
    }
}

/// Where the text has what was found, in its order. Words that share a character, as both of `½` do, are one place.
fn found(text: &str, marked: &[String]) -> Vec<Range<usize>> {
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

/// Where the marks stand: the folded text and its marked form are read side by side.
fn marks(text: &str, marked: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begun = None;
    let mut end = 0;
    let mut letters = marked.chars().peekable();
    for_each_cluster(text, |cluster| {
        for letter in cluster {
            while let Some(mark) = letters.next_if(|c| matches!(*c, START | END)) {
                match mark {
                    START => begun = Some(letter.from.start),
                    _ => found.extend(begun.take().map(|begun| begun..end)),
                }
            }
            // Words that are too long to be searched are left out of the marked form.
            if letters.next_if_eq(&letter.c).is_some() {
                end = letter.from.end;
            }
        }
        if letters.peek().is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if letters.next() == Some(END) {
        found.extend(begun.map(|begun| begun..end));
    }
    found
}

/// At most `LENGTH` code points of a text with most of what was found, that is most different words, then most words, then
/// the first; between spaces, where there are any.
fn part(text: &str, found: &[Range<usize>]) -> Range<usize> {
    let core = densest(text, &found[..found.len().min(MOST_FOUND)]);
    // With one letter more, it is seen whether a word is cut.
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

/// The range of what was found that belongs into the snippet.
fn densest(text: &str, found: &[Range<usize>]) -> Range<usize> {
    let words = words(text, found);
    let mut best = (0, 0);
    let mut densest = 0..0;
    let mut end = 0;
    for (begin, first) in found.iter().enumerate() {
        end = end.max(begin + 1);
        while end < found.len() && found[end].end <= first.start + LENGTH {
            end += 1;
        }
        let different: HashSet<usize> = words[begin..end].iter().copied().collect();
        if (different.len(), end - begin) > best {
            best = (different.len(), end - begin);
            densest = first.start..found[end - 1].end;
        }
    }
    densest
}

/// Numbers for the words that were found: equal words have equal ones.
fn words(text: &str, found: &[Range<usize>]) -> Vec<usize> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut chars = text.chars();
    let mut at = 0;
    let mut number = |one: &Range<usize>| {
        // In order, and beside one another: what follows is still to be read.
        chars.by_ref().take(one.start.saturating_sub(at)).for_each(drop);
        let word: String = chars.by_ref().take(one.end - one.start.max(at)).collect();
        at = one.end;
        let next = known.len();
        *known.entry(fold(&word, usize::MAX)).or_insert(next)
    };
    found.iter().map(&mut number).collect()
}

#[cfg(test)]
mod tests;
