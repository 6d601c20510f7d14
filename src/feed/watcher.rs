//! A watcher of the feed. It reads from the table until it has caught up with the ring, and again when the ring has
//! overtaken it. Backpressure: nothing is read for a watcher before it has taken the changes read before.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    entry::{self, FeedEntry},
    head::{Feed, FeedInner, Head},
    metrics::CountGuard,
    person_filter::PersonFilter,
    tailer::is_contiguous,
};
use crate::{
    fairness::Call,
    model::query::filter::Filter,
    store::{
        StoreError,
        change::{self, Position},
    },
};

/// The size of a read from the table: changes, and bytes of their records.
const PAGE: i64 = 200;
const PAGE_BYTES: i64 = 128 * 1024;
/// The number of changes taken from the ring at once. A slow reader keeps them in memory.
const RING_BATCH: usize = 16;
/// The number of changes that do not match after which a heartbeat is sent.
const MAX_SKIPPED: usize = 1_000;

/// Maximum wait for a server in recovery that is behind the start.
pub const BEHIND_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two reads from a server that is behind.
pub const BEHIND_RETRY: Duration = Duration::from_millis(50);

/// A point between two changes, from which a watch can resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// The epoch of the position.
    pub epoch: Arc<str>,
    /// The position of the last change before the point.
    pub position: i64,
    /// `StoredChange::mark` of that change; zeros if it is not kept.
    pub mark: [u8; 8],
}

/// An event that a watcher returns.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// A change that matches.
    Change(Arc<FeedEntry>),
    /// There was no change for the heartbeat interval, or many changes did not match.
    Heartbeat,
    /// The watcher has reached the newest change. Later changes follow as they are committed.
    CaughtUp,
    /// The watcher was too slow: the ring has dropped changes that it needs. It reads from the table.
    FellBehind,
}

/// The reason why a watch ends.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The epoch has ended.
    #[error("the feed has another epoch")]
    EpochChanged,
    /// The next changes are no longer kept.
    #[error("the next changes are no longer kept")]
    Expired,
    /// The database is in recovery, and does not have the point yet. Holds its newest position.
    #[error("the database is behind, at {0}")]
    Behind(Position),
    /// A position is missing.
    #[error("a position is missing in the feed")]
    Broken,
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the changes that match a filter, in order.
#[derive(Debug)]
pub struct Watcher {
    feed: Feed,
    head: watch::Receiver<Head>,
    resume_point: ResumePoint,
    filter: PersonFilter,
    counted: CountedWatcher,
    heartbeat: Duration,
    buffered: VecDeque<Arc<FeedEntry>>,
    /// The newest position when the watch began, which the tailer may not have read yet.
    catch_up_position: i64,
    is_live: bool,
    skipped: usize,
    last_sent: Instant,
    _counted: CountGuard,
}

impl Watcher {
    /// Starts at a point that [`Feed::resume_point`] resolved, with the newest position that it returned. Returns a
    /// heartbeat after `heartbeat` without another event.
    pub fn new(
        feed: &Feed,
        (resume_point, catch_up_position): (ResumePoint, i64),
        filter: Filter,
        with_records: bool,
        heartbeat: Duration,
    ) -> Self {
        let filter = PersonFilter::of(filter);
        let counted = CountedWatcher::new(feed, with_records || filter.needs_record());
        let head = feed.0.head.subscribe();
        Self {
            feed: feed.clone(),
            head,
            resume_point,
            filter,
            counted,
            heartbeat,
            buffered: VecDeque::new(),
            catch_up_position,
            is_live: false,
            skipped: 0,
            last_sent: Instant::now(),
            _counted: CountGuard::watcher(),
        }
    }

    /// The point after the last change that was returned or skipped.
    pub fn resume_point(&self) -> &ResumePoint {
        &self.resume_point
    }

    /// The feed that is watched.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// The watch has ended, for the reason in the error.
    pub async fn next(&mut self) -> Result<WatchEvent, WatchError> {
        let event = self.next_event().await?;
        self.last_sent = Instant::now();
        self.skipped = 0;
        Ok(event)
    }

    async fn next_event(&mut self) -> Result<WatchEvent, WatchError> {
        loop {
            if !self.buffered.is_empty() {
                self.filter.begin(&self.feed, self.resume_point.position).await?;
            }
            while let Some(entry) = self.buffered.pop_front() {
                self.resume_point.position = entry.change.position;
                self.resume_point.mark = entry.change.mark();
                if self.filter.matches(&entry) {
                    return Ok(WatchEvent::Change(entry));
                }
                self.skipped += 1;
                if self.skipped == MAX_SKIPPED {
                    return Ok(WatchEvent::Heartbeat);
                }
            }
            if self.feed.0.stopping.is_cancelled() {
                return Err(WatchError::Stopping);
            }
            let head = self.head.borrow_and_update().clone();
            if head.bounds.epoch != self.resume_point.epoch {
                return Err(WatchError::EpochChanged);
            }
            if head.bounds.head <= self.resume_point.position {
                // A server in recovery may not have the start yet.
                let has_start = [self.catch_up_position, head.bounds.head].contains(&self.resume_point.position);
                if !self.is_live && has_start && self.resume_point.position >= self.catch_up_position {
                    self.is_live = true;
                    return Ok(WatchEvent::CaughtUp);
                }
                if head.is_broken {
                    return Err(WatchError::Broken);
                }
                if !self.wait().await {
                    return Ok(WatchEvent::Heartbeat);
                }
                continue;
            }
            let ring = self.feed.0.ring.read().unwrap_or_else(PoisonError::into_inner).after(
                self.resume_point.position,
                self.counted.with_records,
                RING_BATCH,
            );
            match ring {
                Some(buffered) => self.buffered = buffered,
                None if self.is_live => {
                    self.is_live = false;
                    return Ok(WatchEvent::FellBehind);
                }
                None => {
                    let resume_point = &self.resume_point;
                    let read = page(&self.feed, resume_point, self.counted.with_records, PAGE, PAGE_BYTES).await;
                    self.buffered = match read {
                        Ok((changes, _)) => changes,
                        Err(WatchError::Behind(_)) => VecDeque::new(),
                        Err(error) => return Err(error),
                    };
                    // The connection has reached a server that is behind the head.
                    if self.buffered.is_empty() && !self.pause().await {
                        return Ok(WatchEvent::Heartbeat);
                    }
                }
            }
        }
    }

    /// Waits before the next read from a server that is behind. False if a heartbeat is due.
    async fn pause(&mut self) -> bool {
        let (next, deadline) = (Instant::now() + BEHIND_RETRY, self.last_sent + self.heartbeat);
        tokio::time::sleep_until(next.min(deadline)).await;
        next < deadline
    }

    /// Waits for the head to move. False if a heartbeat is due.
    async fn wait(&mut self) -> bool {
        let deadline = self.last_sent + self.heartbeat;
        tokio::select! {
            _ = self.head.changed() => true,
            () = self.feed.0.stopping.cancelled() => true,
            () = tokio::time::sleep_until(deadline) => false,
        }
    }
}

/// Reads changes after a point from the table, with their records if required. The flag is true if they reach the head.
///
/// # Errors
/// The epoch has ended, the changes are no longer kept, a position is missing, the database is behind, or it failed.
pub async fn page(
    feed: &Feed,
    resume_point: &ResumePoint,
    with_records: bool,
    limit: i64,
    max_bytes: i64,
) -> Result<(VecDeque<Arc<FeedEntry>>, bool), WatchError> {
    let FeedInner { store, catch_up_reads, .. } = &*feed.0;
    let _permit = catch_up_reads.acquire_patiently(Call::current().caller(), 1).await;
    let page = change::after(store.reads(), resume_point.position, limit).await?;
    let is_lost = page.bounds.head < resume_point.position || !page.continues(resume_point.mark);
    if is_lost || page.bounds.epoch != resume_point.epoch {
        let head = Position { epoch: page.bounds.epoch, number: page.bounds.head };
        // A server in recovery does not lose changes: it does not have them yet.
        return Err(if page.source.server.in_recovery { WatchError::Behind(head) } else { WatchError::EpochChanged });
    }
    if page.bounds.floor > resume_point.position {
        return Err(WatchError::Expired);
    }
    if !is_contiguous(resume_point.position, &page) {
        tracing::error!(after = resume_point.position, "a position is missing in the feed");
        return Err(WatchError::Broken);
    }
    let changes = match with_records {
        true => entry::with_records(store.reads(), page.changes, max_bytes).await?,
        false => page.changes.into_iter().map(|change| Arc::new(FeedEntry::bare(change))).collect(),
    };
    let last = changes.back().map_or(resume_point.position, |entry| entry.change.position);
    Ok((changes, last == page.bounds.head))
}

/// Counts a watcher until it is dropped. The tailer loads records while a watcher needs them.
#[derive(Debug)]
struct CountedWatcher {
    feed: Feed,
    with_records: bool,
}

impl CountedWatcher {
    fn new(feed: &Feed, with_records: bool) -> Self {
        feed.0.watchers.fetch_add(1, Ordering::Relaxed);
        if with_records {
            feed.0.watchers_with_records.fetch_add(1, Ordering::Relaxed);
        }
        if feed.0.head.borrow().in_recovery {
            // The tailer polls more often from now on.
            feed.0.wake.notify_one();
        }
        Self { feed: feed.clone(), with_records }
    }
}

impl Drop for CountedWatcher {
    fn drop(&mut self) {
        self.feed.0.watchers.fetch_sub(1, Ordering::Relaxed);
        if self.with_records {
            self.feed.0.watchers_with_records.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
