//! Retention of the change log. It is partitioned by ranges of positions: partitions are created ahead of the head, and
//! dropped as a whole when they are old.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::{StoreError, from_row::from_row};

/// The advisory lock that serialises the creation and the removal of ranges. Arbitrary, but the same in every instance.
const RANGE_LOCK: i64 = 0x5245_4144_4f55_5402;

/// The limits of the change log. Ranges are dropped as a whole; the current one is never dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// A range is dropped when its newest change is older than this.
    pub age: Duration,
    /// The oldest ranges are dropped while all of them together exceed this number of bytes, indexes included.
    pub bytes: u64,
    /// The number of positions in a range.
    pub range: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(30 * 24 * 60 * 60), bytes: 8 << 30, range: 250_000 }
    }
}

/// Creates ranges until there are two whole ones, and `more` positions, after the head. Returns how many it created.
///
/// # Errors
/// `Contention` if a lock is not obtained in time, or the database fails.
pub async fn extend(pool: &PgPool, retention: Retention, more: usize) -> Result<usize, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    lock(&mut tx).await?;
    let (head, mut first): (i64, i64) = sqlx::query_as(
        "select greatest(feed.floor, (select max(position) from change)),
                coalesce((select max(upto) from change_range), feed.floor + 1)
         from feed",
    )
    .fetch_one(&mut *tx)
    .await?;
    let range = i64::from(retention.range.max(1));
    // A batch is bounded: the cast cannot overflow.
    let enough = head + 2 * range + more as i64;
    let mut created = 0;
    while first <= enough {
        let upto = (first / range + 1) * range;
        create_range(&mut tx, first, upto).await?;
        first = upto;
        created += 1;
    }
    tx.commit().await?;
    Ok(created)
}

/// Creates a table and then attaches it as a partition: attaching does not block reads or appends.
async fn create_range(tx: &mut PgConnection, first: i64, upto: i64) -> Result<(), StoreError> {
    for statement in [
        format!("create table change_{first} (like change including all)"),
        format!("alter table change attach partition change_{first} for values from ({first}) to ({upto})"),
        format!("insert into change_range (first, upto) values ({first}, {upto})"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A range of the change log: positions from `first` until before `upto`.
#[derive(Debug)]
struct Range {
    first: i64,
    upto: i64,
    bytes: i64,
}

from_row!(Range { first, upto, bytes });

/// Drops the ranges that exceed the limits, and returns how many.
///
/// # Errors
/// `Contention` if a reader has locked a range, which is dropped at the next attempt, or the database fails.
pub async fn drop_old(pool: &PgPool, retention: Retention) -> Result<usize, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut dropped = 0;
    loop {
        let ranges: Vec<Range> = sqlx::query_as(
            "select first, upto, pg_total_relation_size(('change_' || first)::regclass) as bytes
             from change_range
             order by first",
        )
        .fetch_all(&mut *connection)
        .await?;
        let total: i64 = ranges.iter().map(|range| range.bytes).sum();
        let head: i64 = sqlx::query_scalar("select greatest(floor, (select max(position) from change)) from feed")
            .fetch_one(&mut *connection)
            .await?;
        // The range of the newest change is never dropped.
        let Some(oldest) = ranges.first().filter(|range| range.upto <= head) else { return Ok(dropped) };
        let exceeds_bytes = u64::try_from(total).unwrap_or(0) > retention.bytes;
        if !exceeds_bytes && !is_old(&mut connection, oldest, retention.age).await? {
            return Ok(dropped);
        }
        drop_range(&mut connection, oldest).await?;
        dropped += 1;
    }
}

async fn is_old(connection: &mut PgConnection, range: &Range, age: Duration) -> Result<bool, StoreError> {
    let is_old = sqlx::query_scalar(
        "select coalesce((select time from change where position < $1 order by position desc limit 1), '-infinity')
                < clock_timestamp() - make_interval(secs => $2)",
    )
    .bind(range.upto)
    .bind(age.as_secs_f64())
    .fetch_one(connection)
    .await?;
    Ok(is_old)
}

async fn drop_range(connection: &mut PgConnection, Range { first, upto, .. }: &Range) -> Result<(), StoreError> {
    let mut tx = connection.begin().await?;
    // A transaction that waits for this lock blocks the ones behind it.
    sqlx::query("set local lock_timeout = '100ms'").execute(&mut *tx).await?;
    lock(&mut tx).await?;
    sqlx::query("update feed set floor = greatest(floor, $1)").bind(upto - 1).execute(&mut *tx).await?;
    let deleted = sqlx::query("delete from change_range where first = $1").bind(first).execute(&mut *tx).await?;
    if deleted.rows_affected() > 0 {
        sqlx::query(AssertSqlSafe(format!("drop table change_{first}"))).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn lock(tx: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(RANGE_LOCK).execute(tx).await?;
    Ok(())
}
