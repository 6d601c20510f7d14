//! Reads the change log, once per instance. The tailer fills the ring, asserts that no position is missing, and
//! publishes the head of the feed to all watchers.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    entry::{self, FeedEntry},
    head::{Feed, FeedInner, Head, READ_TIMEOUT, RETRY},
    metrics, notification,
};
use crate::{
    fairness::FairQueue,
    store::{
        Store, StoreError,
        change::{self, ChangePage, FeedBounds, Position, StoredChange},
        epoch::{self, KnownHead},
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
/// Maximum number of concurrent reads from the table for watchers that catch up.
const CATCH_UP_READS: usize = 2;

impl Feed {
    /// Starts the tailer, and the tasks that send and receive notifications. They end with `stopping`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn start(store: Store, stopping: CancellationToken) -> Result<Self, StoreError> {
        let (_, source, _) = change::newest(store.feed()).await?;
        // A service that only watches also marks the feed as synchronous.
        if !source.server.in_recovery {
            match epoch::judge(store.writes(), &KnownHead::default()).await {
                // The first commit judges, if there is one.
                Err(StoreError::ReadOnly(_) | StoreError::Contention(_)) => {}
                judged => drop(judged?),
            }
        }
        let server_changes = store.server_watch().changes();
        let (bounds, source, newest) = change::newest(store.feed()).await?;
        let head = Head::of(bounds, newest.as_ref(), source.server.in_recovery, server_changes);
        metrics::init(head.bounds.head);
        let feed = Self(Arc::new(FeedInner {
            store,
            stopping: stopping.clone(),
            head: watch::Sender::new(head),
            ring: RwLock::default(),
            watchers: AtomicUsize::new(0),
            watchers_with_records: AtomicUsize::new(0),
            catch_up_reads: FairQueue::new("catch_up", CATCH_UP_READS, Duration::MAX),
            wake: Notify::new(),
            notify_others: Notify::new(),
            committed: Mutex::default(),
            instance: Uuid::now_v7().simple().to_string(),
        }));
        tokio::spawn(stopping.clone().run_until_cancelled_owned(tail(feed.clone())));
        tokio::spawn(stopping.clone().run_until_cancelled_owned(notification::notify(feed.clone())));
        tokio::spawn(stopping.run_until_cancelled_owned(notification::listen(feed.clone())));
        Ok(feed)
    }
}

/// The result of reading to the end of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There were changes.
    Found,
    /// There were no changes.
    Nothing,
    /// The server is in recovery, and is behind.
    Behind,
}

async fn tail(feed: Feed) {
    let (mut poll, mut server_changes) = (MAX_POLL, feed.0.store.server_watch().subscribe());
    loop {
        poll = match time::timeout(READ_TIMEOUT, read_new_changes(&feed.0)).await.map_err(StoreError::no_answer) {
            Ok(Ok(Progress::Found)) => MIN_POLL,
            Ok(Ok(Progress::Nothing | Progress::Behind)) => MAX_POLL.min(2 * poll),
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(%error, "the feed could not be read");
                time::sleep(RETRY).await;
                continue;
            }
        };
        time::sleep(PACE).await;
        // A server in recovery sends no notifications, so that watched changes are polled for.
        let is_polled = feed.0.watchers.load(Ordering::Relaxed) > 0 && feed.0.head.borrow().in_recovery;
        let pause = if is_polled { MIN_POLL } else { poll };
        tokio::select! {
            () = feed.0.wake.notified() => {}
            _ = server_changes.changed() => {}
            () = time::sleep(pause) => {}
        }
    }
}

/// Reads to the end of the feed.
async fn read_new_changes(shared: &FeedInner) -> Result<Progress, StoreError> {
    let mut progress = Progress::Nothing;
    loop {
        let server_changes = shared.store.server_watch().changes();
        let before = shared.head.borrow().clone();
        let last = before.bounds.head;
        let page = change::after(shared.store.feed(), last, PAGE).await?;
        let in_recovery = page.source.server.in_recovery;
        shared.store.server_watch().record_answer(page.source.server);
        metrics::record_progress(last, page.bounds.head);
        // The mark detects a server that took over without the last changes and reused their positions.
        let is_same_epoch = page.bounds.epoch == before.bounds.epoch;
        let is_short = is_same_epoch && (page.bounds.head < last || !page.continues(before.mark));
        if in_recovery && (is_short || page.bounds.epoch_number < before.bounds.epoch_number) {
            set_behind(shared, &page, server_changes);
            return Ok(Progress::Behind);
        }
        if !in_recovery && (is_short || !page.source.is_judged) {
            let known = shared.known_head();
            match epoch::judge(shared.store.writes(), &known).await {
                Ok(Some(epoch)) if epoch != before.bounds.epoch => return restart_at_head(shared).await,
                // The next read finds the judged feed.
                Ok(Some(_)) => return Ok(Progress::Found),
                Ok(None) => return Ok(Progress::Behind),
                // No commit can give a position a second time.
                Err(StoreError::ReadOnly(_)) if !is_short => {}
                Err(error) => return Err(error),
            }
        }
        if !is_same_epoch {
            tracing::warn!(ended = %before.bounds.epoch, epoch = %page.bounds.epoch, "the feed has another epoch");
            return restart_at_head(shared).await;
        }
        let read = |head: &mut Head, bounds: FeedBounds| {
            (head.bounds, head.in_recovery, head.behind) = (bounds, in_recovery, None);
            head.server_changes = server_changes;
        };
        let Some(newest) = page.changes.last() else {
            shared.head.send_if_modified(|head| {
                let is_changed = page.bounds != head.bounds
                    || (in_recovery, server_changes) != (head.in_recovery, head.server_changes)
                    || head.behind.is_some();
                read(head, page.bounds);
                is_changed
            });
            return Ok(progress);
        };
        if !is_contiguous(last, &page) {
            if page.bounds.floor > last {
                // This instance was suspended for longer than changes are kept.
                return restart_at_head(shared).await;
            }
            if !before.is_broken {
                tracing::error!(after = last, "a position is missing in the feed: no further changes are sent");
                shared.head.send_modify(|head| head.is_broken = true);
            }
            return Ok(Progress::Nothing);
        }
        progress = Progress::Found;
        let bounds = FeedBounds { head: newest.position, ..page.bounds.clone() };
        let head = Head::of(bounds, Some(newest), in_recovery, server_changes);
        let database_head = page.bounds.head;
        let is_last = newest.position == database_head;
        push(shared, page.changes).await?;
        metrics::record_progress(head.bounds.head, database_head);
        shared.head.send_replace(head);
        if is_last {
            return Ok(progress);
        }
    }
}

/// Records that the server is in recovery and does not have the head yet. The head stays: the changes are not lost.
fn set_behind(shared: &FeedInner, page: &ChangePage, server_changes: u64) {
    let behind = Position { epoch: page.bounds.epoch.clone(), number: page.bounds.head };
    shared.head.send_if_modified(|head| {
        if head.behind.is_none() {
            tracing::warn!(known = %head.position(), found = %behind, "the database is a standby that is behind");
        }
        let is_changed = head.behind.as_ref() != Some(&behind) || head.server_changes != server_changes;
        (head.behind, head.in_recovery, head.server_changes) = (Some(behind), true, server_changes);
        is_changed
    });
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
async fn restart_at_head(shared: &FeedInner) -> Result<Progress, StoreError> {
    let server_changes = shared.store.server_watch().changes();
    let (bounds, source, newest) = change::newest(shared.store.feed()).await?;
    let server = source.server;
    if server.in_recovery && bounds.epoch_number < shared.head.borrow().bounds.epoch_number {
        return Ok(Progress::Behind);
    }
    shared.ring.write().unwrap_or_else(PoisonError::into_inner).clear();
    shared.committed().take_if(|committed| committed.epoch != bounds.epoch);
    shared.head.send_replace(Head::of(bounds, newest.as_ref(), server.in_recovery, server_changes));
    Ok(Progress::Found)
}
