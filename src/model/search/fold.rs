//! Letters as they are searched.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// So many bytes of an article, and of a statement, are searched: a `tsvector` holds at most 1 MiB, and each byte of a text
/// of short words makes up to three of these.
pub const MOST_BYTES: usize = 200_000;

/// The words of a text: its letters and digits in lower case, without accents, and with spaces for all else. At most
/// `most` bytes of them.
pub fn fold(text: &str, most: usize) -> String {
    let mut folded = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let whole = folded.len();
        each(c, |letter| folded.push(letter));
        if folded.len() > most {
            folded.truncate(whole);
            break;
        }
    }
    folded
}

/// What one character is folded to: mostly one letter, or a space.
pub(super) fn each(c: char, mut emit: impl FnMut(char)) {
    match c {
        _ if c.is_ascii_alphanumeric() => emit(c.to_ascii_lowercase()),
        _ if c.is_ascii() => emit(' '),
        // Accents that stand for themselves, and what is not seen in the middle of a word.
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => {}
        'ß' | 'ẞ' => "ss".chars().for_each(emit),
        'æ' | 'Æ' => "ae".chars().for_each(emit),
        'œ' | 'Œ' => "oe".chars().for_each(emit),
        'ﬁ' => "fi".chars().for_each(emit),
        'ﬂ' => "fl".chars().for_each(emit),
        _ => {
            let letter = plain(c.to_lowercase().next().unwrap_or(c));
            emit(if letter.is_alphanumeric() || is_combining_mark(letter) { letter } else { ' ' });
        }
    }
}

/// A letter without what is an accent in its script. A Cyrillic short i is a letter of its own, as its stemmer knows it.
fn plain(c: char) -> char {
    match c {
        'ı' => 'i',
        'ø' => 'o',
        'ł' => 'l',
        'đ' | 'ð' => 'd',
        'ħ' => 'h',
        'ŧ' => 't',
        'ə' => 'e',
        'ё' => 'е',
        '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{3ff}' | '\u{1e00}'..='\u{1fff}' => base(c),
        _ => c,
    }
}

fn base(c: char) -> char {
    let mut first = None;
    decompose_canonical(c, |part| {
        first.get_or_insert(part);
    });
    first.unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_the_same_with_and_without_accents() {
        for (text, expected) in [
            ("Nagorno-Karabakh: «peace», 2020!", "nagorno karabakh   peace   2020 "),
            ("Éric négocie à Genève", "eric negocie a geneve"),
            ("Cafe\u{301} re\u{ad}sume\u{301}", "cafe resume"),
            ("İlham Əliyev, Çanakkale'de ışık", "ilham eliyev  canakkale de isik"),
            ("Лавро\u{301}в её Найдёнов", "лавров ее найденов"),
            ("Straße Œuvre Ærø Łódź", "strasse oeuvre aero lodz"),
            ("Μητσοτάκης", "μητσοτακης"),
            ("東京・会談 🕊", "東京 会談  "),
            ("", ""),
        ] {
            assert_eq!(fold(text, MOST_BYTES), expected, "{text}");
        }
    }

    #[test]
    fn a_fold_ends_with_a_whole_letter() {
        assert_eq!(fold("東京", 5), "東");
        assert_eq!(fold("aß", 2), "a");
        assert_eq!(fold("abc", 0), "");
    }

    proptest! {
        #[test]
        fn what_is_folded_is_words_and_spaces(text in any::<String>(), most in 0_usize..100) {
            let folded = fold(&text, most);
            prop_assert!(folded.len() <= most);
            prop_assert!(folded.chars().all(|c| c == ' ' || c.is_alphanumeric() || is_combining_mark(c)));
            prop_assert!(!folded.chars().any(|c| c.is_ascii_uppercase()));
        }
    }
}
