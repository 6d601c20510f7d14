//! Accents: marks that writers of a script may omit, so that the same word occurs with and without them.

use unicode_normalization::char::{canonical_combining_class, compose};

use super::Letter;

/// Removes the accents of decomposed letters. A mark stays where it forms another letter, as in й and か゛.
pub fn remove_accents(letters: &mut Vec<Letter>) {
    let mut base = None;
    letters.retain(|letter| {
        if canonical_combining_class(letter.c) == 0 {
            base = Some(letter.c);
        }
        !is_accent(letter.c, base)
    });
}

/// True if the mark is an accent on this base letter.
fn is_accent(mark: char, base: Option<char>) -> bool {
    match mark {
        // Marks of the Latin, Greek and Cyrillic scripts, and marks of no script.
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{489}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}' => !base.is_some_and(|base| forms_a_cyrillic_letter(mark, base)),
        // Hebrew points and cantillation marks.
        '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{5c7}' | '\u{fb1e}' => {
            true
        }
        // Arabic vowel signs and recitation marks. Not the hamza and the madda, which form other letters.
        '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{652}'
        | '\u{656}'..='\u{65f}'
        | '\u{670}'
        | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e4}'
        | '\u{6e7}'..='\u{6e8}'
        | '\u{6ea}'..='\u{6ed}'
        | '\u{8d3}'..='\u{8e1}'
        | '\u{8e3}'..='\u{8ff}' => true,
        // Syriac points, Vedic accents, tone marks of ideographs and Hangul.
        '\u{711}' | '\u{730}'..='\u{74a}' | '\u{951}'..='\u{954}' | '\u{302a}'..='\u{302f}' => true,
        _ => false,
    }
}

/// True for Cyrillic letters such as й, ї, ў and ќ, which are letters of their own and not accented ones. A grave is an
/// accent on every letter. So is the diaeresis of ё, which is as often written е.
fn forms_a_cyrillic_letter(mark: char, base: char) -> bool {
    let is_cyrillic = matches!(base, '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}');
    is_cyrillic && mark != '\u{300}' && (base, mark) != ('е', '\u{308}') && compose(base, mark).is_some()
}
