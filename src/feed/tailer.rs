//! Reads the change log, once per instance. The tailer fills the ring, asserts that no position is missing, and
//! publishes the head of the feed to all watchers.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgListener;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    entry::{self, FeedEntry},
    metrics,
    ring::Ring,
};
use crate::{
    fairness::call::wait_outside,
    store::{
        Store, StoreError,
        change::{self, ChangePage, FeedBounds, Position, StoredChange},
    },
};

/// The size of a read: changes, and bytes of their records.
const PAGE: i64 = 1_000;
const PAGE_BYTES: i64 = 2 * 1024 * 1024;
/// The pause between two polls without a notification: short after a poll that found changes, then doubled each time.
const MIN_POLL: Duration = Duration::from_millis(20);
const MAX_POLL: Duration = Duration::from_millis(250);
/// Minimum pause between two reads, however many notifications arrive. One read takes all that was committed
/// meanwhile.
const PACE: Duration = Duration::from_millis(1);
/// Minimum pause between two notifications of other instances.
const NOTIFY_PACE: Duration = Duration::from_millis(5);
/// A query of the tailer that takes longer counts as a dead connection.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failure.
const RETRY: Duration = Duration::from_millis(250);
/// Maximum number of concurrent reads from the table for watchers that catch up.
const CATCH_UP_READS: usize = 2;

/// The head of the feed, as far as this instance has read it.
#[derive(Debug, Clone)]
pub struct Head {
    /// The first and last positions of the feed.
    pub bounds: FeedBounds,
    /// `StoredChange::mark` of the newest change; zeros if that change is not kept.
    pub mark: [u8; 8],
    /// The commit time of the newest change.
    pub time: Option<DateTime<Utc>>,
    /// True if a position is missing: no further changes are sent.
    pub is_broken: bool,
}

/// The change feed of this instance. Clones share it.
#[derive(Debug, Clone)]
pub struct Feed(pub(super) Arc<FeedInner>);

#[derive(Debug)]
pub(super) struct FeedInner {
    pub store: Store,
    pub stopping: CancellationToken,
    pub head: watch::Sender<Head>,
    pub ring: RwLock<Ring>,
    /// The number of watchers that need records.
    pub watchers_with_records: AtomicUsize,
    pub catch_up_reads: Semaphore,
    /// Wakes the tailer.
    wake: Notify,
    /// Wakes the task that notifies other instances.
    notify_others: Notify,
    /// The highest position that this instance has committed, which the tailer may not have read yet.
    committed: AtomicI64,
    /// The id of this instance, which distinguishes its own notifications from those of others.
    instance: String,
}

impl Feed {
    /// Starts the tailer, and the tasks that send and receive notifications. They end with `stopping`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn start(store: Store, stopping: CancellationToken) -> Result<Self, StoreError> {
        let bounds = change::bounds(store.feed()).await?;
        let newest = change::at(store.feed(), bounds.head).await?;
        let head = Head::of(bounds, newest.as_ref());
        metrics::init(head.bounds.head);
        let feed = Self(Arc::new(FeedInner {
            store,
            stopping: stopping.clone(),
            head: watch::Sender::new(head),
            ring: RwLock::default(),
            watchers_with_records: AtomicUsize::new(0),
            catch_up_reads: Semaphore::new(CATCH_UP_READS),
            wake: Notify::new(),
            notify_others: Notify::new(),
            committed: AtomicI64::new(0),
            instance: Uuid::now_v7().simple().to_string(),
        }));
        tokio::spawn(stopping.clone().run_until_cancelled_owned(tail(feed.clone())));
        tokio::spawn(stopping.clone().run_until_cancelled_owned(notify(feed.clone())));
        tokio::spawn(stopping.run_until_cancelled_owned(listen(feed.clone())));
        Ok(feed)
    }

    /// Records a commit of this instance, and wakes the tailer and the other instances.
    pub fn committed(&self, position: &Position) {
        self.0.committed.fetch_max(position.number, Ordering::Relaxed);
        self.0.wake.notify_one();
        self.0.notify_others.notify_one();
    }

    /// The newest position that this instance knows. Every later read includes it.
    pub fn head(&self) -> Position {
        let head = self.0.head.borrow();
        let number = head.bounds.head.max(self.0.committed.load(Ordering::Relaxed));
        Position { epoch: head.bounds.epoch.clone(), number }
    }
}

impl Feed {
    /// Waits until reads include a position, for at most `timeout`. False if they do not include it by then. A call that
    /// waits holds no place meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reach(&self, position: &Position, timeout: Duration) -> Result<bool, StoreError> {
        let includes = |head: &Position| head.epoch == position.epoch && head.number >= position.number;
        if includes(&self.head()) {
            return Ok(true);
        }
        // The database may be ahead of the tailer.
        let head = change::head(self.0.store.reads()).await?;
        if includes(&head) || head.epoch != position.epoch {
            return Ok(includes(&head));
        }
        let mut heads = self.0.head.subscribe();
        let reached =
            heads.wait_for(|head| includes(&Position { epoch: head.bounds.epoch.clone(), number: head.bounds.head }));
        Ok(wait_outside(async { time::timeout(timeout, reached).await.is_ok() }).await)
    }
}

impl Head {
    fn of(bounds: FeedBounds, newest: Option<&StoredChange>) -> Self {
        let mark = newest.map(StoredChange::mark).unwrap_or_default();
        Self { bounds, mark, time: newest.map(|change| change.time), is_broken: false }
    }
}

async fn tail(feed: Feed) {
    let mut poll = MAX_POLL;
    loop {
        poll = match time::timeout(READ_TIMEOUT, read_new_changes(&feed.0)).await.map_err(StoreError::no_answer) {
            Ok(Ok(true)) => MIN_POLL,
            Ok(Ok(false)) => MAX_POLL.min(2 * poll),
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(%error, "the feed could not be read");
                time::sleep(RETRY).await;
                continue;
            }
        };
        time::sleep(PACE).await;
        let _ = time::timeout(poll, feed.0.wake.notified()).await;
    }
}

/// Reads to the end of the feed. True if there were changes.
async fn read_new_changes(shared: &FeedInner) -> Result<bool, StoreError> {
    let mut found = false;
    loop {
        let before = shared.head.borrow().clone();
        let last = before.bounds.head;
        let page = change::after(shared.store.feed(), last, PAGE).await?;
        metrics::record_progress(last, page.bounds.head);
        if page.bounds.epoch != before.bounds.epoch {
            tracing::warn!(ended = %before.bounds.epoch, epoch = %page.bounds.epoch, "the feed has another epoch");
            return restart_at_head(shared).await.map(|()| true);
        }
        // The mark detects a standby that took over without the last changes and reused their positions.
        if page.bounds.head < last || !page.continues(before.mark) {
            tracing::error!(
                known = last,
                found = page.bounds.head,
                "the database has lost changes: a new epoch begins"
            );
            change::renew_epoch(shared.store.writes(), &before.bounds.epoch).await?;
            return restart_at_head(shared).await.map(|()| true);
        }
        let Some(newest) = page.changes.last() else {
            if page.bounds != before.bounds {
                shared.head.send_modify(|head| head.bounds = page.bounds);
            }
            return Ok(found);
        };
        if !is_contiguous(last, &page) {
            if page.bounds.floor > last {
                // This instance was suspended for longer than changes are kept.
                return restart_at_head(shared).await.map(|()| true);
            }
            if !before.is_broken {
                tracing::error!(after = last, "a position is missing in the feed: no further changes are sent");
                shared.head.send_modify(|head| head.is_broken = true);
            }
            return Ok(false);
        }
        found = true;
        let bounds = FeedBounds { head: newest.position, ..page.bounds.clone() };
        let head = Head::of(bounds, Some(newest));
        let database_head = page.bounds.head;
        let is_last = newest.position == database_head;
        push(shared, page.changes).await?;
        metrics::record_progress(head.bounds.head, database_head);
        shared.head.send_replace(head);
        if is_last {
            return Ok(true);
        }
    }
}

/// True if the changes have consecutive positions that begin after `last`.
pub(super) fn is_contiguous(last: i64, page: &ChangePage) -> bool {
    page.changes.iter().zip(last + 1..).all(|(change, expected)| change.position == expected)
}

async fn push(shared: &FeedInner, mut changes: Vec<StoredChange>) -> Result<(), StoreError> {
    let ring = || shared.ring.write().unwrap_or_else(PoisonError::into_inner);
    if shared.watchers_with_records.load(Ordering::Relaxed) == 0 {
        let mut ring = ring();
        changes.into_iter().for_each(|change| ring.push(Arc::new(FeedEntry::bare(change))));
        return Ok(());
    }
    while !changes.is_empty() {
        let entries = entry::with_records(shared.store.feed(), changes.clone(), PAGE_BYTES).await?;
        changes.drain(..entries.len());
        let mut ring = ring();
        entries.into_iter().for_each(|entry| ring.push(entry));
    }
    Ok(())
}

/// Clears the ring, and begins again at the head.
async fn restart_at_head(shared: &FeedInner) -> Result<(), StoreError> {
    let bounds = change::bounds(shared.store.feed()).await?;
    let newest = change::at(shared.store.feed(), bounds.head).await?;
    shared.ring.write().unwrap_or_else(PoisonError::into_inner).clear();
    shared.committed.store(0, Ordering::Relaxed);
    shared.head.send_replace(Head::of(bounds, newest.as_ref()));
    Ok(())
}

/// Notifies other instances of commits, several commits at a time. Without a notification they find them by polling.
async fn notify(feed: Feed) {
    loop {
        feed.0.notify_others.notified().await;
        let notified = time::timeout(READ_TIMEOUT, change::notify(feed.0.store.feed(), &feed.0.instance)).await;
        if let Err(error) = notified.map_err(StoreError::no_answer).flatten() {
            tracing::debug!(%error, "other instances were not notified");
        }
        time::sleep(NOTIFY_PACE).await;
    }
}

/// Wakes the tailer when another instance has committed. A lost notification only delays the change to the next poll.
async fn listen(feed: Feed) {
    let pool = feed.0.store.feed();
    loop {
        match PgListener::connect_with(pool).await {
            Ok(mut listener) => {
                if let Err(error) = listen_with(&feed.0, &mut listener).await {
                    tracing::debug!(%error, "the listener for notifications lost its connection");
                }
            }
            Err(error) => tracing::debug!(%error, "the listener for notifications could not connect"),
        }
        time::sleep(RETRY).await;
    }
}

async fn listen_with(shared: &FeedInner, listener: &mut PgListener) -> sqlx::Result<()> {
    listener.listen(change::CHANNEL).await?;
    // `None`: the connection was lost, and notifications with it.
    while let Some(notification) = listener.try_recv().await? {
        if notification.payload() != shared.instance {
            shared.wake.notify_one();
        }
    }
    Ok(())
}
