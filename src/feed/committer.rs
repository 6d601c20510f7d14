//! Group commit. One task takes what is queued, writes it in one transaction, and answers each caller. There is no
//! timer: a batch forms while the one before it is being flushed.
//!
//! Since the transaction is the task's and not the handler's, a client that goes away can neither cancel it half-way
//! nor leave a connection inside of it.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Feed,
    metrics::{self, CountGuard},
};
use crate::store::{
    Store, StoreError,
    change::Position,
    error::told,
    retention::{Retention, extend},
    write::{Claim, Outcome, Write, commit::commit},
};

/// A batch has at most so many submissions and, but for a single larger one, so many bytes.
const BATCH_SUBMISSIONS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// What may wait in the queue, in KiB; whoever comes then waits to be let in.
const QUEUE_KIB: usize = 16 * 1024;
const QUEUE_SUBMISSIONS: usize = 4096;
/// How often a batch that was in another transaction's way is tried.
const ATTEMPTS: usize = 5;

/// What became of a submission.
#[derive(Debug)]
pub enum Verdict {
    /// It is durable; the position of each write's last change.
    Committed(Vec<Position>),
    /// Something that it relied on has changed since it was prepared. Nothing was written: prepare it anew.
    Stale,
}

/// Writes that commit together or not at all.
struct Submission {
    writes: Vec<Write>,
    weight: usize,
    reply: oneshot::Sender<Result<Verdict, Arc<StoreError>>>,
    /// None once it is in a batch.
    queued: Option<CountGuard>,
    _room: OwnedSemaphorePermit,
}

/// Hands writes to the committer.
#[derive(Debug, Clone)]
pub struct Committer {
    queue: mpsc::Sender<Submission>,
    room: Arc<Semaphore>,
    unsettled: Arc<Notify>,
}

/// Why a submission was not answered with a verdict.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The database failed; several submissions may have shared the failure.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

impl Committer {
    /// Starts the task. It ends when the queue is empty, and `closing` is cancelled or all clones of the committer are
    /// gone.
    pub fn start(
        store: Store,
        feed: Feed,
        retention: Retention,
        closing: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, submissions) = mpsc::channel(QUEUE_SUBMISSIONS);
        let unsettled = Arc::new(Notify::new());
        let writer = Writer { store, feed, retention, unsettled: Arc::clone(&unsettled) };
        let task = tokio::spawn(run(writer, submissions, closing));
        (Self { queue, room: Arc::new(Semaphore::new(QUEUE_KIB)), unsettled }, task)
    }

    /// Waits until something was committed here that makes others uncertain.
    pub async fn unsettled(&self) {
        self.unsettled.notified().await;
    }

    /// Writes, atomically. Dropping the future before the submission is taken from the queue drops the submission;
    /// after that it commits.
    #[tracing::instrument(name = "db.batch.commit", level = "debug", skip_all)]
    pub async fn submit(&self, writes: Vec<Write>) -> Result<Verdict, SubmitError> {
        let weight: usize = writes.iter().map(Write::weight).sum();
        let kib = (weight / 1024 + 1).min(QUEUE_KIB) as u32; // at most QUEUE_KIB: it fits
        let stopping = |_| SubmitError::Stopping;
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| SubmitError::Stopping)?;
        let (reply, verdict) = oneshot::channel();
        let queued = Some(CountGuard::queued(writes.len()));
        let submission = Submission { writes, weight, reply, queued, _room: room };
        self.queue.send(submission).await.map_err(|_| SubmitError::Stopping)?;
        Ok(verdict.await.map_err(stopping)??)
    }
}

/// What writing needs.
struct Writer {
    store: Store,
    feed: Feed,
    retention: Retention,
    unsettled: Arc<Notify>,
}

async fn run(writer: Writer, mut queue: mpsc::Receiver<Submission>, closing: CancellationToken) {
    let mut held = VecDeque::new();
    loop {
        if held.is_empty() {
            tokio::select! {
                submission = queue.recv() => match submission {
                    Some(submission) => held.push_back(submission),
                    None => return,
                },
                () = closing.cancelled(), if !queue.is_closed() => queue.close(),
            }
        }
        while held.len() < BATCH_SUBMISSIONS {
            match queue.try_recv() {
                Ok(submission) => held.push_back(submission),
                Err(_) => break,
            }
        }
        let batch = take_batch(&mut held);
        if !batch.is_empty() {
            write(&writer, batch).await;
        }
    }
}

/// Takes as many submissions as go into one transaction. One that claims what an earlier one claims too comes too
/// late; one whose caller has gone is forgotten.
fn take_batch(held: &mut VecDeque<Submission>) -> Vec<Submission> {
    let mut batch: Vec<Submission> = Vec::new();
    let mut claimed: HashSet<Claim> = HashSet::new();
    let mut bytes = 0;
    while batch.len() < BATCH_SUBMISSIONS {
        let Some(next) = held.front() else { break };
        if !batch.is_empty() && bytes + next.weight > BATCH_BYTES {
            break;
        }
        let Some(mut submission) = held.pop_front() else { break };
        submission.queued.take().into_iter().for_each(metrics::taken);
        if submission.reply.is_closed() {
            continue;
        }
        let claims: Vec<Claim> = submission.writes.iter().flat_map(Write::claims).collect();
        if claims.iter().any(|claim| claimed.contains(claim)) {
            answer(submission, Ok(Verdict::Stale));
            continue;
        }
        claimed.extend(claims);
        claimed.extend(submission.writes.iter().flat_map(Write::names).map(Claim::Name));
        bytes += submission.weight;
        batch.push(submission);
    }
    batch
}

/// Commits a batch; whoever lost a claim is sent back, and a write that the database refuses fails alone.
async fn write(writer: &Writer, mut batch: Vec<Submission>) {
    let mut attempts = 0;
    while !batch.is_empty() {
        let writes: Vec<&Write> = batch.iter().flat_map(|submission| &submission.writes).collect();
        let begun = Instant::now();
        let outcome = commit(writer.store.writes(), &writes).await;
        metrics::tried(name_of(&outcome), begun.elapsed());
        match outcome {
            Ok(Outcome::Committed(positions, is_unsettled)) => {
                metrics::committed(positions.len());
                positions.last().into_iter().for_each(|last| writer.feed.committed(last));
                if is_unsettled {
                    writer.unsettled.notify_one();
                }
                let mut positions = positions.into_iter();
                for submission in batch {
                    let of_submission = positions.by_ref().take(submission.writes.len()).collect();
                    answer(submission, Ok(Verdict::Committed(of_submission)));
                }
                return;
            }
            Ok(Outcome::Lost(lost)) => {
                let is_lost = |one: &Submission| one.writes.iter().any(|write| write.has_lost(&lost));
                let (losers, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_lost);
                // Were there a claim of nobody's, the same batch would lose it for ever.
                let (losers, others) = if losers.is_empty() { (others, losers) } else { (losers, others) };
                batch = others;
                for loser in losers {
                    answer(loser, Ok(Verdict::Stale));
                }
            }
            Err(StoreError::Contention(error)) if attempts < ATTEMPTS => {
                tracing::debug!(%error, "another transaction was in the way of a batch");
                attempts += 1;
            }
            // It was dead before the commit, whose own failure has another name: nothing was written.
            Err(error) if error.is_of_connection() && attempts < ATTEMPTS => {
                tracing::debug!(%error, "the connection of a batch was dead");
                attempts += 1;
            }
            // Ranges are made ahead, but not always fast enough.
            Err(StoreError::NoRange) if attempts < ATTEMPTS => {
                attempts += 1;
                let changes = writes.iter().map(|write| write.change_count()).sum();
                if let Err(error) = extend(writer.store.writes(), writer.retention, changes).await {
                    tracing::warn!(%error, "the change log was not extended");
                }
            }
            Err(StoreError::Defect(error)) if batch.len() > 1 => {
                let cause = told(&error);
                tracing::warn!(cause, writes = batch.len(), "a batch was refused, its writes are tried one by one");
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

/// What became of a try, for those who count.
fn name_of(outcome: &Result<Outcome, StoreError>) -> &'static str {
    match outcome {
        Ok(Outcome::Committed(..)) => "committed",
        Ok(Outcome::Lost(_)) => "lost",
        Err(StoreError::Contention(_)) => "contention",
        Err(StoreError::Unavailable(_)) => "unavailable",
        Err(StoreError::Unknown(_)) => "unknown",
        Err(StoreError::NoRange) => "no_range",
        Err(_) => "failed",
    }
}

fn answer(submission: Submission, verdict: Result<Verdict, Arc<StoreError>>) {
    // A caller who has gone does not want to know.
    let _ = submission.reply.send(verdict);
}
