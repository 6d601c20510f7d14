//! Periodic maintenance: deletes expired answers to requests, extends and trims the change log, and renews the
//! statistics of tables that have grown.
//! The log keys `forgotten` and `made` are older than these names; log processors read them, so they stay.

use std::time::Duration;

use tokio::time::{self, Instant};

use crate::store::{
    Store, StoreError, audit_event,
    retention::{self, Retention},
    statistics,
    write::idempotency,
};

/// Interval between deletions of expired answers.
const DELETION_PERIOD: Duration = Duration::from_secs(60 * 60);
/// Interval between runs of the change log's retention.
const PARTITION_PERIOD: Duration = Duration::from_secs(60);
/// Interval between checks for tables that have grown. PostgreSQL's own interval is a minute, and it also needs a second
/// to count writes.
const STATISTICS_PERIOD: Duration = Duration::from_secs(2);
/// Rows that are written between two checks while much is being written. Renewing statistics then takes a processor
/// from the writes, and they are out of date at once.
const BUSY_ROWS: i64 = 1_000;
/// Interval between renewals while much is being written.
const BUSY_PERIOD: Duration = Duration::from_secs(60);

/// Deletes expired answers to requests, periodically.
pub async fn delete_expired_answers(store: Store) {
    loop {
        match idempotency::delete_expired(store.writes()).await {
            Ok(0) => {}
            Ok(deleted) => tracing::debug!(forgotten = deleted, "deleted expired answers to requests"),
            Err(error) => tracing::warn!(%error, "expired answers to requests could not be deleted"),
        }
        time::sleep(DELETION_PERIOD).await;
    }
}

/// Deletes the audit events that are older than `age`, periodically. Without an age they are kept for ever.
pub async fn delete_expired_audit_events(store: Store, age: Duration) {
    if age.is_zero() {
        return;
    }
    loop {
        match audit_event::delete_expired(store.writes(), age).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "deleted expired audit events"),
            Err(error) => tracing::warn!(%error, "expired audit events could not be deleted"),
        }
        time::sleep(DELETION_PERIOD).await;
    }
}

/// Creates ranges of the change log ahead of need and drops those past their retention, periodically.
pub async fn maintain_partitions(store: Store, retention: Retention) {
    loop {
        let run = async {
            let created = retention::extend(store.feed(), retention, 0).await?;
            Ok::<_, StoreError>((created, retention::drop_old(store.feed(), retention).await?))
        };
        match run.await {
            Ok((0, 0)) => {}
            Ok((created, dropped)) => {
                tracing::info!(made = created, dropped, "created and dropped ranges of the change log")
            }
            // For example, a reader holds a lock on a range to drop. The next run tries again.
            Err(error) => tracing::warn!(%error, "the retention of the change log failed"),
        }
        time::sleep(PARTITION_PERIOD).await;
    }
}

/// Renews the statistics of tables that have grown, soon after an import has ended, and every minute during one.
pub async fn renew_statistics(store: Store) {
    let mut is_logged = false;
    let (mut written, mut renewed_at) = (0, Instant::now());
    loop {
        time::sleep(STATISTICS_PERIOD).await;
        // A database that does not answer is tried again.
        let Ok(now_written) = statistics::written_rows(store.writes()).await else { continue };
        let rows = now_written - std::mem::replace(&mut written, now_written);
        if rows >= BUSY_ROWS && renewed_at.elapsed() < BUSY_PERIOD {
            continue;
        }
        renewed_at = Instant::now();
        match statistics::renew(store.writes()).await {
            Ok(renewed) => {
                if !renewed.tables.is_empty() {
                    tracing::debug!(tables = ?renewed.tables, "renewed the statistics of tables that have grown");
                }
                if let Some(table) = renewed.not_owned.filter(|_| !std::mem::replace(&mut is_logged, true)) {
                    tracing::debug!(table, "statistics are left to autovacuum, because the table has another owner");
                }
            }
            // Queries are answered without them, and the next run tries again.
            Err(error) => tracing::debug!(%error, "the statistics of grown tables could not be renewed"),
        }
    }
}
