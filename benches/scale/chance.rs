//! Reproducible pseudorandom values, distributed as in the real records.

#[path = "../../tests/faults/rng.rs"]
#[allow(dead_code)]
mod seeded;

pub use self::seeded::Chance;

/// The seed of all generated records and queries.
pub const SEED: u64 = 20_200_904;

/// The random numbers for one record of a kind.
pub fn chance_of(kind: &str, number: usize) -> Chance {
    Chance::of(SEED + ((number as u64) << 16), kind)
}

pub fn one_of<'a, T>(chance: &mut Chance, values: &'a [T]) -> &'a T {
    &values[chance.below(values.len() as u64) as usize]
}

/// A rank below `count`, with a frequency in proportion to its reciprocal (Zipf's law). People and countries nearly
/// follow it. `count` to the power of a uniform number from 0 to 1 has that distribution.
pub fn rank(chance: &mut Chance, count: usize) -> usize {
    let exponent = chance.below(1 << 52) as f64 / (1_u64 << 52) as f64;
    (((count + 1) as f64).powf(exponent) as usize - 1).min(count - 1)
}
