//! The transaction of a batch, in this order: claims and new rows, revisions and index rows, the feed's lock, checks,
//! settle tasks, positions, commit.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::Arc,
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout};

use super::{
    BatchOutcome, Claim, Write, append, clock, idempotency, meeting_search, provenance::attributed, reference,
    settle_queue,
};
use crate::store::{
    BATCH_TIMEOUT, StoreError, Tx, article,
    article_copies::near,
    article_text,
    change::{self, Position},
    epoch::{self, KnownHead},
    meeting, participant,
    pool::kept_connections::KeptConnections,
    report, statement,
};

/// A commit that waits for a standby for longer than this may have ended its wait without the standby.
const LONG_WAIT: Duration = Duration::from_millis(100);

/// Writes a batch in one transaction. No two of its writes may have the same exclusive claim. A new epoch begins with
/// it if the database may lack changes, or lacks those that the instance knows.
///
/// # Errors
/// `Unknown` if the connection was lost during COMMIT, or the batch timed out: the transaction may have been committed.
/// Any other error means that nothing was written.
pub async fn commit(
    connections: &KeptConnections,
    batch: &[&Write],
    known: &KnownHead,
) -> Result<BatchOutcome, StoreError> {
    timeout(BATCH_TIMEOUT, commit_in_time(connections, batch, known)).await.unwrap_or_else(|elapsed| {
        // The COMMIT may have been sent.
        Err(StoreError::Unknown(sqlx::Error::Io(elapsed.into())))
    })
}

async fn commit_in_time(
    connections: &KeptConnections,
    batch: &[&Write],
    known: &KnownHead,
) -> Result<BatchOutcome, StoreError> {
    // Folding the names of a large account takes long: before the transaction, which others wait for.
    for meeting in batch.iter().flat_map(|write| &write.meetings) {
        meeting.terms();
    }
    let mut connection = connections.acquire().await?;
    let committed = commit_on(&mut connection, batch, known).await;
    match &committed {
        Ok(_) => connection.keep(),
        // After a failover only a new connection reaches the primary.
        Err(StoreError::ReadOnly(_)) => connection.close_on_drop(),
        Err(_) => {}
    }
    committed
}

async fn commit_on(
    connection: &mut PgConnection,
    batch: &[&Write],
    known: &KnownHead,
) -> Result<BatchOutcome, StoreError> {
    let mut tx = connection.begin().await?;
    let mut lost = claim(&mut tx, batch).await?;
    if !lost.is_empty() {
        tx.rollback().await?;
        return Ok(BatchOutcome::Lost(lost));
    }

    let participants = attributed(batch, |write| &write.participants);
    let articles = attributed(batch, |write| &write.articles);
    let reports = attributed(batch, |write| &write.reports);
    let meetings = attributed(batch, |write| &write.meetings);
    let former_texts = near::former_keys(&mut tx, batch.iter().flat_map(|write| &write.articles)).await?;
    article_text::insert(&mut tx, &articles).await?;
    article_text::erase(&mut tx, &articles).await?;
    article::update(&mut tx, &articles).await?;
    article::index_external_ids(&mut tx, &articles).await?;
    participant::update(&mut tx, &participants).await?;
    participant::index(&mut tx, &participants).await?;
    report::update(&mut tx, &reports).await?;
    meeting::update(&mut tx, &meetings).await?;
    meeting::index(&mut tx, &meetings).await?;
    statement::index(&mut tx, &reports).await?;

    let changes: Vec<_> = batch
        .iter()
        .map(|write| append::WriteChanges {
            actor: &write.actor,
            request_id: &write.request_id,
            audit: write.audit.as_ref(),
            entries: write.changes().collect(),
        })
        .collect();
    change::lock(&mut tx).await?;
    reference::check(&mut tx, batch, &mut lost).await?;
    report::check_compared(&mut tx, batch, &mut lost).await?;
    settle_queue::check_settled(&mut tx, batch, &mut lost).await?;
    meeting_search::check(&mut tx, batch, &mut lost).await?;
    if !lost.is_empty() {
        tx.rollback().await?;
        return Ok(BatchOutcome::Lost(lost));
    }
    let articles = batch.iter().flat_map(|write| &write.articles);
    let has_new_text = near::update(&mut tx, articles, &former_texts).await?;
    let is_unsettled = settle_queue::enqueue(&mut tx, batch).await? || has_new_text;
    let (appended, events) = append::append(&mut tx, &changes).await?;
    if let Some(read_time) = appended.read_time {
        lost.extend(batch.iter().flat_map(|write| write.claims_until(read_time)));
        if !lost.is_empty() {
            // The writes are prepared again, with a later time.
            clock::raise(read_time);
            tx.rollback().await?;
            return Ok(BatchOutcome::Lost(lost));
        }
    }
    let epoch = epoch::judge_appended(&mut tx, known, &appended).await?;
    let started = Instant::now();
    tx.commit().await.map_err(StoreError::of_commit)?;
    if appended.is_synchronous && started.elapsed() > LONG_WAIT {
        confirm(connection).await?;
    }
    let position = |number| Position { epoch: Arc::clone(&epoch), number };
    Ok(BatchOutcome::Committed(appended.numbers.into_iter().map(position).collect(), is_unsettled, events))
}

/// Checks that the standby has a transaction that was committed after a long wait. The wait also ends when an operator
/// takes the standby out of `synchronous_standby_names`. The transaction is then committed, but its positions must not
/// be acknowledged: a failover could lose them.
async fn confirm(connection: &mut PgConnection) -> Result<(), StoreError> {
    let not_confirmed = |cause: String| StoreError::Unknown(sqlx::Error::Io(io::Error::other(cause)));
    match epoch::judge_waited(connection).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_confirmed("commits no longer wait for a standby".into())),
        Err(error) => Err(not_confirmed(error.to_string())),
    }
}

/// Takes the claims on keys and records, and returns those that are lost. `reference`, `report`, `settle_queue` and
/// `meeting_search` check the other claims under the feed's lock. Every instance takes the kinds in this order and each kind sorted, so
/// that two instances cannot deadlock.
async fn claim(tx: Tx<'_>, batch: &[&Write]) -> Result<HashSet<Claim>, StoreError> {
    let mut lost = HashSet::new();

    let requests: BTreeMap<_, _> = batch
        .iter()
        .filter_map(|write| {
            let answer = write.answer.as_ref()?;
            Some(((write.actor.as_str(), answer.method, write.request_id.as_str()), answer))
        })
        .collect();
    idempotency::claim(tx, &requests, &mut lost).await?;

    let mut articles = attributed(batch, |write| &write.articles);
    articles.sort_by_key(|article| article.put.id);
    article::claim_uris(tx, &articles, &mut lost).await?;

    let mut participants = attributed(batch, |write| &write.participants);
    participants.sort_by_key(|participant| participant.put.id);
    participant::claim_external_ids(tx, &participants, &mut lost).await?;
    participant::claim_names(tx, &participants, &mut lost).await?;
    participant::claim(tx, &participants, &mut lost).await?;

    article::claim(tx, &articles, &mut lost).await?;

    let mut meetings = attributed(batch, |write| &write.meetings);
    meetings.sort_by_key(|meeting| meeting.id);
    meeting::claim(tx, &meetings, &mut lost).await?;
    meeting::claim_external_ids(tx, &meetings, &mut lost).await?;

    let mut reports = attributed(batch, |write| &write.reports);
    reports
        .sort_by(|a, b| (&a.record.article, &a.record.content_hash).cmp(&(&b.record.article, &b.record.content_hash)));
    report::claim(tx, &reports, &mut lost).await?;
    Ok(lost)
}
