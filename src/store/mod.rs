//! PostgreSQL: the only place with SQL. One file per noun; `write` puts a batch of writes into one transaction, `list`
//! pages by keyset, `coalesce` reads together what is asked for at the same time, `error` is the only place that reads
//! SQLSTATEs.
//!
//! A record is kept whole, as the bytes of its message (`doc`), beside the columns and index tables that queries ask
//! about. Those are derived: the functions named `index` here say how.

pub mod aggregate;
pub mod article;
pub mod ask;
pub mod change;
pub mod coalesce;
mod columns;
pub mod copies;
pub mod counterpart;
pub mod error;
pub mod filter;
pub mod history;
pub mod list;
pub mod meeting;
pub mod migrate;
pub mod participant;
pub mod participation;
pub mod path;
pub mod reference;
pub mod reindex;
pub mod report;
pub mod request;
pub mod retention;
pub mod revision;
pub mod search;
mod signed;
pub mod statement;
pub mod text;
pub mod token;
pub mod unsettled;
pub mod write;

use std::{collections::HashSet, hash::Hash, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;
use uuid::Uuid;

use self::coalesce::{BATCH_BYTES, Coalesced, Found};
pub use self::error::StoreError;
use crate::model::resource::{CONTRACT, Collection, Resource};

/// How many connections do what. Reads and the committer do not wait for each other.
const READERS: u32 = 6;
const COMMITTERS: u32 = 2;
const PAGERS: u32 = 4;
/// Counts and paths take what there is of the machine: more of them at once only take longer each.
const ASKERS: u32 = 2;
/// The tailer, the one who notifies, the one who listens, those who cancel.
const FEEDERS: u32 = 4;
/// A caller rather hears UNAVAILABLE than waits longer for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// A database that is there answers sooner.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A batch of reads or of writes takes no longer than a statement may; what takes longer is not heard of any more.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(35);
/// A connection that was not used for longer is asked whether it still works.
const IDLE: Duration = Duration::from_millis(100);

/// The database, seen by those who read.
#[derive(Debug, Clone)]
pub struct Store {
    reads: PgPool,
    pages: PgPool,
    questions: PgPool,
    writes: PgPool,
    feed: PgPool,
    by_id: ById,
}

/// Reads of one record, which are made together with others of its kind.
#[derive(Debug, Clone)]
pub struct ById {
    /// Which records there are, and whether they are live.
    pub live: Coalesced<(Collection, Uuid), bool>,
    /// Participants.
    pub participants: Coalesced<Uuid, Doc>,
    /// Articles, without their texts.
    pub articles: Coalesced<Uuid, Doc>,
    /// Articles with what their reports need of them.
    pub sources: Coalesced<Uuid, article::Source>,
    /// Reports.
    pub reports: Coalesced<Uuid, Doc>,
    /// The reports that articles gave, by article and `content_hash`.
    pub contents: Coalesced<(Uuid, String), Uuid>,
    /// Meetings, without their reports.
    pub meetings: Coalesced<Uuid, Doc>,
    /// Meetings with their reports.
    pub whole_meetings: Coalesced<Uuid, meeting::Whole>,
}

impl ById {
    fn new(pool: &PgPool) -> Self {
        let docs = |of| together(pool, move |pool, ids| some_docs(pool, of, ids));
        Self {
            live: together(pool, live),
            participants: docs(Collection::Participants),
            articles: docs(Collection::Articles),
            sources: together(pool, article::sources),
            reports: docs(Collection::Reports),
            contents: together(pool, report::known),
            meetings: docs(Collection::Meetings),
            whole_meetings: together(pool, meeting::whole),
        }
    }
}

fn together<K, V, F>(pool: &PgPool, read: impl Fn(PgPool, Vec<K>) -> F + Send + Sync + 'static) -> Coalesced<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Future<Output = Result<Found<K, V>, StoreError>> + Send + 'static,
{
    let pool = pool.clone();
    Coalesced::new(move |keys| read(pool.clone(), keys))
}

impl Store {
    /// Pools on a migrated database. Connections are made when they are first needed.
    pub fn new(options: PgConnectOptions) -> Self {
        // Nobody holds a lock, or works for somebody who has long gone, for longer than these.
        let options = options.application_name("readout").options([
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "2s"),
            // Of words that cannot be searched the server would tell the log.
            ("client_min_messages", "warning"),
        ]);
        // Connections that are in use all the time are not asked before they are used: that would cost as much as what
        // they are used for. One that somebody has given up, since nothing was heard from it, would be asked for ever
        // whether it is all right, and its place be taken for as long.
        let pool = |size| {
            PgPoolOptions::new()
                .max_connections(size)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(false)
                .before_acquire(|connection, meta| Box::pin(is_alive(connection, meta.idle_for)))
                .after_release(|connection, _| Box::pin(async { answers(connection).await.map(|()| true) }))
        };
        let reads = pool(READERS).connect_lazy_with(options.clone());
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
        Self {
            by_id: ById::new(&reads),
            reads,
            pages: pool(PAGERS).connect_lazy_with(asking.clone()),
            questions: pool(ASKERS).connect_lazy_with(asking),
            writes: pool(COMMITTERS).connect_lazy_with(options.clone()),
            // A notification need not outlive a crash: whoever hears it reads the table.
            feed: pool(FEEDERS).connect_lazy_with(options.options([("synchronous_commit", "off")])),
        }
    }

    /// For reads: single statements only. A transaction begun here could be left open by a caller who goes away
    /// (transact-rs/sqlx#4385); whatever needs one runs in a task of its own, on `writes`.
    pub fn reads(&self) -> &PgPool {
        &self.reads
    }

    /// For reads of one record.
    pub fn by_id(&self) -> &ById {
        &self.by_id
    }

    /// For the committer.
    pub fn writes(&self) -> &PgPool {
        &self.writes
    }

    /// For the tailer, and for chores.
    pub fn feed(&self) -> &PgPool {
        &self.feed
    }

    /// Which of these ids are those of records.
    pub async fn existing<R: Resource>(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        let statement = format!("select id from {} where id = any($1)", table(R::COLLECTION));
        let found: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement)).bind(ids).fetch_all(&self.reads).await?;
        Ok(found.into_iter().collect())
    }

    /// The key of this database's page tokens.
    pub async fn token_key(&self) -> Result<[u8; 32], StoreError> {
        let key: Vec<u8> = sqlx::query_scalar("select token_key from feed").fetch_one(&self.reads).await?;
        key.try_into().map_err(|_| StoreError::Damaged("the feed's token_key".to_owned()))
    }

    /// Whether the database answers. Asked where long reads cannot be in the way.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let asked = sqlx::query("select 1").execute(&self.writes);
        timeout(ANSWER_TIMEOUT, asked).await.map_err(StoreError::silent)??;
        Ok(())
    }

    /// Waits for connections in use to be given back, and closes all.
    pub async fn close(&self) {
        let pools = [&self.reads, &self.pages, &self.questions, &self.writes, &self.feed];
        futures_util::future::join_all(pools.map(PgPool::close)).await;
    }
}

async fn answers(connection: &mut PgConnection) -> sqlx::Result<()> {
    timeout(ANSWER_TIMEOUT, connection.ping()).await.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())))
}

/// Asks a pooled connection whether it still works, if it was not used for a while.
async fn is_alive(connection: &mut PgConnection, idle_for: Duration) -> sqlx::Result<bool> {
    if idle_for > IDLE {
        answers(connection).await?;
    }
    Ok(true)
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Doc {
    /// Its id.
    pub id: Uuid,
    /// Which version of the contract wrote it.
    pub contract: i16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Doc {
    /// Reads the record.
    pub fn decode<R: Resource>(&self) -> Result<R, StoreError> {
        R::decode(self.bytes.as_slice()).map_err(|_| StoreError::Damaged(R::COLLECTION.name(self.id)))
    }

    /// Reads the record in order to write its next revision: one that a newer contract wrote is left alone, since this
    /// binary would lose the fields that it does not know.
    pub fn decode_to_rewrite<R: Resource>(&self) -> Result<R, StoreError> {
        if self.contract > CONTRACT {
            return Err(StoreError::NewerContract(R::COLLECTION.name(self.id)));
        }
        self.decode()
    }
}

/// Makes a `Doc` of a row with the columns `id, contract, doc`.
impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Doc {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        use sqlx::Row;
        Ok(Self { id: row.try_get("id")?, contract: row.try_get("contract")?, bytes: row.try_get("doc")? })
    }
}

/// The current docs of a collection by id, in no order; those that are not there are left out.
pub(crate) async fn docs(pool: &PgPool, of: Collection, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    let statement = format!("select id, contract, doc from {} where id = any($1)", table(of));
    Ok(sqlx::query_as(AssertSqlSafe(statement)).bind(ids).fetch_all(pool).await?)
}

/// The same, as many of them as a batch may have bytes.
async fn some_docs(pool: PgPool, of: Collection, ids: Vec<Uuid>) -> Result<Found<Uuid, Doc>, StoreError> {
    // One alone always fits, and counting takes as long as reading it.
    if ids.len() == 1 {
        return Ok(docs(&pool, of, &ids).await?.into_iter().map(|doc| (doc.id, Some(doc))).collect());
    }
    // Bytes are counted before any doc is fetched from where large ones are kept apart.
    let statement = format!(
        "select id, contract, case when bytes_before < $2 then doc end
         from (
             select id, contract, doc, sum(octet_length(doc)) over (order by id) - octet_length(doc) as bytes_before
             from {}
             where id = any($1)
         ) as one",
        table(of)
    );
    let rows: Vec<(Uuid, i16, Option<Vec<u8>>)> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(ids).bind(BATCH_BYTES).fetch_all(&pool).await?;
    let doc = |(id, contract, bytes): (_, _, Option<_>)| (id, bytes.map(|bytes| Doc { id, contract, bytes }));
    Ok(rows.into_iter().map(doc).collect())
}

/// Which of these there are, and whether they are live.
async fn live(pool: PgPool, keys: Vec<(Collection, Uuid)>) -> Result<Found<(Collection, Uuid), bool>, StoreError> {
    let ids = |of| keys.iter().filter(|key| key.0 == of).map(|key| key.1).collect::<Vec<_>>();
    let rows: Vec<(i16, Uuid, bool)> = sqlx::query_as(
        "select 1::smallint, id, delete_time is null from participant where id = any($1)
         union all
         select 2::smallint, id, delete_time is null from article where id = any($2)
         union all
         select 4::smallint, id, delete_time is null from meeting where id = any($3)",
    )
    .bind(ids(Collection::Participants))
    .bind(ids(Collection::Articles))
    .bind(ids(Collection::Meetings))
    .fetch_all(&pool)
    .await?;
    let key = |(collection, id, is_live)| Some(((Collection::try_from(collection).ok()?, id), Some(is_live)));
    Ok(rows.into_iter().filter_map(key).collect())
}

/// The table of a collection, for statements that all four have in common.
pub(crate) const fn table(of: Collection) -> &'static str {
    match of {
        Collection::Participants => "participant",
        Collection::Articles => "article",
        Collection::Reports => "report",
        Collection::Meetings => "meeting",
    }
}

/// A time of a record as a column.
fn time(time: Option<&prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    let time = time?;
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}

/// The connection of the transaction that a batch is written in.
pub(crate) type Tx<'a> = &'a mut PgConnection;
