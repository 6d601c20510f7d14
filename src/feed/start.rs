//! Where somebody begins to follow.

use chrono::{DateTime, Utc};

use super::{tailer::Feed, watcher::ResumePoint};
use crate::store::{
    StoreError,
    change::{self, Extent, Logged, Position},
};

/// What a caller begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Where a call was before.
    ResumePoint(ResumePoint),
    /// After a position.
    After(Position),
    /// With the first change at or after a time.
    Time(DateTime<Utc>),
    /// With the oldest change that is kept.
    Beginning,
    /// After the newest change.
    Now,
}

/// Why nobody can begin there.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is of another line of history than this one.
    #[error("the feed has the epoch {0}")]
    EpochChanged(String),
    /// Changes after it are no longer kept; those after this place are.
    #[error("the oldest change kept comes after {0:?}")]
    Expired(ResumePoint, Option<DateTime<Utc>>),
    /// It is later than this newest change.
    #[error("the newest change is at {0}")]
    InFuture(Position),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Feed {
    /// The place of a start, which must be within the feed as the database has it now, and the position of its newest
    /// change.
    pub async fn place(&self, start: Start) -> Result<(ResumePoint, i64), StartError> {
        let extent = change::extent(self.0.store.reads()).await?;
        Ok((self.place_in(&extent, start).await?, extent.head))
    }

    async fn place_in(&self, extent: &Extent, start: Start) -> Result<ResumePoint, StartError> {
        match start {
            Start::Beginning => self.place_at(extent, extent.floor).await,
            Start::Now => self.place_at(extent, extent.head).await,
            Start::After(position) => {
                if position.epoch != extent.epoch {
                    return Err(StartError::EpochChanged(extent.epoch.to_string()));
                }
                if position.number > extent.head {
                    return Err(StartError::InFuture(Position { epoch: extent.epoch.clone(), number: extent.head }));
                }
                self.place_at(extent, position.number).await
            }
            Start::ResumePoint(place) => self.place_again(extent, place).await,
            Start::Time(time) => {
                if time > Utc::now() {
                    return Err(StartError::InFuture(Position { epoch: extent.epoch.clone(), number: extent.head }));
                }
                let first = self.first_since(extent, time).await?;
                // If it is the oldest one kept, others that are gone may have been as late.
                if first == extent.floor + 1 && extent.floor > 0 && first <= extent.head {
                    return Err(self.expired(extent).await?);
                }
                self.place_at(extent, first - 1).await
            }
        }
    }

    async fn place_at(&self, extent: &Extent, position: i64) -> Result<ResumePoint, StartError> {
        let epoch = extent.epoch.clone();
        if position == 0 && extent.floor == 0 {
            return Ok(ResumePoint { epoch, position, mark: [0; 8] });
        }
        let last = change::at(self.0.store.reads(), position).await?;
        // The one at the floor is gone, and those after it are there.
        if position < extent.floor || last.is_none() && position > extent.floor {
            return Err(self.expired(extent).await?);
        }
        Ok(ResumePoint { epoch, position, mark: last.as_ref().map(Logged::mark).unwrap_or_default() })
    }

    /// A place that we gave out before. If the feed does not have the change that was there, it is not the feed that it
    /// was: whoever follows has to know.
    async fn place_again(&self, extent: &Extent, place: ResumePoint) -> Result<ResumePoint, StartError> {
        if place.epoch != extent.epoch {
            return Err(StartError::EpochChanged(extent.epoch.to_string()));
        }
        let pool = self.0.store.reads();
        let is_lost = place.position > extent.head
            || place.mark != [0; 8]
                && change::at(pool, place.position).await?.is_some_and(|change| change.mark() != place.mark);
        if is_lost {
            tracing::error!(
                position = place.position,
                head = extent.head,
                "the database has lost changes that were told: a new epoch begins"
            );
            let epoch = change::renew_epoch(pool, &extent.epoch).await?;
            return Err(StartError::EpochChanged(epoch.to_string()));
        }
        self.place_at(extent, place.position).await
    }

    /// The first position whose change is at or after a time; the one after the head if none is. Times never decrease,
    /// so that halving finds it.
    async fn first_since(&self, extent: &Extent, time: DateTime<Utc>) -> Result<i64, StoreError> {
        let (mut low, mut high) = (extent.floor + 1, extent.head + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match change::at(self.0.store.reads(), middle).await? {
                Some(change) if change.time >= time => high = middle,
                // One that has gone meanwhile was older than all that are kept.
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    async fn expired(&self, extent: &Extent) -> Result<StartError, StoreError> {
        let oldest = change::at(self.0.store.reads(), extent.floor + 1).await?;
        let place = ResumePoint { epoch: extent.epoch.clone(), position: extent.floor, mark: [0; 8] };
        Ok(StartError::Expired(place, oldest.map(|change| change.time)))
    }
}
