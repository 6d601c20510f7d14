//! Connections to the database, by what they are for: nobody who asks little waits for those who ask much.

pub mod batch_loader;
pub mod wait_queue;

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use self::wait_queue::WaitQueue;

/// The tailer, the one who notifies, the one who listens, those who cancel.
const FEEDERS: u32 = 4;
/// No statement of a read or a write takes longer, however long a call may take.
const LONGEST_STATEMENT: Duration = Duration::from_secs(30);
/// A caller rather hears UNAVAILABLE than waits longer for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than anybody waits, and not too long for a clock.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// A database that is there answers sooner.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was not used for longer is asked whether it still works.
const IDLE: Duration = Duration::from_millis(100);

/// How many connections do what, and for how long. Reads and the committer do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections for reads by name.
    pub reads: u32,
    /// Connections for pages.
    pub pages: u32,
    /// Connections for chunks of streams.
    pub chunks: u32,
    /// Connections for counts and paths.
    pub questions: u32,
    /// Connections for the committer, and for chores.
    pub writes: u32,
    /// A call takes no longer, and so does none of its statements.
    pub call: Duration,
    /// Nobody waits longer for the turn of their question.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (call, wait) = (Duration::from_secs(60), Duration::from_secs(2));
        Self { reads: 6, pages: 4, chunks: 2, questions: 2, writes: 2, call, wait }
    }
}

/// The connections.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPools {
    pub reads: PgPool,
    pub pages: GatedPool,
    pub chunks: GatedPool,
    pub questions: GatedPool,
    pub writes: PgPool,
    pub feed: PgPool,
}

/// Connections that are taken in turns, as many as are let in.
#[derive(Debug, Clone)]
pub(super) struct GatedPool {
    pub pool: PgPool,
    pub gate: WaitQueue,
}

/// How many connections a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// What they are for.
    pub pool: &'static str,
    /// Those that wait for somebody.
    pub idle: u32,
    /// Those that somebody uses.
    pub used: u32,
    /// As many as there may be.
    pub most: u32,
}

impl ConnectionPools {
    /// On this database. Connections are made when they are first needed.
    pub fn new(options: PgConnectOptions, limits: &Limits) -> Self {
        // What no call waits for any more is not worked on, but for what a batch shares. Nobody holds a lock for longer
        // than these.
        let statement = limits.call.min(LONGEST_STATEMENT).as_millis().max(1);
        let name = options.get_application_name().unwrap_or("readout").to_owned();
        let options = options.application_name(&name).options([
            ("statement_timeout", statement.to_string().as_str()),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "2s"),
            // Of words that cannot be searched the server would tell the log.
            ("client_min_messages", "warning"),
        ]);
        // A plan that suits a participant of ten meetings does not suit one of ten thousand: each question has its own, made
        // for a database that is mostly in memory, and without compiling anything first. Only what reads very much is worth
        // another processor, which then somebody else does not have.
        let asking = options.clone().options([
            ("plan_cache_mode", "force_custom_plan"),
            ("random_page_cost", "1.1"),
            ("parallel_setup_cost", "5000"),
            ("jit", "off"),
            ("work_mem", "32MB"),
        ]);
        let turns = |class, size: u32, wait| GatedPool {
            pool: pool(size).connect_lazy_with(asking.clone()),
            gate: WaitQueue::new(class, size as usize, wait),
        };
        // A notification need not outlive a crash: whoever hears it reads the table. And the feed's chores are nobody's
        // calls.
        let feeding = options.clone().options([("synchronous_commit", "off"), ("statement_timeout", "30s")]);
        Self {
            reads: pool(limits.reads).connect_lazy_with(options.clone()),
            pages: turns("page", limits.pages, limits.wait),
            // A stream has time.
            chunks: turns("chunk", limits.chunks, FOR_EVER),
            questions: turns("question", limits.questions, limits.wait),
            writes: pool(limits.writes).connect_lazy_with(options),
            feed: pool(FEEDERS).connect_lazy_with(feeding),
        }
    }

    /// What each of them has.
    pub fn connections(&self) -> [Connections; 6] {
        self.all().map(|(name, pool)| {
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            let used = pool.size().saturating_sub(idle);
            Connections { pool: name, idle, used, most: pool.options().get_max_connections() }
        })
    }

    /// Waits for connections in use to be given back, and closes all.
    pub async fn close(&self) {
        futures_util::future::join_all(self.all().map(|(_, pool)| pool.close())).await;
    }

    fn all(&self) -> [(&'static str, &PgPool); 6] {
        [
            ("reads", &self.reads),
            ("pages", &self.pages.pool),
            ("chunks", &self.chunks.pool),
            ("questions", &self.questions.pool),
            ("writes", &self.writes),
            ("feed", &self.feed),
        ]
    }
}

/// Connections that are in use all the time are not asked before they are used: that would cost as much as what they are
/// used for. One that somebody has given up, since nothing was heard from it, would be asked for ever whether it is all
/// right, and its place be taken for as long.
fn pool(size: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(ends_with_us(connection)))
        .before_acquire(|connection, meta| Box::pin(is_alive(connection, meta.idle_for)))
        // A call that was dropped at its deadline leaves a connection busy: nobody gets it before it has come to rest, and
        // one that does not is closed.
        .after_release(|connection, _| Box::pin(async { comes_to_rest(connection).await.map(|()| true) }))
}

/// A statement whose connection was closed is not worked on any further. A server on a system that cannot tell goes on
/// until the statement's time is up.
async fn ends_with_us(connection: &mut PgConnection) -> sqlx::Result<()> {
    let _ = sqlx::query("set client_connection_check_interval = '1s'").execute(connection).await;
    Ok(())
}

/// Whether a connection is heard from.
pub(super) async fn answers(connection: &mut PgConnection) -> sqlx::Result<()> {
    ping(connection, ANSWER_TIMEOUT).await
}

async fn comes_to_rest(connection: &mut PgConnection) -> sqlx::Result<()> {
    ping(connection, ACQUIRE_TIMEOUT).await
}

async fn ping(connection: &mut PgConnection, within: Duration) -> sqlx::Result<()> {
    timeout(within, connection.ping()).await.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())))
}

/// Asks a pooled connection whether it still works, if it was not used for a while.
async fn is_alive(connection: &mut PgConnection, idle_for: Duration) -> sqlx::Result<bool> {
    if idle_for > IDLE {
        answers(connection).await?;
    }
    Ok(true)
}
