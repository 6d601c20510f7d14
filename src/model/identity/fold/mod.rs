//! Folds a name into words: letters without accents, and sounds. Each script has its own table; `any_ascii` serves
//! those without.

mod asian;
mod european;
mod latin;
mod semitic;

use unicode_normalization::UnicodeNormalization;

use super::{
    door,
    sound::{self, Sound},
};

/// The script of a word, as far as the rule treats scripts differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Script {
    /// Latin.
    Latin,
    /// Cyrillic, Greek, Georgian, Armenian: letters for all sounds.
    European,
    /// Arabic, Hebrew: few vowels.
    Semitic,
    /// Scripts of India: an inherent vowel.
    Indic,
    /// Hangul.
    Hangul,
    /// Katakana, Hiragana: vowels between all consonants.
    Kana,
    /// Han, read as Pinyin.
    Han,
    /// Any other, read by `any_ascii`.
    Other,
}

/// A word of a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The door key of the word, in its own script.
    pub text: String,
    /// The word in Latin letters: accents are written out, as in "Jansha" for "Janša"; other scripts are read by
    /// `any_ascii`, Han in Pinyin.
    pub expanded: String,
    /// The sounds.
    pub sounds: Vec<Sound>,
    /// The script.
    pub script: Script,
    /// True if a hyphen joins it to the word before.
    pub hyphen: bool,
    /// True if a comma stands before it.
    pub comma: bool,
    /// True if it is in brackets.
    pub bracket: bool,
    /// True if it is in upper case and has more than one letter.
    pub upper: bool,
    /// True if it begins in lower case, in a script that has cases.
    pub lower: bool,
}

/// Maximum number of words of a name. A name has 256 characters at most; further words are dropped.
pub const MAX_WORDS: usize = 16;

/// The words of a name.
pub fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut hyphen, mut comma, mut bracket) = (false, false, false);
    let composed: String = text.nfkc().collect();
    for part in composed.split_inclusive(|c: char| !is_letter(c)) {
        let letters = part.trim_end_matches(|c: char| !is_letter(c));
        let count = words.len();
        if count < MAX_WORDS && !letters.is_empty() {
            push_words(letters, &mut words);
            if let Some(word) = words.get_mut(count) {
                (word.hyphen, word.comma) = (hyphen, comma);
            }
            words[count..].iter_mut().for_each(|word| word.bracket = bracket);
            (hyphen, comma) = (false, false);
        }
        match part.chars().next_back().filter(|c| !is_letter(*c)) {
            Some('-' | '\u{2010}'..='\u{2013}' | '\u{5be}') => hyphen = true,
            Some(',' | '\u{60c}') => comma = true,
            Some('(') => bracket = true,
            Some(')') => bracket = false,
            Some(_) | None => {}
        }
    }
    words.truncate(MAX_WORDS);
    words
}

/// True for the characters of a word: letters, digits, marks and apostrophes.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric()
        || unicode_normalization::char::is_combining_mark(c)
        || (matches!(
            c,
            '\'' | '`' | '\u{2b9}'..='\u{2bf}' | '\u{2018}' | '\u{2019}' | '\u{5f3}' | '\u{5f4}' | '\u{200c}' | 'ー'
        )) && c != '\u{30fb}'
}

/// Splits a run of letters where the script changes. Digits and marks belong to the letter before them.
fn push_words(letters: &str, words: &mut Vec<Word>) {
    let mut runs: Vec<Vec<char>> = Vec::new();
    let mut current = None;
    for c in letters.chars() {
        let script = script_of(c);
        let changes = script.is_some() && current.is_some() && script != current;
        current = script.or(current);
        match runs.last_mut().filter(|_| !changes) {
            Some(run) => run.push(c),
            None => runs.push(vec![c]),
        }
    }
    let spoken = runs.iter().filter(|run| run.iter().any(|c| c.is_alphanumeric()));
    words.extend(spoken.map(|run| word(run, script(run))).filter(|word| !word.text.is_empty()));
}

fn script(run: &[char]) -> Script {
    run.iter().find_map(|c| script_of(*c)).unwrap_or(Script::Latin)
}

fn script_of(c: char) -> Option<Script> {
    Some(match c {
        'a'..='z'
        | 'A'..='Z'
        | '\u{c0}'..='\u{24f}'
        | '\u{1e00}'..='\u{1eff}'
        | '\u{250}'..='\u{2af}'
        | '\u{1d00}'..='\u{1d25}'
        | '\u{1d6b}'..='\u{1d9a}'
        | '\u{2c60}'..='\u{2c7f}'
        | '\u{a720}'..='\u{a7ff}'
        | '\u{ab30}'..='\u{ab6f}' => Script::Latin,
        '\u{370}'..='\u{3ff}'
        | '\u{345}'
        | '\u{400}'..='\u{52f}'
        | '\u{531}'..='\u{587}'
        | '\u{10a0}'..='\u{10ff}'
        | '\u{1c80}'..='\u{1cbf}'
        | '\u{1f00}'..='\u{1fff}'
        | '\u{2d00}'..='\u{2d2d}'
        | '\u{a640}'..='\u{a69f}' => Script::European,
        '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6d5}' | '\u{750}'..='\u{77f}' => {
            Script::Semitic
        }
        '\u{900}'..='\u{d7f}' => Script::Indic,
        '\u{ac00}'..='\u{d7a3}' => Script::Hangul,
        '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Script::Kana,
        '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => Script::Han,
        c if c.is_alphabetic() => Script::Other,
        _ => return None,
    })
}

fn word(run: &[char], script: Script) -> Word {
    let text: String = run.iter().collect();
    let lower: Vec<char> = text.to_lowercase().nfc().filter(|c| *c != '\u{307}').collect();
    let mut sounds = Vec::with_capacity(lower.len());
    let mut expanded = match script {
        Script::Latin => String::new(),
        _ => any_ascii::any_ascii(&text),
    };
    match script {
        Script::Latin => {
            latin::sounds(&base_letters(&lower), &mut sounds);
            lower.iter().for_each(|c| expand(*c, &mut expanded));
        }
        Script::European => european::sounds(&unaccented(&lower), &mut sounds),
        Script::Semitic => semitic::sounds(&lower, &mut sounds),
        Script::Indic => asian::indic(&text.nfd().collect::<Vec<_>>(), &mut sounds),
        Script::Hangul => run.iter().for_each(|c| asian::hangul(*c, &mut sounds)),
        Script::Kana => asian::kana(run, &mut sounds),
        Script::Han => {
            // Each syllable begins with a capital.
            let syllables = expanded.split_inclusive(|_: char| true).collect::<Vec<_>>();
            for syllable in syllables.chunk_by(|_, next| !next.starts_with(|c: char| c.is_ascii_uppercase())) {
                asian::pinyin(&syllable.concat().to_ascii_lowercase(), &mut sounds);
            }
        }
        Script::Other => {
            latin::sounds(&expanded.to_ascii_lowercase().chars().collect::<Vec<_>>(), &mut sounds);
        }
    }
    expanded.make_ascii_lowercase();
    sound::soften(&mut sounds);
    let key = door::name_key(&text);
    let letters = || run.iter().filter(|c| c.is_alphabetic());
    Word {
        expanded: if expanded.is_empty() { key.clone() } else { expanded },
        text: key,
        sounds,
        script,
        hyphen: false,
        comma: false,
        bracket: false,
        upper: letters().count() > 1 && letters().all(|c| c.is_uppercase()),
        lower: run.first().is_some_and(|c| c.is_lowercase()),
    }
}

/// Letters of the Latin script without the accents that do not change the sound in the table.
fn base_letters(lower: &[char]) -> Vec<char> {
    let keep = |c: char| {
        matches!(
            c,
            'a'..='z'
                | 'æ'
                | 'ä'
                | 'ə'
                | 'ø'
                | 'ö'
                | 'œ'
                | 'ő'
                | 'å'
                | 'ü'
                | 'ű'
                | 'ı'
                | 'ł'
                | 'đ'
                | 'ß'
                | 'þ'
                | 'ð'
                | 'ŋ'
                | 'š'
                | 'ş'
                | 'ș'
                | 'ś'
                | 'ŝ'
                | 'ž'
                | 'ź'
                | 'ż'
                | 'č'
                | 'ć'
                | 'ĉ'
                | 'ç'
                | 'ğ'
                | 'ģ'
                | 'ġ'
                | 'ñ'
                | 'ň'
                | 'ń'
                | 'ņ'
                | 'ř'
                | 'ť'
                | 'ţ'
                | 'ț'
                | 'ď'
                | 'ķ'
                | 'ļ'
                | 'ľ'
                | 'ë'
                | 'ã'
                | 'ą'
                | 'õ'
                | 'ę'
        )
    };
    lower.iter().flat_map(|&c| if keep(c) { Some(c) } else { c.nfd().next().filter(|c| c.is_alphabetic()) }).collect()
}

/// Cyrillic and Greek letters without accents, except those that form other letters.
fn unaccented(lower: &[char]) -> Vec<char> {
    let keep = |c: char| matches!(c, '\u{430}'..='\u{4ff}') && c != 'ѐ' && c != 'ѝ';
    lower.iter().flat_map(|&c| if keep(c) { Some(c) } else { c.nfd().next() }).filter(|c| c.is_alphabetic()).collect()
}

/// Writes an accented Latin letter as languages without it do.
fn expand(c: char, into: &mut String) {
    let expanded = match c {
        'ä' | 'æ' => "ae",
        'ö' | 'ø' | 'œ' => "oe",
        'ü' => "ue",
        'å' => "aa",
        'ß' => "ss",
        'š' | 'ş' | 'ș' => "sh",
        'ž' => "zh",
        'č' => "ch",
        'ć' | 'ç' => "ch",
        'đ' => "dj",
        'ñ' => "ny",
        'ə' => "a",
        'ı' => "i",
        'ł' => "l",
        'þ' => "th",
        'ð' => "d",
        c if c.is_ascii_alphanumeric() => return into.push(c),
        c => return into.extend(c.nfd().next().filter(|c| c.is_alphanumeric())),
    };
    into.push_str(expanded);
}
