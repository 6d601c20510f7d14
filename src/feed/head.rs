//! The change feed of an instance, as its tasks share it, and its head: the newest position that the instance has read.
//! Reads wait here for a position.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicUsize},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Notify, watch},
    time,
};
use tokio_util::sync::CancellationToken;

use super::ring::Ring;
use crate::{
    fairness::{FairQueue, call::wait_outside},
    store::{
        Store, StoreError,
        change::{FeedBounds, Position, StoredChange},
        epoch::KnownHead,
    },
};

/// A query of the tailer that takes longer counts as a dead connection.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failure.
pub const RETRY: Duration = Duration::from_millis(250);

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
    /// True if the server is in recovery. It cannot judge epochs, and is waited for while it is behind.
    pub in_recovery: bool,
    /// The newest position of a server in recovery that is behind this head, and what reads include meanwhile.
    pub behind: Option<Position>,
    /// `ServerWatch::changes` before this head was read.
    pub server_changes: u64,
}

impl Head {
    /// The head of a feed with these bounds and this newest change.
    pub fn of(bounds: FeedBounds, newest: Option<&StoredChange>, in_recovery: bool, server_changes: u64) -> Self {
        let mark = newest.map(StoredChange::mark).unwrap_or_default();
        let time = newest.map(|change| change.time);
        Self { bounds, mark, time, is_broken: false, in_recovery, behind: None, server_changes }
    }

    /// The position of the head.
    pub fn position(&self) -> Position {
        Position { epoch: self.bounds.epoch.clone(), number: self.bounds.head }
    }
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
    /// The number of watchers.
    pub watchers: AtomicUsize,
    /// The number of watchers that need records.
    pub watchers_with_records: AtomicUsize,
    pub catch_up_reads: FairQueue,
    /// Wakes the tailer.
    pub wake: Notify,
    /// Wakes the task that notifies other instances.
    pub notify_others: Notify,
    /// The newest position that this instance has committed, which the tailer may not have read yet.
    pub committed: Mutex<Option<Position>>,
    /// The id of this instance, which distinguishes its own notifications from those of others.
    pub instance: String,
}

/// The result of waiting for a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Every later read includes the position.
    Included,
    /// Reads do not include it yet. Holds the newest position that they include.
    NotYet(Position),
    /// The feed has another epoch. Holds its newest position.
    OtherEpoch(Position),
}

impl Feed {
    /// Records a commit of this instance, and wakes the tailer and the other instances.
    pub fn committed(&self, position: &Position) {
        {
            let mut committed = self.0.committed();
            if committed.as_ref().is_none_or(|known| known.epoch != position.epoch || known.number < position.number) {
                *committed = Some(position.clone());
            }
        }
        self.0.wake.notify_one();
        self.0.notify_others.notify_one();
    }

    /// The newest position that reads include. Every later read includes it.
    pub fn head(&self) -> Position {
        let head = self.0.head.borrow();
        if let Some(behind) = &head.behind {
            return behind.clone();
        }
        let position = head.position();
        match &*self.0.committed() {
            Some(committed) if committed.epoch == position.epoch && committed.number > position.number => {
                committed.clone()
            }
            _ => position,
        }
    }

    /// The newest change that this instance knows.
    pub fn known_head(&self) -> KnownHead {
        self.0.known_head()
    }

    /// The number of changes of the server, if the tailer has read from the current one and it is not in recovery. Reads
    /// between two equal numbers have seen every commit that was acknowledged before them.
    pub fn primary(&self) -> Option<u64> {
        let head = self.0.head.borrow();
        let is_primary = !head.in_recovery && head.server_changes == self.0.store.server_watch().changes();
        is_primary.then_some(head.server_changes)
    }

    /// Waits until reads include a position, for at most `timeout`. A call that waits holds no place meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reach(&self, position: &Position, timeout: Duration) -> Result<Reached, Arc<StoreError>> {
        let reached = |head: Position| match head.epoch == position.epoch {
            true if head.number >= position.number => Reached::Included,
            true => Reached::NotYet(head),
            false => Reached::OtherEpoch(head),
        };
        if self.has_current_head() && reached(self.head()) == Reached::Included {
            return Ok(Reached::Included);
        }
        // The database may be ahead of the tailer, and a server that has just taken over may be behind it.
        let (bounds, source) = self.0.store.feed_state().await?;
        let of_database = reached(Position { epoch: bounds.epoch, number: bounds.head });
        match of_database {
            Reached::Included => return Ok(of_database),
            // A server that is behind may get to the epoch of the position.
            Reached::OtherEpoch(_) if !source.server.in_recovery => return Ok(of_database),
            _ => {}
        }
        let mut heads = self.0.head.subscribe();
        let is_final = |head: &Head| {
            let is_current = head.server_changes == self.0.store.server_watch().changes();
            is_current
                && match reached(head.behind.clone().unwrap_or_else(|| head.position())) {
                    Reached::Included => true,
                    Reached::OtherEpoch(_) => !head.in_recovery,
                    Reached::NotYet(_) => false,
                }
        };
        let is_in_time =
            wait_outside(async { matches!(time::timeout(timeout, heads.wait_for(is_final)).await, Ok(Ok(_))) });
        match is_in_time.await {
            true => Ok(reached(self.head())),
            false => Ok(match reached(self.head()) {
                // The tailer has not read from the server that is current.
                Reached::Included => Reached::NotYet(self.head()),
                other => other,
            }),
        }
    }

    /// True if the tailer has read from the server that connections reach.
    pub fn has_current_head(&self) -> bool {
        self.0.head.borrow().server_changes == self.0.store.server_watch().changes()
    }

    /// Waits until the tailer has read from the server that connections reach, for at most `timeout`.
    pub async fn await_current_head(&self, timeout: Duration) {
        if !self.has_current_head() {
            let mut heads = self.0.head.subscribe();
            let is_current = |head: &Head| head.server_changes == self.0.store.server_watch().changes();
            // Without an answer in time, `head` is older.
            let _ = time::timeout(timeout, heads.wait_for(is_current)).await;
        }
    }
}

impl Feed {
    /// Waits until the feed has another head than this, in this epoch or a later one.
    pub async fn await_other_head(&self, known: &Position) {
        let mut heads = self.0.head.subscribe();
        let is_other = |head: &Head| head.bounds.epoch != known.epoch || head.bounds.head > known.number;
        // The sender is part of the feed: the wait ends with a head only.
        let _ = heads.wait_for(is_other).await;
    }
}

impl FeedInner {
    pub fn committed(&self) -> MutexGuard<'_, Option<Position>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest change that this instance knows.
    pub fn known_head(&self) -> KnownHead {
        let head = self.head.borrow();
        let known = KnownHead {
            epoch: head.bounds.epoch.clone(),
            number: head.bounds.head,
            marked: (head.bounds.head, head.mark),
        };
        match &*self.committed() {
            Some(committed) if committed.epoch != known.epoch => {
                KnownHead { epoch: committed.epoch.clone(), number: committed.number, ..KnownHead::default() }
            }
            Some(committed) => KnownHead { number: committed.number.max(known.number), ..known },
            None => known,
        }
    }
}
