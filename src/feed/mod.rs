//! The way into the database and the way out. Handlers prepare writes; the `committer` puts them into transactions,
//! many at a time, and gives each its position in the change log. The `tailer` reads the log, once for all who
//! `follow`; what is newest is in the `ring`.

pub mod committer;
pub mod entry;
mod metrics;
pub mod record_locks;
pub mod ring;
pub mod start;
pub mod tailer;
pub mod watcher;

pub use self::{committer::Committer, record_locks::RecordLocks, tailer::Feed};
