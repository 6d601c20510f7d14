//! The newest changes, kept at hand for all who follow: bounded in number and in bytes.

use std::{collections::VecDeque, sync::Arc};

use super::entry::FeedEntry;

/// The ring holds at most so many changes, and so many bytes as `FeedEntry::weight` counts them.
pub const MOST_CHANGES: usize = 65_536;
pub const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Changes without a hole between them, oldest first.
#[derive(Debug, Default)]
pub struct Ring {
    changes: VecDeque<Arc<FeedEntry>>,
    bytes: usize,
}

impl Ring {
    /// Adds the change after the newest, and lets go of the oldest where the ring is full. One that is here already is
    /// not added again: a tailer that was interrupted reads once more what it has pushed.
    pub fn push(&mut self, told: Arc<FeedEntry>) {
        match self.changes.back().map(|newest| newest.change.position) {
            Some(newest) if told.change.position <= newest => return,
            Some(newest) if told.change.position > newest + 1 => self.clear(),
            _ => {}
        }
        self.bytes += told.weight();
        self.changes.push_back(told);
        while self.changes.len() > MOST_CHANGES || self.bytes > MOST_BYTES && self.changes.len() > 1 {
            if let Some(oldest) = self.changes.pop_front() {
                self.bytes -= oldest.weight();
            }
        }
    }

    /// Lets go of everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// At most `limit` changes after a position, with their records if those are needed; `None` if the next one is
    /// not here, or not with its records.
    pub fn after(&self, position: i64, with_records: bool, limit: usize) -> Option<VecDeque<Arc<FeedEntry>>> {
        let oldest = self.changes.front()?.change.position;
        let index = usize::try_from(position + 1 - oldest).ok().filter(|index| *index < self.changes.len())?;
        let fits = |told: &&Arc<FeedEntry>| !with_records || told.records.is_some();
        let found: VecDeque<_> = self.changes.range(index..).take(limit).take_while(fits).cloned().collect();
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::entry::tests::told;

    fn positions(found: Option<VecDeque<Arc<FeedEntry>>>) -> Option<Vec<i64>> {
        found.map(|found| found.iter().map(|told| told.change.position).collect())
    }

    #[test]
    fn what_is_not_here_is_not_answered_as_if_there_were_nothing() {
        let mut ring = Ring::default();
        assert_eq!(positions(ring.after(0, false, 10)), None);
        for position in 5..=8 {
            ring.push(told(position, false));
        }
        assert_eq!(positions(ring.after(4, false, 10)), Some(vec![5, 6, 7, 8]));
        assert_eq!(positions(ring.after(6, false, 1)), Some(vec![7]));
        for elsewhere in [0, 3, 8, 9, i64::MAX - 1] {
            assert_eq!(positions(ring.after(elsewhere, false, 10)), None, "{elsewhere}");
        }
        ring.clear();
        assert_eq!(positions(ring.after(4, false, 10)), None);
    }

    #[test]
    fn a_change_without_its_records_is_not_here_for_those_who_need_them() {
        let mut ring = Ring::default();
        for position in 1..=4 {
            ring.push(told(position, position > 2));
        }
        assert_eq!(positions(ring.after(0, true, 10)), None);
        assert_eq!(positions(ring.after(2, true, 10)), Some(vec![3, 4]));
        ring.push(told(5, false));
        assert_eq!(positions(ring.after(2, true, 10)), Some(vec![3, 4]));
    }

    #[test]
    fn there_is_neither_a_hole_in_it_nor_a_change_twice() {
        let mut ring = Ring::default();
        for position in [5, 6, 7, 5, 6, 7, 8] {
            ring.push(told(position, false));
        }
        assert_eq!(positions(ring.after(4, false, 10)), Some(vec![5, 6, 7, 8]));
        ring.push(told(10, false));
        assert_eq!(positions(ring.after(7, false, 10)), None);
        assert_eq!(positions(ring.after(9, false, 10)), Some(vec![10]));
    }

    #[test]
    fn it_is_bounded() {
        let mut ring = Ring::default();
        let more = 10;
        for position in 1..=(MOST_CHANGES + more) as i64 {
            ring.push(told(position, false));
        }
        assert_eq!(positions(ring.after(more as i64, false, 1)), Some(vec![more as i64 + 1]));
        assert_eq!(positions(ring.after(more as i64 - 1, false, 1)), None);
        assert!(ring.bytes <= MOST_BYTES);
    }
}
