//! Errors of the database, grouped by what the caller can do about them. Only this file reads SQLSTATEs and constraint
//! names.

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

/// An error of the store. The database's own message goes to the log and never reaches a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or refuses connections: retry later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The database is read-only: a standby, or one that is being moved.
    #[error("the database is read-only")]
    ReadOnly(#[source] sqlx::Error),
    /// The database's disk is full.
    #[error("the database is full")]
    Full(#[source] sqlx::Error),
    /// Too many requests wait for a connection: retry later.
    #[error("too many requests wait for a database connection")]
    Overloaded,
    /// A deadlock, a serialization failure or a lock timeout: retry at once.
    #[error("conflict with another transaction")]
    Contention(#[source] sqlx::Error),
    /// A standby ended a read that was in the way of the changes it replays: retry the read.
    #[error("a standby ended a read to replay changes")]
    RecoveryConflict(#[source] sqlx::Error),
    /// A statement exceeded the statement timeout.
    #[error("the statement exceeded its timeout")]
    TimedOut(#[source] sqlx::Error),
    /// A bounded query exceeded its deadline.
    #[error("the query exceeded its deadline")]
    OutOfTime,
    /// The connection was lost during COMMIT: the transaction may or may not have been committed.
    #[error("it is not known whether the transaction was committed")]
    Unknown(#[source] sqlx::Error),
    /// A newer release wrote the record, whose name this is.
    #[error("a newer release wrote {0}: upgrade this instance")]
    NewerContract(String),
    /// The stored bytes cannot be decoded.
    #[error("the stored record {0} cannot be read")]
    Damaged(String),
    /// The change log has no partition for the next positions.
    #[error("the change log must be extended")]
    NoRange,
    /// A defect: a statement failed that should not fail.
    #[error("a statement failed")]
    Defect(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::*;
        match &error {
            PoolTimedOut | PoolClosed | WorkerCrashed | Io(_) | Tls(_) | Protocol(_) => Self::Unavailable(error),
            Database(cause) => match sqlstate(cause.as_ref()).as_str() {
                "40P01" | "40001" if is_recovery_conflict(cause.as_ref()) => Self::RecoveryConflict(error),
                // deadlock, serialization failure, lock timeout
                "40P01" | "40001" | "55P03" => Self::Contention(error),
                "23514" if cause.table() == Some("change") && cause.constraint().is_none() => Self::NoRange,
                "57014" => Self::TimedOut(error),
                "25006" => Self::ReadOnly(error),
                // disk full
                "53100" => Self::Full(error),
                // connection exceptions; shutdown, crash, cannot connect now; too many connections, out of memory;
                // idle in transaction too long
                state if state.starts_with("08") || state.starts_with("57P") || state.starts_with("53") => {
                    Self::Unavailable(error)
                }
                "25P03" => Self::Unavailable(error),
                _ => Self::Defect(error),
            },
            _ => Self::Defect(error),
        }
    }
}

impl StoreError {
    /// The database did not answer in time. It may not notice that the client has given up.
    pub fn no_answer(elapsed: tokio::time::error::Elapsed) -> Self {
        Self::Unavailable(sqlx::Error::Io(elapsed.into()))
    }

    /// The server is, or was, in recovery during a write, which would have failed.
    pub fn in_recovery() -> Self {
        Self::ReadOnly(sqlx::Error::Protocol("the server is or was in recovery".into()))
    }

    /// Connections have reached another database server during a call that depends on one.
    pub fn server_changed() -> Self {
        Self::Unavailable(sqlx::Error::Protocol("connections reach another database server".into()))
    }

    /// True if the connection was dead or the server ended it: a retry on another connection may succeed.
    pub fn is_connection_loss(&self) -> bool {
        match self {
            Self::Unavailable(sqlx::Error::Io(_)) => true,
            // Ended by an administrator, or by the crash of another backend.
            Self::Unavailable(sqlx::Error::Database(cause)) => {
                ["57P01", "57P02"].contains(&sqlstate(cause.as_ref()).as_str())
            }
            _ => false,
        }
    }

    /// True if a repeated read may succeed at once.
    pub fn is_retryable_read(&self) -> bool {
        matches!(self, Self::RecoveryConflict(_)) || self.is_connection_loss()
    }

    /// Converts an error of a COMMIT: a database that became unavailable may have committed.
    pub fn of_commit(error: sqlx::Error) -> Self {
        match Self::from(error) {
            Self::Unavailable(error) => Self::Unknown(error),
            error => error,
        }
    }
}

/// True if a standby has ended the statement, or its session, to replay changes. It uses the SQLSTATEs of a deadlock and
/// of a serialization failure, which other routines of the server report. The text depends on the server's language.
fn is_recovery_conflict(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.and_then(PgDatabaseError::routine) == Some("ProcessInterrupts")
}

/// The text of a defect for the log. The server's message for a data exception (class 22) quotes the data, so only its
/// SQLSTATE is logged.
pub fn log_text(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(cause) if sqlstate(cause.as_ref()).starts_with("22") => {
            format!("a data exception, SQLSTATE {}", sqlstate(cause.as_ref()))
        }
        error => error.to_string(),
    }
}

fn sqlstate(error: &dyn DatabaseError) -> String {
    error.code().unwrap_or_default().into_owned()
}
