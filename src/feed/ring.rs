//! The newest changes, in memory and shared by all watchers: bounded in number and in bytes.

use std::{collections::VecDeque, sync::Arc};

use super::entry::FeedEntry;

/// The limits of the ring: changes, and bytes as `FeedEntry::weight` estimates them.
pub const MAX_CHANGES: usize = 65_536;
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Changes at consecutive positions, oldest first.
#[derive(Debug, Default)]
pub struct Ring {
    changes: VecDeque<Arc<FeedEntry>>,
    bytes: usize,
}

impl Ring {
    /// Adds the change after the newest one, and drops the oldest ones if the ring is full. A change that is here
    /// already is ignored: an interrupted tailer reads again what it has pushed. A gap before the change clears the
    /// ring.
    pub fn push(&mut self, entry: Arc<FeedEntry>) {
        match self.changes.back().map(|newest| newest.change.position) {
            Some(newest) if entry.change.position <= newest => return,
            Some(newest) if entry.change.position > newest + 1 => self.clear(),
            _ => {}
        }
        self.bytes += entry.weight();
        self.changes.push_back(entry);
        while self.changes.len() > MAX_CHANGES || self.bytes > MAX_BYTES && self.changes.len() > 1 {
            if let Some(oldest) = self.changes.pop_front() {
                self.bytes -= oldest.weight();
            }
        }
    }

    /// Drops all changes.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// At most `limit` changes after a position, with their records if required. `None` if the next change is not in
    /// the ring, or its records are required and not loaded.
    pub fn after(&self, position: i64, with_records: bool, limit: usize) -> Option<VecDeque<Arc<FeedEntry>>> {
        let oldest = self.changes.front()?.change.position;
        let index = usize::try_from(position + 1 - oldest).ok().filter(|index| *index < self.changes.len())?;
        let fits = |entry: &&Arc<FeedEntry>| !with_records || entry.records.is_some();
        let found: VecDeque<_> = self.changes.range(index..).take(limit).take_while(fits).cloned().collect();
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::entry::tests::entry;

    fn positions(found: Option<VecDeque<Arc<FeedEntry>>>) -> Option<Vec<i64>> {
        found.map(|found| found.iter().map(|entry| entry.change.position).collect())
    }

    #[test]
    fn read_outside_the_ring_returns_none() {
        let mut ring = Ring::default();
        assert_eq!(positions(ring.after(0, false, 10)), None);
        for position in 5..=8 {
            ring.push(entry(position, false));
        }
        assert_eq!(positions(ring.after(4, false, 10)), Some(vec![5, 6, 7, 8]));
        assert_eq!(positions(ring.after(6, false, 1)), Some(vec![7]));
        for outside in [0, 3, 8, 9, i64::MAX - 1] {
            assert_eq!(positions(ring.after(outside, false, 10)), None, "{outside}");
        }
        ring.clear();
        assert_eq!(positions(ring.after(4, false, 10)), None);
    }

    #[test]
    fn read_with_records_stops_at_a_change_without_them() {
        let mut ring = Ring::default();
        for position in 1..=4 {
            ring.push(entry(position, position > 2));
        }
        assert_eq!(positions(ring.after(0, true, 10)), None);
        assert_eq!(positions(ring.after(2, true, 10)), Some(vec![3, 4]));
        ring.push(entry(5, false));
        assert_eq!(positions(ring.after(2, true, 10)), Some(vec![3, 4]));
    }

    #[test]
    fn push_ignores_duplicates_and_clears_at_a_gap() {
        let mut ring = Ring::default();
        for position in [5, 6, 7, 5, 6, 7, 8] {
            ring.push(entry(position, false));
        }
        assert_eq!(positions(ring.after(4, false, 10)), Some(vec![5, 6, 7, 8]));
        ring.push(entry(10, false));
        assert_eq!(positions(ring.after(7, false, 10)), None);
        assert_eq!(positions(ring.after(9, false, 10)), Some(vec![10]));
    }

    #[test]
    fn ring_is_bounded() {
        let mut ring = Ring::default();
        let more = 10;
        for position in 1..=(MAX_CHANGES + more) as i64 {
            ring.push(entry(position, false));
        }
        assert_eq!(positions(ring.after(more as i64, false, 1)), Some(vec![more as i64 + 1]));
        assert_eq!(positions(ring.after(more as i64 - 1, false, 1)), None);
        assert!(ring.bytes <= MAX_BYTES);
    }
}
