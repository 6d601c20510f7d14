//! What was recorded of a run: what those who write were answered, what those who watch were told, and what the
//! database has in the end.

use std::collections::BTreeMap;

use readout::pb::Change;

use crate::support::follow::number;

/// A run, from its first write to its end.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub writes: Vec<Write>,
    pub watchers: Vec<Watcher>,
    pub hand_offs: Vec<HandOff>,
    /// The changes that the database has, in its order.
    pub table: Vec<Told>,
    /// Positions up to it are no longer kept.
    pub floor: i64,
    /// The records that the database has, with their revisions; without reports, which no list has as a whole.
    pub records: BTreeMap<String, i64>,
}

/// A change: told, or in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub position: i64,
    pub name: String,
    pub kind: i32,
    pub revision: i64,
    /// Microseconds.
    pub time: i64,
    pub request_id: String,
    pub last: bool,
}

impl From<Change> for Told {
    fn from(change: Change) -> Self {
        let time = change.time.unwrap_or_default();
        Self {
            position: number(&change),
            kind: change.kind,
            revision: change.revision,
            time: time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000,
            last: change.last,
            name: change.name,
            request_id: change.request_id,
        }
    }
}

/// A write, sent as often as it took.
#[derive(Debug, Clone)]
pub struct Write {
    pub request_id: String,
    pub answer: Answer,
    /// The records that it made or altered, as far as the answer tells.
    pub names: Vec<String>,
}

/// What became of a write, as far as its writer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has this position.
    At(i64),
    /// Sent again, it was answered this position, at which it was there.
    By(i64),
    /// Nothing was heard of it.
    Unknown,
    /// Nothing was written.
    Refused,
}

/// One who watches, from one break to the next.
#[derive(Debug, Clone, Default)]
pub struct Watcher {
    /// Only changes of these are told; of all, if it is empty.
    pub collection: &'static str,
    pub sessions: Vec<Session>,
    /// Whether they were to go on until they had all there is.
    pub to_the_end: bool,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Session {
    pub start: Start,
    pub messages: Vec<Message>,
}

/// Where a call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After this position, or after the message that had it.
    After(i64),
    /// With the oldest change, after the service had said that those before it are gone.
    Oldest,
}

/// What a watcher was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Change(Told),
    /// Everything up to this position was told.
    Heartbeat(i64),
}

/// What was listed when everything up to a position was there: names and revisions.
#[derive(Debug, Clone, Default)]
pub struct HandOff {
    pub as_of: i64,
    pub listed: BTreeMap<String, i64>,
}

impl Watcher {
    /// Whether a change is for them.
    pub fn wants(&self, told: &Told) -> bool {
        told.name.starts_with(self.collection)
    }
}
