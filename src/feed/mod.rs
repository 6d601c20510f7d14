//! The write path into the change log, and the change feed that reads from it.
//!
//! Handlers prepare writes. The `committer` commits them in batches, and each write gets a position in the change log.
//! The `tailer` reads the log once per instance into the `ring`, from which each `watcher` takes
//! its changes. `head` has the state that these share, and `notification` wakes the tailers of other
//! instances.

pub mod committer;
pub mod entry;
pub mod head;
mod metrics;
mod notification;
pub mod person_filter;
pub mod record_locks;
pub mod ring;
pub mod tailer;
pub mod watch_start;
pub mod watcher;

pub use self::{committer::Committer, head::Feed, record_locks::RecordLocks};
