//! When two names, or other short texts, are the same but for how they are written.

use std::sync::LazyLock;

use unicode_normalization::char::is_combining_mark;

use super::letters::{Clusters, compose};

/// What a text is compared by: compatibility-normalised, fully case-folded, without characters that are not seen,
/// and with white space squeezed and trimmed. Empty if nothing can be seen of it. `key(key(x)) == key(x)`.
///
/// It is the compatibility caseless match of the Unicode Standard (section 3.13, D146) in NFKC, without
/// default-ignorable code points as in NFKC_Casefold: soft hyphens and zero-width spaces survive in scraped text. Accents
/// stay: they tell names apart.
///
/// The database holds such keys: of participants' names, of the `place.locality` and `announcement.by` of meetings, and of
/// the texts of articles (`copies::text_key`). A change of the result needs a new `letters::VERSION`, with which all of
/// these are made again.
pub fn key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    write_key(text, &mut key);
    key
}

/// The same, in place of what `key` has: for those who make many and keep few.
pub fn write_key(text: &str, key: &mut String) {
    key.clear();
    if is_plain(text.as_bytes()) {
        key.push_str(text);
        return key.make_ascii_lowercase();
    }
    let letters = &**LETTERS;
    let mut is_behind_space = false;
    for c in text.chars() {
        let letter = match letters.get(c as usize) {
            _ if c.is_ascii() => c.to_ascii_lowercase(),
            Some(&letter) if letter != NO_LETTER => letter,
            _ => {
                key.clear();
                return key.push_str(&folded(text));
            }
        };
        if letter.is_whitespace() {
            is_behind_space = !key.is_empty();
            continue;
        }
        if is_behind_space {
            key.push(' ');
            is_behind_space = false;
        }
        key.push(letter);
    }
}

/// Whether a text is of ASCII with nothing to squeeze. Without an early end, which lets the compiler look at many bytes
/// at once.
fn is_plain(text: &[u8]) -> bool {
    let behind = text.get(1..).unwrap_or_default();
    let has_other = text.iter().fold(false, |found, byte| found | !(b' '..0x7f).contains(byte));
    let has_gap = text.iter().zip(behind).fold(false, |found, two| found | (*two.0 == b' ' && *two.1 == b' '));
    !has_other && !has_gap && text.first() != Some(&b' ') && text.last() != Some(&b' ')
}

/// What the letters of the Latin, Greek and Cyrillic scripts fold to: those that fold to one letter, whatever stands
/// beside them. Nearly every name is made of these, and folding it in full takes microseconds.
static LETTERS: LazyLock<Box<[char]>> = LazyLock::new(|| {
    let letter = |c: char| {
        // Between others, where white space would stay.
        let folded = folded(&format!("x{c}x"));
        let mut letters = folded.strip_prefix('x').and_then(|rest| rest.strip_suffix('x')).unwrap_or_default().chars();
        match (letters.next(), letters.next()) {
            (Some(one), None) if !is_combining_mark(c) && !is_combining_mark(one) => one,
            _ => NO_LETTER,
        }
    };
    ('\0'..END_OF_LETTERS).map(letter).collect()
});
const END_OF_LETTERS: char = '\u{530}';
const NO_LETTER: char = '\0';

/// The key in full.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut letters = Vec::new();
    for cluster in Clusters::of(text) {
        cluster.fold(&mut letters);
        compose(&mut letters);
        folded.extend(letters.iter().map(|letter| letter.c));
    }
    squeeze(&folded)
}

fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !squeezed.is_empty() {
            squeezed.push(' ');
        }
        squeezed.push_str(word);
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use caseless::Caseless;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;
    use crate::model::text::letters::sample::characters;

    #[test]
    fn ways_of_writing_one_name_have_one_key() {
        for (a, b) in [
            ("Karim  Valiyev ", "\tkarim valiyev"),
            ("KARIM\u{a0}VALIYEV", "karim valiyev"),
            ("Vali\u{ad}yev\u{200b}", "valiyev"),
            ("Straße", "STRASSE"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("Ə\u{301}", "ə\u{301}"),
            ("\u{e9}", "E\u{301}"),
            ("\u{1fc3}", "\u{3b7}\u{345}"),
            ("ﬁ", "FI"),
            ("Ⅷ", "viii"),
            ("Ｋａｒｉｍ", "karim"),
            ("Валиев", "ВАЛИЕВ"),
        ] {
            assert_eq!(key(a), key(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn different_names_have_different_keys() {
        for (a, b) in [("Kərim", "Kerim"), ("Veliyev", "Valiyev"), ("ı", "i"), ("a b", "ab")] {
            assert_ne!(key(a), key(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_seen_has_an_empty_key() {
        assert_eq!(key(" \t\u{a0}\u{3000}\u{200b}"), "");
    }

    #[test]
    fn letters_fold_alone_as_they_fold_in_full() {
        let letters: Vec<char> = ('\0'..END_OF_LETTERS).collect();
        for (at, &c) in letters.iter().enumerate() {
            // Beside letters near and far, and where white space is squeezed.
            for other in [letters[(at + 1) % letters.len()], letters[at * 7 % letters.len()], 'e', ' ', '\u{a0}'] {
                for text in [format!("{c}{other}"), format!("{other}{c} "), format!(" {c}\t {other}{c}")] {
                    assert_eq!(key(&text), folded(&text), "{text:?}");
                }
            }
        }
        let simple = ["Kərim Vəliyev", "Валерий Герасимов", "Γιώργος", "Łukasz Żółć", "Müller"];
        assert!(simple.iter().all(|name| name.chars().all(|c| c == ' ' || LETTERS[c as usize] != NO_LETTER)));
    }

    /// The keys of release 0.1.0, which databases hold.
    fn former(text: &str) -> String {
        let seen = key_characters(text);
        let folded: String = seen.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect();
        squeeze(&folded)
    }

    fn key_characters(text: &str) -> impl Iterator<Item = char> {
        text.chars().filter(|&c| {
            !matches!(c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}')
        })
    }

    #[test]
    fn a_key_is_what_it_was_for_every_character() {
        for c in characters() {
            for text in [format!("{c}"), format!("x{c}\u{345}\u{301}"), format!("\u{1100}{c} {c}\u{327}")] {
                assert_eq!(key(&text), former(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn a_key_is_its_own_key_for_every_character_of_living_scripts() {
        for c in ('\0'..='\u{33ff}').chain('\u{f900}'..='\u{ffff}').chain('\u{1d400}'..='\u{1d7ff}') {
            // Beside a combining mark and a space, where normalising and squeezing could move something.
            for text in [format!("{c}"), format!("x{c}\u{345}\u{301}"), format!("x {c} ")] {
                let once = key(&text);
                assert_eq!(key(&once), once, "{text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_key_is_its_own_key(text in any::<String>()) {
            let once = key(&text);
            prop_assert_eq!(key(&once), once);
        }

        #[test]
        fn a_key_is_what_it_was(text in any::<String>()) {
            prop_assert_eq!(key(&text), former(&text));
        }

        #[test]
        fn a_key_is_the_same_in_short(text in "[\\u{0}-\\u{530} ]{0,12}") {
            prop_assert_eq!(key(&text), folded(&text));
        }

        #[test]
        fn letter_case_does_not_matter(text in "[a-zA-Zа-яА-Яα-ωΑ-Ω ]{0,20}") {
            prop_assert_eq!(key(&text.to_uppercase()), key(&text.to_lowercase()));
        }
    }
}
