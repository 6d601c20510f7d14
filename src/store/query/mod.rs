//! Queries whose cost grows with the data: lists, searches, counts, paths. Each runs as a `BoundedQuery`: it waits for
//! a permit, has a deadline, and cancels its statement in the database at the deadline or when its caller disconnects.

pub mod aggregate;
pub mod counterpart;
pub mod filter;
pub mod find_path;
pub mod former;
pub mod history;
mod keyset;
pub mod list;
pub mod meeting_candidates;
pub mod question;
pub mod search;

use std::time::Duration;

use sqlx::{
    Execute, PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::QueryAs,
    query_as_with,
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    ANSWER_TIMEOUT, Store, StoreError, answers,
    pool::{
        GatedPool,
        kept_connections::{KeptConnection, Session},
    },
};
use crate::fairness::{Call, Permit};

/// The number of attempts to cancel a statement before its connection is closed.
const CANCELLATIONS: usize = 3;

/// The `statement_timeout` exceeds the deadline by at least this much, so that this process cancels first, and the timeout
/// cannot hit the next query on the connection.
const GRACE: Duration = Duration::from_secs(1);

/// The upper bound of a budget: `statement_timeout` is in milliseconds and at most 24 days.
const MAX_BUDGET: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection for the statements of one query, with a common deadline.
#[derive(Debug)]
pub struct BoundedQuery {
    /// `None` only during drop.
    connection: Option<KeptConnection>,
    /// The server process of the connection.
    pid: i32,
    deadline: Instant,
    /// True while a statement runs.
    is_running: bool,
    /// True if a statement failed.
    has_failed: bool,
    /// Connections on which a statement can be cancelled.
    cancel_pool: PgPool,
    /// Held until the connection is idle, and the answer to the call is made.
    permit: Option<Permit>,
}

/// The kind of a query, which decides its pool and whom it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryClass {
    /// A query over many records, such as a count or a path.
    Question,
    /// A page of a list. Pages do not wait for questions.
    Page,
    /// A chunk of a stream. Streams wait for each other, and other calls do not wait for them.
    Chunk,
}

impl Store {
    /// Waits until the caller of the current call may have a query of the class, then opens it. `budget` bounds all of its statements together.
    ///
    /// # Errors
    /// `Overloaded` if no permit becomes free in time, `OutOfTime` if the budget is used up.
    pub async fn bounded_query(&self, class: QueryClass, budget: Duration) -> Result<BoundedQuery, StoreError> {
        let GatedPool { pool, queue } = match class {
            QueryClass::Question => &self.pools.questions,
            QueryClass::Page => &self.pools.pages,
            QueryClass::Chunk => &self.pools.chunks,
        };
        let budget = budget.min(MAX_BUDGET);
        let call = Call::current();
        let permit = match call.take_kept(queue) {
            Some(permit) => permit,
            None => queue.acquire(call.caller(), 1).await.ok_or(StoreError::Overloaded)?,
        };
        let deadline = Instant::now() + budget;
        let opened = async {
            let mut connection = pool.acquire().await?;
            let pid = prepare_session(&mut connection, budget).await?;
            Ok(BoundedQuery {
                connection: Some(connection),
                pid,
                deadline,
                is_running: false,
                has_failed: false,
                cancel_pool: self.feed().clone(),
                permit: Some(permit),
            })
        };
        timeout_at(deadline, opened).await.unwrap_or(Err(StoreError::OutOfTime))
    }
}

/// Sets the `statement_timeout` of a connection for a query with this budget, and returns the server process. If this
/// process dies or hangs, the database ends the statement by itself.
async fn prepare_session(connection: &mut KeptConnection, budget: Duration) -> Result<i32, StoreError> {
    // The timeouts are few, so that the next query on the connection needs no other one.
    let statement_timeout = Duration::from_secs((budget + GRACE).as_secs().saturating_add(1).next_power_of_two());
    if let Some(session) = connection.session.filter(|session| session.statement_timeout == statement_timeout) {
        return Ok(session.pid);
    }
    let (pid, _): (i32, String) = sqlx::query_as("select pg_backend_pid(), set_config('statement_timeout', $1, false)")
        .bind(statement_timeout.as_millis().to_string())
        .fetch_one(&mut **connection)
        .await?;
    connection.session = Some(Session { pid, statement_timeout });
    Ok(pid)
}

impl BoundedQuery {
    /// Runs a statement and returns all of its rows. If a standby ends it, it runs once more.
    ///
    /// # Errors
    /// `OutOfTime` at the deadline, and the errors of the database.
    #[tracing::instrument(name = "db.question.ask", level = "debug", skip_all)]
    pub async fn fetch_all<O>(&mut self, mut query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<Vec<O>, StoreError>
    where
        O: Send + Unpin + for<'r> sqlx::FromRow<'r, PgRow>,
    {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
        let (persistent, statement) = (Execute::persistent(&query), query.sql());
        let run = |arguments| query_as_with(statement.clone(), arguments).persistent(persistent);
        match self.fetch(run(arguments.clone())).await {
            Err(StoreError::RecoveryConflict(error)) => {
                tracing::debug!(%error, "a standby ended a query, which is retried");
                self.fetch(run(arguments)).await
            }
            result => result,
        }
    }

    async fn fetch<O>(&mut self, query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<Vec<O>, StoreError>
    where
        O: Send + Unpin + for<'r> sqlx::FromRow<'r, PgRow>,
    {
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        self.is_running = true;
        let result = timeout_at(self.deadline, query.fetch_all(&mut **connection)).await;
        // After the deadline the statement runs on until `drop` cancels it.
        let rows = result.map_err(|_| StoreError::OutOfTime)?;
        self.is_running = false;
        self.has_failed |= rows.is_err();
        rows.map_err(|error| match error.into() {
            StoreError::TimedOut(_) => StoreError::OutOfTime,
            error => error,
        })
    }
}

impl Drop for BoundedQuery {
    fn drop(&mut self) {
        let connection = match self.connection.take() {
            Some(connection) if self.is_running => connection,
            connection => {
                connection.filter(|_| !self.has_failed).into_iter().for_each(KeptConnection::keep);
                // The work on the rows is a part of the query.
                self.permit.take().into_iter().for_each(|permit| Call::current().keep(permit));
                return;
            }
        };
        // The connection returns to the pool only after the statement has ended: a late cancellation would hit the next
        // query on it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(cancel(connection, self.pid, self.cancel_pool.clone(), self.permit.take()));
        }
    }
}

/// Cancels the statement of a connection, and returns the connection to its pool once it is idle.
async fn cancel(mut connection: KeptConnection, pid: i32, cancel_pool: PgPool, _permit: Option<Permit>) {
    for _ in 0..CANCELLATIONS {
        let cancel = sqlx::query("select pg_cancel_backend($1)").bind(pid);
        let cancelled = timeout(ANSWER_TIMEOUT, cancel.execute(&cancel_pool)).await;
        // This ping also absorbs a cancellation that arrives after the statement has ended.
        if matches!(cancelled, Ok(Ok(_))) && answers(&mut connection).await.is_ok() {
            return;
        }
    }
    connection.close_on_drop();
}
