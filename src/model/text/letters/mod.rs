//! The first stage of folding: maps every spelling of a letter to one form. The keys of names (`names`) and the words
//! of full-text search (`search`) build on it.
//!
//! The stage resolves compatibility forms (`ﬃ`, `Ｂ`, `Ⅳ`), folds case in full (`ẞ`, `ς`, `ſ`) and drops invisible
//! characters, as NFKC_Casefold of the Unicode Standard does (section 3.13, D146). The second stage decides whether
//! accents stay ([`remove_accents`]) and composes the letters ([`compose`]).

mod accents;

use std::{ops::Range, str::Chars, sync::LazyLock};

use caseless::Caseless;
use unicode_normalization::{
    IsNormalized,
    char::{canonical_combining_class, compose as composed, decompose_canonical, decompose_compatible},
    is_nfc_quick,
};

pub use self::accents::remove_accents;

/// The version of folding. Every change to the result of this stage, or of a stage that builds on it, increments it.
///
/// The database stores folded words and keys of names. A service that starts on a database of an older version
/// recomputes them (`store/schema/folding.rs`). Release 0.1.0 had version 0.
pub const VERSION: i32 = 2;

/// A folded character, and the code points of the text that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The character.
    pub c: char,
    /// Positions of these code points in the text, from 0.
    pub from: Range<usize>,
}

/// A part of a text that folds independently of its neighbours: mostly one character, else a character with its marks,
/// or the jamo of a syllable.
#[derive(Debug, Clone, Copy)]
pub struct LetterCluster<'a> {
    /// The part.
    pub text: &'a str,
    /// The number of code points before it.
    pub start: usize,
    /// The number of code points in it.
    pub length: usize,
}

/// Iterates over the clusters of a text, in order. Together they are the whole text.
#[derive(Debug, Clone)]
pub struct Clusters<'a> {
    rest: &'a str,
    start: usize,
}

impl<'a> Clusters<'a> {
    /// The clusters of `text`.
    pub fn of(text: &'a str) -> Self {
        Self { rest: text, start: 0 }
    }

    /// Takes the ASCII characters at the front. Each of them is a cluster of its own.
    pub fn take_ascii(&mut self) -> &'a str {
        let length = match self.rest.bytes().position(|byte| !byte.is_ascii()) {
            // A mark may follow the last ASCII character.
            Some(length) => length.saturating_sub(1),
            None => self.rest.len(),
        };
        let (ascii, rest) = self.rest.split_at(length);
        (self.rest, self.start) = (rest, self.start + length);
        ascii
    }
}

impl<'a> Iterator for Clusters<'a> {
    type Item = LetterCluster<'a>;

    fn next(&mut self) -> Option<LetterCluster<'a>> {
        let mut chars = self.rest.chars();
        chars.next()?;
        let mut length = 1;
        let mut ahead: Chars<'a> = chars.clone();
        while ahead.next().is_some_and(joins) {
            chars = ahead.clone();
            length += 1;
        }
        let (text, rest) = self.rest.split_at(self.rest.len() - chars.as_str().len());
        let cluster = LetterCluster { text, start: self.start, length };
        (self.rest, self.start) = (rest, self.start + length);
        Some(cluster)
    }
}

impl LetterCluster<'_> {
    /// The character of a cluster that has a single one.
    pub fn only(&self) -> Option<char> {
        self.text.chars().next().filter(|_| self.length == 1)
    }

    /// Replaces `letters` by the folded letters of the cluster: fully decomposed (NFKD), with accents.
    pub fn fold(&self, letters: &mut Vec<Letter>) {
        letters.clear();
        let visible = (self.start..).zip(self.text.chars()).filter(|(_, c)| !is_ignorable(*c));
        letters.extend(visible.map(|(at, c)| Letter { c, from: at..at + 1 }));
        replace(letters, |c, letter| decompose_canonical(c, letter));
        order(letters);
        // Case folding may leave compatibility forms, and resolving these may leave upper case. Two rounds suffice.
        for _ in 0..2 {
            replace(letters, |c, letter| std::iter::once(c).default_case_fold().for_each(letter));
            replace(letters, |c, letter| decompose_compatible(c, letter));
            order(letters);
        }
    }
}

/// Replaces each letter by the letters that `rule` emits for it. They keep its origin.
fn replace(letters: &mut Vec<Letter>, rule: impl Fn(char, &mut dyn FnMut(char))) {
    let mut replaced = Vec::with_capacity(letters.len() + 2);
    for letter in letters.drain(..) {
        rule(letter.c, &mut |c| replaced.push(Letter { c, from: letter.from.clone() }));
    }
    *letters = replaced;
}

/// Applies the Canonical Ordering Algorithm (D109).
fn order(letters: &mut [Letter]) {
    let class = |letter: &Letter| canonical_combining_class(letter.c);
    for marks in letters.chunk_by_mut(|letter, next| class(letter) != 0 && class(next) != 0) {
        marks.sort_by_key(class);
    }
}

/// Applies the Canonical Composition Algorithm (D117).
pub fn compose(letters: &mut Vec<Letter>) {
    let mut starter: Option<usize> = None;
    let mut last_class = 0;
    let mut length = 0;
    for at in 0..letters.len() {
        let letter = letters[at].clone();
        let class = canonical_combining_class(letter.c);
        if let Some(starter) = starter {
            let is_next = starter + 1 == length;
            let composite = composed(letters[starter].c, letter.c).filter(|_| is_next || last_class < class);
            if let Some(c) = composite {
                let from = &letters[starter].from;
                let from = from.start.min(letter.from.start)..from.end.max(letter.from.end);
                letters[starter] = Letter { c, from };
                continue;
            }
        }
        if class == 0 {
            starter = Some(length);
        }
        last_class = class;
        letters[length] = letter;
        length += 1;
    }
    letters.truncate(length);
}

/// True for a character that continues the cluster of the preceding one: a mark, a non-initial part of a composition,
/// or an invisible character.
pub(crate) fn joins(c: char) -> bool {
    match c {
        '\0'..'\u{300}' => c == '\u{ad}',
        // Ideographs and syllables.
        '\u{3400}'..'\u{a000}' | '\u{ac00}'..'\u{d7a4}' => false,
        _ => JOINING.get(c as usize).copied().unwrap_or_else(|| compute_joins(c)),
    }
}

/// Results of [`compute_joins`] for most letters in use. Computing one takes microseconds.
static JOINING: LazyLock<Box<[bool]>> = LazyLock::new(|| ('\0'..'\u{3100}').map(compute_joins).collect());

fn compute_joins(c: char) -> bool {
    if is_ignorable(c) {
        return true;
    }
    let mut first = None;
    decompose_canonical(c, |part| {
        first.get_or_insert(part);
    });
    let mut letters = Vec::new();
    LetterCluster { text: c.encode_utf8(&mut [0; 4]), start: 0, length: 1 }.fold(&mut letters);
    let folded = letters.first().map(|letter| letter.c);
    let is_mark = |c: char| canonical_combining_class(c) != 0;
    first.is_some_and(is_mark)
        || folded.is_some_and(|c| is_mark(c) || is_nfc_quick(std::iter::once(c)) == IsNormalized::Maybe)
}

/// Default_Ignorable_Code_Point of Unicode 16, DerivedCoreProperties.txt.
pub(crate) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;
