//! The ranges that the change log is kept in: made ahead of the positions, dropped whole when they are old.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::{StoreError, row::from_row};

/// Serialises those who make and drop ranges. Arbitrary, but the same in every instance.
const RANGE_LOCK: i64 = 0x5245_4144_4f55_5402;

/// What is kept of the change log. Ranges are dropped whole, and the one that is written to never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// A range goes when its newest change is older than this.
    pub age: Duration,
    /// The oldest ranges go while all together have more bytes than this, indexes included.
    pub bytes: u64,
    /// Positions in a range.
    pub range: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(30 * 24 * 60 * 60), bytes: 8 << 30, range: 250_000 }
    }
}

/// Makes ranges until there are two whole ones, and `more` positions, after the head. Answers how many it made.
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
    // A batch is bounded: the count fits.
    let enough = head + 2 * range + more as i64;
    let mut made = 0;
    while first <= enough {
        let upto = (first / range + 1) * range;
        make(&mut tx, first, upto).await?;
        first = upto;
        made += 1;
    }
    tx.commit().await?;
    Ok(made)
}

/// A table of its own, attached when it is ready: that locks out nobody who reads or appends.
async fn make(tx: &mut PgConnection, first: i64, upto: i64) -> Result<(), StoreError> {
    for statement in [
        format!("create table change_{first} (like change including all)"),
        format!("alter table change attach partition change_{first} for values from ({first}) to ({upto})"),
        format!("insert into change_range (first, upto) values ({first}, {upto})"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A range with what decides about it.
#[derive(Debug)]
struct Range {
    first: i64,
    upto: i64,
    bytes: i64,
}

from_row!(Range { first, upto, bytes });

/// Drops the ranges that need not be kept, and answers how many. One that somebody reads just then is left to the next
/// time.
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
        // The newest change stays, and with it the range that it is in.
        let Some(oldest) = ranges.first().filter(|range| range.upto <= head) else { return Ok(dropped) };
        let is_too_much = u64::try_from(total).unwrap_or(0) > retention.bytes;
        if !is_too_much && !is_old(&mut connection, oldest, retention.age).await? {
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
    // Whoever waits for this lock holds up those who come after.
    sqlx::query("set local lock_timeout = '100ms'").execute(&mut *tx).await?;
    lock(&mut tx).await?;
    sqlx::query("update feed set floor = greatest(floor, $1)").bind(upto - 1).execute(&mut *tx).await?;
    let gone = sqlx::query("delete from change_range where first = $1").bind(first).execute(&mut *tx).await?;
    if gone.rows_affected() > 0 {
        sqlx::query(AssertSqlSafe(format!("drop table change_{first}"))).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn lock(tx: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(RANGE_LOCK).execute(tx).await?;
    Ok(())
}
