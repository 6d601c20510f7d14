//! The value of two tokens: how surely they are one name.

use super::{
    super::{
        fold::Script,
        given_names,
        name::NameToken,
        sound::{self, Scale, Sound},
    },
    ReasonKind,
};

/// How names of a pair are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// By their bearers in Latin letters: another spelling is another name.
    Native,
    /// By transliteration: one name has many spellings.
    Respelled,
}

/// The value of a pair of tokens, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenMatch {
    pub value: f32,
    pub kind: ReasonKind,
}

/// From this value on, a match is strong.
pub const STRONG: f32 = 0.8;
/// From this value on, a match of sounds in two scripts is strong, if the mean of all is `SURE_ACROSS`.
pub const STRONG_ACROSS: f32 = 0.72;
/// The least mean likeness of two names in two scripts that are one, and of tokens that one side writes together.
pub const SURE_ACROSS: f32 = 0.85;
/// The least value of accents alone.
pub const ACCENTS: f32 = 0.96;

/// Compares two tokens. None if they have nothing in common.
pub fn compare(a: &NameToken, b: &NameToken, spelling: Spelling) -> Option<TokenMatch> {
    let matched = |value, kind| Some(TokenMatch { value, kind });
    if a.is_initial || b.is_initial {
        return initial(a, b);
    }
    if a.text == b.text {
        return matched(1., ReasonKind::EqualToken);
    }
    if a.has_digit || b.has_digit {
        return None;
    }
    if a.gender.is_some() && b.gender.is_some() && a.gender != b.gender {
        return None;
    }
    if a.script != b.script {
        return across_scripts(a, b);
    }
    if slavic_suffixes_differ(&a.text, &b.text) {
        return None;
    }
    if a.expanded == b.text || a.text == b.expanded || a.expanded == b.expanded {
        return matched(0.97, ReasonKind::Romanisation);
    }
    if given_names::are_variants(a.groups, b.groups, spelling == Spelling::Respelled)
        || is_latin_form(&a.text, &b.text)
        || is_latin_form(&b.text, &a.text)
    {
        return matched(0.9, ReasonKind::Variant);
    }
    match spelling {
        Spelling::Native => {
            if a.length.min(b.length) >= 8
                && (undoubled(&a.text) == undoubled(&b.text) || is_exchange(&a.text, &b.text))
            {
                return matched(0.85, ReasonKind::Typo);
            }
            let near = a.length.min(b.length) >= 5 && is_one_edit(&a.text, &b.text);
            near.then_some(TokenMatch { value: 0.6, kind: ReasonKind::Typo })
        }
        Spelling::Respelled => respelled(a, b),
    }
}

/// Two spellings in one script.
fn respelled(a: &NameToken, b: &NameToken) -> Option<TokenMatch> {
    let matched = |value, kind| Some(TokenMatch { value, kind });
    let cost = sound::distance(&a.sounds, &b.sounds, &Scale::ROMANISED);
    let length = a.length.min(b.length);
    if cost < 0.01 {
        return matched(0.95, ReasonKind::Romanisation);
    }
    if cost <= 0.3 && length >= 4 {
        return matched(0.9, ReasonKind::Sound);
    }
    if cost <= 0.5 && length >= 6 {
        return matched(0.86, ReasonKind::Sound);
    }
    if length >= 6 && is_one_edit(&a.text, &b.text) {
        return matched(0.83, ReasonKind::Typo);
    }
    let bound = 0.2 * weight(&a.sounds).max(weight(&b.sounds));
    (cost <= bound).then_some(TokenMatch { value: 0.6, kind: ReasonKind::Sound })
}

/// True for family names such as Ivanov and Ivanev, or Nikolaev and Nikolov: two names, not two spellings.
fn slavic_suffixes_differ(a: &str, b: &str) -> bool {
    let suffix = |text: &str| {
        let stem = text.trim_end_matches('a').strip_suffix('v')?;
        let vowels = stem.len() - stem.trim_end_matches(['a', 'e', 'i', 'o', 'u', 'y']).len();
        let before = stem[..stem.len() - vowels].chars().next_back();
        // After sibilants, ё is written e or o.
        let is_free = before.is_some_and(|c| matches!(c, 'h' | 's' | 'z' | 'c' | 'j'));
        let spoken = stem[stem.len() - vowels..].replace(['i', 'y'], "");
        (vowels > 0 && !is_free).then_some(spoken)
    };
    suffix(a).zip(suffix(b)).is_some_and(|(a, b)| a != b)
}

/// Spellings in two scripts: by sounds alone.
fn across_scripts(a: &NameToken, b: &NameToken) -> Option<TokenMatch> {
    let likeness = likeness(&a.sounds, &b.sounds, scale(a.script, b.script));
    let kind = ReasonKind::Sound;
    if given_names::are_variants(a.groups, b.groups, true) {
        return Some(TokenMatch { value: 0.9, kind: ReasonKind::Variant });
    }
    match likeness {
        _ if likeness >= 0.5 => Some(TokenMatch { value: likeness.min(0.95), kind }),
        _ => None,
    }
}

/// The scale for two scripts.
pub fn scale(a: Script, b: Script) -> &'static Scale {
    let writes_all = |script| matches!(script, Script::Latin | Script::European);
    if writes_all(a) && writes_all(b) { &Scale::SCRIPTS } else { &Scale::LOOSE }
}

/// How alike two words sound, from 0 to 1.
pub fn likeness(a: &[Sound], b: &[Sound], scale: &Scale) -> f32 {
    let cost = sound::distance(a, b, scale);
    (1. - cost / weight(a).max(weight(b)).max(1.)).max(0.)
}

/// The number of consonants, with a part of each vowel.
fn weight(sounds: &[Sound]) -> f32 {
    let weight = |sound: &Sound| match sound {
        sound if sound.is_optional() => 0.05,
        sound if sound.is_vowel() => 0.25,
        _ => 1.,
    };
    sounds.iter().map(weight).sum()
}

fn initial(a: &NameToken, b: &NameToken) -> Option<TokenMatch> {
    let agrees = match (a.is_initial, b.is_initial) {
        (true, true) => a.text == b.text,
        (true, false) => stands_for(a, b),
        (false, _) => stands_for(b, a),
    };
    agrees.then_some(TokenMatch { value: 0.5, kind: ReasonKind::Initial })
}

fn stands_for(initial: &NameToken, full: &NameToken) -> bool {
    if initial.script == full.script {
        return full.text.chars().next() == initial.text.chars().next();
    }
    let first = |token: &NameToken| token.sounds.first().map_or(0, |sound| sound.set());
    first(initial) & first(full) != 0
}

/// True if `latin` is the Latin form of a given name: "Darius" of "Dario", "Damianus" of "Damian".
fn is_latin_form(latin: &str, name: &str) -> bool {
    given_names::latin_stems(latin)
        .any(|stem| name.strip_prefix(stem).is_some_and(|rest| matches!(rest, "" | "o" | "e" | "i" | "io" | "y")))
}

fn undoubled(text: &str) -> String {
    let mut last = None;
    text.chars().filter(|c| last.replace(*c) != Some(*c)).collect()
}

/// True if two neighbouring letters are exchanged.
fn is_exchange(a: &str, b: &str) -> bool {
    a.len() == b.len() && a != b && is_one_edit(a, b) && {
        let sorted = |text: &str| {
            let mut letters: Vec<char> = text.chars().collect();
            letters.sort_unstable();
            letters
        };
        sorted(a) == sorted(b)
    }
}

/// True if one letter is changed, missing, added, or exchanged with the next.
pub fn is_one_edit(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let before = a.iter().zip(&b).take_while(|(left, right)| left == right).count();
    let (a, b) = (&a[before..], &b[before..]);
    let after = a.iter().rev().zip(b.iter().rev()).take_while(|(left, right)| left == right).count();
    let (a, b) = (&a[..a.len() - after], &b[..b.len() - after]);
    a.len().max(b.len()) <= 1 || (a.len() == 2 && b.len() == 2 && a[0] == b[1] && a[1] == b[0])
}
