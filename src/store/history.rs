//! What was: the revisions of a record. The current one stands in its own table, the others in `superseded`.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, PgPool};
use uuid::Uuid;

use super::{StoreError, list::PAGE_BYTES, table};
use crate::model::resource::Collection;

/// One revision, and who made it.
#[derive(Debug, Clone, FromRow)]
pub struct Revision {
    /// Counts from 1.
    pub revision: i64,
    /// Since when it was to be read.
    pub update_time: DateTime<Utc>,
    /// Number of the `change::Kind`; 0 where it is not known any more.
    pub change_kind: i16,
    /// Who asked for it; empty where it is not known any more.
    pub actor: String,
    /// The caller's id for the request; empty without one.
    pub request_id: String,
    /// Why; empty where no reason was given.
    pub reason: String,
    /// The record's bytes.
    pub doc: Vec<u8>,
}

/// The revisions of a record below one of them, the newest first: `limit`, and one more if there are more. Ends before
/// their docs pass `PAGE_BYTES`, but not before the first two.
pub async fn revisions(
    pool: &PgPool,
    of: Collection,
    id: Uuid,
    below: i64,
    limit: usize,
) -> Result<Vec<Revision>, StoreError> {
    // Bytes are counted before any doc is fetched from where large ones are kept apart.
    let statement = format!(
        "select revision, update_time, change_kind, actor, request_id, reason, doc
         from (
             select *, sum(octet_length(doc)) over newest_first as bytes, row_number() over newest_first as number
             from (
                 (select revision, update_time, change_kind, actor, request_id, reason, doc
                  from {}
                  where id = $2 and revision < $3)
                 union all
                 (select revision, update_time, change_kind, actor, request_id, reason, doc
                  from superseded
                  where collection = $1 and id = $2 and revision < $3
                  order by revision desc
                  limit $4)
                 order by revision desc
                 limit $4
             ) as one
             window newest_first as (order by revision desc)
         ) as one
         where bytes <= $5 or number <= 2
         order by revision desc",
        table(of)
    );
    let revisions = sqlx::query_as(AssertSqlSafe(statement))
        .bind(of as i16)
        .bind(id)
        .bind(below)
        .bind(limit as i64 + 1) // a page has at most 1,000: it fits
        .bind(PAGE_BYTES)
        .fetch_all(pool)
        .await?;
    Ok(revisions)
}
