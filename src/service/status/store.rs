//! The statuses of database failures.

use tonic::{Code, Status};

use super::{
    defect,
    details::{retry, retry_later, status},
    late, overloaded,
};
use crate::{
    pb::ErrorReason,
    store::{StoreError, error::log_text},
};

/// Converts a failure of the database to its status, and logs it. The status never contains the database's own message.
pub fn failed(error: &StoreError) -> Status {
    // This is the only place that logs failures of the database.
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
        StoreError::RecoveryConflict(cause)
        | StoreError::Unavailable(cause)
        | StoreError::Unknown(cause)
        | StoreError::ReadOnly(cause)
        | StoreError::Full(cause) => {
            tracing::warn!(%error, %cause, "a call failed because of the database");
        }
        StoreError::Damaged(_) | StoreError::NoRange => tracing::error!(%error),
        StoreError::Defect(cause) => tracing::error!(%error, cause = log_text(cause)),
    }
    match error {
        StoreError::RecoveryConflict(_) => retry_later(
            ErrorReason::DatabaseUnavailable,
            "the database is a standby that ended the read to replay changes: repeat the call",
        ),
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
