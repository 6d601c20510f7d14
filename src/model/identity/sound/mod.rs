//! Sounds: the common alphabet of all scripts. A letter stands for a set of sounds, because spellings are ambiguous: the
//! Latin c is k, s, ts or dʒ. Two letters agree if their sets have a sound in common.

mod distance;

pub use self::distance::{Scale, distance};

/// A set of sounds, and marks of how easily a spelling omits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sound(pub u32);

macro_rules! sounds {
    ($($name:ident = $bit:expr),* $(,)?) => { $(#[allow(missing_docs)] pub const $name: u32 = 1 << $bit;)* };
}

sounds! {
    P = 0, B = 1, F = 2, V = 3, W = 4, M = 5, N = 6, T = 7, D = 8, TH = 9, S = 10, Z = 11, SH = 12, ZH = 13, CH = 14,
    J = 15, TS = 16, K = 17, G = 18, X = 19, H = 20, L = 21, R = 22, Y = 23, A = 24, E = 25, I = 26, O = 27, U = 28,
    // A sound that is often not written, or is written and not spoken.
    OPTIONAL = 29,
    // A sound that some languages drop in this place: r before a consonant, a consonant at the end.
    SOFT = 30,
}

/// All vowels.
pub const VOWELS: u32 = A | E | I | O | U;
/// All consonants.
pub const CONSONANTS: u32 = (1 << 24) - 1;

impl Sound {
    /// True if it is a vowel only, or a vowel and a glide.
    pub fn is_vowel(self) -> bool {
        self.0 & VOWELS != 0
    }

    /// True if it may be missing.
    pub fn is_optional(self) -> bool {
        self.0 & OPTIONAL != 0
    }

    /// The sounds without marks.
    pub fn set(self) -> u32 {
        self.0 & (VOWELS | CONSONANTS)
    }
}

/// Joins neighbouring vowels, and doubled consonants, into one sound.
pub fn push(sounds: &mut Vec<Sound>, sound: u32) {
    let next = Sound(sound);
    if let Some(last) = sounds.last_mut() {
        let joins_vowel = last.is_vowel() && next.is_vowel();
        if joins_vowel {
            let optional = last.0 & next.0 & OPTIONAL;
            last.0 = ((last.0 | next.0) & !OPTIONAL) | optional;
            return;
        }
        if !next.is_vowel() && !last.is_vowel() && last.set() == next.set() {
            return;
        }
    }
    sounds.push(next);
}

/// Marks the sounds that some languages drop: r after a vowel and not before one, stops and sibilants at the end.
pub fn soften(sounds: &mut [Sound]) {
    for at in 1..sounds.len() {
        let before_vowel = sounds.get(at + 1).is_some_and(|next| next.is_vowel());
        let is_last = at + 1 == sounds.len();
        let set = sounds[at].set();
        let drops = (set & R != 0 && set & !(R | ZH | L) == 0 && sounds[at - 1].is_vowel() && !before_vowel)
            || (is_last && at >= 2 && set & (T | D | S | X | P) != 0 && set & (N | M | L | K) == 0);
        if drops {
            sounds[at].0 |= SOFT;
        }
    }
}

/// The classes of a consonant, for candidate keys, the likeliest first: digits from 1, and 0 for a sound that some
/// spellings lack. Empty for vowels, and for sounds that are mostly left out.
pub fn classes(sound: Sound) -> &'static [u8] {
    let set = sound.set();
    let has = |sounds: u32| set & sounds != 0;
    let is_sibilant = has(S | Z | SH | ZH | CH | J | TS);
    if has(VOWELS) {
        return &[];
    }
    if sound.is_optional() {
        // The s of an x.
        return if is_sibilant && !has(K | G | X | CH) { &[3, 0] } else { &[] };
    }
    let is_soft = sound.0 & SOFT != 0;
    match set {
        _ if has(P | B | F | V) && (has(W) || is_soft) => &[1, 0],
        _ if has(P | B | F | V) => &[1],
        _ if has(M | N) && has(L | R) => &[6, 5],
        _ if has(M | N) => &[5],
        _ if has(L | R) && is_soft => &[6, 0],
        _ if has(L | R) => &[6],
        _ if has(T | D) && (is_sibilant || has(TH)) && is_soft => &[2, 0, 3],
        _ if has(T | D) && (is_sibilant || has(TH)) => &[2, 3],
        _ if has(T | D) && is_soft => &[2, 0],
        _ if has(T | D) => &[2],
        _ if is_sibilant && has(K | G) => &[4, 3],
        _ if is_sibilant && (has(Y | H) || is_soft) => &[3, 0],
        _ if is_sibilant => &[3],
        _ if has(K | G | X) && (has(H) || is_soft) => &[4, 0],
        _ if has(K | G | X) => &[4],
        _ => &[],
    }
}
