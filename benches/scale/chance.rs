//! Chance that can be had again, and in the shapes that the real records have.

#[path = "../../tests/faults/chance.rs"]
#[allow(dead_code)]
mod seeded;

pub use self::seeded::Chance;

/// All that is generated and asked follows from it.
pub const SEED: u64 = 20_200_904;

/// The chance of one thing among others of its kind.
pub fn chance_of(kind: &str, number: usize) -> Chance {
    Chance::of(SEED + ((number as u64) << 16), kind)
}

pub fn one_of<'a, T>(chance: &mut Chance, all: &'a [T]) -> &'a T {
    &all[chance.below(all.len() as u64) as usize]
}

/// A rank below `count`: how often one comes is in proportion to one over it (Zipf's law), as it nearly is for people and
/// for countries. The power of a number from 0 to 1 has that distribution.
pub fn rank(chance: &mut Chance, count: usize) -> usize {
    let part = chance.below(1 << 52) as f64 / (1_u64 << 52) as f64;
    (((count + 1) as f64).powf(part) as usize - 1).min(count - 1)
}
