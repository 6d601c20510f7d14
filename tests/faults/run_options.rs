//! The seed and length of a run.

use super::rng::Chance;

/// The seed of all random choices of a run, and its length.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    /// True if there is time for many rounds.
    pub is_long: bool,
}

impl Plan {
    /// The number of rounds, for a part that needs at least this many.
    pub fn rounds(self, least: usize) -> usize {
        if self.is_long { 4 * least } else { least }
    }

    /// The random choices for one part of the run.
    pub fn chance(self, part: &str) -> Chance {
        Chance::of(self.seed, part)
    }
}
