//! The path of a write, from the request to the commit.
//!
//! A handler reads its request with [`WriteCall::read_checked`], locks the records that it changes, and passes
//! [`Api::run_write`] a function that prepares the write:
//!
//! 1. If the same request was answered before, the stored answer is returned (`idempotency`).
//! 2. Otherwise the function reads what it needs and returns a [`WritePlan`]. It writes nothing itself.
//! 3. The committer commits the plan. If a record or name that the plan relies on has changed since it was read, the
//!    plan is dropped and the function prepares another one from step 1.
//!
//! The locks only avoid wasted preparations within this instance. Correctness rests on the committer's check.
//!
//! `effects` lists the changes that a call with `validate_only` would make. `scope` keeps the writes of callers with
//! scopes to the articles in them. `revise` holds the steps that updates, deletions and undeletions share.
//! `evidence_policy` has the evidence that reports must have. `stale_evidence` checks the evidence of reports against an
//! article's replaced text.

pub mod effects;
pub mod evidence_policy;
pub mod idempotency;
pub mod revise;
pub mod scope;
pub mod stale_evidence;

use std::{fmt::Display, future::Future};

use tonic::{
    Response, Status,
    metadata::{Ascii, MetadataValue},
};

use self::{effects::WriteAnswer, idempotency::WriteCall};
use super::{Api, error::ServiceError, meeting::external_ids::require_own_external_ids, read::NEW_SERVER_TIMEOUT};
use crate::{
    audit::AuditLevel,
    feed::committer::SubmitOutcome,
    store::{
        StoreError,
        change::{Position, head},
        write::Write,
    },
};

/// The outcome of preparing a write: the answer to the caller, and the writes that make it true.
pub enum WritePlan<T> {
    /// Writes to commit before the answer is sent.
    Write(T, Vec<Write>),
    /// Nothing to write: the requested state exists already.
    Unchanged(T),
    /// Nothing to write: the request was only to be validated. Has the writes that it would make.
    Validated(T, Vec<Write>),
}

/// Maximum number of preparations of one write. In each round of conflicting writes at least one commits, so the rounds
/// needed are bounded by the writes that compete for one name. More than this indicates a fault.
const MAX_ROUNDS: usize = 100;

/// Response metadata: the position of the write.
const POSITION: &str = "readout-position";

impl Api {
    /// Runs a unary write: returns the stored answer if the same request was answered before, else prepares the write
    /// and commits it. `prepare` runs again after each conflict with another write.
    ///
    /// # Errors
    /// Those of [`WriteCall::with_idempotency`] and of [`Self::write`], as a status.
    pub async fn run_write<T, F>(&self, call: &WriteCall, mut prepare: impl FnMut() -> F) -> Result<Response<T>, Status>
    where
        T: WriteAnswer + Default,
        F: Future<Output = Result<WritePlan<T>, ServiceError>>,
    {
        self.commit_and_respond(|| call.with_idempotency(&self.store, prepare())).await
    }

    /// Prepares a write and commits it, and responds with its answer and position.
    ///
    /// # Errors
    /// Those of [`Self::write`], as a status.
    pub async fn commit_and_respond<T, F>(&self, mut prepare: impl FnMut() -> F) -> Result<Response<T>, Status>
    where
        T: WriteAnswer,
        F: Future<Output = Result<WritePlan<T>, ServiceError>>,
    {
        let prepare = || {
            let prepared = prepare();
            async {
                let plan = prepared.await?;
                if let WritePlan::Write(_, writes) | WritePlan::Validated(_, writes) = &plan {
                    for write in writes {
                        require_own_external_ids(self, write).await?;
                    }
                }
                match plan {
                    WritePlan::Validated(mut answer, writes) => {
                        let room = self.message_bound.wrapped().saturating_sub(answer.encoded_len());
                        answer.show(effects::of(self, &writes.iter().collect::<Vec<_>>(), room).await?);
                        Ok(WritePlan::Validated(answer, writes))
                    }
                    plan => Ok(plan),
                }
            }
        };
        let (answer, positions) = self.write(prepare).await?;
        Ok(respond(answer, positions.last()))
    }

    /// Prepares a write and commits it, and prepares it again if what it relied on has changed since. Returns the
    /// answer and the position of each write. For an unchanged record that is a position at which its state could be
    /// read.
    ///
    /// # Errors
    /// Those of `prepare` and of the commit, and `Contention` after `MAX_ROUNDS` preparations.
    pub async fn write<T, F>(&self, mut prepare: impl FnMut() -> F) -> Result<(T, Vec<Position>), ServiceError>
    where
        F: Future<Output = Result<WritePlan<T>, ServiceError>>,
    {
        for _ in 0..MAX_ROUNDS {
            self.feed.await_current_head(NEW_SERVER_TIMEOUT).await;
            let before = self.feed.primary();
            let prepared = prepare().await;
            // A server that is behind lacks records, and has older ones: an error is not certain.
            if prepared.is_err() && (before.is_none() || before != self.feed.primary()) {
                return Err(StoreError::in_recovery().into());
            }
            match prepared? {
                WritePlan::Validated(answer, _) => return Ok((answer, Vec::new())),
                WritePlan::Unchanged(answer) => {
                    return Ok((answer, vec![head(self.store.reads()).await?]));
                }
                WritePlan::Write(answer, writes) => match self.committer.submit(self.audited(writes)).await? {
                    SubmitOutcome::Committed(positions) => return Ok((answer, positions)),
                    SubmitOutcome::Stale => {}
                },
            }
        }
        Err(ServiceError::Contention)
    }

    /// The writes without their events, unless writes are audited.
    fn audited(&self, mut writes: Vec<Write>) -> Vec<Write> {
        if self.audit.level() == AuditLevel::None {
            writes.iter_mut().for_each(|write| write.audit = None);
        }
        writes
    }
}

/// A response with the position of its write in the metadata.
pub(super) fn respond<T>(answer: T, position: Option<&Position>) -> Response<T> {
    let mut response = Response::new(answer);
    if let Some(position) = position {
        response.metadata_mut().insert(POSITION, ascii(position));
    }
    response
}

fn ascii(position: impl Display) -> MetadataValue<Ascii> {
    // Positions consist of digits, letters and a dot: the conversion does not fail.
    MetadataValue::try_from(position.to_string()).unwrap_or(MetadataValue::from_static(""))
}
