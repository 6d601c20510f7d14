//! Folds a text so that spellings of the same words become equal. `Evidence` in the contract lists the differences that
//! fold away.
//!
//! The letters fold as `letters` folds them (NFKC_Casefold), with their accents. This module adds the marks and the
//! white space, and leaves alone what has another meaning: raised digits, fractions, accents that stand by themselves.

mod marks;

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
};

use self::marks::{is_dash, is_decimal_digit, is_quotation_mark};
use crate::model::text::letters::{Letter, LetterCluster, compose, is_ignorable, joins};

/// Maximum number of code points of a cluster. A longer one folds in parts, so that no part costs more than that.
const MAX_CLUSTER: usize = 32;
/// Maximum number of folds of rare clusters that are cached for one text.
const MAX_CACHED: usize = 4_096;

/// The differences that fold away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looseness {
    /// Those of spelling: the words are the same.
    Spelling,
    /// Also accents and all white space: the words are similar.
    Similarity,
}

/// The class of a cluster. Neighbours of one class other than `Word` fold to one character together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Invisible characters. They fold to nothing.
    Nothing,
    /// White space.
    Space,
    /// An apostrophe or a quotation mark.
    Quote,
    /// A hyphen or a dash.
    Dash,
    /// Everything else.
    Word,
}

/// A cluster, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folded {
    text: String,
    class: Class,
    /// The part without invisible characters at its ends, in bytes of the cluster.
    visible: Range<usize>,
}

/// A cluster of the text, after it was folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its start in the text, in bytes.
    pub start: usize,
    /// Its part without invisible characters at its ends, in bytes of the text.
    pub source: Range<usize>,
    /// Its class.
    pub class: Class,
    /// True if it was written. A neighbour of the same class, and invisible characters, are not.
    pub is_written: bool,
    /// True if a match may begin here: false for a later part of a long cluster.
    pub is_boundary: bool,
}

/// Folds a text cluster by cluster.
pub struct Folder<'a> {
    text: &'a str,
    at: usize,
    looseness: Looseness,
    /// The class of the last piece that was written.
    last: Class,
    cache: HashMap<&'a str, Folded>,
}

impl<'a> Folder<'a> {
    /// Folds from this byte on, where a cluster begins.
    pub fn new(text: &'a str, at: usize, looseness: Looseness) -> Self {
        Self { text, at, looseness, last: Class::Nothing, cache: HashMap::new() }
    }

    /// Folds the next cluster and appends it to `out`. `None` at the end of the text.
    pub fn next(&mut self, out: &mut String) -> Option<Piece> {
        let start = self.at;
        let rest = &self.text[start..];
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let (mut length, mut bytes) = (1, rest.len());
        for (at, c) in chars {
            if length == MAX_CLUSTER || !continues(c) {
                bytes = at;
                break;
            }
            length += 1;
        }
        self.at += bytes;
        let is_boundary = start == 0 || !continues(first);
        let piece = |visible: &Range<usize>, class, is_written| {
            let source = start + visible.start..start + visible.end;
            Piece { start, source, class, is_written, is_boundary }
        };
        let (last, looseness) = (&mut self.last, self.looseness);
        if length == 1
            && let Some((class, folded)) = TABLE.get(first)
        {
            let is_written = write(class, folded, looseness, last, out);
            return Some(piece(&(0..bytes), class, is_written));
        }
        let cluster = &rest[..bytes];
        if length == 1 && folds_to_itself(first) {
            let is_written = write(Class::Word, cluster, looseness, last, out);
            return Some(piece(&(0..bytes), Class::Word, is_written));
        }
        if self.cache.len() >= MAX_CACHED {
            self.cache.clear();
        }
        let folded = self.cache.entry(cluster).or_insert_with(|| fold_cluster(cluster, length));
        let is_written = write(folded.class, &folded.text, looseness, last, out);
        Some(piece(&folded.visible, folded.class, is_written))
    }
}

/// Folds a text as a whole. White space at its ends is removed.
pub fn fold(text: &str, looseness: Looseness) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut folder = Folder::new(text, 0, looseness);
    while folder.next(&mut folded).is_some() {}
    let visible = folded.trim_matches(' ');
    if visible.len() == folded.len() { folded } else { visible.to_owned() }
}

/// True if a folded text has nothing but quotation marks, white space and the like.
pub fn is_blank(folded: &str) -> bool {
    folded.chars().all(|c| matches!(c, ' ' | '\''))
}

/// Writes a folded cluster. Returns false if there is nothing to write.
fn write(class: Class, text: &str, looseness: Looseness, last: &mut Class, out: &mut String) -> bool {
    let is_repeated = class != Class::Word && class == *last;
    if class == Class::Nothing || is_repeated || class == Class::Space && looseness == Looseness::Similarity {
        return false;
    }
    let before = out.len();
    match looseness {
        Looseness::Similarity if !text.is_ascii() => {
            out.extend(text.nfd().filter(|c| canonical_combining_class(*c) == 0));
        }
        _ => out.push_str(text),
    }
    if out.len() == before {
        return false;
    }
    *last = class;
    true
}

/// True for a character that belongs to the cluster of the preceding one.
fn continues(c: char) -> bool {
    match c {
        '\0'..'\u{300}' => c == '\u{ad}',
        '\u{3400}'..'\u{a000}' | '\u{ac00}'..'\u{d7a4}' => false,
        // The vowel signs of Indic scripts are marks that do not compose.
        _ => joins(c) || is_combining_mark(c),
    }
}

/// True if no character divides a cluster at this byte of a text.
pub fn is_boundary(text: &str, byte: usize) -> bool {
    let mut visible = text[byte..].chars().take(MAX_CLUSTER).skip_while(|c| is_ignorable(*c));
    match visible.next() {
        Some(next) => !continues(next),
        None => text[byte..].chars().nth(MAX_CLUSTER).is_none(),
    }
}

/// True for ideographs and syllables, which have no other spelling.
fn folds_to_itself(c: char) -> bool {
    matches!(c, '\u{3400}'..'\u{4dc0}' | '\u{4e00}'..'\u{a000}' | '\u{ac00}'..'\u{d7a4}')
}

fn fold_cluster(cluster: &str, length: usize) -> Folded {
    let mut letters = Vec::new();
    LetterCluster { text: cluster, start: 0, length }.fold(&mut letters);
    let start = letters.iter().map(|letter| letter.from.start).min().unwrap_or(0);
    let end = letters.iter().map(|letter| letter.from.end).max().unwrap_or(0);
    let byte = |at: usize| cluster.char_indices().nth(at).map_or(cluster.len(), |(byte, _)| byte);
    let visible = byte(start)..byte(end);
    for (at, c) in cluster.chars().enumerate() {
        keep_own_form(&mut letters, at, c);
    }
    for letter in &mut letters {
        letter.c = match letter.c {
            c if c.is_whitespace() => ' ',
            c if is_quotation_mark(c) => '\'',
            c if is_dash(c) => '-',
            c => c,
        };
    }
    let is_all = |c: char| letters.iter().all(|letter| letter.c == c);
    let class = match letters.first() {
        None => Class::Nothing,
        Some(_) if is_all(' ') => Class::Space,
        Some(_) if is_all('\'') => Class::Quote,
        Some(_) if is_all('-') => Class::Dash,
        Some(_) => Class::Word,
    };
    compose(&mut letters);
    match class {
        Class::Space | Class::Quote | Class::Dash => letters.truncate(1),
        Class::Nothing | Class::Word => {}
    }
    Folded { text: letters.iter().map(|letter| letter.c).collect(), class, visible }
}

/// Replaces the letters to which a character folds by the character if they have another meaning: those of a raised or
/// circled digit, a fraction or a numbered sign (`²`, `½`, `⒈`), and those of an accent that stands by itself (`¨`, `´`),
/// which fold to a space with a mark.
fn keep_own_form(letters: &mut Vec<Letter>, at: usize, c: char) {
    let own = at..at + 1;
    let is_own = |letter: &&Letter| letter.from == own;
    let has_digit = || letters.iter().filter(is_own).any(|letter| letter.c.is_ascii_digit());
    let is_accent = || {
        let mut own = letters.iter().filter(is_own);
        own.next().is_some_and(|first| first.c == ' ') && own.next().is_some()
    };
    if c.is_ascii() || !(has_digit() && !is_decimal_digit(c) || is_accent()) {
        return;
    }
    let mut is_first = true;
    letters.retain_mut(|letter| {
        if letter.from != own {
            return true;
        }
        letter.c = c;
        std::mem::take(&mut is_first)
    });
}

/// The folds of most characters in use, because a full fold takes microseconds.
struct Table {
    text: String,
    /// For each character the end of its fold in `text`, and its class.
    folds: Vec<(u32, Class)>,
}

impl Table {
    fn get(&self, c: char) -> Option<(Class, &str)> {
        let &(end, class) = self.folds.get(c as usize)?;
        let start = (c as usize).checked_sub(1).map_or(0, |before| self.folds[before].0);
        Some((class, &self.text[start as usize..end as usize]))
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { text: String::new(), folds: Vec::new() };
    for c in '\0'..'\u{3100}' {
        let folded = fold_cluster(c.encode_utf8(&mut [0; 4]), 1);
        table.text.push_str(&folded.text);
        table.folds.push((table.text.len() as u32, folded.class));
    }
    table
});

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        fold(text, Looseness::Spelling)
    }

    #[test]
    fn fold_removes_differences_of_spelling() {
        for (left, right) in [
            ("don’t", "don't"),
            ("donʼt ‛d `e ´f", "don't 'd 'e 'f"),
            ("“No”", "\"No\""),
            ("„Nein“ «Non» 「否」 ‹a›", "'Nein' 'Non' '否' 'a'"),
            ("''No''", "\"No\""),
            ("“‘No’”", "\"'No'\""),
            ("צה״ל", "צה\"ל"),
            ("a–b—c−d‐e‑f", "a-b-c-d-e-f"),
            ("a -- b --- c", "a — b — c"),
            ("a\u{a0}b\u{2009}\tc\r\n\r\nd\u{2028}e\u{3000}f", "a b c d e f"),
            ("ｗｉｄｅ　１２％", "WIDE 12%"),
            ("ｶﾞｷ", "ガキ"),
            ("ﬁnal oﬃce…", "final office..."),
            ("STRASSE straße STRAẞE", "strasse strasse strasse"),
            ("İzmir", "i\u{307}zmir"),
            ("ΟΔΟΣ", "οδος"),
            ("co\u{ad}op\u{200b}er\u{2060}ate\u{feff}", "cooperate"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("❤\u{fe0f}", "❤"),
            ("Ⅳ ℡ №", "IV TEL No"),
            ("𝐁old 𝟏", "bold 1"),
            ("ﻻ", "لا"),
            (" \u{200b} x \n", "x"),
        ] {
            assert_eq!(folded(left), folded(right), "{left} {right}");
        }
    }

    #[test]
    fn fold_keeps_differences_of_words() {
        for (left, right) in [
            ("résumé", "resume"),
            ("й", "и"),
            ("ё", "е"),
            ("ı", "i"),
            ("İ", "i"),
            ("ə", "e"),
            ("ø", "o"),
            ("æ", "ae"),
            ("a part", "apart"),
            ("10²", "102"),
            ("1½", "11/2"),
            ("½", "1/2"),
            ("①", "1"),
            ("⒈", "1."),
            ("H₂O", "H2O"),
            ("٣", "3"),
            ("a.", "a"),
            ("a,b", "a;b"),
            ("-5", "5"),
            ("wont", "won't"),
            ("a\u{a8}", "a \u{308}"),
            ("ʾ", "ʿ"),
            ("q\u{301}", "q"),
            ("का", "क"),
            ("か\u{3099}", "か"),
            ("x_y", "x-y"),
        ] {
            assert_ne!(folded(left), folded(right), "{left} {right}");
        }
    }

    #[test]
    fn similarity_ignores_accents_and_white_space() {
        let similar = |text: &str| fold(text, Looseness::Similarity);
        assert_eq!(similar("Bakı, İzmir"), similar("bakı,izmir"));
        assert_eq!(similar("é й"), "eи");
    }

    #[test]
    fn fold_of_a_fold_is_the_same() {
        for c in crate::model::text::letters::sample::characters() {
            let once = folded(&format!("x{c}y"));
            assert_eq!(folded(&once), once, "{c:?}");
        }
    }

    #[test]
    fn boundary_is_not_within_a_letter_and_its_marks() {
        let text = "e\u{ad}\u{301}x\u{ad}काﬁ";
        let boundaries: Vec<usize> =
            text.char_indices().map(|(at, _)| at).filter(|at| is_boundary(text, *at)).collect();
        // Not before the soft hyphen and the accent of the first letter, nor before the vowel sign.
        assert_eq!(boundaries, [0, 5, 6, 8, 14]);
    }
}
