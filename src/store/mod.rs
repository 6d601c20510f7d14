//! PostgreSQL: the only place with SQL. One file per noun; `write` puts a batch of writes into one transaction, `list`
//! pages by keyset, `error` is the only place that reads SQLSTATEs.
//!
//! A record is kept whole, as the bytes of its message (`doc`), beside the columns and index tables that queries ask
//! about. Those are derived: the functions named `index` here say how.

pub mod article;
pub mod change;
pub mod error;
pub mod filter;
pub mod list;
pub mod meeting;
pub mod migrate;
pub mod participant;
pub mod reference;
pub mod report;
pub mod request;
pub mod retention;
pub mod revision;
pub mod text;
pub mod write;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;
use uuid::Uuid;

pub use self::error::StoreError;
use crate::model::resource::{CONTRACT, Collection, Deletable, Resource};

/// How many connections do what. Reads and the committer do not wait for each other.
const READERS: u32 = 6;
const COMMITTERS: u32 = 2;
/// The tailer, the one who notifies, the one who listens.
const FEEDERS: u32 = 3;
/// A caller rather hears UNAVAILABLE than waits longer for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// A database that is there answers sooner.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A batch takes no longer than a statement may; what takes longer is not heard of any more.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(35);

/// The database, seen by those who read.
#[derive(Debug, Clone)]
pub struct Store {
    reads: PgPool,
    writes: PgPool,
    feed: PgPool,
}

impl Store {
    /// Pools on a migrated database. Connections are made when they are first needed.
    pub fn new(options: PgConnectOptions) -> Self {
        // Nobody holds a lock, or works for somebody who has long gone, for longer than these.
        let options = options.application_name("readout").options([
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "2s"),
        ]);
        // A connection that somebody has given up, since nothing was heard from it, would be asked for ever whether it
        // is all right, and its place be taken for as long.
        let pool = |size| {
            let pool = PgPoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT);
            pool.after_release(|connection, _| Box::pin(async { answers(connection).await.map(|()| true) }))
        };
        Self {
            reads: pool(READERS).connect_lazy_with(options.clone()),
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

    /// Whether the records of these ids are live; those that are not there are left out.
    pub async fn live<R: Deletable>(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, bool>, StoreError> {
        let statement = format!("select id, delete_time is null from {} where id = any($1)", table(R::COLLECTION));
        let found: Vec<(Uuid, bool)> =
            sqlx::query_as(AssertSqlSafe(statement)).bind(ids).fetch_all(&self.reads).await?;
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
        tokio::join!(self.reads.close(), self.writes.close(), self.feed.close());
    }
}

async fn answers(connection: &mut PgConnection) -> sqlx::Result<()> {
    timeout(ANSWER_TIMEOUT, connection.ping()).await.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())))
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
