//! Every way in which a call can fail; `status` says it to clients.

use std::sync::Arc;

use uuid::Uuid;

use super::read::stream_lifetime::Ended;
use crate::{
    access::Denied,
    feed::committer::SubmitError,
    model::{
        query::{filter::FilterError, order::OrderError},
        resource::Collection,
        rules::Violations,
    },
    store::StoreError,
};

/// Why a call was refused or failed.
#[derive(Debug, Clone)]
pub enum ServiceError {
    /// Fields break rules.
    Invalid(Violations),
    /// The filter cannot be used.
    Filter(FilterError),
    /// No list comes in this order.
    Order(OrderError),
    /// The page token is not ours, or another request's.
    PageToken,
    /// A chain from a participant to itself was asked for.
    SameParticipant(String),
    /// The request id came with another body before.
    RequestIdReused(String),
    /// There is no such resource.
    NotFound(String),
    /// There was none at the time asked for.
    NotThen(String),
    /// The id asked for is taken.
    DuplicateId(String),
    /// An article has the uri.
    DuplicateArticle {
        /// That article.
        name: String,
        /// The uri.
        uri: String,
    },
    /// A participant has the external id.
    DuplicateExternalId {
        /// That participant.
        name: String,
        /// The catalogue.
        scheme: String,
        /// The id in it.
        value: String,
    },
    /// The article gave the report before.
    DuplicateReport(String),
    /// The article of a story is there with other content.
    ArticleDiffers {
        /// That article.
        name: String,
        /// Its uri.
        uri: String,
    },
    /// It was deleted before.
    AlreadyDeleted(String),
    /// It is not deleted.
    NotDeleted(String),
    /// It is deleted, and cannot be changed or named.
    Deleted(String),
    /// It was merged into another, and cannot be changed.
    MergedAway {
        /// It.
        name: String,
        /// The one to change instead.
        survivor: String,
    },
    /// The report was retracted before.
    AlreadyRetracted(String),
    /// The meeting was not merged into the one that is split.
    NotMerged(String),
    /// The meeting would be left without an active report.
    LeavesNothing(String),
    /// No active report tells of the meeting.
    NoActiveReport(String),
    /// It cannot be deleted.
    StillNamed {
        /// It.
        name: String,
        /// Some of those who name it.
        by: Vec<String>,
    },
    /// The etag is not the current one.
    EtagMismatch {
        /// The resource.
        name: String,
        /// Its etag.
        etag: String,
    },
    /// The meeting is full.
    TooManyReports(String),
    /// The answer would be over the message limit.
    TooLarge,
    /// The cursor is not ours.
    Cursor,
    /// The cursor is of another filter.
    CursorOfAnotherFilter,
    /// A position is not one.
    Position {
        /// Where it was sent.
        field: &'static str,
        /// What was sent.
        position: String,
    },
    /// Changes after the start are gone.
    CursorExpired {
        /// With it one could go on.
        oldest_cursor: String,
        /// When the oldest change kept was committed; empty where none is.
        oldest_time: String,
    },
    /// The start is later than this newest position.
    InFuture(String),
    /// The position is of another epoch than this one.
    EpochChanged(String),
    /// What is read is only at this position.
    NotReached(String),
    /// Something that cannot be. It is in the log.
    Defect,
    /// Others went first again and again.
    Contention,
    /// The caller is not let in.
    Denied(Denied),
    /// There is no method at this path.
    UnknownMethod(String),
    /// The call's time is up.
    Late,
    /// The service is stopping.
    Stopping,
    /// A stream ends before its end.
    Ended(Ended),
    /// More is asked than can be done in time.
    Overloaded,
    /// The database.
    Store(Arc<StoreError>),
}

impl From<Violations> for ServiceError {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<Denied> for ServiceError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<Arc<StoreError>> for ServiceError {
    fn from(error: Arc<StoreError>) -> Self {
        Self::Store(error)
    }
}

impl From<SubmitError> for ServiceError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Stopping => Self::Stopping,
            SubmitError::Store(error) => Self::Store(error),
        }
    }
}

/// Refuses to name a record that is not there, or is not live.
pub fn require_live(of: Collection, id: Uuid, is_live: Option<bool>) -> Result<(), ServiceError> {
    match is_live {
        Some(true) => Ok(()),
        Some(false) => Err(ServiceError::Deleted(of.name(id))),
        None => Err(ServiceError::NotFound(of.name(id))),
    }
}
