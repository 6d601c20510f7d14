//! Refusals, counted in memory: those of one caller by one method with one outcome are one event a minute.
//!
//! The event has the names of the records that the refusals concern, as far as the service knows them: a call that is
//! refused before its message is read has none.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::AuditedCall;
use crate::store::{
    audit_event::EventKey,
    origin::{MAX_NAMES, NewEvent},
};

/// The time for which refusals of one kind are one event.
const PERIOD: Duration = Duration::from_secs(60);
/// Maximum number of kinds in a period. Refusals of further kinds are only counted together.
pub const MAX_KINDS: usize = 1_000;

/// A kind of refusals: their caller, method and outcome.
pub type Kind = (String, String, String);

/// The refusals of the last minute.
#[derive(Debug, Default)]
pub struct Refusals(HashMap<Kind, Refusal>);

/// The refusals of one kind.
#[derive(Debug)]
struct Refusal {
    /// The event of the first one, with the count and the names of all.
    event: NewEvent,
    since: Instant,
    /// The key of the stored event.
    stored: Option<EventKey>,
    /// The count that is stored.
    stored_count: i64,
    /// The last line of the log with this event.
    printed: Instant,
    /// The count in that line.
    printed_count: i64,
}

impl Refusal {
    fn new(event: NewEvent) -> Self {
        let now = Instant::now();
        // Lines of the log do not depend on the database.
        event.print();
        let printed_count = event.count;
        Self { event, since: now, stored: None, stored_count: 0, printed: now, printed_count }
    }

    fn count(&mut self, name: &str) {
        let names = &mut self.event.names;
        self.event.count += 1;
        if name.is_empty() || names.split(',').any(|known| known == name) || names.split(',').count() >= MAX_NAMES {
            return;
        }
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(name);
    }

    fn is_stored(&self) -> bool {
        self.stored.is_some() && self.stored_count == self.event.count
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= PERIOD
    }

    /// Prints the event if its count has grown since it was printed.
    fn print_grown(&mut self) {
        if self.printed_count < self.event.count {
            self.event.print();
            (self.printed, self.printed_count) = (Instant::now(), self.event.count);
        }
    }
}

/// The changes that are to be stored.
#[derive(Debug, Default)]
pub struct Unstored {
    pub new: Vec<(Kind, NewEvent)>,
    pub grown: Vec<(Kind, EventKey, NewEvent)>,
}

impl Refusals {
    /// Counts a refusal that concerns this record; the name is empty if that is not known. False if there are too many
    /// kinds.
    pub fn add(&mut self, call: &AuditedCall<'_>, outcome: &str, name: &str) -> bool {
        let kind = (call.caller(), call.method.to_owned(), outcome.to_owned());
        if let Some(refusal) = self.0.get_mut(&kind) {
            // After its minute, an event is counted further until its count is stored.
            if !refusal.is_over() || !refusal.is_stored() {
                refusal.count(name);
                return true;
            }
            refusal.print_grown();
            self.0.remove(&kind);
        }
        let has_room = self.0.len() < MAX_KINDS;
        if has_room {
            self.0.insert(kind, Refusal::new(call.event(outcome, name.to_owned())));
        }
        has_room
    }

    /// The changes since the last time that all were stored.
    pub fn unstored(&self) -> Unstored {
        let mut unstored = Unstored::default();
        for (kind, refusal) in self.0.iter().filter(|(_, refusal)| !refusal.is_stored()) {
            match refusal.stored {
                None => unstored.new.push((kind.clone(), refusal.event.clone())),
                Some(key) => unstored.grown.push((kind.clone(), key, refusal.event.clone())),
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

    /// Prints the events whose counts have grown, once a minute; all of them if it is the last time.
    pub fn print_grown(&mut self, is_last: bool) {
        for refusal in self.0.values_mut().filter(|refusal| is_last || refusal.printed.elapsed() >= PERIOD) {
            refusal.print_grown();
        }
    }

    /// Forgets the kinds whose minute is over and whose count is stored.
    pub fn forget_stored(&mut self) {
        self.0.retain(|_, refusal| {
            let is_done = refusal.is_over() && refusal.is_stored();
            if is_done {
                refusal.print_grown();
            }
            !is_done
        });
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn call(address: [u8; 4]) -> AuditedCall<'static> {
        AuditedCall { principal: None, address: address.into(), method: "a/A", request_id: "" }
    }

    fn add(refusals: &mut Refusals, address: [u8; 4], outcome: &str) -> bool {
        refusals.add(&call(address), outcome, "")
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

    #[test]
    fn event_has_each_name_once_and_a_bounded_number_of_names() {
        let mut refusals = Refusals::default();
        for name in ["", "articles/1", "articles/2", "articles/1", ""] {
            refusals.add(&call([10, 0, 0, 1]), "TEXT_HIDDEN", name);
        }
        let [(_, event)] = &refusals.unstored().new[..] else { panic!("one event") };
        assert_eq!((event.names.as_str(), event.count), ("articles/1,articles/2", 5));
        for number in 0..MAX_NAMES {
            refusals.add(&call([10, 0, 0, 1]), "TEXT_HIDDEN", &format!("articles/n{number}"));
        }
        assert_eq!(refusals.unstored().new[0].1.names.split(',').count(), MAX_NAMES);
    }

    #[test]
    fn event_ends_after_a_minute_once_its_count_is_stored() {
        let mut refusals = Refusals::default();
        let end_minute = |refusals: &mut Refusals| refusals.0.values_mut().for_each(|refusal| refusal.since -= PERIOD);
        let count = |refusals: &mut Refusals| {
            assert!(add(refusals, [10, 0, 0, 1], "CREDENTIALS_MISSING"));
            let unstored = refusals.unstored();
            let new = unstored.new.iter().map(|(_, event)| (true, event.count));
            new.chain(unstored.grown.iter().map(|(.., event)| (false, event.count))).next().unwrap()
        };
        assert_eq!(count(&mut refusals), (true, 1));
        let kind = refusals.unstored().new[0].0.clone();
        let key = EventKey { time: Utc::now(), id: 1 };
        refusals.note_stored(&kind, key, 1);
        assert_eq!(count(&mut refusals), (false, 2));
        end_minute(&mut refusals);
        // The database has failed meanwhile: the count that it lacks is not lost.
        refusals.forget_stored();
        assert_eq!(count(&mut refusals), (false, 3));
        refusals.note_stored(&kind, key, 3);
        assert_eq!(count(&mut refusals), (true, 1));
        refusals.note_stored(&kind, key, 1);
        end_minute(&mut refusals);
        refusals.forget_stored();
        assert!(refusals.0.is_empty());
    }
}
