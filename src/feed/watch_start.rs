//! Resolves the start of a watch to a position in the feed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use super::{
    head::Feed,
    watcher::{BEHIND_RETRY, BEHIND_TIMEOUT, ResumePoint},
};
use crate::store::{
    StoreError,
    change::{FeedBounds, Position, Source, StoredChange},
    epoch::{self, KnownHead},
};

/// The start that a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the point where an earlier call stopped.
    ResumePoint(ResumePoint),
    /// After a position.
    After(Position),
    /// At the first change at or after a time.
    Time(DateTime<Utc>),
    /// At the oldest change that is kept.
    Beginning,
    /// After the newest change.
    Now,
}

/// The reason why a start cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The start is of another epoch. Holds the current one.
    #[error("the feed has the epoch {0}")]
    EpochChanged(String),
    /// Changes after the start are no longer kept. Holds the oldest point from which changes are kept, and the time of
    /// the first change after it.
    #[error("the oldest change kept comes after {0:?}")]
    Expired(ResumePoint, Option<DateTime<Utc>>),
    /// The start is later than the newest change, whose position this holds.
    #[error("the newest change is at {0}")]
    InFuture(Position),
    /// The database is in recovery, and does not have the start yet. Holds its newest position.
    #[error("the database is behind, at {0}")]
    Behind(Position),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

impl Feed {
    /// Resolves a start. Returns the point after which to read, and the position of the newest change. Both are as of
    /// the database, which may be ahead of the tailer. Waits a while for a server in recovery that does not have the
    /// start yet. With `may_be_ahead` the point may be later than the newest change of such a server.
    ///
    /// # Errors
    /// The start is not in the feed: another epoch, changes that are no longer kept, or the future.
    pub async fn resume_point(&self, start: Start, may_be_ahead: bool) -> Result<(ResumePoint, i64), StartError> {
        let deadline = Instant::now() + BEHIND_TIMEOUT;
        loop {
            let (bounds, source) = self.0.store.feed_state().await?;
            let resolved = match ahead(&bounds, source, &start).filter(|_| may_be_ahead) {
                Some(point) => Ok(point),
                None => self.resolve(&bounds, source, start.clone()).await,
            };
            match resolved {
                Err(StartError::Behind(_)) if Instant::now() < deadline => sleep(BEHIND_RETRY).await,
                // A server that is behind for long: the start is probably of an epoch that has ended.
                Err(StartError::Behind(head)) if epoch_of(&start).is_some_and(|epoch| epoch != &*head.epoch) => {
                    return Err(StartError::EpochChanged(head.epoch.to_string()));
                }
                resolved => return Ok((resolved?, bounds.head)),
            }
        }
    }

    async fn resolve(&self, bounds: &FeedBounds, source: Source, start: Start) -> Result<ResumePoint, StartError> {
        let head = || Position { epoch: bounds.epoch.clone(), number: bounds.head };
        let in_recovery = source.server.in_recovery;
        match start {
            Start::Beginning => self.point_at(bounds, bounds.floor).await,
            Start::Now => self.point_at(bounds, bounds.head).await,
            Start::After(position) => {
                let is_known = position.epoch == bounds.epoch && position.number <= bounds.head;
                if in_recovery && !is_known {
                    return Err(StartError::Behind(head()));
                }
                if position.epoch != bounds.epoch {
                    return Err(StartError::EpochChanged(bounds.epoch.to_string()));
                }
                if position.number > bounds.head {
                    return Err(StartError::InFuture(head()));
                }
                self.point_at(bounds, position.number).await
            }
            Start::ResumePoint(point) => self.verify(bounds, in_recovery, point).await,
            Start::Time(time) => {
                if time > Utc::now() {
                    return Err(StartError::InFuture(head()));
                }
                let first = self.first_since(bounds, time).await?;
                // The oldest change kept may not be the first at or after the time: earlier ones may have been dropped.
                if first == bounds.floor + 1 && bounds.floor > 0 && first <= bounds.head {
                    return Err(self.expired(bounds).await?);
                }
                self.point_at(bounds, first - 1).await
            }
        }
    }

    async fn point_at(&self, bounds: &FeedBounds, position: i64) -> Result<ResumePoint, StartError> {
        let epoch = bounds.epoch.clone();
        if position == 0 && bounds.floor == 0 {
            return Ok(ResumePoint { epoch, position, mark: [0; 8] });
        }
        let last = self.0.store.change_at(position).await?;
        // The change at the floor is dropped; those after it are kept.
        if position < bounds.floor || last.is_none() && position > bounds.floor {
            return Err(self.expired(bounds).await?);
        }
        Ok(ResumePoint { epoch, position, mark: last.as_ref().map(StoredChange::mark).unwrap_or_default() })
    }

    /// Checks a point that was handed out before. If another change is at its position, the database has lost changes,
    /// as after a restore from a backup. A new epoch then makes all watchers begin again. A server in recovery is behind
    /// instead, and is waited for.
    async fn verify(
        &self,
        bounds: &FeedBounds,
        in_recovery: bool,
        point: ResumePoint,
    ) -> Result<ResumePoint, StartError> {
        let behind = || StartError::Behind(Position { epoch: bounds.epoch.clone(), number: bounds.head });
        if point.epoch != bounds.epoch {
            return Err(if in_recovery { behind() } else { StartError::EpochChanged(bounds.epoch.to_string()) });
        }
        let is_lost = point.position > bounds.head
            || point.mark != [0; 8]
                && self.0.store.change_at(point.position).await?.is_some_and(|change| change.mark() != point.mark);
        if !is_lost {
            return self.point_at(bounds, point.position).await;
        }
        if in_recovery {
            return Err(behind());
        }
        let known =
            KnownHead { epoch: point.epoch.clone(), number: point.position, marked: (point.position, point.mark) };
        match epoch::judge(self.0.store.writes(), &known).await {
            Ok(Some(epoch)) if epoch != point.epoch => Err(StartError::EpochChanged(epoch.to_string())),
            // The change was not lost: another connection has reached a server that is behind.
            Ok(_) | Err(StoreError::ReadOnly(_)) => Err(behind()),
            Err(error) => Err(Arc::new(error).into()),
        }
    }

    /// The first position whose change is at or after a time; the one after the head if there is none. A binary search:
    /// times never decrease.
    async fn first_since(&self, bounds: &FeedBounds, time: DateTime<Utc>) -> Result<i64, Arc<StoreError>> {
        let (mut low, mut high) = (bounds.floor + 1, bounds.head + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.0.store.change_at(middle).await? {
                Some(change) if change.time >= time => high = middle,
                // A change that was dropped meanwhile is older than all that are kept.
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    async fn expired(&self, bounds: &FeedBounds) -> Result<StartError, Arc<StoreError>> {
        let oldest = self.0.store.change_at(bounds.floor + 1).await?;
        let point = ResumePoint { epoch: bounds.epoch.clone(), position: bounds.floor, mark: [0; 8] };
        Ok(StartError::Expired(point, oldest.map(|change| change.time)))
    }
}

/// The start, if it is in the current epoch and a server in recovery does not have it yet.
fn ahead(bounds: &FeedBounds, source: Source, start: &Start) -> Option<ResumePoint> {
    let point = match start {
        Start::ResumePoint(point) => point.clone(),
        Start::After(Position { epoch, number }) => {
            ResumePoint { epoch: epoch.clone(), position: *number, mark: [0; 8] }
        }
        _ => return None,
    };
    let is_ahead = source.server.in_recovery && point.epoch == bounds.epoch && point.position > bounds.head;
    is_ahead.then_some(point)
}

fn epoch_of(start: &Start) -> Option<&str> {
    match start {
        Start::ResumePoint(point) => Some(&point.epoch),
        Start::After(position) => Some(&position.epoch),
        _ => None,
    }
}
