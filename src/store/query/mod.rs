//! Questions: statements whose work grows with what is asked, and with what there is. Each has a deadline, at which its
//! statement is cancelled in the database, too; so it is when nobody waits for the answer any more.

pub mod aggregate;
pub mod counterpart;
pub mod filter;
pub mod find_path;
pub mod history;
pub mod list;
pub mod search;

use std::time::Duration;

use sqlx::{
    PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::QueryAs,
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    ANSWER_TIMEOUT, Store, StoreError, answers,
    pool::{GatedPool, wait_queue::Pass},
};

/// How often a statement is cancelled before its connection is given up.
const CANCELLATIONS: usize = 3;

/// The database ends a statement so long after its question's deadline: not before this process has, and not so soon that
/// the next question on the connection could be hit.
const GRACE: Duration = Duration::from_secs(1);

/// Whoever may take longer than this means for ever; the database counts milliseconds up to 24 days.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection for the statements of one question.
#[derive(Debug)]
pub struct BoundedQuery {
    /// `None` only while it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    /// The process that serves the connection.
    pid: i32,
    deadline: Instant,
    /// Whether a statement was begun and not ended.
    is_asking: bool,
    others: PgPool,
    /// Its turn, until the connection is at rest.
    turn: Option<Pass>,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryClass {
    /// Many records, such as a count or a path.
    Many,
    /// A page, which does not wait for those.
    Page,
    /// A chunk of a stream: streams wait for each other, and nobody for them.
    Chunk,
}

impl Store {
    /// Begins a question that may take so long, all of its statements together, once it is its turn.
    pub async fn ask(&self, about: QueryClass, budget: Duration) -> Result<BoundedQuery, StoreError> {
        let GatedPool { pool, gate } = match about {
            QueryClass::Many => &self.pools.questions,
            QueryClass::Page => &self.pools.pages,
            QueryClass::Chunk => &self.pools.chunks,
        };
        let budget = budget.min(LONGEST);
        let turn = gate.enter().await.ok_or(StoreError::Overloaded)?;
        let deadline = Instant::now() + budget;
        let begun = async {
            let mut connection = pool.acquire().await?;
            // Should this process be gone or stand still, the database ends the statement by itself.
            let (pid, _): (i32, String) =
                sqlx::query_as("select pg_backend_pid(), set_config('statement_timeout', $1, false)")
                    .bind((budget + GRACE).as_millis().to_string())
                    .fetch_one(&mut *connection)
                    .await?;
            let (connection, others) = (Some(connection), self.feed().clone());
            Ok(BoundedQuery { connection, pid, deadline, is_asking: false, others, turn: Some(turn) })
        };
        timeout_at(deadline, begun).await.unwrap_or(Err(StoreError::OutOfTime))
    }
}

impl BoundedQuery {
    /// All rows that a statement answers.
    #[tracing::instrument(name = "db.question.ask", level = "debug", skip_all)]
    pub async fn all<O>(&mut self, query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<Vec<O>, StoreError>
    where
        O: Send + Unpin + for<'r> sqlx::FromRow<'r, PgRow>,
    {
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        self.is_asking = true;
        let answered = timeout_at(self.deadline, query.fetch_all(&mut **connection)).await;
        // What is out of time goes on until it is cancelled.
        let rows = answered.map_err(|_| StoreError::OutOfTime)?;
        self.is_asking = false;
        rows.map_err(|error| match error.into() {
            StoreError::TimedOut(_) => StoreError::OutOfTime,
            other => other,
        })
    }
}

impl Drop for BoundedQuery {
    fn drop(&mut self) {
        let (Some(connection), true) = (self.connection.take(), self.is_asking) else { return };
        // Until the statement has ended nobody else gets the connection: it is theirs that would be cancelled.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(end(connection, self.pid, self.others.clone(), self.turn.take()));
        }
    }
}

/// Cancels what a connection is busy with, and gives it back when it has come to rest.
async fn end(mut connection: PoolConnection<Postgres>, pid: i32, others: PgPool, _turn: Option<Pass>) {
    for _ in 0..CANCELLATIONS {
        let cancel = sqlx::query("select pg_cancel_backend($1)").bind(pid);
        let cancelled = timeout(ANSWER_TIMEOUT, cancel.execute(&others)).await;
        // A cancellation that came too late is what this is answered.
        if matches!(cancelled, Ok(Ok(_))) && answers(&mut connection).await.is_ok() {
            return;
        }
    }
    connection.close_on_drop();
}
