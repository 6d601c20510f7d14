//! Derived columns and index tables made anew from the docs: after a migration that adds one, and when an operator asks.
//!
//! What a record is named by (`meeting_participant`), and what must be unique, is never out of step with the docs, and
//! left alone.

use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::{Doc, StoreError, coalesce::BATCH_BYTES, columns::Columns, meeting, participation, search, statement};
use crate::{
    model::resource::{Collection, Resource},
    pb::{Article, Meeting, Report},
};

/// So many records are made anew in one transaction, at most.
const BATCH: i64 = 500;

/// Makes anew what migrations have marked, and takes the marks away.
pub async fn marked(connection: &mut PgConnection) -> Result<(), StoreError> {
    let marked: Vec<i16> =
        sqlx::query_scalar("select collection from reindex order by collection").fetch_all(&mut *connection).await?;
    for number in marked {
        if let Ok(of) = Collection::try_from(number) {
            let count = reindex(connection, of).await?;
            tracing::info!(collection = of.as_str(), count, "reindexed");
        }
        sqlx::query("delete from reindex where collection = $1").bind(number).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Makes anew all that is derived from the records of a collection, while others read and write. Answers how many
/// records there are.
pub async fn collection(pool: &PgPool, of: Collection) -> Result<usize, StoreError> {
    reindex(&mut *pool.acquire().await?, of).await
}

async fn reindex(connection: &mut PgConnection, of: Collection) -> Result<usize, StoreError> {
    let (mut after, mut count) = (Uuid::nil(), 0);
    loop {
        match reindex_next(connection, of, after).await {
            Ok(Some((last, more))) => (after, count) = (last, count + more),
            Ok(None) => return Ok(count),
            // Somebody who writes had what it wants, and the other way round.
            Err(StoreError::Contention(cause)) => tracing::info!(collection = of.as_str(), %cause, "reindexing again"),
            Err(error) => return Err(error),
        }
    }
}

/// Makes anew what is derived from the next records. Answers the last of them, and how many they are.
async fn reindex_next(
    connection: &mut PgConnection,
    of: Collection,
    after: Uuid,
) -> Result<Option<(Uuid, usize)>, StoreError> {
    let mut tx = connection.begin().await?;
    let docs = lock_next(&mut tx, of, after).await?;
    let Some(last) = docs.last() else { return Ok(None) };
    match of {
        Collection::Meetings => meetings(&mut tx, &docs).await?,
        Collection::Articles => articles(&mut tx, &docs).await?,
        Collection::Reports => reports(&mut tx, &docs).await?,
        Collection::Participants => {}
    }
    tx.commit().await?;
    Ok(Some((last.id, docs.len())))
}

/// The next records, which nobody else writes meanwhile: as many as a batch may be and have bytes, one at least.
async fn lock_next(tx: &mut PgConnection, of: Collection, after: Uuid) -> Result<Vec<Doc>, StoreError> {
    let table = super::table(of);
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
    let next = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(after).bind(BATCH).bind(BATCH_BYTES);
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
        records.iter().map(|one| super::time(one.create_time.as_ref()).unwrap_or_default()).collect::<Vec<_>>();
    Columns::of("article", &ids)?.with("create_time", "timestamptz", create_times)?.update(&mut *tx).await?;
    search::reindex(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}

async fn reports(tx: &mut PgConnection, docs: &[Doc]) -> Result<(), StoreError> {
    let (ids, records) = decode::<Report>(docs)?;
    statement::reindex(tx, &ids.into_iter().zip(&records).collect::<Vec<_>>()).await
}
