//! Plain letters: those that people type on a keyboard without the others, or that writers of a script use for each
//! other.

use crate::model::text::letters::Letter;

/// Stretches an Arabic word without being a letter of it.
const TATWEEL: char = '\u{640}';

/// The digit zero of scripts with own digits; those from one to nine follow it.
const ZEROS: [char; 20] = [
    '\u{660}',  // Arabic
    '\u{6f0}',  // Persian and Urdu
    '\u{7c0}',  // N'Ko
    '\u{966}',  // Devanagari
    '\u{9e6}',  // Bengali
    '\u{a66}',  // Gurmukhi
    '\u{ae6}',  // Gujarati
    '\u{b66}',  // Odia
    '\u{be6}',  // Tamil
    '\u{c66}',  // Telugu
    '\u{ce6}',  // Kannada
    '\u{d66}',  // Malayalam
    '\u{de6}',  // Sinhala
    '\u{e50}',  // Thai
    '\u{ed0}',  // Lao
    '\u{f20}',  // Tibetan
    '\u{1040}', // Myanmar
    '\u{1090}', // Shan
    '\u{17e0}', // Khmer
    '\u{1810}', // Mongolian
];

/// Replaces decomposed letters by plain ones.
pub(super) fn write_plain(letters: &mut Vec<Letter>) {
    letters.retain(|letter| letter.c != TATWEEL && !is_arabic_seat_mark(letter.c));
    for at in (0..letters.len()).rev() {
        let (plain, second) = match letters[at].c {
            c if c.is_ascii() => continue,
            'ı' => ('i', None),
            'ø' => ('o', None),
            'ł' => ('l', None),
            'đ' | 'ð' => ('d', None),
            'ħ' => ('h', None),
            'ŧ' => ('t', None),
            'ə' => ('e', None),
            'æ' => ('a', Some('e')),
            'œ' => ('o', Some('e')),
            c => match arabic(c).or_else(|| digit(c)) {
                Some(plain) => (plain, None),
                None => continue,
            },
        };
        letters[at].c = plain;
        if let Some(c) = second {
            let from = letters[at].from.clone();
            letters.insert(at + 1, Letter { c, from });
        }
    }
}

/// The hamza and the madda on a letter, as in أ, آ, ؤ and ۀ: writers omit them as often as not.
fn is_arabic_seat_mark(c: char) -> bool {
    matches!(c, '\u{653}'..='\u{655}')
}

/// The common form of a letter that Arabic, Persian and Urdu keyboards have in different forms.
fn arabic(c: char) -> Option<char> {
    match c {
        // Alef wasla.
        '\u{671}' => Some('\u{627}'),
        // Alef maksura and the Persian yeh.
        '\u{649}' | '\u{6cc}' => Some('\u{64a}'),
        // The Persian kaf and the swash kaf.
        '\u{6a9}' | '\u{6aa}' => Some('\u{643}'),
        // Teh marbuta, heh goal, teh marbuta goal and the heh of other alphabets, which is also that of ۀ. Not the heh
        // of Urdu aspirates.
        '\u{629}' | '\u{6c1}' | '\u{6c3}' | '\u{6d5}' => Some('\u{647}'),
        _ => None,
    }
}

fn digit(c: char) -> Option<char> {
    let zero = ZEROS.iter().find(|zero| (**zero..).take(10).any(|digit| digit == c))?;
    char::from_digit(u32::from(c) - u32::from(*zero), 10)
}
