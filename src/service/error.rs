//! The errors of calls, of all layers. `status` converts them to what clients see.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::read::stream_lifetime::Ended;
use crate::{
    access::Denied,
    feed::committer::SubmitError,
    model::{
        message_bound::Oversize,
        query::{filter::FilterError, order::OrderError},
        resource::Collection,
        role::Role,
        rules::{Violations, wire_limits::Breach},
    },
    store::{StoreError, query::former::TooMuchChanged},
};

/// The reason why a call was rejected or failed.
#[derive(Debug, Clone)]
pub enum ServiceError {
    /// Fields break rules.
    Invalid(Violations),
    /// The filter cannot be used.
    Filter(FilterError),
    /// The `order_by` cannot be used.
    Order(OrderError),
    /// The headers of the call are larger than the limit, in bytes.
    HeadersTooLarge { size: usize, limit: usize },
    /// The page token was not issued by this service, or was issued for another request.
    PageToken,
    /// Two participants of a request must differ, and are the same.
    SameParticipant {
        /// The field of the second one.
        field: &'static str,
        /// The name of the participant.
        name: String,
    },
    /// Participants cannot be settled as one person, or as two.
    Identity(IdentityConflict),
    /// The request id was used before with another body.
    RequestIdReused(String),
    /// The resource does not exist.
    NotFound(String),
    /// The resource did not exist at the `read_time`.
    NotThen(String),
    /// The requested id exists.
    DuplicateId(String),
    /// Another article has the uri.
    DuplicateArticle {
        /// The name of that article.
        name: String,
        /// The uri.
        uri: String,
    },
    /// Another participant has the external id.
    DuplicateExternalId {
        /// The name of that participant.
        name: String,
        /// The scheme of the external id.
        scheme: String,
        /// The id in the scheme.
        value: String,
    },
    /// Another live meeting has the external id.
    DuplicateMeeting {
        /// The name of that meeting.
        name: String,
        /// The scheme of the external id.
        scheme: String,
        /// The id in the scheme.
        value: String,
        /// A second meeting that has ids of the same report; empty if there is none.
        other: String,
    },
    /// The article has a report with the same content.
    DuplicateReport(String),
    /// The stored article differs from the story's, and the story does not allow updates.
    ArticleDiffers {
        /// The name of the stored article.
        name: String,
        /// The uri that both have.
        uri: String,
    },
    /// The resource is deleted already.
    AlreadyDeleted(String),
    /// The resource is not deleted, so it cannot be undeleted.
    NotDeleted(String),
    /// The resource is deleted, so it cannot be changed or referred to.
    Deleted(String),
    /// The resource was merged into another, so it cannot be changed.
    MergedAway {
        /// The name of the merged resource.
        name: String,
        /// The name of the resource to change instead.
        survivor: String,
    },
    /// No text of the article is stored, so none can be erased.
    NoStoredText(String),
    /// The article hides its text, and the caller's role does not allow to show it again.
    TextHidden {
        /// The name of the article.
        name: String,
        /// The caller's role.
        role: Role,
    },
    /// The report is retracted already.
    AlreadyRetracted(String),
    /// The participation has no binding to withdraw.
    NotBound {
        /// The name of the report.
        name: String,
        /// The id of the participation.
        participation: String,
    },
    /// The meeting was not merged into the one that is split.
    NotMerged(String),
    /// The meeting would be left without an active report.
    LeavesNothing(String),
    /// The meeting has no active report.
    NoActiveReport(String),
    /// Other records refer to the resource, so it cannot be deleted.
    StillNamed {
        /// The name of the resource.
        name: String,
        /// The names of some of those records.
        by: Vec<String>,
    },
    /// The etag is not the current one.
    EtagMismatch {
        /// The name of the resource.
        name: String,
        /// The current etag.
        etag: String,
    },
    /// The stories of a dry run would write more than is kept in memory.
    DryRunTooLarge,
    /// The meeting would have more reports than it may have.
    TooManyReports(String),
    /// The request is larger than a message may be.
    RequestTooLarge,
    /// The request exceeds a limit on messages before they are decoded, on no field in particular.
    TooManyItems(Breach),
    /// The reports of the meeting would be larger than they may be.
    ReportsTooLarge(Oversize),
    /// The settled part of the meeting would be larger than it may be.
    MeetingTooLarge(Oversize),
    /// The answer would be larger than a message may be. Without a name, the records of the answer are it together.
    AnswerTooLarge(Oversize),
    /// The reports that the answer would be made of are larger together than one call may read.
    SourcesTooLarge(Oversize),
    /// More records have changed since the `read_time` than one call may read.
    TooMuchChanged(TooMuchChanged),
    /// The report to store would be larger than an answer can carry.
    ReportTooLarge(Oversize),
    /// The cursor was not issued by this service.
    Cursor,
    /// The cursor was issued for another filter.
    CursorOfAnotherFilter,
    /// A position is malformed.
    Position {
        /// The field or metadata key.
        field: &'static str,
        /// The value as sent.
        position: String,
    },
    /// Changes after the start are no longer kept.
    CursorExpired {
        /// The cursor before the oldest change kept.
        oldest_cursor: String,
        /// The commit time of the oldest change kept; empty if none is.
        oldest_time: String,
    },
    /// The start is after this position, the newest.
    InFuture(String),
    /// The position has another epoch than this, the current one.
    EpochChanged(String),
    /// Reads only include changes up to this position yet.
    NotReached(String),
    /// An internal error, logged where it was found.
    Defect,
    /// The write lost to concurrent writes in every round.
    Contention,
    /// The caller is not admitted.
    Denied(Denied),
    /// The caller has scopes, and the write is not in them.
    OutOfScope {
        /// The scope that is not met.
        scope: String,
        /// The article or method that does not meet it.
        subject: ScopeSubject,
    },
    /// The service has no method at this path.
    UnknownMethod(String),
    /// The call exceeded its deadline.
    Late,
    /// The service is stopping.
    Stopping,
    /// The service ended a stream before its result was complete.
    Ended(Ended),
    /// The request did not arrive in whole within this time.
    NotArrived(Duration),
    /// The service has more work than it can do in time.
    Overloaded,
    /// The store failed.
    Store(Arc<StoreError>),
}

/// The article or method that is out of scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeSubject {
    /// A stored article, by name.
    Article(String),
    /// An article to be created, by uri.
    NewArticle(String),
    /// A method of writes without an article, by its full name.
    Method(String),
}

impl From<Violations> for ServiceError {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<Breach> for ServiceError {
    fn from(breach: Breach) -> Self {
        match breach {
            Breach::Field(violations) => Self::Invalid(violations),
            breach => Self::TooManyItems(breach),
        }
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

/// Rejects a record that does not exist (`None`) or is deleted (`Some(false)`).
///
/// # Errors
/// `NotFound` and `Deleted`.
pub fn require_live(collection: Collection, id: Uuid, is_live: Option<bool>) -> Result<(), ServiceError> {
    match is_live {
        Some(true) => Ok(()),
        Some(false) => Err(ServiceError::Deleted(collection.name(id))),
        None => Err(ServiceError::NotFound(collection.name(id))),
    }
}

/// The cause for which a decision on who is one person is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityRule {
    /// The kinds of the two differ.
    DifferentKinds,
    /// The survivor was merged into the source.
    MergeCycle,
    /// A curator judged the two to be different.
    JudgedDifferent,
    /// The two have different external ids in one scheme.
    ContradictingIds,
    /// Too many participants would be settled as one.
    ClusterTooLarge,
    /// The participant was not merged by hand.
    NotMerged,
    /// There is no judgement on the two.
    NotJudged,
    /// The two are merged by hand.
    MergedByHand,
    /// One of the two would have too many judgements.
    TooManyJudgements,
}

/// A refused decision on who is one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConflict {
    /// The cause.
    pub rule: IdentityRule,
    /// One participant.
    pub name: String,
    /// The other one; empty if there is none.
    pub other: String,
}

impl IdentityRule {
    /// The conflict of two participants.
    pub fn between(self, name: &str, other: &str) -> IdentityConflict {
        IdentityConflict { rule: self, name: name.to_owned(), other: other.to_owned() }
    }
}
