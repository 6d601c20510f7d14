//! Folds text for search: the letters of `letters` without accents, and spaces for everything else.

mod plain;

use std::sync::LazyLock;

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

use self::plain::write_plain;
use crate::model::text::letters::{Clusters, Letter, LetterCluster, compose, remove_accents};

/// Stands for everything that is neither letter, digit nor white space, in the text of [`fold_for_words`].
pub(super) const SEPARATOR: char = '|';

/// Folds a text: letters and digits in lower case, without accents, and spaces for everything else. The result has at
/// most `most` bytes and ends with a whole letter. `fold(fold(x)) == fold(x)`.
pub fn fold(text: &str, most: usize) -> String {
    fold_with(text, most, ' ')
}

/// As [`fold`], with spaces for white space only, and [`SEPARATOR`] for everything else.
pub(super) fn fold_for_words(text: &str, most: usize) -> String {
    fold_with(text, most, SEPARATOR)
}

fn fold_with(text: &str, most: usize, separator: char) -> String {
    let mut folded = String::with_capacity(text.len().min(most));
    let mut clusters = Clusters::of(text);
    let mut letters = Vec::new();
    loop {
        let plain = clusters.take_ascii();
        let room = most - folded.len();
        let letter = |byte: u8| match byte {
            _ if byte.is_ascii_alphanumeric() => char::from(byte.to_ascii_lowercase()),
            _ if char::from(byte).is_whitespace() => ' ',
            _ => separator,
        };
        folded.extend(plain.bytes().take(room).map(letter));
        if plain.len() > room {
            return folded;
        }
        let Some(cluster) = clusters.next() else { return folded };
        write_letters(&cluster, &mut letters);
        let space = space(&cluster, separator);
        let whole = folded.len();
        folded.extend(letters.iter().map(|letter| if letter.c == ' ' { space } else { letter.c }));
        if folded.len() > most {
            folded.truncate(whole);
            return folded;
        }
    }
}

/// The character that stands for a space of a cluster.
fn space(cluster: &LetterCluster<'_>, separator: char) -> char {
    if cluster.text.chars().all(char::is_whitespace) { ' ' } else { separator }
}

/// As [`fold_for_words`], with the code points of the text that each character comes from. Each letter spans the text up
/// to the next letter, so that the marks of the last letter of a word belong to the word.
pub(super) fn fold_with_places(text: &str, most: usize) -> Vec<Letter> {
    let (mut folded, mut letters) = (Vec::with_capacity(text.len().min(most)), Vec::new());
    let mut bytes = 0;
    for cluster in Clusters::of(text) {
        write_letters(&cluster, &mut letters);
        bytes += letters.iter().map(|letter| letter.c.len_utf8()).sum::<usize>();
        if bytes > most {
            break;
        }
        let space = space(&cluster, SEPARATOR);
        folded.extend(letters.drain(..).map(|letter| match letter.c {
            ' ' => Letter { c: space, ..letter },
            _ => letter,
        }));
    }
    folded
}

/// Replaces `letters` by the folded letters of a cluster.
fn write_letters(cluster: &LetterCluster<'_>, letters: &mut Vec<Letter>) {
    match cluster.only().and_then(single_letter) {
        Some(c) => {
            letters.clear();
            letters.push(Letter { c, from: cluster.start..cluster.start + 1 });
        }
        None => fold_cluster(cluster, letters),
    }
}

/// The single letter or space to which a character folds if it is a whole cluster; `None` if it folds to several.
fn single_letter(c: char) -> Option<char> {
    match c {
        '\u{3400}'..'\u{a000}' if c.is_alphabetic() => Some(c),
        '\u{ac00}'..'\u{d7a4}' => Some(c),
        _ => SINGLE_LETTERS.get(c as usize).copied().filter(|letter| *letter != NOT_SINGLE),
    }
}

/// Cached folds of most letters in use, because a full fold takes microseconds.
static SINGLE_LETTERS: LazyLock<Box<[char]>> = LazyLock::new(|| {
    let mut letters = Vec::new();
    let mut single_letter = |c: char| {
        fold_cluster(&LetterCluster { text: c.encode_utf8(&mut [0; 4]), start: 0, length: 1 }, &mut letters);
        match &*letters {
            [letter] => letter.c,
            _ => NOT_SINGLE,
        }
    };
    ('\0'..'\u{3100}').map(&mut single_letter).collect()
});
/// Marks a character without a single-letter fold.
const NOT_SINGLE: char = '\0';

fn fold_cluster(cluster: &LetterCluster<'_>, letters: &mut Vec<Letter>) {
    cluster.fold(letters);
    remove_accents(letters);
    write_plain(letters);
    compose(letters);
    write_spaces(letters);
    match cluster.text.chars().next() {
        Some('№' | '¼'..='¾' | '\u{2150}'..='\u{215f}' | '↉') => separate(letters),
        // A trade mark sign becomes a space, because it is not a part of the word before it.
        Some('℠' | '™' | '🅪'..='🅬') => {
            letters.truncate(1);
            letters.iter_mut().for_each(|letter| letter.c = ' ');
        }
        _ => {}
    }
    for at in 0..letters.len() {
        let next = letters.get(at + 1).map_or(cluster.start + cluster.length, |next| next.from.start);
        letters[at].from.end = letters[at].from.end.max(next);
    }
}

/// Replaces everything that is neither letter nor digit by a space. Marks on such characters are removed.
fn write_spaces(letters: &mut Vec<Letter>) {
    let mut is_in_word = false;
    letters.retain_mut(|letter| {
        if is_combining_mark(letter.c) {
            is_in_word |= canonical_combining_class(letter.c) == 0;
            return is_in_word;
        }
        is_in_word = letter.c.is_alphanumeric();
        if !is_in_word {
            letter.c = ' ';
        }
        true
    });
}

/// Separates a sign that means a word or a number from its neighbours: it is written next to them without a space.
fn separate(letters: &mut Vec<Letter>) {
    if let (Some(first), Some(last)) = (letters.first().cloned(), letters.last().cloned()) {
        letters.insert(0, Letter { c: ' ', ..first });
        letters.push(Letter { c: ' ', ..last });
    }
}

#[cfg(test)]
mod tests;
