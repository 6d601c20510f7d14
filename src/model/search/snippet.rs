//! The part of a text that shows best what was found.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::fold::{each, fold};
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
pub struct Text<'a> {
    /// Which of the texts of a record it is.
    pub source: Source,
    /// The text.
    pub text: &'a str,
    /// Its folded form, marked.
    pub marked: &'a [String],
}

/// The best part of the first of these texts that has what was found; if none has, the beginning of the first that there
/// is.
pub fn snippet(texts: &[Text<'_>]) -> pb::Snippet {
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

/// Where the text has what was found, in its order.
fn found(text: &str, marked: &[String]) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = marked.iter().flat_map(|marked| marks(text, marked)).collect();
    all.sort_unstable_by_key(|one| (one.start, one.end));
    all.dedup();
    all
}

/// Where the marks stand: the text and its marked form are read side by side.
fn marks(text: &str, marked: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begun = None;
    let mut letters = marked.chars().peekable();
    let mut length = 0;
    for (at, c) in text.chars().enumerate() {
        length = at + 1;
        each(c, |letter| {
            while let Some(mark) = letters.next_if(|c| matches!(*c, START | END)) {
                match mark {
                    START => begun = Some(at),
                    _ => found.extend(begun.take().map(|begun| begun..at)),
                }
            }
            // Words that are too long to be searched are left out of the marked form.
            letters.next_if_eq(&letter);
        });
        if letters.peek().is_none() {
            break;
        }
    }
    if letters.next() == Some(END) {
        found.extend(begun.map(|begun| begun..length));
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What PostgreSQL makes of a text in which these words are found.
    fn marked(text: &str, words: &[&str]) -> String {
        let folded = fold(text, usize::MAX);
        let mark = |word: &str| if words.contains(&word) { format!("<{word}>") } else { word.to_owned() };
        folded.split(' ').map(mark).collect::<Vec<_>>().join(" ")
    }

    fn of(text: &str, words: &[&str]) -> pb::Snippet {
        snippet(&[Text { source: Source::Text, text, marked: &[marked(text, words)] }])
    }

    fn shown(snippet: &pb::Snippet) -> Vec<String> {
        let chars: Vec<char> = snippet.text.chars().collect();
        let at = |place: i32| usize::try_from(place - snippet.start).unwrap();
        snippet.highlights.iter().map(|one| chars[at(one.start)..at(one.end)].iter().collect()).collect()
    }

    #[test]
    fn a_short_text_is_shown_as_it_is() {
        let found = of("Talks in Baku.", &["baku"]);
        assert_eq!((found.text.as_str(), found.start, shown(&found)), ("Talks in Baku.", 0, vec!["Baku".into()]));
        assert_eq!(found.source(), Source::Text);
        let at_the_end = of("«Émile» à l'Élysée", &["elysee", "emile"]);
        assert_eq!(shown(&at_the_end), ["Émile", "Élysée"]);
    }

    #[test]
    fn the_place_with_most_of_the_words_is_shown() {
        let text = format!("Peace. {}War and peace in Baku.{}", "Nothing. ".repeat(100), " Nothing.".repeat(100));
        let found = of(&text, &["war", "peace", "baku"]);
        assert_eq!(shown(&found), ["War", "peace", "Baku"]);
        assert!(found.text.starts_with("Nothing.") && found.text.ends_with("Nothing."), "{}", found.text);
        assert!((200..=LENGTH).contains(&found.text.chars().count()));
    }

    #[test]
    fn a_text_without_what_was_found_is_shown_from_its_beginning() {
        let text = format!("\n One. {}", "Two. ".repeat(100));
        let found = of(&text, &[]);
        assert!(found.text.starts_with("One. Two.") && found.text.ends_with("Two."), "{}", found.text);
        assert_eq!((found.start, found.highlights.len()), (2, 0));
        assert_eq!(snippet(&[]), pb::Snippet::default());
        assert_eq!(of("", &[]), pb::Snippet::default());
    }

    #[test]
    fn the_title_is_shown_where_the_text_has_nothing() {
        let title = Text { source: Source::Title, text: "Peace", marked: &["<peace>".to_owned()] };
        let text = Text { source: Source::Text, text: "War", marked: &["war".to_owned()] };
        let found = snippet(&[text, title]);
        assert_eq!((found.source(), found.text.as_str()), (Source::Title, "Peace"));
        let neither = snippet(&[text, Text { marked: &[], ..title }]);
        assert_eq!((neither.source(), neither.text.as_str()), (Source::Text, "War"));
    }

    #[test]
    fn what_was_found_in_either_form_is_shown_once() {
        let forms = ["the <talks> in <baku>".to_owned(), "the <talks> <in> baku".to_owned()];
        let found = snippet(&[Text { source: Source::Text, text: "The talks in Baku", marked: &forms }]);
        assert_eq!(shown(&found), ["talks", "in", "Baku"]);
    }

    #[test]
    fn words_that_are_left_out_of_the_marked_form_do_not_matter() {
        let text = format!("Talks {} in Baku", "x".repeat(3000));
        let found = snippet(&[Text { source: Source::Text, text: &text, marked: &["<talks>  in <baku>".to_owned()] }]);
        assert_eq!(found.highlights.len(), 1);
        let all = super::found(&text, &["<talks>  in <baku>".to_owned()]);
        assert_eq!(all, [0..5, 3010..3014]);
    }

    #[test]
    fn a_word_that_is_longer_than_a_snippet_is_cut() {
        let text = format!("{} {}", "y".repeat(100), "x".repeat(500));
        let found = of(&text, &[&"x".repeat(500)]);
        assert_eq!((found.start, found.text.chars().count()), (101, LENGTH));
        assert_eq!(found.highlights, [Highlight { start: 101, end: 341 }]);
    }

    proptest! {
        #[test]
        fn a_snippet_is_part_of_its_text(
            text in r"([a-cä-ö東京ßİ\u{301}.«]{0,9}[ \n]{0,2}){0,120}", words in prop::collection::vec("[a-c]{1,2}", 0..4)
        ) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let found = of(&text, &words);
            let chars: Vec<char> = text.chars().collect();
            let start = usize::try_from(found.start).unwrap();
            let end = start + found.text.chars().count();
            prop_assert_eq!(chars[start..end].iter().collect::<String>(), &*found.text);
            prop_assert!(end - start <= LENGTH);
            prop_assert!(shown(&found).iter().all(|one| words.contains(&&*fold(one, usize::MAX))));
            let is_there = fold(&text, usize::MAX).split(' ').any(|word| words.contains(&word));
            prop_assert_eq!(!found.highlights.is_empty(), is_there);
        }
    }
}
