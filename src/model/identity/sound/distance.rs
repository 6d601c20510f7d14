//! The distance of two words in sounds: the cost of the cheapest alignment.

use super::*;

/// The costs of an alignment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Of a vowel instead of another.
    pub vowel: f32,
    /// Of a vowel that only one word has.
    pub vowel_gap: f32,
    /// Of a consonant near the other in sound, as a factor of its nearness.
    pub near: f32,
    /// Of a sound that is often omitted.
    pub optional_gap: f32,
    /// Of a sound that some languages drop in this place.
    pub soft_gap: f32,
}

impl Scale {
    /// For two spellings in one script.
    pub const ROMANISED: Self = Self { vowel: 0.25, vowel_gap: 0.25, near: 1.6, optional_gap: 0.12, soft_gap: 1. };
    /// For spellings in two scripts.
    pub const SCRIPTS: Self = Self { vowel: 0.12, vowel_gap: 0.14, near: 1., optional_gap: 0.06, soft_gap: 0.3 };
    /// For spellings of which a script omits vowels or adds them.
    pub const LOOSE: Self = Self { vowel: 0.08, vowel_gap: 0.05, near: 0.9, optional_gap: 0.03, soft_gap: 0.25 };
}

const MAX_SOUNDS: usize = 40;

/// The distance of two words: 0 if they may sound alike; about 1 for each consonant that differs.
pub fn distance(a: &[Sound], b: &[Sound], scale: &Scale) -> f32 {
    let (a, b) = (&a[..a.len().min(MAX_SOUNDS)], &b[..b.len().min(MAX_SOUNDS)]);
    let mut row = [0_f32; MAX_SOUNDS + 1];
    for (at, &sound) in b.iter().enumerate() {
        row[at + 1] = row[at] + gap(sound, scale);
    }
    for &left in a {
        let left_gap = gap(left, scale);
        let mut diagonal = row[0];
        row[0] += left_gap;
        for (at, &right) in b.iter().enumerate() {
            let above = row[at + 1];
            let kept = diagonal + substitution(left, right, scale);
            row[at + 1] = kept.min(above + left_gap).min(row[at] + gap(right, scale));
            diagonal = above;
        }
    }
    row[b.len()]
}

fn gap(sound: Sound, scale: &Scale) -> f32 {
    match sound.0 {
        set if set & OPTIONAL != 0 => scale.optional_gap,
        set if set & VOWELS != 0 => scale.vowel_gap,
        set if set & SOFT != 0 => scale.soft_gap,
        set if set & !(H | Y | W) & CONSONANTS == 0 => scale.vowel_gap * 1.5,
        _ => 1.,
    }
}

fn substitution(a: Sound, b: Sound, scale: &Scale) -> f32 {
    let (left, right) = (a.set(), b.set());
    if left & right != 0 {
        return 0.;
    }
    if a.is_vowel() && b.is_vowel() {
        return scale.vowel;
    }
    if a.is_vowel() || b.is_vowel() {
        return 2.;
    }
    let near = NEAR.iter().filter(|(x, y, _)| (left & x != 0 && right & y != 0) || (left & y != 0 && right & x != 0));
    let nearest = near.map(|(_, _, cost)| *cost).fold(1., f32::min);
    (nearest * scale.near).min(1.)
}

/// Sounds that languages and scripts confuse, with the cost.
const NEAR: [(u32, u32, f32); 20] = [
    (P, B, 0.3),
    (F, V, 0.3),
    (B, V | W, 0.35),
    (V, W, 0.1),
    (P, F, 0.4),
    (T, D, 0.3),
    (T | D, TH, 0.2),
    (S | Z, TH, 0.35),
    (S, Z, 0.2),
    (S | Z, SH | ZH | TS, 0.35),
    (SH, ZH, 0.35),
    (CH | J, SH | ZH | TS, 0.35),
    (CH, J, 0.35),
    (Z, J, 0.4),
    (K, G | X, 0.35),
    (G, X | H, 0.35),
    (K | X, H, 0.35),
    (M, N, 0.5),
    (L, R, 0.5),
    (J | ZH, Y, 0.5),
];
