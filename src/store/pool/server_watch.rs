//! The server that a store's connections reach. A URL may reach a primary and its standbys in turn, and another server
//! after a failover. While a primary is known, connections to standbys are refused: what a standby has not replayed yet
//! would be missing in some answers.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{PgConnection, Row, postgres::PgRow};
use tokio::sync::watch;

/// After this time without an answer of the primary, connections to standbys are accepted, which can serve reads.
const PRIMARY_MEMORY: Duration = Duration::from_secs(3);
/// The pause between two attempts to reach the primary again while a standby serves.
const PRIMARY_SEARCH: Duration = Duration::from_secs(5);

/// A connection to a standby may be accepted just before the primary is found, and get its age just after: connections
/// that are younger by this are retired too.
const RETIRED_AFTER: Duration = Duration::from_millis(100);

/// A run of a database server, and its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseServer {
    /// True for a standby, and for a server that is being restored. It can be behind, and does not accept writes.
    pub in_recovery: bool,
    /// In microseconds since 1970. Two servers do not have the same.
    start_time: i64,
}

impl DatabaseServer {
    /// The columns that `from_row` reads.
    pub const COLUMNS: &'static str = "pg_is_in_recovery() as in_recovery,
                (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as start_time";

    /// Reads the columns.
    ///
    /// # Errors
    /// A column is missing.
    pub fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self { in_recovery: row.try_get("in_recovery")?, start_time: row.try_get("start_time")? })
    }
}

/// Follows the server that the connections of a store reach.
#[derive(Debug, Default)]
pub struct ServerWatch {
    state: Mutex<WatchedServer>,
    /// Number of times that the server has changed.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct WatchedServer {
    /// The server of the newest connection.
    current: Option<DatabaseServer>,
    /// The time of the newest answer of a primary.
    primary_seen: Option<Instant>,
    /// Connections from before this time, and from [`RETIRED_AFTER`] after it, are closed when they are next needed.
    retired_before: Option<Instant>,
    /// The time of the newest attempt to reach the primary again.
    searched: Option<Instant>,
}

impl ServerWatch {
    /// Checks a connection that was just made.
    ///
    /// # Errors
    /// It reaches a standby, and a primary is known; or it does not answer.
    pub async fn check(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let columns = sqlx::AssertSqlSafe(format!("select {}", DatabaseServer::COLUMNS));
        let server = DatabaseServer::from_row(&sqlx::query(columns).persistent(false).fetch_one(connection).await?)?;
        match self.accepts(server, Instant::now()) {
            true => Ok(()),
            false => Err(sqlx::Error::Protocol("the connection reaches a standby, and there is a primary".into())),
        }
    }

    fn accepts(&self, server: DatabaseServer, now: Instant) -> bool {
        let mut state = self.state();
        let is_primary_known = state.primary_seen.is_some_and(|seen| now.duration_since(seen) < PRIMARY_MEMORY);
        if server.in_recovery && is_primary_known {
            return false;
        }
        if !server.in_recovery {
            state.primary_seen = Some(now);
        }
        if state.current != Some(server) {
            state.current = Some(server);
            // Connections to standbys, and to the primary before, must serve no longer.
            if !server.in_recovery {
                state.retired_before = Some(now);
            }
            self.changes.send_modify(|changes| *changes += 1);
        }
        true
    }

    /// Records an answer of a server, which may have been promoted since its connections were made.
    pub fn record_answer(&self, server: DatabaseServer) {
        let (mut state, now) = (self.state(), Instant::now());
        if server.in_recovery {
            // Perhaps a new connection reaches the primary, which was away for a while.
            let has_searched = state.searched.is_some_and(|at| now.duration_since(at) < PRIMARY_SEARCH);
            if state.primary_seen.is_some() && !has_searched {
                (state.searched, state.retired_before) = (Some(now), Some(now));
            }
            return;
        }
        state.primary_seen = Some(now);
        if state.current.is_some_and(|current| current.in_recovery && current.start_time == server.start_time) {
            state.current = Some(server);
        }
    }

    /// Counts the changes of the server. A read that begins later than a change uses no connection from before it, if
    /// the new server is a primary.
    pub fn changes(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Follows the number of changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// True if a connection of this age must not be used any more.
    pub fn is_retired(&self, age: Duration) -> bool {
        let made = Instant::now().checked_sub(age);
        self.state().retired_before.is_some_and(|before| made.is_none_or(|made| made < before + RETIRED_AFTER))
    }

    /// The lock is never poisoned: no code that holds it panics.
    fn state(&self) -> MutexGuard<'_, WatchedServer> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: DatabaseServer = DatabaseServer { in_recovery: false, start_time: 1 };
    const STANDBY: DatabaseServer = DatabaseServer { in_recovery: true, start_time: 2 };

    #[test]
    fn standby_is_refused_while_a_primary_is_known() {
        let (watch, start) = (ServerWatch::default(), Instant::now());
        assert!(watch.accepts(STANDBY, start));
        assert!(watch.accepts(PRIMARY, start));
        assert!(!watch.accepts(STANDBY, start + PRIMARY_MEMORY - Duration::from_millis(1)));
        assert!(watch.accepts(STANDBY, start + PRIMARY_MEMORY));
        assert!(watch.accepts(PRIMARY, start + PRIMARY_MEMORY));
        assert_eq!(watch.changes(), 4);
    }

    #[test]
    fn connections_from_before_a_new_primary_are_retired() {
        let (watch, start) = (ServerWatch::default(), Instant::now());
        watch.accepts(STANDBY, start);
        assert!(!watch.is_retired(Duration::from_secs(60)));
        watch.accepts(PRIMARY, Instant::now().checked_sub(RETIRED_AFTER).expect("a time"));
        assert!(watch.is_retired(Duration::from_secs(60)));
        assert!(watch.is_retired(RETIRED_AFTER / 2));
        assert!(!watch.is_retired(Duration::ZERO));
    }

    #[test]
    fn standby_that_is_promoted_is_the_same_server() {
        let watch = ServerWatch::default();
        watch.accepts(STANDBY, Instant::now());
        let promoted = DatabaseServer { in_recovery: false, ..STANDBY };
        watch.record_answer(promoted);
        assert!(watch.accepts(promoted, Instant::now()));
        assert_eq!(watch.changes(), 1);
        assert!(!watch.accepts(DatabaseServer { start_time: 3, ..STANDBY }, Instant::now()));
    }
}
