//! The record of a run: the answers that writers received, the messages that watchers received, and the final content
//! of the database.

use std::collections::BTreeMap;

use readout::pb::Change;

use crate::support::follow::number;

/// A run from its first write to its end.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub writes: Vec<Write>,
    pub watchers: Vec<Watcher>,
    pub hand_offs: Vec<HandOff>,
    /// The changes in the database, in its order.
    pub table: Vec<RecordedChange>,
    /// Positions up to this one have expired.
    pub floor: i64,
    /// The records in the database with their revisions. Reports are left out, because no list returns all of them.
    pub records: BTreeMap<String, i64>,
}

/// A change, received by a watcher or read from the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    pub position: i64,
    pub name: String,
    pub kind: i32,
    pub revision: i64,
    /// In microseconds.
    pub time: i64,
    pub request_id: String,
    pub last: bool,
}

impl From<Change> for RecordedChange {
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

/// A write, with all its retries.
#[derive(Debug, Clone)]
pub struct Write {
    pub request_id: String,
    pub answer: Answer,
    /// The records that it created or changed, as far as the answer names them.
    pub names: Vec<String>,
}

/// The result of a write, as far as its writer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Written at this position.
    At(i64),
    /// Answered on a retry: written at this position or before.
    By(i64),
    /// No answer arrived.
    Unknown,
    /// Nothing was written.
    Refused,
}

/// A watcher, with its calls in order.
#[derive(Debug, Clone, Default)]
pub struct Watcher {
    /// The collection whose changes it receives; empty for all.
    pub collection: &'static str,
    pub sessions: Vec<Session>,
    /// True if it reads to the end of the run.
    pub reads_to_end: bool,
}

/// One call of a watcher.
#[derive(Debug, Clone)]
pub struct Session {
    pub start: Start,
    pub messages: Vec<Message>,
}

/// The start of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After this position, or after the message with this position.
    After(i64),
    /// At the oldest change, after the service has reported that earlier ones have expired.
    Oldest,
}

/// A message that a watcher received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Change(RecordedChange),
    /// The stream has sent all changes up to this position.
    Heartbeat(i64),
}

/// A list read as of a position: names and revisions.
#[derive(Debug, Clone, Default)]
pub struct HandOff {
    pub as_of: i64,
    pub listed: BTreeMap<String, i64>,
}

impl Watcher {
    /// True if the watcher subscribes to the change.
    pub fn includes(&self, change: &RecordedChange) -> bool {
        change.name.starts_with(self.collection)
    }
}
