//! Splits folded text into pieces: words, and runs of scripts without spaces.

use unicode_normalization::char::is_combining_mark;

use super::{
    fold::SEPARATOR,
    script::{is_hangul, is_unspaced},
};

/// Maximum number of white-space characters inside a run: a line break, or the space that pads a short name.
const MAX_GAP: usize = 2;

/// Maximum bytes of a word. PostgreSQL stores no longer ones.
pub(super) const MAX_WORD_BYTES: usize = 2_046;

/// A word or a part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub text: &'a str,
    /// The place of its first byte in the folded text.
    pub start: usize,
    /// True for a run.
    pub is_run: bool,
    /// True for a run that continues the run before it: only white space is between them.
    pub continues: bool,
}

/// The pieces of a text folded by `fold_for_words`.
pub(super) fn pieces(folded: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = folded;
    let mut before: Option<Piece<'_>> = None;
    std::iter::from_fn(move || {
        let start_of = |rest: &str| folded.len() - rest.len();
        let trimmed = rest.trim_start_matches([' ', SEPARATOR]);
        let gap = &rest[..rest.len() - trimmed.len()];
        let first = trimmed.chars().next()?;
        let is_run = is_unspaced(first);
        let is_end = |c: char| match c {
            ' ' | SEPARATOR => true,
            _ if c.is_ascii() => is_run,
            _ => is_unspaced(c) != is_run && !is_combining_mark(c),
        };
        let length = trimmed.find(is_end).unwrap_or(trimmed.len());
        let joins = |piece: Piece<'_>| {
            let last = piece.text.chars().next_back();
            piece.is_run && !is_hangul(first) && !last.is_some_and(is_hangul)
        };
        let is_inner_gap = !gap.is_empty() && gap.len() <= MAX_GAP && !gap.contains(SEPARATOR);
        let continues = is_run && is_inner_gap && before.is_some_and(joins);
        let piece = Piece { text: &trimmed[..length], start: start_of(trimmed), is_run, continues };
        rest = &trimmed[length..];
        before = Some(piece);
        Some(piece)
    })
}

/// Calls `each` with the tokens of a folded text and their positions, of which the first is `position`. Returns the
/// position after the last one. A word is a token. A run has a token at each of its characters: the character and the
/// next one, or the last one alone. So each part of a run is a sequence of tokens, or the beginning of one.
pub(super) fn for_each_token(folded: &str, mut position: usize, mut each: impl FnMut(&str, usize)) -> usize {
    let mut before: Option<char> = None;
    let mut token = String::new();
    for piece in pieces(folded) {
        if !piece.continues
            && let Some(last) = before.take()
        {
            each(last.encode_utf8(&mut [0; 4]), position);
            position += 1;
        }
        if !piece.is_run {
            if piece.text.len() <= MAX_WORD_BYTES {
                each(piece.text, position);
            }
            position += 1;
            continue;
        }
        for c in piece.text.chars() {
            if let Some(first) = before.replace(c) {
                token.clear();
                token.extend([first, c]);
                each(&token, position);
                position += 1;
            }
        }
    }
    if let Some(last) = before {
        each(last.encode_utf8(&mut [0; 4]), position);
        position += 1;
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::search::fold::fold_for_words;

    fn tokens(text: &str) -> Vec<(String, usize)> {
        let mut tokens = Vec::new();
        let folded = fold_for_words(text, usize::MAX);
        let end = for_each_token(&folded, 1, |token, position| tokens.push((token.to_owned(), position)));
        assert!(tokens.iter().all(|(_, position)| *position < end));
        tokens
    }

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn run_has_a_token_at_each_character() {
        assert_eq!(texts("苏林访华"), ["苏林", "林访", "访华", "华"]);
        assert_eq!(texts("在2024年访华，talks"), ["在", "2024", "年访", "访华", "华", "talks"]);
        assert_eq!(texts("大統領はガードした"), ["大統", "統領", "領は", "はガ", "ガー", "ード", "ドし", "した", "た"]);
        assert_eq!(texts("대통령은 왔다"), ["대통", "통령", "령은", "은", "왔다", "다"]);
        assert_eq!(texts("ที่"), ["ท\u{e35}", "\u{e35}\u{e48}", "\u{e48}"]);
        assert_eq!(texts("Talks in Baku"), ["talks", "in", "baku"]);
        assert_eq!(texts("…!"), [""; 0]);
    }

    #[test]
    fn white_space_inside_a_run_is_no_boundary() {
        assert_eq!(texts("苏\u{3000}林"), ["苏林", "林"]);
        assert_eq!(texts("苏\r\n林"), ["苏林", "林"]);
        assert_eq!(texts("苏   林"), ["苏", "林"]);
        assert_eq!(texts("苏，林"), ["苏", "林"]);
        assert_eq!(texts("苏 a 林"), ["苏", "a", "林"]);
        assert_eq!(texts("가 나"), ["가", "나"]);
    }

    #[test]
    fn long_word_has_a_position_and_no_token() {
        let found = tokens(&format!("a {} b", "x".repeat(MAX_WORD_BYTES + 1)));
        assert_eq!(found, [("a".to_owned(), 1), ("b".to_owned(), 3)]);
        assert_eq!(tokens(&"x".repeat(MAX_WORD_BYTES)).len(), 1);
    }
}
