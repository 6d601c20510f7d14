//! What can go wrong with the database, sorted by what one can do about it.

use sqlx::error::DatabaseError;

/// An error of the store. Nothing of the database's own words reaches a client; they go to the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or is not there for us: repeat later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The database can be read and not written to: a standby, or one that is being moved.
    #[error("the database is read-only")]
    ReadOnly(#[source] sqlx::Error),
    /// The database has no room for anything more.
    #[error("the database is full")]
    Full(#[source] sqlx::Error),
    /// Too many wait for their turn: repeat later.
    #[error("too many wait for the database")]
    Overloaded,
    /// Another transaction was in the way: repeat at once.
    #[error("another transaction was in the way")]
    Contention(#[source] sqlx::Error),
    /// A statement took longer than it may.
    #[error("the statement took too long")]
    TimedOut(#[source] sqlx::Error),
    /// A question has used up the time that it had.
    #[error("the question took too long")]
    OutOfTime,
    /// The connection was lost while a transaction was being committed: it may have been, or not.
    #[error("it is not known whether the transaction was committed")]
    Unknown(#[source] sqlx::Error),
    /// A newer release wrote the record.
    #[error("a newer release wrote {0}: upgrade this instance")]
    NewerContract(String),
    /// The bytes of a record are not one.
    #[error("the stored record {0} cannot be read")]
    Damaged(String),
    /// The change log has no range for the next positions.
    #[error("the change log must be extended")]
    NoRange,
    /// A defect: a statement that should not fail did.
    #[error("a statement failed")]
    Defect(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::*;
        match &error {
            PoolTimedOut | PoolClosed | WorkerCrashed | Io(_) | Tls(_) | Protocol(_) => Self::Unavailable(error),
            Database(cause) => match sqlstate(cause.as_ref()).as_str() {
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
    /// Nothing is heard from the database, which may never know that we have gone.
    pub fn silent(elapsed: tokio::time::error::Elapsed) -> Self {
        Self::Unavailable(sqlx::Error::Io(elapsed.into()))
    }

    /// Whether a connection was found dead, or was ended by the server: another one may do.
    pub fn is_of_connection(&self) -> bool {
        match self {
            Self::Unavailable(sqlx::Error::Io(_)) => true,
            // Ended by an administrator; by the crash of another one.
            Self::Unavailable(sqlx::Error::Database(cause)) => {
                ["57P01", "57P02"].contains(&sqlstate(cause.as_ref()).as_str())
            }
            _ => false,
        }
    }

    /// The same error of a COMMIT: whoever cannot be heard may have done it.
    pub fn of_commit(error: sqlx::Error) -> Self {
        match Self::from(error) {
            Self::Unavailable(error) => Self::Unknown(error),
            other => other,
        }
    }
}

/// What the log may tell of a defect. What the database says of a data exception (class 22) quotes the data.
pub fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(cause) if sqlstate(cause.as_ref()).starts_with("22") => {
            format!("a data exception, SQLSTATE {}", sqlstate(cause.as_ref()))
        }
        other => other.to_string(),
    }
}

fn sqlstate(error: &dyn DatabaseError) -> String {
    error.code().unwrap_or_default().into_owned()
}
