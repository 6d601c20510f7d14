//! The state of one end of a bidirectional breadth-first search for a chain of meetings.
//!
//! The search expands one level at a time, always at the cheaper end, until a participant reached from one end has met
//! a participant reached from the other. A chain of four meetings then needs only two levels from an end.

use std::collections::HashSet;

use uuid::Uuid;

/// A participant between the ends with more meetings than this is reached, but not expanded.
pub const MAX_MEETINGS: i64 = 50_000;
/// Maximum number of participants reached from one end.
pub const MAX_REACHED: usize = 100_000;

/// One end of a search, with the participants reached from it.
#[derive(Debug, Clone)]
pub struct Frontier {
    /// The participants by their distance from the end in meetings. Level 0 is the end itself.
    levels: Vec<Vec<Uuid>>,
    reached: HashSet<Uuid>,
}

impl Frontier {
    /// An end that has reached only itself.
    pub fn new(end: Uuid) -> Self {
        Self { levels: vec![vec![end]], reached: HashSet::from([end]) }
    }

    /// The distance of the last level, in meetings.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// The participants at this distance, in meetings.
    pub fn level(&self, depth: usize) -> &[Uuid] {
        self.levels.get(depth).map_or(&[], Vec::as_slice)
    }

    /// The participants of the last level.
    pub fn last(&self) -> &[Uuid] {
        self.level(self.depth())
    }

    /// Adds a level with the participants of `met` that were not reached before. Returns false if [`MAX_REACHED`] cut
    /// it.
    pub fn extend(&mut self, met: Vec<Uuid>) -> bool {
        let room = MAX_REACHED.saturating_sub(self.reached.len());
        let mut level: Vec<Uuid> = met.into_iter().filter(|participant| !self.reached.contains(participant)).collect();
        level.sort_unstable();
        level.dedup();
        let fits = level.len() <= room;
        level.truncate(room);
        self.reached.extend(&level);
        self.levels.push(level);
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: impl Iterator<Item = usize>) -> Vec<Uuid> {
        numbers.map(|number| Uuid::from_u128(number as u128)).collect()
    }

    #[test]
    fn extend_adds_only_participants_not_reached_before() {
        let mut end = Frontier::new(Uuid::from_u128(5));
        assert!(end.extend(ids([7, 5, 6, 7].into_iter())));
        assert!(end.extend(ids([6, 8, 5].into_iter())));
        assert_eq!(end.depth(), 2);
        assert_eq!((end.level(1), end.last()), (&*ids(6..8), &*ids(8..9)));
        assert!(end.extend(ids(5..9)) && end.last().is_empty());
        assert!(end.level(9).is_empty());
    }

    #[test]
    fn extend_cuts_the_level_at_max_reached() {
        let mut end = Frontier::new(Uuid::nil());
        assert!(end.extend(ids(0..MAX_REACHED)));
        assert!(!end.extend(ids(MAX_REACHED - 1..MAX_REACHED + 1)));
        assert!(end.last().is_empty());
        let mut end = Frontier::new(Uuid::nil());
        assert!(!end.extend(ids(0..MAX_REACHED + 1)));
        assert_eq!(end.last().len(), MAX_REACHED - 1);
    }
}
