//! Connection pools, one per purpose, so that cheap requests do not wait behind expensive ones. A fair queue in front of
//! a pool shares its connections among callers, `batch_loader` joins concurrent reads by key into one query,
//! `kept_connections` saves the pings between statements, `server_watch` follows the server that the connections reach.

pub mod batch_loader;
pub mod kept_connections;
pub mod server_watch;

use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use self::{
    kept_connections::{KeptConnections, MAX_KEPT},
    server_watch::ServerWatch,
};
use crate::fairness::FairQueue;

/// Connections of the feed's pool: the tailer, the notifier, the listener, and one for cancellations.
const FEED_CONNECTIONS: u32 = 4;
/// Maximum `statement_timeout` of a read or a write, even if a call may take longer.
const MAX_STATEMENT: Duration = Duration::from_secs(30);
/// Maximum wait for a connection. After it the caller gets UNAVAILABLE.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than any caller waits, and short enough to add to an `Instant`.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// A database that does not answer a trivial statement within this time is unavailable.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is pinged before use.
const IDLE: Duration = Duration::from_millis(100);

/// Pool sizes and time limits. Reads and the committer do not wait for each other.
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
    /// Connections for the committer and for maintenance.
    pub writes: u32,
    /// Maximum duration of a call, and of each of its statements.
    pub call: Duration,
    /// Maximum wait for the permit of a page or a question.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (call, wait) = (Duration::from_secs(60), Duration::from_secs(2));
        Self { reads: 6, pages: 4, chunks: 2, questions: 2, writes: 2, call, wait }
    }
}

/// All pools of a store.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPools {
    pub reads: KeptConnections,
    pub pages: GatedPool,
    pub chunks: GatedPool,
    pub questions: GatedPool,
    pub writes: KeptConnections,
    pub feed: PgPool,
    pub server_watch: Arc<ServerWatch>,
}

/// A pool behind a queue that admits as many queries as there are connections.
#[derive(Debug, Clone)]
pub(super) struct GatedPool {
    pub pool: KeptConnections,
    pub queue: FairQueue,
}

/// The number of connections in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// The pool's name in metrics.
    pub pool: &'static str,
    /// Open connections that are idle.
    pub idle: u32,
    /// Connections in use.
    pub used: u32,
    /// The pool's size limit.
    pub most: u32,
}

impl ConnectionPools {
    /// Creates pools on this database. Connections are made when they are first needed.
    pub fn new(options: PgConnectOptions, limits: &Limits) -> Self {
        // The statement timeout never exceeds the call's, so that the database does not work for a caller that no
        // longer waits; batched statements may outlive one caller. These timeouts also bound how long a lock is held.
        let statement_timeout = limits.call.min(MAX_STATEMENT).as_millis().max(1);
        let name = options.get_application_name().unwrap_or("readout").to_owned();
        let options = options.application_name(&name).options([
            ("statement_timeout", statement_timeout.to_string().as_str()),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "2s"),
            // A text search for stop words only raises a notice, which would be logged.
            ("client_min_messages", "warning"),
            // Compilation costs more than it saves, and its threshold is soon exceeded by estimates for large tables.
            ("jit", "off"),
        ]);
        // A plan that suits a participant of ten meetings does not suit one of ten thousand: each query gets its own
        // plan. The costs assume a database that is mostly in memory. Parallel workers take processors from other calls,
        // so that only very large reads use them.
        let query_options = options.clone().options([
            ("plan_cache_mode", "force_custom_plan"),
            ("random_page_cost", "1.1"),
            ("parallel_setup_cost", "5000"),
            ("work_mem", "32MB"),
        ]);
        let server_watch = Arc::<ServerWatch>::default();
        let pool = |size| pool(size, &server_watch);
        let kept = |pool, limit| KeptConnections::new(pool, limit, Arc::clone(&server_watch));
        let gated = |class, size: u32, longest_wait| {
            let queue = FairQueue::new(class, size as usize, longest_wait);
            // A connection for each unit of the queue, its reserve included.
            let connections = u32::try_from(queue.total()).unwrap_or(u32::MAX);
            let pool = pool(connections).connect_lazy_with(query_options.clone());
            GatedPool { pool: kept(pool, connections as usize), queue }
        };
        // A notification need not survive a crash: listeners read the table. The feed's statements belong to no call,
        // so that the call's timeout does not apply. They read ranges of positions, for which one plan is right: by the
        // index, also if the table was empty when the plan was made. To plan a page costs as much as to read it.
        let feed_options = options.clone().options([
            ("synchronous_commit", "off"),
            ("statement_timeout", "30s"),
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
        ]);
        // Reads by key and writes use the index of the key, however many keys there are, and to plan them costs more than
        // to run them. A plan that was made while a table was empty must not read the whole table later.
        let key_options =
            options.clone().options([("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")]);
        Self {
            reads: kept(pool(limits.reads).connect_lazy_with(key_options.clone()), MAX_KEPT),
            pages: gated("page", limits.pages, limits.wait),
            // A stream may wait without a limit.
            chunks: gated("chunk", limits.chunks, FOR_EVER),
            questions: gated("question", limits.questions, limits.wait),
            writes: kept(pool(limits.writes).connect_lazy_with(key_options), 1),
            feed: pool(FEED_CONNECTIONS).connect_lazy_with(feed_options),
            server_watch: Arc::clone(&server_watch),
        }
    }

    /// The number of connections in each pool.
    pub fn connections(&self) -> [Connections; 6] {
        self.all().map(|(name, pool, kept)| {
            // sqlx counts an idle connection after it can be taken, so that its count can be below zero for a moment.
            let waiting = usize::try_from(pool.num_idle().cast_signed()).unwrap_or(0);
            let idle = u32::try_from(waiting + kept.map_or(0, KeptConnections::kept)).unwrap_or(u32::MAX);
            let used = pool.size().saturating_sub(idle);
            Connections { pool: name, idle, used, most: pool.options().get_max_connections() }
        })
    }

    /// Waits until the connections in use are returned, and closes all.
    pub async fn close(&self) {
        self.all().into_iter().filter_map(|(.., kept)| kept).for_each(KeptConnections::close);
        futures_util::future::join_all(self.all().map(|(_, pool, _)| pool.close())).await;
    }

    /// The pools by name, and the connections that are kept in front of them.
    fn all(&self) -> [(&'static str, &PgPool, Option<&KeptConnections>); 6] {
        fn kept<'a>(
            name: &'static str,
            pool: &'a KeptConnections,
        ) -> (&'static str, &'a PgPool, Option<&'a KeptConnections>) {
            (name, pool.pool(), Some(pool))
        }
        [
            kept("reads", &self.reads),
            kept("pages", &self.pages.pool),
            kept("chunks", &self.chunks.pool),
            kept("questions", &self.questions.pool),
            kept("writes", &self.writes),
            ("feed", &self.feed, None),
        ]
    }
}

/// The options of a pool. A connection is pinged before use only after it was idle: for a busy one a ping would cost as
/// much as the query. Each ping has a timeout, since a silent connection would otherwise occupy its slot indefinitely.
fn pool(size: u32, server_watch: &Arc<ServerWatch>) -> PgPoolOptions {
    let [on_connect, on_acquire] = [(); 2].map(|()| Arc::clone(server_watch));
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let server_watch = Arc::clone(&on_connect);
            Box::pin(async move {
                end_statements_with_client(connection).await?;
                // Last, because the pool counts the age of a connection from here, by which it is retired.
                server_watch.check(connection).await
            })
        })
        .before_acquire(move |connection, meta| {
            let is_retired = on_acquire.is_retired(meta.age);
            Box::pin(async move { Ok(!is_retired && is_alive(connection, meta.idle_for).await?) })
        })
        // A call that was dropped at its deadline leaves a statement running. Its connection returns to the pool only
        // when it answers again, and is closed if it does not.
        .after_release(|connection, _| Box::pin(async { wait_until_idle(connection).await.map(|()| true) }))
}

/// Lets the server end a statement whose client has closed the connection. A server on a system that cannot detect this
/// runs the statement until its timeout.
async fn end_statements_with_client(connection: &mut PgConnection) -> sqlx::Result<()> {
    let _ = sqlx::query("set client_connection_check_interval = '1s'").execute(connection).await;
    Ok(())
}

/// Checks that a connection answers.
pub(super) async fn answers(connection: &mut PgConnection) -> sqlx::Result<()> {
    ping(connection, ANSWER_TIMEOUT).await
}

async fn wait_until_idle(connection: &mut PgConnection) -> sqlx::Result<()> {
    ping(connection, ACQUIRE_TIMEOUT).await
}

async fn ping(connection: &mut PgConnection, within: Duration) -> sqlx::Result<()> {
    timeout(within, connection.ping()).await.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())))
}

/// Pings a pooled connection if it was idle for a while.
async fn is_alive(connection: &mut PgConnection, idle_for: Duration) -> sqlx::Result<bool> {
    if idle_for > IDLE {
        answers(connection).await?;
    }
    Ok(true)
}
