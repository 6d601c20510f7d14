//! Pseudorandom numbers that a seed reproduces.

use std::{env, time::SystemTime};

/// The environment variable with the seed of a run to repeat.
const VARIABLE: &str = "READOUT_SEED";

/// The SplitMix64 generator (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The seed in `READOUT_SEED`, otherwise one from the clock.
    pub fn seed() -> u64 {
        let given = env::var(VARIABLE).ok().map(|seed| seed.parse().expect("READOUT_SEED is a number"));
        given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        })
    }

    /// The numbers for one part of a run.
    pub fn of(seed: u64, part: &str) -> Self {
        Self(part.bytes().fold(seed, |state, byte| Self(state ^ u64::from(byte)).next()))
    }

    /// The next number, from 0 up to `bound` exclusively.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True with a probability of one in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
