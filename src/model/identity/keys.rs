//! Candidate keys: hashes by which a store finds the participants that may be one with another.
//!
//! A token has the classes of its first consonants: spellings of one name, also in two scripts, mostly agree in them. A
//! pair key is the hash of the classes of two tokens of a name. Ambiguous letters, such as the Latin c, and given names
//! with short forms give a token several variants, so that a pair of tokens gives several keys.

use super::{
    fold::Script,
    given_names,
    name::{Name, NameToken},
    profile::Profile,
    sound::{self, Sound},
};
use crate::pb::participant::Kind;

/// Maximum number of pair keys of a participant.
pub const MAX_PAIR_KEYS: usize = 64;
/// Maximum number of single keys of a participant.
pub const MAX_SINGLE_KEYS: usize = 32;

/// Maximum number of consonants of a token in a key.
const MAX_CONSONANTS: usize = 3;
/// Maximum number of variants of a token.
const MAX_VARIANTS: usize = 8;
/// Maximum number of tokens of a name that are paired.
const MAX_TOKENS: usize = 6;

/// The candidate keys of a participant, sorted and without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CandidateKeys {
    /// Of pairs of tokens, and of whole names. Participants that [`super::compare()`] calls confident share a key, but for
    /// rare spellings.
    pub pairs: Vec<i64>,
    /// Of single tokens: for participants without a pair in common. The rarest are the most useful.
    pub singles: Vec<i64>,
}

impl CandidateKeys {
    /// The same keys in a space of their own, for participants that the rule leaves alone: they are found by
    /// MatchParticipants, and do not make a key too common for the others.
    #[must_use]
    pub fn apart(mut self) -> Self {
        for key in self.pairs.iter_mut().chain(&mut self.singles) {
            *key = !*key;
        }
        self
    }
}

/// A key with its rank: keys of lower rank are kept if there are too many.
type Ranked = (usize, i64);

/// The candidate keys of a participant: FNV-1a hashes of 64 bits.
pub fn candidate_keys(profile: &Profile) -> CandidateKeys {
    let (mut pairs, mut singles): (Vec<Ranked>, Vec<Ranked>) = (Vec::new(), Vec::new());
    for name in &profile.names {
        pairs.push((0, hash(&["name", &name.door])));
        if profile.kind == Kind::Person as i32 {
            push_person(name, &mut pairs, &mut singles);
        } else {
            push_organization(name, &mut pairs, &mut singles);
        }
    }
    CandidateKeys { pairs: bounded(pairs, MAX_PAIR_KEYS), singles: bounded(singles, MAX_SINGLE_KEYS) }
}

/// The keys of the lowest ranks, sorted.
fn bounded(mut ranked: Vec<Ranked>, limit: usize) -> Vec<i64> {
    ranked.sort_unstable();
    let mut keys: Vec<i64> = Vec::with_capacity(limit);
    for (_, key) in ranked {
        if keys.len() < limit && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.sort_unstable();
    keys
}

fn push_organization(name: &Name, pairs: &mut Vec<Ranked>, singles: &mut Vec<Ranked>) {
    let mut texts: Vec<&str> = name.tokens.iter().map(|token| token.text.as_str()).collect();
    texts.sort_unstable();
    pairs.push((1, hash(&texts)));
    for (rank, token) in name.tokens.iter().enumerate().filter(|(_, token)| token.length > 2) {
        singles.push((rank, hash(&["word", &token.text])));
    }
}

/// A token, or a run of tokens that may be written together.
struct WordPart {
    /// The tokens that it covers, as bits.
    covers: u32,
    rank: usize,
    variants: Vec<String>,
}

fn push_person(name: &Name, pairs: &mut Vec<Ranked>, singles: &mut Vec<Ranked>) {
    let tokens = split_syllables(name);
    let tokens: Vec<&NameToken> = tokens.iter().filter(|token| !token.is_initial).take(MAX_TOKENS).collect();
    let mut parts: Vec<WordPart> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let rank = usize::from(token.may_miss) * 2;
        parts.push(WordPart { covers: 1 << at, rank, variants: variants(&token.sounds, Some(token)) });
        if let Some(next) = tokens.get(at + 1) {
            let mut sounds = token.sounds.clone();
            next.sounds.iter().for_each(|sound| sound::push(&mut sounds, sound.0));
            parts.push(WordPart { covers: 3 << at, rank: 2, variants: variants(&sounds, None) });
        }
    }
    for (at, part) in parts.iter().enumerate() {
        for other in &parts[at + 1..] {
            if part.covers & other.covers == 0 {
                push_pair(part, other, pairs);
            }
        }
        for (rank, variant) in part.variants.iter().enumerate().filter(|(_, variant)| variant.len() >= 2) {
            singles.push((rank + part.rank, hash(&["one", variant])));
        }
    }
    let whole: Vec<Sound> = tokens.iter().flat_map(|token| token.sounds.iter().copied()).collect();
    for (rank, variant) in skeletons(&whole, 8).into_iter().enumerate().take(4) {
        pairs.push((rank + 1, hash(&["whole", &variant])));
    }
}

fn push_pair(part: &WordPart, other: &WordPart, pairs: &mut Vec<Ranked>) {
    for (rank, variant) in part.variants.iter().enumerate() {
        for (other_rank, second) in other.variants.iter().enumerate() {
            let (low, high) = if variant <= second { (variant, second) } else { (second, variant) };
            pairs.push((rank + other_rank + part.rank + other.rank, hash(&["pair", low, high])));
        }
    }
}

/// The tokens of a name. A name in Han or Hangul without spaces is split behind the family name.
fn split_syllables(name: &Name) -> Vec<NameToken> {
    let [token] = &name.tokens[..] else { return name.tokens.clone() };
    let is_native = matches!(token.script, Script::Han | Script::Hangul) && (2..=4).contains(&token.length);
    if !is_native {
        return name.tokens.clone();
    }
    token.syllables().into_iter().take(2).collect()
}

/// The variants of a token: by its consonants, and by the groups of a given name.
fn variants(sounds: &[Sound], token: Option<&NameToken>) -> Vec<String> {
    let mut variants = skeletons(sounds, MAX_CONSONANTS);
    variants.truncate(MAX_VARIANTS);
    let groups = token.map_or(&[][..], |token| token.groups);
    variants.extend(groups.iter().take(3).map(|membership| given_names::head(membership.group).to_owned()));
    variants
}

/// The classes of the first consonants, in all readings, the likeliest first.
fn skeletons(sounds: &[Sound], length: usize) -> Vec<String> {
    // A reading, with the number of unlikely choices in it.
    let mut readings: Vec<(usize, Vec<u8>)> = vec![(0, Vec::new())];
    for sound in sounds {
        let classes = sound::classes(*sound);
        if classes.is_empty() {
            continue;
        }
        let mut next = Vec::with_capacity(readings.len() * classes.len());
        for (rank, reading) in &readings {
            for (choice, &class) in classes.iter().enumerate() {
                let mut reading = reading.clone();
                if class != 0 && reading.len() < length && reading.last() != Some(&class) {
                    reading.push(class);
                }
                next.push((rank + choice, reading));
            }
        }
        next.sort();
        next.dedup_by(|a, b| a.1 == b.1);
        next.truncate(16);
        readings = next;
    }
    let digits = |reading: Vec<u8>| reading.into_iter().map(|class| char::from(b'0' + class)).collect();
    let mut skeletons: Vec<String> = readings.into_iter().map(|(_, reading)| digits(reading)).collect();
    let mut seen = std::collections::HashSet::new();
    skeletons.retain(|skeleton| seen.insert(skeleton.clone()));
    skeletons
}

/// FNV-1a of the parts, each followed by a byte that no text has.
fn hash(parts: &[&str]) -> i64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}
