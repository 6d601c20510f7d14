//! What is told of a failure of the database.

use tonic::{Code, Status};

use super::{defect, late, overloaded, retry, retry_later, status};
use crate::{
    pb::ErrorReason,
    store::{StoreError, error::told},
};

/// The status of a failure: never with the database's own words.
pub fn failed(error: &StoreError) -> Status {
    // The one place where a failure of the database is logged.
    match error {
        StoreError::NewerContract(name) => {
            let metadata = [("name", name.clone())];
            return status(Code::FailedPrecondition, ErrorReason::NewerContract, error.to_string(), metadata);
        }
        StoreError::Contention(_) => {
            return status(Code::Aborted, ErrorReason::Contention, "other writes to the same records went first", []);
        }
        StoreError::TimedOut(_) => return late(),
        StoreError::Overloaded => return overloaded(),
        StoreError::OutOfTime => {
            let message = "the question takes longer than it may: ask for less, by a filter say";
            return status(Code::DeadlineExceeded, ErrorReason::Deadline, message, []);
        }
        StoreError::Unavailable(cause)
        | StoreError::Unknown(cause)
        | StoreError::ReadOnly(cause)
        | StoreError::Full(cause) => {
            tracing::warn!(%error, %cause, "the database failed a call");
        }
        StoreError::Damaged(_) | StoreError::NoRange => tracing::error!(%error),
        StoreError::Defect(cause) => tracing::error!(%error, cause = told(cause)),
    }
    match error {
        StoreError::Unavailable(_) | StoreError::NoRange => {
            retry_later(ErrorReason::DatabaseUnavailable, "the database is not available, or does not keep up")
        }
        StoreError::ReadOnly(_) => retry_later(
            ErrorReason::DatabaseReadOnly,
            "the database can only be read, as while another one takes over: repeat the write later",
        ),
        StoreError::Full(_) => {
            let message = "the database is full: repeat the call once there is room again";
            retry(Code::ResourceExhausted, ErrorReason::DatabaseFull, message, [])
        }
        StoreError::Unknown(_) => retry_later(
            ErrorReason::DatabaseUnavailable,
            "the database went away during the write, which may have been done: repeat it with the same request_id",
        ),
        _ => defect(),
    }
}
