//! One who follows the feed: at first from the table, then from the ring, and from the table again when the ring has
//! gone on without them. Nothing is read for them before they have taken what was read.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    entry::{self, FeedEntry},
    metrics::CountGuard,
    tailer::{Feed, Head, Shared, is_dense},
};
use crate::{
    model::query::filter::Filter,
    store::{StoreError, change},
};

/// What is read at once for somebody who catches up: changes, and bytes of their records.
const PAGE: i64 = 200;
const PAGE_BYTES: i64 = 128 * 1024;
/// What is taken out of the ring at once. It is held while the reader does not read on.
const HANDFUL: usize = 16;
/// After so many changes that did not match there is a sign of life.
const MOST_SKIPPED: usize = 1_000;

/// A place between two changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// The line of history.
    pub epoch: Arc<str>,
    /// The position of the last change before it.
    pub position: i64,
    /// `Logged::mark` of that change; zeros where it is not kept.
    pub mark: [u8; 8],
}

/// What somebody who follows is told.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// A change that matches.
    Change(Arc<FeedEntry>),
    /// Nothing, for a while.
    Heartbeat,
    /// They know all changes there are.
    CaughtUp,
    /// They were too slow for the ring.
    FellBehind,
}

/// Why the feed cannot be followed any further.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The line of history has ended.
    #[error("the feed has another epoch")]
    EpochChanged,
    /// The changes that come next are no longer kept.
    #[error("the changes that come next are no longer kept")]
    Expired,
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

/// One who follows.
#[derive(Debug)]
pub struct Watcher {
    feed: Feed,
    head: watch::Receiver<Head>,
    place: ResumePoint,
    filter: Filter,
    needs: NeedsRecords,
    heartbeat: Duration,
    waiting: VecDeque<Arc<FeedEntry>>,
    /// The newest position when they began, which the tailer may not have read yet.
    goal: i64,
    is_live: bool,
    skipped: usize,
    last_sent: Instant,
    _counted: CountGuard,
}

impl Watcher {
    /// Follows from a place on, of which the feed said how far it is. There is a sign of life when nothing was told for as long as `heartbeat`.
    pub fn new(
        feed: &Feed,
        (place, goal): (ResumePoint, i64),
        filter: Filter,
        with_records: bool,
        heartbeat: Duration,
    ) -> Self {
        let needs = NeedsRecords::new(feed, with_records || filter.needs_record());
        let head = feed.0.head.subscribe();
        Self {
            feed: feed.clone(),
            head,
            place,
            filter,
            needs,
            heartbeat,
            waiting: VecDeque::new(),
            goal,
            is_live: false,
            skipped: 0,
            last_sent: Instant::now(),
            _counted: CountGuard::watcher(),
        }
    }

    /// After which change they are.
    pub fn place(&self) -> &ResumePoint {
        &self.place
    }

    /// What they follow.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What comes next. Waits for it.
    pub async fn next(&mut self) -> Result<WatchEvent, FollowError> {
        let event = self.find().await?;
        self.last_sent = Instant::now();
        self.skipped = 0;
        Ok(event)
    }

    async fn find(&mut self) -> Result<WatchEvent, FollowError> {
        loop {
            while let Some(told) = self.waiting.pop_front() {
                self.place.position = told.change.position;
                self.place.mark = told.change.mark();
                if told.matches(&self.filter) {
                    return Ok(WatchEvent::Change(told));
                }
                self.skipped += 1;
                if self.skipped == MOST_SKIPPED {
                    return Ok(WatchEvent::Heartbeat);
                }
            }
            if self.feed.0.stopping.is_cancelled() {
                return Err(FollowError::Stopping);
            }
            let head = self.head.borrow_and_update().clone();
            if head.extent.epoch != self.place.epoch {
                return Err(FollowError::EpochChanged);
            }
            if head.extent.head <= self.place.position {
                if !self.is_live && self.place.position >= self.goal {
                    self.is_live = true;
                    return Ok(WatchEvent::CaughtUp);
                }
                if head.is_broken {
                    return Err(FollowError::Broken);
                }
                if !self.wait().await {
                    return Ok(WatchEvent::Heartbeat);
                }
                continue;
            }
            let ring = self.feed.0.ring.read().unwrap_or_else(PoisonError::into_inner).after(
                self.place.position,
                self.needs.0.is_some(),
                HANDFUL,
            );
            match ring {
                Some(waiting) => self.waiting = waiting,
                None if self.is_live => {
                    self.is_live = false;
                    return Ok(WatchEvent::FellBehind);
                }
                None => {
                    let place = &self.place;
                    self.waiting = page(&self.feed, place, self.needs.0.is_some(), PAGE, PAGE_BYTES).await?.0;
                }
            }
        }
    }

    /// Waits for the head to move. False: it is time for a sign of life.
    async fn wait(&mut self) -> bool {
        let deadline = self.last_sent + self.heartbeat;
        tokio::select! {
            _ = self.head.changed() => true,
            () = self.feed.0.stopping.cancelled() => true,
            () = tokio::time::sleep_until(deadline) => false,
        }
    }
}

/// Changes after a place from the table, with their records if those are needed, and whether they reach the head.
pub async fn page(
    feed: &Feed,
    place: &ResumePoint,
    with_records: bool,
    most: i64,
    most_bytes: i64,
) -> Result<(VecDeque<Arc<FeedEntry>>, bool), FollowError> {
    let Shared { store, catching_up, .. } = &*feed.0;
    // Never closed.
    let _turn = catching_up.acquire().await;
    let page = change::after(store.reads(), place.position, most).await?;
    let is_lost = page.extent.head < place.position || !page.goes_on_from(place.mark);
    if is_lost || page.extent.epoch != place.epoch {
        return Err(FollowError::EpochChanged);
    }
    if page.extent.floor > place.position {
        return Err(FollowError::Expired);
    }
    if !is_dense(place.position, &page) {
        tracing::error!(after = place.position, "a position is missing in the feed");
        return Err(FollowError::Broken);
    }
    let changes = match with_records {
        true => entry::with_records(store.reads(), page.changes, most_bytes).await?,
        false => page.changes.into_iter().map(|change| Arc::new(FeedEntry::bare(change))).collect(),
    };
    let last = changes.back().map_or(place.position, |told| told.change.position);
    Ok((changes, last == page.extent.head))
}

/// Counted among those who need records, for as long as it lives.
#[derive(Debug)]
struct NeedsRecords(Option<Feed>);

impl NeedsRecords {
    fn new(feed: &Feed, needs: bool) -> Self {
        if needs {
            feed.0.need_records.fetch_add(1, Ordering::Relaxed);
        }
        Self(needs.then(|| feed.clone()))
    }
}

impl Drop for NeedsRecords {
    fn drop(&mut self) {
        if let Some(feed) = &self.0 {
            feed.0.need_records.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
