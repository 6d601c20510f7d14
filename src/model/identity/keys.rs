//! Candidate keys: hashes by which a store finds the participants that may be one with another.

use super::profile::Profile;

/// Maximum number of pair keys of a participant.
pub const MAX_PAIR_KEYS: usize = 64;
/// Maximum number of single keys of a participant.
pub const MAX_SINGLE_KEYS: usize = 32;

/// The candidate keys of a participant, sorted and without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CandidateKeys {
    /// Of pairs of tokens. Participants that [`super::compare`] calls confident share one.
    pub pairs: Vec<i64>,
    /// Of single tokens: for participants without a pair in common, rarest first.
    pub singles: Vec<i64>,
}

/// The candidate keys of a participant: FNV-1a, 64 bits.
pub fn candidate_keys(profile: &Profile) -> CandidateKeys {
    let mut pairs: Vec<i64> = profile.door_keys.iter().map(|key| hash(key)).take(MAX_PAIR_KEYS).collect();
    pairs.sort_unstable();
    CandidateKeys { pairs, singles: Vec::new() }
}

fn hash(key: &str) -> i64 {
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash.cast_signed()
}
