//! Rebuilds derived columns and index tables from the docs: after a migration that adds one, after a release that folds
//! letters differently, and on an operator's request.
//!
//! References (`meeting_participant`) and unique keys are never out of date, and are not rebuilt.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::{self, Instant};
use uuid::Uuid;

use super::folding;
use crate::{
    model::resource::{Collection, Resource},
    pb::{Article, Meeting, Participant, Report},
    store::{
        Doc, StoreError,
        account_index::{self, ParticipantRows, ParticipationTerms},
        article, meeting, participant,
        pool::batch_loader::BATCH_BYTES,
        query::search,
        statement,
        write::columns::Columns,
    },
};

/// Maximum number of records that one transaction rebuilds. Fewer for articles: each text takes milliseconds to fold
/// and to split into words.
const BATCH: i64 = 500;
const ARTICLES_BATCH: i64 = 50;
/// The time between two progress messages in the log.
const PROGRESS_PERIOD: Duration = Duration::from_secs(3);

/// The cause of a rebuild. It decides which data is rebuilt, and where the progress is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// A migration has marked the collection: all derived data, with the progress in the table `reindex`.
    Marked,
    /// The words have an older version of folding: the words only, with the progress in the table `folding`.
    Folding,
    /// An operator has requested it: all derived data, without stored progress.
    Requested,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "a migration",
            Self::Folding => "another version of folding",
            Self::Requested => "an operator",
        }
    }
}

/// Rebuilds the collections that migrations have marked, and the words of an older version of folding. Both continue
/// where a killed process has stopped.
///
/// # Errors
/// `Damaged` for a record that cannot be decoded, or the database fails.
pub async fn pending(connection: &mut PgConnection) -> Result<(), StoreError> {
    let marked: Vec<(i16, Option<Uuid>)> =
        sqlx::query_as("select collection, done from reindex order by collection").fetch_all(&mut *connection).await?;
    for (number, done) in marked {
        if let Ok(of) = Collection::try_from(number) {
            reindex(connection, of, Cause::Marked, done.unwrap_or_default()).await?;
        }
        sqlx::query("delete from reindex where collection = $1").bind(number).execute(&mut *connection).await?;
    }
    for stale in folding::begin(connection).await? {
        reindex(connection, stale.of, Cause::Folding, stale.done).await?;
        folding::finish(connection, stale.of).await?;
    }
    Ok(())
}

/// Rebuilds all derived data of a collection, concurrently with reads and writes. Returns the number of records.
///
/// # Errors
/// Those of [`pending`].
pub async fn collection(pool: &PgPool, of: Collection) -> Result<usize, StoreError> {
    reindex(&mut *pool.acquire().await?, of, Cause::Requested, Uuid::nil()).await
}

/// Rebuilds the records of a collection after `done`, and logs the progress.
async fn reindex(connection: &mut PgConnection, of: Collection, cause: Cause, done: Uuid) -> Result<usize, StoreError> {
    let collection = of.as_str();
    let records = match cause {
        // The pool has a statement timeout, which a count may exceed.
        Cause::Requested => None,
        Cause::Marked | Cause::Folding => Some(count(connection, of, done).await?),
    };
    let is_logged = records != Some(0);
    if is_logged {
        tracing::info!(collection, cause = cause.as_str(), records, "reindexing");
    }
    let rebuilt = AtomicUsize::new(0);
    let work = reindex_all(connection, of, cause, done, &rebuilt);
    let mut progress = time::interval_at(Instant::now() + PROGRESS_PERIOD, PROGRESS_PERIOD);
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => {
                result?;
                let count = rebuilt.load(Relaxed);
                if is_logged {
                    tracing::info!(collection, count, "reindexed");
                }
                return Ok(count);
            }
            _ = progress.tick() => tracing::info!(collection, count = rebuilt.load(Relaxed), records, "still reindexing"),
        }
    }
}

/// The number of records after `done`.
async fn count(connection: &mut PgConnection, of: Collection, done: Uuid) -> Result<i64, StoreError> {
    let statement = format!("select count(*) from {} where id > $1", crate::store::table(of));
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(done).fetch_one(connection).await?)
}

async fn reindex_all(
    connection: &mut PgConnection,
    of: Collection,
    cause: Cause,
    mut done: Uuid,
    rebuilt: &AtomicUsize,
) -> Result<(), StoreError> {
    loop {
        match reindex_next(connection, of, cause, done).await {
            Ok(Some((last, count))) => {
                done = last;
                rebuilt.fetch_add(count, Relaxed);
            }
            Ok(None) => return Ok(()),
            // A deadlock with a concurrent write: the batch is tried again.
            Err(StoreError::Contention(cause)) => tracing::info!(collection = of.as_str(), %cause, "reindexing again"),
            Err(error) => return Err(error),
        }
    }
}

/// Rebuilds the next batch of records, and stores the progress. Returns the last id and the number of records; `None`
/// if there are none left.
async fn reindex_next(
    connection: &mut PgConnection,
    of: Collection,
    cause: Cause,
    done: Uuid,
) -> Result<Option<(Uuid, usize)>, StoreError> {
    let mut tx = connection.begin().await?;
    let docs = lock_next(&mut tx, of, done).await?;
    let Some(last) = docs.last() else { return Ok(None) };
    match (of, cause) {
        (Collection::Articles, Cause::Folding) => article_words(&mut tx, &docs).await?,
        (Collection::Reports, Cause::Folding) => statement_words(&mut tx, &docs).await?,
        (Collection::Meetings, Cause::Folding) => meeting_words(&mut tx, &docs).await?,
        (Collection::Participants, Cause::Folding) => participant_words(&mut tx, &docs).await?,
        (Collection::Meetings, _) => meetings(&mut tx, &docs).await?,
        (Collection::Articles, _) => articles(&mut tx, &docs).await?,
        (Collection::Reports, _) => reports(&mut tx, &docs).await?,
        (Collection::Participants, _) => participants(&mut tx, &docs).await?,
    }
    match cause {
        Cause::Marked => {
            sqlx::query(
                "update reindex
                 set done = $2
                 where collection = $1",
            )
            .bind(of as i16)
            .bind(last.id)
            .execute(&mut *tx)
            .await?;
        }
        Cause::Folding => folding::advance(&mut tx, of, last.id).await?,
        Cause::Requested => {}
    }
    tx.commit().await?;
    Ok(Some((last.id, docs.len())))
}

/// Locks and reads the next batch of records, limited by number and bytes, but at least one.
async fn lock_next(tx: &mut PgConnection, of: Collection, after: Uuid) -> Result<Vec<Doc>, StoreError> {
    let table = crate::store::table(of);
    let statement = format!(
        "select id, contract, doc
         from {table}
         where id in (
             select id
             from (
                 select id, sum(octet_length(doc)) over (order by id) - octet_length(doc) as bytes_before
                 from (
                     select id, doc
                     from {table}
                     where id > $1
                     order by id
                     limit $2
                 ) as next
             ) as counted
             where bytes_before < $3
         )
         order by id
         for no key update"
    );
    let batch = if of == Collection::Articles { ARTICLES_BATCH } else { BATCH };
    let docs = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(after).bind(batch).bind(BATCH_BYTES);
    Ok(docs.fetch_all(tx).await?)
}

fn decode<R: Resource>(docs: &[Doc]) -> Result<(Vec<Uuid>, Vec<R>), StoreError> {
    let records = docs.iter().map(Doc::decode).collect::<Result<_, _>>()?;
    Ok((docs.iter().map(|doc| doc.id).collect(), records))
}

async fn participants(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Participant>(docs)?;
    let participants: Vec<_> = ids.into_iter().zip(&records).collect();
    participant::reindex(tx, &participants).await?;
    search::reindex_participants(tx, &participants).await
}

async fn meetings(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Meeting>(docs)?;
    let terms: Vec<ParticipationTerms> = records.iter().map(ParticipationTerms::of).collect();
    let terms: Vec<&ParticipationTerms> = terms.iter().collect();
    meeting::derived(Columns::of("meeting", &ids)?, &records.iter().collect::<Vec<_>>(), &terms)?.update(tx).await?;
    account_index::clear(tx, &ids).await?;
    // A write that changed a meeting's date while the statements of its reports were being rebuilt has missed them.
    statement::date(tx, &ids).await?;
    let meetings: Vec<(Uuid, &Meeting)> = ids.into_iter().zip(&records).collect();
    account_index::index(tx, &meetings, &terms, ParticipantRows::default()).await
}

async fn articles(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Article>(docs)?;
    let create_time = |article: &Article| crate::store::time(article.create_time.as_ref()).unwrap_or_default();
    let create_times: Vec<_> = records.iter().map(create_time).collect();
    Columns::of("article", &ids)?
        .with("create_time", "timestamptz", create_times)?
        .with_arrays("terms", "bigint", records.iter().map(|article| Some(article::terms(article))))?
        .update(&mut *tx)
        .await?;
    let articles: Vec<(Uuid, &Article)> = ids.into_iter().zip(&records).collect();
    article::reindex_external_ids(&mut *tx, &articles).await?;
    search::reindex(tx, &articles).await
}

async fn reports(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Report>(docs)?;
    statement::reindex(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn article_words(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Article>(docs)?;
    search::reindex(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn meeting_words(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Meeting>(docs)?;
    search::reindex_meetings(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn participant_words(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Participant>(docs)?;
    search::reindex_participants(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn statement_words(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Report>(docs)?;
    statement::reindex_words(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}
