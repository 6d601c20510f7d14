//! One reader of the change log per instance. It fills the ring, asserts that no position is missing, and tells
//! everybody how far the feed is.

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
use crate::store::{
    Store, StoreError,
    change::{self, ChangePage, Extent, Logged, Position},
};

/// Changes read at once, and bytes of their records.
const PAGE: i64 = 1_000;
const PAGE_BYTES: i64 = 2 * 1024 * 1024;
/// Between two looks that nobody asked for: short after something was found, then longer and longer.
const SHORTEST_POLL: Duration = Duration::from_millis(20);
const LONGEST_POLL: Duration = Duration::from_millis(250);
/// Between two looks, however often somebody asks: what is committed meanwhile is read at once.
const PACE: Duration = Duration::from_millis(1);
/// Between two notifications of other instances.
const NOTIFY_PACE: Duration = Duration::from_millis(5);
/// Nothing that the tailer asks takes longer, unless the connection has gone dead.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure.
const RETRY: Duration = Duration::from_millis(250);
/// Reads of those who catch up, at a time.
const CATCHING_UP: usize = 2;

/// How far the feed is, as this instance knows it.
#[derive(Debug, Clone)]
pub struct Head {
    /// Where the feed begins and ends.
    pub extent: Extent,
    /// `Logged::mark` of the newest change; zeros where that is not kept.
    pub mark: [u8; 8],
    /// When the newest change was committed.
    pub time: Option<DateTime<Utc>>,
    /// A position is missing: nothing more is told.
    pub is_broken: bool,
}

/// The feed, for those who write and for those who follow.
#[derive(Debug, Clone)]
pub struct Feed(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub store: Store,
    pub stopping: CancellationToken,
    pub head: watch::Sender<Head>,
    pub ring: RwLock<Ring>,
    /// How many of those who follow need records.
    pub need_records: AtomicUsize,
    pub catching_up: Semaphore,
    wake: Notify,
    others: Notify,
    /// The highest position that this instance has committed, which the tailer may not have read yet.
    committed: AtomicI64,
    /// Tells our own notifications from others'.
    instance: String,
}

impl Feed {
    /// Starts the tailer and those who notify and listen. They end with `stopping`.
    pub async fn start(store: Store, stopping: CancellationToken) -> Result<Self, StoreError> {
        let extent = change::extent(store.feed()).await?;
        let newest = change::at(store.feed(), extent.head).await?;
        let head = Head::of(extent, newest.as_ref());
        metrics::begin(head.extent.head);
        let feed = Self(Arc::new(Shared {
            store,
            stopping: stopping.clone(),
            head: watch::Sender::new(head),
            ring: RwLock::default(),
            need_records: AtomicUsize::new(0),
            catching_up: Semaphore::new(CATCHING_UP),
            wake: Notify::new(),
            others: Notify::new(),
            committed: AtomicI64::new(0),
            instance: Uuid::now_v7().simple().to_string(),
        }));
        tokio::spawn(stopping.clone().run_until_cancelled_owned(tail(feed.clone())));
        tokio::spawn(stopping.clone().run_until_cancelled_owned(notify(feed.clone())));
        tokio::spawn(stopping.run_until_cancelled_owned(listen(feed.clone())));
        Ok(feed)
    }

    /// Something was committed here.
    pub fn committed(&self, position: &Position) {
        self.0.committed.fetch_max(position.number, Ordering::Relaxed);
        self.0.wake.notify_one();
        self.0.others.notify_one();
    }

    /// A position that every read from here on includes. The newest one that this instance knows.
    pub fn head(&self) -> Position {
        let head = self.0.head.borrow();
        let number = head.extent.head.max(self.0.committed.load(Ordering::Relaxed));
        Position { epoch: head.extent.epoch.clone(), number }
    }
}

impl Feed {
    /// Waits, at most so long, until reads have a position; whether they do.
    pub async fn reach(&self, position: &Position, at_most: Duration) -> Result<bool, StoreError> {
        let is_there = |head: &Position| head.epoch == position.epoch && head.number >= position.number;
        if is_there(&self.head()) {
            return Ok(true);
        }
        // The database may be ahead of what was read of it.
        let head = change::head(self.0.store.reads()).await?;
        if is_there(&head) || head.epoch != position.epoch {
            return Ok(is_there(&head));
        }
        let mut heads = self.0.head.subscribe();
        let reached =
            heads.wait_for(|head| is_there(&Position { epoch: head.extent.epoch.clone(), number: head.extent.head }));
        Ok(time::timeout(at_most, reached).await.is_ok())
    }
}

impl Head {
    fn of(extent: Extent, newest: Option<&Logged>) -> Self {
        let mark = newest.map(Logged::mark).unwrap_or_default();
        Self { extent, mark, time: newest.map(|change| change.time), is_broken: false }
    }
}

async fn tail(feed: Feed) {
    let mut poll = LONGEST_POLL;
    loop {
        poll = match time::timeout(READ_TIMEOUT, read_on(&feed.0)).await.map_err(StoreError::silent) {
            Ok(Ok(true)) => SHORTEST_POLL,
            Ok(Ok(false)) => LONGEST_POLL.min(2 * poll),
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

/// Reads to the end of the feed, and answers whether there was anything.
async fn read_on(shared: &Shared) -> Result<bool, StoreError> {
    let mut found = false;
    loop {
        let before = shared.head.borrow().clone();
        let last = before.extent.head;
        let page = change::after(shared.store.feed(), last, PAGE).await?;
        metrics::read_to(last, page.extent.head);
        if page.extent.epoch != before.extent.epoch {
            tracing::warn!(ended = %before.extent.epoch, epoch = %page.extent.epoch, "the feed has another epoch");
            return begin_anew(shared).await.map(|()| true);
        }
        // The mark tells what a standby has written anew that took over without the tail.
        if page.extent.head < last || !page.goes_on_from(before.mark) {
            tracing::error!(
                known = last,
                found = page.extent.head,
                "the database has lost changes: a new epoch begins"
            );
            change::renew_epoch(shared.store.writes(), &before.extent.epoch).await?;
            return begin_anew(shared).await.map(|()| true);
        }
        let Some(newest) = page.changes.last() else {
            if page.extent != before.extent {
                shared.head.send_modify(|head| head.extent = page.extent);
            }
            return Ok(found);
        };
        if !is_dense(last, &page) {
            if page.extent.floor > last {
                // This instance slept for longer than changes are kept.
                return begin_anew(shared).await.map(|()| true);
            }
            if !before.is_broken {
                tracing::error!(after = last, "a position is missing in the feed: nothing more is told");
                shared.head.send_modify(|head| head.is_broken = true);
            }
            return Ok(false);
        }
        found = true;
        let extent = Extent { head: newest.position, ..page.extent.clone() };
        let head = Head::of(extent, Some(newest));
        let (is_last, of) = (newest.position == page.extent.head, page.extent.head);
        push(shared, page.changes).await?;
        metrics::read_to(head.extent.head, of);
        shared.head.send_replace(head);
        if is_last {
            return Ok(true);
        }
    }
}

/// Whether the changes follow on `last` without a hole.
pub(super) fn is_dense(last: i64, page: &ChangePage) -> bool {
    page.changes.iter().zip(last + 1..).all(|(change, expected)| change.position == expected)
}

async fn push(shared: &Shared, mut changes: Vec<Logged>) -> Result<(), StoreError> {
    let ring = || shared.ring.write().unwrap_or_else(PoisonError::into_inner);
    if shared.need_records.load(Ordering::Relaxed) == 0 {
        let mut ring = ring();
        changes.into_iter().for_each(|change| ring.push(Arc::new(FeedEntry::bare(change))));
        return Ok(());
    }
    while !changes.is_empty() {
        let some = entry::with_records(shared.store.feed(), changes.clone(), PAGE_BYTES).await?;
        changes.drain(..some.len());
        let mut ring = ring();
        some.into_iter().for_each(|told| ring.push(told));
    }
    Ok(())
}

/// Forgets what was known, and begins at the head.
async fn begin_anew(shared: &Shared) -> Result<(), StoreError> {
    let extent = change::extent(shared.store.feed()).await?;
    let newest = change::at(shared.store.feed(), extent.head).await?;
    shared.ring.write().unwrap_or_else(PoisonError::into_inner).clear();
    shared.committed.store(0, Ordering::Relaxed);
    shared.head.send_replace(Head::of(extent, newest.as_ref()));
    Ok(())
}

/// Tells other instances of what was committed here, many commits at once. They find it without, only later.
async fn notify(feed: Feed) {
    loop {
        feed.0.others.notified().await;
        let notified = time::timeout(READ_TIMEOUT, change::notify(feed.0.store.feed(), &feed.0.instance)).await;
        if let Err(error) = notified.map_err(StoreError::silent).flatten() {
            tracing::debug!(%error, "other instances were not notified");
        }
        time::sleep(NOTIFY_PACE).await;
    }
}

/// Wakes the tailer when another instance has committed. A notification that is lost costs a poll.
async fn listen(feed: Feed) {
    let pool = feed.0.store.feed();
    loop {
        match PgListener::connect_with(pool).await {
            Ok(mut listener) => {
                if let Err(error) = listen_with(&feed.0, &mut listener).await {
                    tracing::debug!(%error, "the listener was cut off");
                }
            }
            Err(error) => tracing::debug!(%error, "there is no listener"),
        }
        time::sleep(RETRY).await;
    }
}

async fn listen_with(shared: &Shared, listener: &mut PgListener) -> sqlx::Result<()> {
    listener.listen(change::CHANNEL).await?;
    // `None`: the connection was lost, and notifications with it.
    while let Some(notification) = listener.try_recv().await? {
        if notification.payload() != shared.instance {
            shared.wake.notify_one();
        }
    }
    Ok(())
}
