//! Connections that are kept for the next statement. The pool pings a connection each time that it is returned, and
//! again before it is used: as much work for the server as a read by key. A connection whose last statement was answered
//! in full needs no ping, and stays here for a moment.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

use super::{IDLE, server_watch::ServerWatch};

/// Maximum number of kept connections in front of a pool that other statements use too.
pub const MAX_KEPT: usize = 2;

/// A pool of connections, some of which are kept in front of it.
#[derive(Debug, Clone)]
pub struct KeptConnections {
    pool: PgPool,
    shared: Arc<KeptShared>,
}

#[derive(Debug)]
struct KeptShared {
    kept: Mutex<Kept>,
    /// Maximum number of kept connections.
    limit: usize,
    server_watch: Arc<ServerWatch>,
}

#[derive(Debug, Default)]
struct Kept {
    connections: Vec<IdleConnection>,
    is_closed: bool,
}

/// The database session of a connection, as far as its user has made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The server process.
    pub pid: i32,
    /// The `statement_timeout`.
    pub statement_timeout: Duration,
}

#[derive(Debug)]
struct IdleConnection {
    connection: PoolConnection<Postgres>,
    session: Option<Session>,
    since: Instant,
    /// The number of changes of the server when it was kept: see [`ServerWatch::changes`].
    server_changes: u64,
}

impl KeptConnections {
    /// Keeps connections of this pool, at most `limit`.
    pub fn new(pool: PgPool, limit: usize, server_watch: Arc<ServerWatch>) -> Self {
        let shared = KeptShared { kept: Mutex::default(), limit, server_watch };
        Self { pool, shared: Arc::new(shared) }
    }

    /// A connection: the one that was kept last, otherwise one of the pool.
    ///
    /// # Errors
    /// Those of the pool.
    pub async fn acquire(&self) -> sqlx::Result<KeptConnection> {
        let server_changes = self.shared.server_watch.changes();
        let is_current = |idle: &IdleConnection| idle.since.elapsed() <= IDLE && idle.server_changes == server_changes;
        let kept = self.shared.kept().connections.pop();
        // Another one is older. Dropped, it goes back to the pool, which pings it.
        let (connection, session) = match kept.filter(is_current) {
            Some(idle) => (idle.connection, idle.session),
            None => (self.pool.acquire().await?, None),
        };
        Ok(KeptConnection { connection, session, shared: Arc::clone(&self.shared) })
    }

    /// The pool itself.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Gives the connections back to the pool, and keeps none any more.
    pub fn close(&self) {
        let mut kept = self.shared.kept();
        kept.is_closed = true;
        drop(mem::take(&mut kept.connections));
    }

    /// The number of kept connections, which the pool counts as in use.
    pub fn kept(&self) -> usize {
        self.shared.kept().connections.len()
    }
}

impl KeptShared {
    /// The lock is never poisoned: no code that holds it panics.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropped, it goes back to the pool, which waits for the end of a statement that was abandoned.
#[derive(Debug)]
pub struct KeptConnection {
    connection: PoolConnection<Postgres>,
    /// `None` until its user sets it. Kept with the connection.
    pub session: Option<Session>,
    shared: Arc<KeptShared>,
}

impl KeptConnection {
    /// Keeps the connection for the next statement. Only for a connection that has answered all of its statements, and
    /// has no open transaction.
    pub fn keep(self) {
        let Self { connection, session, shared } = self;
        let server_changes = shared.server_watch.changes();
        let mut kept = shared.kept();
        if !kept.is_closed && kept.connections.len() < shared.limit {
            kept.connections.push(IdleConnection { connection, session, since: Instant::now(), server_changes });
        }
    }

    /// Closes the connection when it is dropped.
    pub fn close_on_drop(&mut self) {
        self.connection.close_on_drop();
    }
}

impl Deref for KeptConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for KeptConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
