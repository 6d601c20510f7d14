//! Storage in PostgreSQL, the only module with SQL. One file per noun; `write` commits a batch of writes in one
//! transaction, `query` has the lists and searches, `pool` the connections, `schema` the migrations. Only `error` reads
//! SQLSTATEs and constraint names.
//!
//! A record is stored whole, as the encoded bytes of its message (`doc`). The other columns and the index tables are
//! derived from it, by the functions named `index` and by the column lists in each file.

pub mod account_index;
pub mod article;
pub mod article_copies;
pub mod article_text;
pub mod audit_event;
pub mod change;
pub mod epoch;
pub mod error;
mod from_row;
pub mod meeting;
pub mod origin;
pub mod participant;
pub mod pool;
pub mod query;
pub mod report;
pub mod retention;
pub mod schema;
pub mod statement;
pub mod statistics;
pub mod token;
pub mod write;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, PgPool, postgres::PgConnectOptions};
use tokio::time::timeout;
use uuid::Uuid;

use self::{
    change::{FeedBounds, Source, StoredChange},
    pool::{
        ANSWER_TIMEOUT, ConnectionPools, answers,
        batch_loader::{BATCH_BYTES, BatchLoader, BatchResult},
        kept_connections::{KeptConnection, KeptConnections},
        server_watch::ServerWatch,
    },
};
pub use self::{
    error::StoreError,
    pool::{Connections, Limits},
};
use crate::model::{
    participant::PersonFacts,
    resource::{CONTRACT_VERSION, Collection, Resource, decode},
};

/// The timeout of a batch of reads or of writes, above the longest `statement_timeout`. A batch that exceeds it counts
/// as unanswered.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(35);

/// Access to the database: its connection pools, and the loaders for single records.
#[derive(Debug, Clone)]
pub struct Store {
    pools: ConnectionPools,
    by_id: RecordLoaders,
    of_feed: FeedLoaders,
}

/// The state of a record that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordState {
    /// False if it is deleted.
    pub is_live: bool,
    /// Of a participant: the one that it is settled as, if it is an alias.
    pub alias_of: Option<Uuid>,
    /// The facts about the participant that it is settled as. `None` for other records.
    pub person: Option<PersonFacts>,
}

/// Reads of single records by key. Concurrent reads of one kind share a query.
#[derive(Debug, Clone)]
pub struct RecordLoaders {
    /// The states of records; no entry for an unknown id.
    pub live: BatchLoader<(Collection, Uuid), RecordState>,
    /// Participants.
    pub participants: BatchLoader<Uuid, Doc>,
    /// Articles, without their texts.
    pub articles: BatchLoader<Uuid, Doc>,
    /// Articles with their texts and origins, as their reports need them.
    pub sources: BatchLoader<Uuid, article::ArticleWithText>,
    /// Reports.
    pub reports: BatchLoader<Uuid, Doc>,
    /// Reports by article and `content_hash`.
    pub contents: BatchLoader<(Uuid, String), report::ExistingReport>,
    /// Meetings, without their reports.
    pub meetings: BatchLoader<Uuid, Doc>,
    /// Meetings with their reports.
    pub meetings_with_reports: BatchLoader<Uuid, meeting::MeetingWithReports>,
}

impl RecordLoaders {
    fn new(pool: &KeptConnections) -> Self {
        let docs = |of| loader(pool, move |connection, ids| batch_docs(connection, of, ids));
        Self {
            live: loader(pool, live),
            participants: docs(Collection::Participants),
            articles: docs(Collection::Articles),
            sources: loader(pool, article::sources),
            reports: docs(Collection::Reports),
            contents: loader(pool, report::existing),
            meetings: docs(Collection::Meetings),
            meetings_with_reports: loader(pool, meeting::with_reports),
        }
    }
}

/// Reads of the feed that concurrent calls share: by guarded reads, and by watches that begin.
#[derive(Debug, Clone)]
struct FeedLoaders {
    state: BatchLoader<(), (FeedBounds, Source)>,
    changes: BatchLoader<i64, StoredChange>,
}

impl FeedLoaders {
    fn new(pool: &KeptConnections) -> Self {
        let state = |mut connection: KeptConnection, _| async move {
            let state = change::state(&mut *connection).await?;
            connection.keep();
            Ok(HashMap::from([((), Some(state))]))
        };
        Self { state: loader(pool, state), changes: loader(pool, change::all_at) }
    }
}

/// A loader that reads batches with `read`, which keeps its connection.
fn loader<K, V, F>(
    pool: &KeptConnections,
    read: impl Fn(KeptConnection, Vec<K>) -> F + Clone + Send + Sync + 'static,
) -> BatchLoader<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Future<Output = Result<BatchResult<K, V>, StoreError>> + Send + 'static,
{
    let pool = pool.clone();
    BatchLoader::new(move |keys| {
        let (pool, read) = (pool.clone(), read.clone());
        async move { read(pool.acquire().await?, keys).await }
    })
}

impl Store {
    /// Opens a store on a migrated database, with the default limits. Connections are made when they are first needed.
    pub fn new(options: PgConnectOptions) -> Self {
        Self::with_limits(options, &Limits::default())
    }

    /// Opens a store on a migrated database, with these limits.
    pub fn with_limits(options: PgConnectOptions, limits: &Limits) -> Self {
        let pools = ConnectionPools::new(options, limits);
        Self { by_id: RecordLoaders::new(&pools.reads), of_feed: FeedLoaders::new(&pools.reads), pools }
    }

    /// The pool for reads: single statements only. A transaction begun here could stay open when its caller disconnects
    /// (transact-rs/sqlx#4385). Work that needs a transaction runs in its own task, on `writes`.
    pub fn reads(&self) -> &PgPool {
        self.pools.reads.pool()
    }

    /// The loaders for single records.
    pub fn by_id(&self) -> &RecordLoaders {
        &self.by_id
    }

    /// The state of the feed, read after the call began.
    ///
    /// # Errors
    /// The database failed.
    pub async fn feed_state(&self) -> Result<(FeedBounds, Source), Arc<StoreError>> {
        let state = self.of_feed.state.get(()).await?;
        state.map(Arc::unwrap_or_clone).ok_or_else(|| Arc::new(sqlx::Error::RowNotFound.into()))
    }

    /// The change at a position, if it has not been deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_at(&self, position: i64) -> Result<Option<StoredChange>, Arc<StoreError>> {
        Ok(self.of_feed.changes.get(position).await?.map(Arc::unwrap_or_clone))
    }

    /// The pool for maintenance and for jobs.
    pub fn writes(&self) -> &PgPool {
        self.pools.writes.pool()
    }

    /// The connections for the committer, of the same pool.
    pub fn commits(&self) -> &KeptConnections {
        &self.pools.writes
    }

    /// The pool for the tailer and for maintenance.
    pub fn feed(&self) -> &PgPool {
        &self.pools.feed
    }

    /// The server that the connections reach.
    pub fn server_watch(&self) -> &Arc<ServerWatch> {
        &self.pools.server_watch
    }

    /// The ids among these that records have, deleted ones included.
    ///
    /// # Errors
    /// The database fails.
    pub async fn existing<R: Resource>(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        let statement = format!("select id from {} where id = any($1)", table(R::COLLECTION));
        let found: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement)).bind(ids).fetch_all(self.reads()).await?;
        Ok(found.into_iter().collect())
    }

    /// The key that signs this database's page tokens.
    ///
    /// # Errors
    /// `Damaged` if the stored key does not have 32 bytes.
    pub async fn token_key(&self) -> Result<[u8; 32], StoreError> {
        let key: Vec<u8> = sqlx::query_scalar("select token_key from feed").fetch_one(self.reads()).await?;
        key.try_into().map_err(|_| StoreError::Damaged("the feed's token_key".to_owned()))
    }

    /// Checks that the database answers, on the write pool, where long reads cannot delay the check.
    ///
    /// # Errors
    /// `Unavailable` if there is no answer within `ANSWER_TIMEOUT`.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let answer = sqlx::query("select 1").execute(self.writes());
        timeout(ANSWER_TIMEOUT, answer).await.map_err(StoreError::no_answer)??;
        Ok(())
    }

    /// Waits until the connections in use are returned, and closes all.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    /// The number of connections in each pool.
    pub fn connections(&self) -> impl IntoIterator<Item = Connections> {
        self.pools.connections()
    }
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Doc {
    pub id: Uuid,
    /// The version of the contract that wrote it.
    pub contract: i16,
    /// The encoded record.
    pub bytes: Vec<u8>,
}

impl Doc {
    /// Decodes the record.
    ///
    /// # Errors
    /// `Damaged` if the bytes are not a record of this collection.
    pub fn decode<R: Resource>(&self) -> Result<R, StoreError> {
        decode(&self.bytes).map_err(|_| StoreError::Damaged(R::COLLECTION.name(self.id)))
    }

    /// Decodes the record in order to write its next revision, in canonical form: an older release may have stored
    /// another spelling.
    ///
    /// # Errors
    /// `NewerContract` if a newer contract wrote the record: this binary would lose the fields that it does not know.
    /// `Damaged` if the bytes are not a record of this collection.
    pub fn decode_to_rewrite<R: Resource>(&self) -> Result<R, StoreError> {
        if self.contract > CONTRACT_VERSION {
            return Err(StoreError::NewerContract(R::COLLECTION.name(self.id)));
        }
        let mut record: R = self.decode()?;
        record.canonicalize();
        Ok(record)
    }
}

/// Reads a row with the columns `id, contract, doc`.
impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Doc {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        use sqlx::Row;
        Ok(Self { id: row.try_get("id")?, contract: row.try_get("contract")?, bytes: row.try_get("doc")? })
    }
}

/// The current docs of a collection by id, in no order. Unknown ids are left out.
pub(crate) async fn docs(executor: impl PgExecutor<'_>, of: Collection, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    let statement = format!("select id, contract, doc from {} where id = any($1)", table(of));
    Ok(sqlx::query_as(AssertSqlSafe(statement)).bind(ids).fetch_all(executor).await?)
}

/// The same, for a batch loader: docs past `BATCH_BYTES` are left for a later batch.
async fn batch_docs(
    mut connection: KeptConnection,
    of: Collection,
    ids: Vec<Uuid>,
) -> Result<BatchResult<Uuid, Doc>, StoreError> {
    // A single doc always fits, and counting its bytes takes as long as reading it.
    if ids.len() == 1 {
        let docs = docs(&mut *connection, of, &ids).await?;
        connection.keep();
        return Ok(docs.into_iter().map(|doc| (doc.id, Some(doc))).collect());
    }
    // The subquery counts bytes without fetching any TOASTed doc.
    let statement = format!(
        "select id, contract, case when bytes_before < $2 then doc end
         from (
             select id, contract, doc, sum(octet_length(doc)) over (order by id) - octet_length(doc) as bytes_before
             from {}
             where id = any($1)
         ) as counted",
        table(of)
    );
    let rows: Vec<(Uuid, i16, Option<Vec<u8>>)> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(ids).bind(BATCH_BYTES).fetch_all(&mut *connection).await?;
    connection.keep();
    let doc = |(id, contract, bytes): (_, _, Option<_>)| (id, bytes.map(|bytes| Doc { id, contract, bytes }));
    Ok(rows.into_iter().map(doc).collect())
}

/// The states of the records among these keys that exist.
async fn live(
    mut connection: KeptConnection,
    keys: Vec<(Collection, Uuid)>,
) -> Result<BatchResult<(Collection, Uuid), RecordState>, StoreError> {
    let ids = |of| keys.iter().filter(|key| key.0 == of).map(|key| key.1).collect::<Vec<_>>();
    type Row = (i16, Uuid, bool, Option<Uuid>, Option<i16>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "select 1::smallint, participant.id, participant.delete_time is null, participant.merged_into, person.kind,
                person.region_code
         from participant
         join participant as person on person.id = coalesce(participant.merged_into, participant.id)
         where participant.id = any($1)
         union all
         select 2::smallint, id, delete_time is null, null, null, null from article where id = any($2)
         union all
         select 4::smallint, id, delete_time is null, null, null, null from meeting where id = any($3)",
    )
    .bind(ids(Collection::Participants))
    .bind(ids(Collection::Articles))
    .bind(ids(Collection::Meetings))
    .fetch_all(&mut *connection)
    .await?;
    connection.keep();
    let state = |(collection, id, is_live, alias_of, kind, region): Row| {
        let person = kind.map(|kind| participant::facts(kind, region));
        Some(((Collection::try_from(collection).ok()?, id), Some(RecordState { is_live, alias_of, person })))
    };
    Ok(rows.into_iter().filter_map(state).collect())
}

/// The table of a collection, for statements that all four collections share.
pub(crate) const fn table(of: Collection) -> &'static str {
    match of {
        Collection::Participants => "participant",
        Collection::Articles => "article",
        Collection::Reports => "report",
        Collection::Meetings => "meeting",
    }
}

/// A record's timestamp as a column value.
fn time(time: Option<&prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    let time = time?;
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}

/// The connection of the transaction in which a batch is written.
pub(crate) type Tx<'a> = &'a mut PgConnection;
