//! Group commit. One task takes the queued submissions, commits them in one transaction, and answers each caller. There
//! is no timer: a batch forms while the previous one is being committed. Callers are served in turn, so that the
//! submissions of one do not delay those of another by more than a batch.
//!
//! The transaction belongs to the task and not to the handler. A client that disconnects therefore cannot cancel the
//! transaction or leave it open.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Feed,
    metrics::{self, CountGuard},
};
use crate::{
    fairness::{Backlog, Call, Caller, FairQueue, Permit},
    store::{
        Store, StoreError,
        change::Position,
        error::log_text,
        origin::NewEvent,
        retention::{Retention, extend},
        write::{BatchOutcome, Claim, Write, commit::commit},
    },
};

/// The limits of a batch, in submissions and bytes. A single larger submission is a batch of its own.
const BATCH_SUBMISSIONS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// Capacity of the queue in KiB; a submission takes at least one. Further submissions wait for capacity.
const QUEUE_KIB: usize = 16 * 1024;
/// Maximum retries of a batch after contention, a dead connection or a missing range.
const MAX_RETRIES: usize = 5;

/// The outcome of a submission that did not fail.
#[derive(Debug)]
pub enum SubmitOutcome {
    /// The writes are durable. Holds the position of the last change of each write.
    Committed(Vec<Position>),
    /// Data that the submission relied on has changed since it was prepared. Nothing was written: prepare it again.
    Stale,
}

/// Writes that commit together or not at all.
struct Submission {
    caller: Caller,
    writes: Vec<Write>,
    weight: usize,
    reply: oneshot::Sender<Result<SubmitOutcome, Arc<StoreError>>>,
    /// `None` once the submission is in a batch.
    queued: Option<CountGuard>,
    _capacity: Permit,
}

/// Submits writes to the committer task.
#[derive(Debug, Clone)]
pub struct Committer {
    /// Bounded by `capacity`.
    queue: mpsc::UnboundedSender<Submission>,
    capacity: FairQueue,
    unsettled: Arc<Notify>,
}

/// The reason why a submission failed.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The database failed. The submissions of a batch share the failure.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

impl Committer {
    /// Starts the committer task. After `closing` is cancelled, or all clones are dropped, it commits the queued
    /// submissions and ends.
    pub fn start(
        store: Store,
        feed: Feed,
        retention: Retention,
        closing: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, submissions) = mpsc::unbounded_channel();
        // A submission waits as long as its call may.
        let capacity = FairQueue::new("commit_queue", QUEUE_KIB, Duration::MAX);
        let unsettled = Arc::new(Notify::new());
        let writer = Writer { store, feed, retention, unsettled: Arc::clone(&unsettled) };
        let task = tokio::spawn(run(writer, submissions, closing));
        (Self { queue, capacity, unsettled }, task)
    }

    /// Waits until a commit of this instance leaves records to be settled.
    pub async fn unsettled(&self) {
        self.unsettled.notified().await;
    }

    /// Commits the writes atomically. Dropping the future before the submission is taken from the queue drops the
    /// submission. Dropping the future later does not cancel it.
    ///
    /// # Errors
    /// The service is stopping, or the database failed.
    #[tracing::instrument(name = "db.batch.commit", level = "debug", skip_all)]
    pub async fn submit(&self, writes: Vec<Write>) -> Result<SubmitOutcome, SubmitError> {
        let weight: usize = writes.iter().map(Write::weight).sum();
        let caller = Call::current().caller().clone();
        let capacity = self.capacity.acquire_patiently(&caller, weight as u64 / 1024 + 1).await;
        let (reply, outcome) = oneshot::channel();
        let queued = Some(CountGuard::queued(writes.len()));
        let submission = Submission { caller, writes, weight, reply, queued, _capacity: capacity };
        self.queue.send(submission).map_err(|_| SubmitError::Stopping)?;
        Ok(outcome.await.map_err(|_| SubmitError::Stopping)??)
    }
}

/// The dependencies of the committer task.
struct Writer {
    store: Store,
    feed: Feed,
    retention: Retention,
    unsettled: Arc<Notify>,
}

async fn run(writer: Writer, mut queue: mpsc::UnboundedReceiver<Submission>, closing: CancellationToken) {
    let mut backlog = Backlog::default();
    loop {
        if backlog.is_empty() {
            tokio::select! {
                submission = queue.recv() => match submission {
                    Some(submission) => backlog.push(submission.caller.clone(), submission),
                    None => return,
                },
                () = closing.cancelled(), if !queue.is_closed() => queue.close(),
            }
        }
        while let Ok(submission) = queue.try_recv() {
            backlog.push(submission.caller.clone(), submission);
        }
        let batch = take_batch(&mut backlog);
        if !batch.is_empty() {
            write(&writer, batch).await;
        }
    }
}

/// Takes the submissions of the next transaction. One that conflicts with the claims of an earlier one in the batch is
/// answered as stale; one whose caller has disconnected is dropped.
fn take_batch(backlog: &mut Backlog<Submission>) -> Vec<Submission> {
    let mut batch: Vec<Submission> = Vec::new();
    let mut claimed: HashSet<Claim> = HashSet::new();
    let mut bytes = 0;
    while batch.len() < BATCH_SUBMISSIONS {
        let fits = |next: &Submission| batch.is_empty() || bytes + next.weight <= BATCH_BYTES;
        let Some(mut submission) = backlog.pop_if(fits) else { break };
        submission.queued.take().into_iter().for_each(metrics::record_dequeued);
        if submission.reply.is_closed() {
            continue;
        }
        let claims: Vec<Claim> = submission.writes.iter().flat_map(Write::claims).collect();
        if claims.iter().any(|claim| claimed.contains(claim)) {
            answer(submission, Ok(SubmitOutcome::Stale));
            continue;
        }
        claimed.extend(claims);
        claimed.extend(submission.writes.iter().flat_map(Write::names).map(Claim::Name));
        bytes += submission.weight;
        batch.push(submission);
    }
    batch
}

/// Commits a batch. Submissions that lost a claim are answered as stale. If the database refuses the batch, its
/// submissions are retried one by one, so that only the faulty one fails.
async fn write(writer: &Writer, mut batch: Vec<Submission>) {
    let mut attempts = 0;
    while !batch.is_empty() {
        let writes: Vec<&Write> = batch.iter().flat_map(|submission| &submission.writes).collect();
        let started = Instant::now();
        let outcome = commit(writer.store.commits(), &writes, &writer.feed.known_head()).await;
        metrics::record_attempt(outcome_name(&outcome), started.elapsed());
        match outcome {
            Ok(BatchOutcome::Committed(positions, is_unsettled, events)) => {
                metrics::record_batch(positions.len());
                positions.last().into_iter().for_each(|last| writer.feed.committed(last));
                if is_unsettled {
                    writer.unsettled.notify_one();
                }
                let mut positions = positions.into_iter();
                for submission in batch {
                    let of_submission = positions.by_ref().take(submission.writes.len()).collect();
                    answer(submission, Ok(SubmitOutcome::Committed(of_submission)));
                }
                // In a task of its own: the next batch does not wait for the lines.
                tokio::spawn(async move { events.iter().for_each(NewEvent::print) });
                return;
            }
            Ok(BatchOutcome::Lost(lost)) => {
                let is_lost = |submission: &Submission| submission.writes.iter().any(|write| write.has_lost(&lost));
                let (losers, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_lost);
                // If the lost claims match no submission, all are stale: a retry would lose them again, endlessly.
                let (losers, others) = if losers.is_empty() { (others, losers) } else { (losers, others) };
                batch = others;
                for loser in losers {
                    answer(loser, Ok(SubmitOutcome::Stale));
                }
            }
            Err(StoreError::Contention(error)) if attempts < MAX_RETRIES => {
                tracing::debug!(%error, "a batch conflicted with another transaction");
                attempts += 1;
            }
            // The connection was lost before COMMIT, so nothing was written. A connection lost during COMMIT is
            // `Unknown`.
            Err(error) if error.is_connection_loss() && attempts < MAX_RETRIES => {
                tracing::debug!(%error, "the connection was lost before a batch was committed");
                attempts += 1;
            }
            // Ranges of the change log are created ahead, but not always fast enough.
            Err(StoreError::NoRange) if attempts < MAX_RETRIES => {
                attempts += 1;
                let changes = writes.iter().map(|write| write.change_count()).sum();
                if let Err(error) = extend(writer.store.writes(), writer.retention, changes).await {
                    tracing::warn!(%error, "the change log was not extended");
                }
            }
            Err(StoreError::Defect(error)) if batch.len() > 1 => {
                let cause = log_text(&error);
                tracing::warn!(
                    cause,
                    writes = batch.len(),
                    "the database refused a batch; its submissions are committed one by one"
                );
                for submission in batch {
                    Box::pin(write(writer, vec![submission])).await;
                }
                return;
            }
            Err(error) => {
                let error = Arc::new(error);
                for submission in batch {
                    answer(submission, Err(Arc::clone(&error)));
                }
                return;
            }
        }
    }
}

/// The label of an outcome in the metrics.
fn outcome_name(outcome: &Result<BatchOutcome, StoreError>) -> &'static str {
    match outcome {
        Ok(BatchOutcome::Committed(..)) => "committed",
        Ok(BatchOutcome::Lost(_)) => "lost",
        Err(StoreError::Contention(_)) => "contention",
        Err(StoreError::Unavailable(_)) => "unavailable",
        Err(StoreError::Unknown(_)) => "unknown",
        Err(StoreError::NoRange) => "no_range",
        Err(_) => "failed",
    }
}

fn answer(submission: Submission, outcome: Result<SubmitOutcome, Arc<StoreError>>) {
    // Sending fails if the caller has disconnected. That is not an error.
    let _ = submission.reply.send(outcome);
}
