//! Resolves the start of a watch to a position in the feed.

use chrono::{DateTime, Utc};

use super::{tailer::Feed, watcher::ResumePoint};
use crate::store::{
    StoreError,
    change::{self, FeedBounds, Position, StoredChange},
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
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Feed {
    /// Resolves a start. Returns the point after which to read, and the position of the newest change. Both are as of
    /// the database, which may be ahead of the tailer.
    ///
    /// # Errors
    /// The start is not in the feed: another epoch, changes that are no longer kept, or the future.
    pub async fn resume_point(&self, start: Start) -> Result<(ResumePoint, i64), StartError> {
        let bounds = change::bounds(self.0.store.reads()).await?;
        Ok((self.resolve(&bounds, start).await?, bounds.head))
    }

    async fn resolve(&self, bounds: &FeedBounds, start: Start) -> Result<ResumePoint, StartError> {
        match start {
            Start::Beginning => self.point_at(bounds, bounds.floor).await,
            Start::Now => self.point_at(bounds, bounds.head).await,
            Start::After(position) => {
                if position.epoch != bounds.epoch {
                    return Err(StartError::EpochChanged(bounds.epoch.to_string()));
                }
                if position.number > bounds.head {
                    return Err(StartError::InFuture(Position { epoch: bounds.epoch.clone(), number: bounds.head }));
                }
                self.point_at(bounds, position.number).await
            }
            Start::ResumePoint(point) => self.verify(bounds, point).await,
            Start::Time(time) => {
                if time > Utc::now() {
                    return Err(StartError::InFuture(Position { epoch: bounds.epoch.clone(), number: bounds.head }));
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
        let last = change::at(self.0.store.reads(), position).await?;
        // The change at the floor is dropped; those after it are kept.
        if position < bounds.floor || last.is_none() && position > bounds.floor {
            return Err(self.expired(bounds).await?);
        }
        Ok(ResumePoint { epoch, position, mark: last.as_ref().map(StoredChange::mark).unwrap_or_default() })
    }

    /// Checks a point that was handed out before. If another change is at its position, the database has lost changes,
    /// as after a restore from a backup. A new epoch then makes all watchers begin again.
    async fn verify(&self, bounds: &FeedBounds, point: ResumePoint) -> Result<ResumePoint, StartError> {
        if point.epoch != bounds.epoch {
            return Err(StartError::EpochChanged(bounds.epoch.to_string()));
        }
        let pool = self.0.store.reads();
        let is_lost = point.position > bounds.head
            || point.mark != [0; 8]
                && change::at(pool, point.position).await?.is_some_and(|change| change.mark() != point.mark);
        if is_lost {
            tracing::error!(
                position = point.position,
                head = bounds.head,
                "the database has lost changes that were sent: a new epoch begins"
            );
            let epoch = change::renew_epoch(pool, &bounds.epoch).await?;
            return Err(StartError::EpochChanged(epoch.to_string()));
        }
        self.point_at(bounds, point.position).await
    }

    /// The first position whose change is at or after a time; the one after the head if there is none. A binary search:
    /// times never decrease.
    async fn first_since(&self, bounds: &FeedBounds, time: DateTime<Utc>) -> Result<i64, StoreError> {
        let (mut low, mut high) = (bounds.floor + 1, bounds.head + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match change::at(self.0.store.reads(), middle).await? {
                Some(change) if change.time >= time => high = middle,
                // A change that was dropped meanwhile is older than all that are kept.
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    async fn expired(&self, bounds: &FeedBounds) -> Result<StartError, StoreError> {
        let oldest = change::at(self.0.store.reads(), bounds.floor + 1).await?;
        let point = ResumePoint { epoch: bounds.epoch.clone(), position: bounds.floor, mark: [0; 8] };
        Ok(StartError::Expired(point, oldest.map(|change| change.time)))
    }
}
