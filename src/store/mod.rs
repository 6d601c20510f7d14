//! PostgreSQL: the only place with SQL. One file per noun; `write` puts a batch of writes into one transaction, `list`
//! pages by keyset, `coalesce` reads together what is asked for at the same time, `error` is the only place that reads
//! SQLSTATEs.
//!
//! A record is kept whole, as the bytes of its message (`doc`), beside the columns and index tables that queries ask
//! about. Those are derived: the functions named `index` here say how.

pub mod article;
pub mod change;
pub mod copies;
pub mod error;
pub mod meeting;
pub mod participant;
pub mod participation;
pub mod pool;
pub mod query;
pub mod report;
pub mod retention;
mod row;
pub mod schema;
pub mod statement;
pub mod text;
pub mod token;
pub mod write;

use std::{collections::HashSet, hash::Hash, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::time::timeout;
use uuid::Uuid;

use self::pool::{
    ANSWER_TIMEOUT, ConnectionPools, answers,
    batch_loader::{BATCH_BYTES, BatchResult, Coalesced},
};
pub use self::{
    error::StoreError,
    pool::{Connections, Limits},
};
use crate::model::resource::{CONTRACT, Collection, Resource};

/// A batch of reads or of writes takes no longer than a statement may; what takes longer is not heard of any more.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(35);

/// The database, seen by those who read.
#[derive(Debug, Clone)]
pub struct Store {
    pools: ConnectionPools,
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
    pub sources: Coalesced<Uuid, article::ArticleSource>,
    /// Reports.
    pub reports: Coalesced<Uuid, Doc>,
    /// Reports by article and `content_hash`.
    pub contents: Coalesced<(Uuid, String), report::ExistingReport>,
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
    F: Future<Output = Result<BatchResult<K, V>, StoreError>> + Send + 'static,
{
    let pool = pool.clone();
    Coalesced::new(move |keys| read(pool.clone(), keys))
}

impl Store {
    /// On a migrated database, with the limits that a service has by default.
    pub fn new(options: PgConnectOptions) -> Self {
        Self::within(options, &Limits::default())
    }

    /// On a migrated database, within these limits.
    pub fn within(options: PgConnectOptions, limits: &Limits) -> Self {
        let pools = ConnectionPools::new(options, limits);
        Self { by_id: ById::new(&pools.reads), pools }
    }

    /// For reads: single statements only. A transaction begun here could be left open by a caller who goes away
    /// (transact-rs/sqlx#4385); whatever needs one runs in a task of its own, on `writes`.
    pub fn reads(&self) -> &PgPool {
        &self.pools.reads
    }

    /// For reads of one record.
    pub fn by_id(&self) -> &ById {
        &self.by_id
    }

    /// For the committer.
    pub fn writes(&self) -> &PgPool {
        &self.pools.writes
    }

    /// For the tailer, and for chores.
    pub fn feed(&self) -> &PgPool {
        &self.pools.feed
    }

    /// Which of these ids are those of records.
    pub async fn existing<R: Resource>(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        let statement = format!("select id from {} where id = any($1)", table(R::COLLECTION));
        let found: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement)).bind(ids).fetch_all(self.reads()).await?;
        Ok(found.into_iter().collect())
    }

    /// The key of this database's page tokens.
    pub async fn token_key(&self) -> Result<[u8; 32], StoreError> {
        let key: Vec<u8> = sqlx::query_scalar("select token_key from feed").fetch_one(self.reads()).await?;
        key.try_into().map_err(|_| StoreError::Damaged("the feed's token_key".to_owned()))
    }

    /// Whether the database answers. Asked where long reads cannot be in the way.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let asked = sqlx::query("select 1").execute(self.writes());
        timeout(ANSWER_TIMEOUT, asked).await.map_err(StoreError::silent)??;
        Ok(())
    }

    /// Waits for connections in use to be given back, and closes all.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    /// How many connections there are for what.
    pub fn connections(&self) -> impl IntoIterator<Item = Connections> {
        self.pools.connections()
    }
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

    /// Reads the record in order to write its next revision, and makes it canonical: an older release may have stored another
    /// spelling. One that a newer contract wrote is left alone, since this binary would lose the fields that it does not know.
    pub fn decode_to_rewrite<R: Resource>(&self) -> Result<R, StoreError> {
        if self.contract > CONTRACT {
            return Err(StoreError::NewerContract(R::COLLECTION.name(self.id)));
        }
        let mut record: R = self.decode()?;
        record.canonicalize();
        Ok(record)
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
async fn some_docs(pool: PgPool, of: Collection, ids: Vec<Uuid>) -> Result<BatchResult<Uuid, Doc>, StoreError> {
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
async fn live(
    pool: PgPool,
    keys: Vec<(Collection, Uuid)>,
) -> Result<BatchResult<(Collection, Uuid), bool>, StoreError> {
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
