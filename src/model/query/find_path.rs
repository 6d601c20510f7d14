//! How far one end of a search for a chain of meetings has come.
//!
//! A search goes from both ends, level by level, until somebody whom the one end has reached met somebody whom the other
//! has: the smaller half of the work each time, so that a chain of four meetings needs no more than the acquaintances of
//! acquaintances of one end.

use std::collections::HashSet;

use uuid::Uuid;

/// Somebody between the ends with more meetings than this is reached, but not gone on from.
pub const MOST_MEETINGS: i64 = 50_000;
/// So many participants are reached from one end, and not more.
pub const MOST_REACHED: usize = 100_000;

/// One end of a search, and whom it has reached.
#[derive(Debug, Clone)]
pub struct SearchEnd {
    /// By how many meetings they are away; the end itself by none.
    levels: Vec<Vec<Uuid>>,
    reached: HashSet<Uuid>,
}

impl SearchEnd {
    /// One that has reached nobody else yet.
    pub fn new(end: Uuid) -> Self {
        Self { levels: vec![vec![end]], reached: HashSet::from([end]) }
    }

    /// How many meetings those who were reached last are away.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// Those who are so many meetings away.
    pub fn level(&self, depth: usize) -> &[Uuid] {
        self.levels.get(depth).map_or(&[], Vec::as_slice)
    }

    /// Those who were reached last.
    pub fn last(&self) -> &[Uuid] {
        self.level(self.depth())
    }

    /// Goes one level on, to those of `met` who were not reached before. Answers whether all of them are.
    pub fn extend(&mut self, met: Vec<Uuid>) -> bool {
        let room = MOST_REACHED.saturating_sub(self.reached.len());
        let mut level: Vec<Uuid> = met.into_iter().filter(|who| !self.reached.contains(who)).collect();
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
    fn an_end_goes_on_to_those_who_were_not_reached_before() {
        let mut end = SearchEnd::new(Uuid::from_u128(5));
        assert!(end.extend(ids([7, 5, 6, 7].into_iter())));
        assert!(end.extend(ids([6, 8, 5].into_iter())));
        assert_eq!(end.depth(), 2);
        assert_eq!((end.level(1), end.last()), (&*ids(6..8), &*ids(8..9)));
        assert!(end.extend(ids(5..9)) && end.last().is_empty());
        assert!(end.level(9).is_empty());
    }

    #[test]
    fn no_more_are_reached_than_may_be() {
        let mut end = SearchEnd::new(Uuid::nil());
        assert!(end.extend(ids(0..MOST_REACHED)));
        assert!(!end.extend(ids(MOST_REACHED - 1..MOST_REACHED + 1)));
        assert!(end.last().is_empty());
        let mut end = SearchEnd::new(Uuid::nil());
        assert!(!end.extend(ids(0..MOST_REACHED + 1)));
        assert_eq!(end.last().len(), MOST_REACHED - 1);
    }
}
