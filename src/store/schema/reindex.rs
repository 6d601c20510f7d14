//! Derived columns and index tables made again from the docs: after a migration that adds one, after a release that folds
//! letters in another way, and when an operator asks.
//!
//! What a record is named by (`meeting_participant`), and what must be unique, is never out of step with the docs, and
//! left alone.

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
    pb::{Article, Meeting, Report},
    store::{
        Doc, StoreError, meeting, participation, pool::batch_loader::BATCH_BYTES, query::search, statement,
        write::columns::Columns,
    },
};

/// The most records that are made again in one transaction. Articles have texts, each of which takes milliseconds to fold
/// and to split into words.
const BATCH: i64 = 500;
const ARTICLES_BATCH: i64 = 50;
/// The time between two lines of the log that say how far it is.
const REPORT_PERIOD: Duration = Duration::from_secs(3);

/// Why records are made again, which decides what of them is, and where the progress is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// A migration has marked the collection: all that is derived, with the progress in the mark.
    Marked,
    /// Its words are of an older version of folding: the words, with the progress beside the version.
    Folding,
    /// An operator has asked: all that is derived, without any progress.
    Asked,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "a migration",
            Self::Folding => "another version of folding",
            Self::Asked => "an operator",
        }
    }
}

/// Makes again the records that migrations have marked, and the words that have another version of folding. Both go on
/// where a process that was killed has stopped.
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

/// Makes again all that is derived from the records of a collection, while others read and write. Answers how many
/// records there are.
pub async fn collection(pool: &PgPool, of: Collection) -> Result<usize, StoreError> {
    reindex(&mut *pool.acquire().await?, of, Cause::Asked, Uuid::nil()).await
}

/// Makes again the records of a collection after `done`, and logs how far it is.
async fn reindex(connection: &mut PgConnection, of: Collection, cause: Cause, done: Uuid) -> Result<usize, StoreError> {
    let collection = of.as_str();
    let records = match cause {
        // The pool's statements are short: a count may take longer.
        Cause::Asked => None,
        Cause::Marked | Cause::Folding => Some(count(connection, of, done).await?),
    };
    let is_logged = records != Some(0);
    if is_logged {
        tracing::info!(collection, cause = cause.as_str(), records, "reindexing");
    }
    let made = AtomicUsize::new(0);
    let work = reindex_all(connection, of, cause, done, &made);
    let mut reports = time::interval_at(Instant::now() + REPORT_PERIOD, REPORT_PERIOD);
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => {
                result?;
                let count = made.load(Relaxed);
                if is_logged {
                    tracing::info!(collection, count, "reindexed");
                }
                return Ok(count);
            }
            _ = reports.tick() => tracing::info!(collection, count = made.load(Relaxed), records, "still reindexing"),
        }
    }
}

/// How many records there are after `done`.
async fn count(connection: &mut PgConnection, of: Collection, done: Uuid) -> Result<i64, StoreError> {
    let statement = format!("select count(*) from {} where id > $1", crate::store::table(of));
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(done).fetch_one(connection).await?)
}

async fn reindex_all(
    connection: &mut PgConnection,
    of: Collection,
    cause: Cause,
    mut done: Uuid,
    made: &AtomicUsize,
) -> Result<(), StoreError> {
    loop {
        match reindex_next(connection, of, cause, done).await {
            Ok(Some((last, more))) => {
                done = last;
                made.fetch_add(more, Relaxed);
            }
            Ok(None) => return Ok(()),
            // Somebody who writes had what it wants, and the other way round.
            Err(StoreError::Contention(cause)) => tracing::info!(collection = of.as_str(), %cause, "reindexing again"),
            Err(error) => return Err(error),
        }
    }
}

/// Makes the next records again, and keeps how far that is. Answers the last of them, and how many they are.
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
        (Collection::Meetings, _) => meetings(&mut tx, &docs).await?,
        (Collection::Articles, _) => articles(&mut tx, &docs).await?,
        (Collection::Reports, _) => reports(&mut tx, &docs).await?,
        (Collection::Participants, _) => {}
    }
    match cause {
        Cause::Marked => {
            sqlx::query("update reindex set done = $2 where collection = $1")
                .bind(of as i16)
                .bind(last.id)
                .execute(&mut *tx)
                .await?;
        }
        Cause::Folding => folding::advance(&mut tx, of, last.id).await?,
        Cause::Asked => {}
    }
    tx.commit().await?;
    Ok(Some((last.id, docs.len())))
}

/// The next records, which nobody else writes meanwhile: as many as a batch may be and have bytes, one at least.
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
             ) as next
             where bytes_before < $3
         )
         order by id
         for no key update"
    );
    let batch = if of == Collection::Articles { ARTICLES_BATCH } else { BATCH };
    let next = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(after).bind(batch).bind(BATCH_BYTES);
    Ok(next.fetch_all(tx).await?)
}

fn decode<R: Resource>(docs: &[Doc]) -> Result<(Vec<Uuid>, Vec<R>), StoreError> {
    let records = docs.iter().map(Doc::decode).collect::<Result<_, _>>()?;
    Ok((docs.iter().map(|doc| doc.id).collect(), records))
}

async fn meetings(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Meeting>(docs)?;
    meeting::derived(Columns::of("meeting", &ids)?, &records.iter().collect::<Vec<_>>())?.update(tx).await?;
    participation::clear(tx, &ids).await?;
    // Who dated a meeting anew while the statements of its reports were made anew has missed these.
    statement::date(tx, &ids).await?;
    participation::index(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn articles(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Article>(docs)?;
    let create_times =
        records.iter().map(|one| crate::store::time(one.create_time.as_ref()).unwrap_or_default()).collect::<Vec<_>>();
    Columns::of("article", &ids)?.with("create_time", "timestamptz", create_times)?.update(&mut *tx).await?;
    search::reindex(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn reports(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Report>(docs)?;
    statement::reindex(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn article_words(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Article>(docs)?;
    search::reindex(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn statement_words(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Report>(docs)?;
    statement::fold_again(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}
