//! The metrics of the write path and of the feed.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

const QUEUE: &str = "readout_commit_queue_writes";
const WATCHERS: &str = "readout_feed_watchers";

/// Sets the gauges to their first values, so that they are exported before the first event.
pub fn init(head: i64) {
    [QUEUE, WATCHERS].into_iter().for_each(|name| gauge!(name).set(0.0));
    record_progress(head, head);
}

/// Adds a count to a gauge, and subtracts it when dropped.
#[derive(Debug)]
pub struct CountGuard {
    name: &'static str,
    count: u32,
    since: Instant,
}

impl CountGuard {
    /// Counts writes that wait to be committed.
    pub fn queued(writes: usize) -> Self {
        Self::new(QUEUE, u32::try_from(writes).unwrap_or(u32::MAX))
    }

    /// Counts one watcher of the feed.
    pub fn watcher() -> Self {
        Self::new(WATCHERS, 1)
    }

    fn new(name: &'static str, count: u32) -> Self {
        gauge!(name).increment(count);
        Self { name, count, since: Instant::now() }
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        gauge!(self.name).decrement(self.count);
    }
}

/// Records how long writes waited in the queue.
pub fn record_dequeued(queued: CountGuard) {
    histogram!("readout_commit_queue_seconds").record(queued.since.elapsed());
}

/// Records an attempt to commit a batch.
pub fn record_attempt(outcome: &'static str, took: Duration) {
    counter!("readout_commits_total", "outcome" => outcome).increment(1);
    histogram!("readout_commit_seconds").record(took);
}

/// Records the number of writes in a committed batch.
pub fn record_batch(writes: usize) {
    histogram!("readout_commit_batch_writes").record(u32::try_from(writes).unwrap_or(u32::MAX));
}

/// Records the position that this instance has read, and its lag behind the database.
pub fn record_progress(read: i64, head: i64) {
    // A float is exact up to 2^53, far more changes than a database holds.
    gauge!("readout_feed_head").set(read as f64);
    gauge!("readout_feed_lag").set(head.saturating_sub(read).max(0) as f64);
}
