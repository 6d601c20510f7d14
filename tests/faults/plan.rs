//! How a fault is run.

use super::chance::Chance;

/// What the choices of a run depend on, and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    /// Whether there is time for many rounds.
    pub is_long: bool,
}

impl Plan {
    /// How many rounds there are of what is done so often at least.
    pub fn rounds(self, least: usize) -> usize {
        if self.is_long { 4 * least } else { least }
    }

    /// The choices of one part of the run.
    pub fn chance(self, part: &str) -> Chance {
        Chance::of(self.seed, part)
    }
}
