//! Refusals, counted in memory: those of one caller with one outcome are one event a minute.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::AuditedCall;
use crate::store::audit_event::{EventKey, NewEvent};

/// The time for which refusals of one kind are one event.
const PERIOD: Duration = Duration::from_secs(60);
/// Maximum number of kinds in a period. Refusals of further kinds are only counted together.
pub const MAX_KINDS: usize = 1_000;

/// A kind of refusals: their caller and outcome.
pub type Kind = (String, String);

/// The refusals of the last minute.
#[derive(Debug, Default)]
pub struct Refusals(HashMap<Kind, Refusal>);

/// The refusals of one kind.
#[derive(Debug)]
struct Refusal {
    /// The event of the first one.
    event: NewEvent,
    since: Instant,
    /// The key of the stored event.
    stored: Option<EventKey>,
    /// The count that is stored.
    stored_count: i64,
}

/// The changes that are to be stored.
#[derive(Debug, Default)]
pub struct Unstored {
    pub new: Vec<(Kind, NewEvent)>,
    pub counts: Vec<(Kind, EventKey, i64)>,
}

impl Refusals {
    /// Counts a refusal. False if there are too many kinds.
    pub fn add(&mut self, call: &AuditedCall<'_>, outcome: &str) -> bool {
        let kind = (call.caller(), outcome.to_owned());
        if let Some(refusal) = self.0.get_mut(&kind).filter(|refusal| refusal.since.elapsed() < PERIOD) {
            refusal.event.count += 1;
            return true;
        }
        if let Some(refusal) = self.0.remove(&kind)
            && (refusal.stored.is_none() || refusal.stored_count < refusal.event.count)
        {
            // The minute is over, but its count is not stored: it is counted further until it is.
            let event = NewEvent { count: refusal.event.count + 1, ..refusal.event };
            self.0.insert(kind, Refusal { event, ..refusal });
            return true;
        }
        let has_room = self.0.len() < MAX_KINDS;
        if has_room {
            let event = call.event(outcome, String::new());
            // The lines of the log do not depend on the database.
            super::writer::print(&event);
            self.0.insert(kind, Refusal { event, since: Instant::now(), stored: None, stored_count: 0 });
        }
        has_room
    }

    /// The changes since the last time that all were stored.
    pub fn unstored(&self) -> Unstored {
        let mut unstored = Unstored::default();
        for (kind, refusal) in &self.0 {
            match refusal.stored {
                None => unstored.new.push((kind.clone(), refusal.event.clone())),
                Some(key) if refusal.stored_count < refusal.event.count => {
                    unstored.counts.push((kind.clone(), key, refusal.event.count));
                }
                Some(_) => {}
            }
        }
        unstored
    }

    /// Notes that an event is stored with this key and count.
    pub fn note_stored(&mut self, kind: &Kind, key: EventKey, count: i64) {
        if let Some(refusal) = self.0.get_mut(kind) {
            (refusal.stored, refusal.stored_count) = (Some(key), count);
        }
    }

    /// Forgets the kinds whose minute is over and whose count is stored.
    pub fn forget_stored(&mut self) {
        self.0.retain(|_, refusal| {
            refusal.since.elapsed() < PERIOD || refusal.stored.is_none() || refusal.stored_count < refusal.event.count
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(refusals: &mut Refusals, address: [u8; 4], outcome: &str) -> bool {
        let call = AuditedCall { principal: None, address: address.into(), method: "a/A", request_id: "" };
        refusals.add(&call, outcome)
    }

    #[test]
    fn refusals_of_one_caller_and_outcome_are_one_event_and_kinds_are_bounded() {
        let mut refusals = Refusals::default();
        for _ in 0..1_000_000 {
            assert!(add(&mut refusals, [10, 0, 0, 1], "CREDENTIALS_MISSING"));
        }
        assert!(add(&mut refusals, [10, 0, 0, 1], "CREDENTIALS_INVALID"));
        let mut counts: Vec<_> = refusals.unstored().new.iter().map(|(_, event)| event.count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [1, 1_000_000]);
        for number in 2..MAX_KINDS as u16 {
            let [high, low] = number.to_be_bytes();
            assert!(add(&mut refusals, [10, 1, high, low], "CREDENTIALS_MISSING"), "{number}");
        }
        assert!(!add(&mut refusals, [10, 2, 0, 0], "CREDENTIALS_MISSING"));
        assert!(add(&mut refusals, [10, 0, 0, 1], "CREDENTIALS_INVALID"));
    }
}
