//! Name keys, of names and other short texts: texts that differ only in spelling have equal keys.

use std::sync::LazyLock;

use unicode_normalization::char::is_combining_mark;

use super::letters::{Clusters, compose};

/// The name key of a text: compatibility-normalised, fully case-folded, without invisible characters, and with runs of
/// white space replaced by one space and trimmed. Empty if the text has no visible character. Idempotent: `key(key(x))
/// == key(x)`.
///
/// It implements the compatibility caseless match of the Unicode Standard (section 3.13, D146) in NFKC. As in
/// NFKC_Casefold it drops default-ignorable code points, because scraped text contains soft hyphens and zero-width
/// spaces. Accents stay, because they distinguish names.
///
/// The database stores these keys: of participants' names, of the `place.locality` and `announcement.by` of meetings,
/// and of the texts of articles (`copies::text_key`). A change of the result requires a new `letters::VERSION`, which
/// makes the service recompute them all.
pub fn key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    write_key(text, &mut key);
    key
}

/// Writes the key of `text` into `key`, reusing its allocation. For callers that compute many keys and keep few.
pub fn write_key(text: &str, key: &mut String) {
    key.clear();
    if is_plain(text.as_bytes()) {
        key.push_str(text);
        return key.make_ascii_lowercase();
    }
    let letters = &**LETTERS;
    let mut follows_space = false;
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
            follows_space = !key.is_empty();
            continue;
        }
        if follows_space {
            key.push(' ');
            follows_space = false;
        }
        key.push(letter);
    }
}

/// True if a text is printable ASCII with no white space to collapse or trim. It has no early exit, so that the
/// compiler can vectorise it.
fn is_plain(text: &[u8]) -> bool {
    let shifted = text.get(1..).unwrap_or_default();
    let has_other = text.iter().fold(false, |found, byte| found | !(b' '..0x7f).contains(byte));
    let has_gap = text.iter().zip(shifted).fold(false, |found, pair| found | (*pair.0 == b' ' && *pair.1 == b' '));
    !has_other && !has_gap && text.first() != Some(&b' ') && text.last() != Some(&b' ')
}

/// The folded form of each letter of the Latin, Greek and Cyrillic scripts that always folds to a single letter,
/// regardless of its neighbours. Nearly every name consists of these; folding a name in full takes microseconds.
static LETTERS: LazyLock<Box<[char]>> = LazyLock::new(|| {
    let letter = |c: char| {
        // Between other letters, because white space at the ends is trimmed.
        let folded = folded(&format!("x{c}x"));
        let mut letters = folded.strip_prefix('x').and_then(|rest| rest.strip_suffix('x')).unwrap_or_default().chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if !is_combining_mark(c) && !is_combining_mark(letter) => letter,
            _ => NO_LETTER,
        }
    };
    ('\0'..END_OF_LETTERS).map(letter).collect()
});
const END_OF_LETTERS: char = '\u{530}';
const NO_LETTER: char = '\0';

/// The key without the shortcuts for common letters.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut letters = Vec::new();
    for cluster in Clusters::of(text) {
        cluster.fold(&mut letters);
        compose(&mut letters);
        folded.extend(letters.iter().map(|letter| letter.c));
    }
    collapse_spaces(&folded)
}

fn collapse_spaces(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    collapsed
}

#[cfg(test)]
mod tests {
    use caseless::Caseless;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;
    use crate::model::text::letters::sample::characters;

    #[test]
    fn key_is_equal_for_spellings_of_the_same_name() {
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
    fn key_differs_for_different_names() {
        for (a, b) in [("Kərim", "Kerim"), ("Veliyev", "Valiyev"), ("ı", "i"), ("a b", "ab")] {
            assert_ne!(key(a), key(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn key_is_empty_for_an_invisible_name() {
        assert_eq!(key(" \t\u{a0}\u{3000}\u{200b}"), "");
    }

    #[test]
    fn key_equals_the_full_folding_for_every_tabled_letter() {
        let letters: Vec<char> = ('\0'..END_OF_LETTERS).collect();
        for (at, &c) in letters.iter().enumerate() {
            // Next to letters near and far, and where white space is collapsed.
            for other in [letters[(at + 1) % letters.len()], letters[at * 7 % letters.len()], 'e', ' ', '\u{a0}'] {
                for text in [format!("{c}{other}"), format!("{other}{c} "), format!(" {c}\t {other}{c}")] {
                    assert_eq!(key(&text), folded(&text), "{text:?}");
                }
            }
        }
        let simple = ["Kərim Vəliyev", "Валерий Герасимов", "Γιώργος", "Łukasz Żółć", "Müller"];
        assert!(simple.iter().all(|name| name.chars().all(|c| c == ' ' || LETTERS[c as usize] != NO_LETTER)));
    }

    /// The key function of release 0.1.0. Databases hold its results.
    fn key_of_0_1_0(text: &str) -> String {
        let visible = visible_characters(text);
        let folded: String = visible.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect();
        collapse_spaces(&folded)
    }

    fn visible_characters(text: &str) -> impl Iterator<Item = char> {
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
    fn key_equals_that_of_release_0_1_0_for_every_character() {
        for c in characters() {
            for text in [format!("{c}"), format!("x{c}\u{345}\u{301}"), format!("\u{1100}{c} {c}\u{327}")] {
                assert_eq!(key(&text), key_of_0_1_0(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn key_is_idempotent_for_every_character_of_living_scripts() {
        for c in ('\0'..='\u{33ff}').chain('\u{f900}'..='\u{ffff}').chain('\u{1d400}'..='\u{1d7ff}') {
            // Next to a combining mark and a space, where normalising and collapsing could move something.
            for text in [format!("{c}"), format!("x{c}\u{345}\u{301}"), format!("x {c} ")] {
                let once = key(&text);
                assert_eq!(key(&once), once, "{text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn key_is_idempotent(text in any::<String>()) {
            let once = key(&text);
            prop_assert_eq!(key(&once), once);
        }

        #[test]
        fn key_equals_that_of_release_0_1_0(text in any::<String>()) {
            prop_assert_eq!(key(&text), key_of_0_1_0(&text));
        }

        #[test]
        fn key_equals_the_full_folding(text in "[\\u{0}-\\u{530} ]{0,12}") {
            prop_assert_eq!(key(&text), folded(&text));
        }

        #[test]
        fn key_ignores_letter_case(text in "[a-zA-Zа-яА-Яα-ωΑ-Ω ]{0,20}") {
            prop_assert_eq!(key(&text.to_uppercase()), key(&text.to_lowercase()));
        }
    }
}
