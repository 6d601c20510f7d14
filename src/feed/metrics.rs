//! What operators see of the write path and of the feed, in numbers.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

const QUEUE: &str = "readout_commit_queue_writes";
const WATCHERS: &str = "readout_feed_watchers";

/// The feed begins here; what there is none of yet is seen, too.
pub fn begin(head: i64) {
    [QUEUE, WATCHERS].into_iter().for_each(|name| gauge!(name).set(0.0));
    read_to(head, head);
}

/// Something of which there are so many at a time, counted for as long as it lives.
#[derive(Debug)]
pub struct CountGuard {
    name: &'static str,
    count: u32,
    since: Instant,
}

impl CountGuard {
    /// Writes that wait to be committed.
    pub fn queued(writes: usize) -> Self {
        Self::new(QUEUE, u32::try_from(writes).unwrap_or(u32::MAX))
    }

    /// One who follows the feed.
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

/// Writes were taken from the queue.
pub fn taken(queued: CountGuard) {
    histogram!("readout_commit_queue_seconds").record(queued.since.elapsed());
}

/// A batch was tried, which took so long.
pub fn tried(outcome: &'static str, took: Duration) {
    counter!("readout_commits_total", "outcome" => outcome).increment(1);
    histogram!("readout_commit_seconds").record(took);
}

/// So many writes were committed together.
pub fn committed(writes: usize) {
    histogram!("readout_commit_batch_writes").record(u32::try_from(writes).unwrap_or(u32::MAX));
}

/// How far this instance has read, and how far the database is.
pub fn read_to(head: i64, of: i64) {
    // Exact up to 2^53, far beyond what a database holds.
    gauge!("readout_feed_head").set(head as f64);
    gauge!("readout_feed_lag").set(of.saturating_sub(head).max(0) as f64);
}
