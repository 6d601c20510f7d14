//! The gRPC services: each handler decodes its request, calls `model`, `feed` and `store`, and encodes the answer.
//!
//! One directory per noun holds the handlers of that noun's service: `article`, `participant`, `meeting`, `ingest`,
//! `change`, and the files `audit` and `filter`. They share `read` (the path of a read) and `write` (the path of a write).
//! `metadata` reads the metadata of requests, `method` and `peer` describe their method and connection.
//! `layer` holds the middleware that every call passes through. `error` lists every way in which a call can fail, and
//! `status` is the only place that maps those to gRPC status codes. `warm_up` makes the first calls at the start. No SQL is
//! written here.

pub mod article;
pub mod audit;
pub mod change;
pub mod codec;
pub mod error;
pub mod filter;
pub mod http;
pub mod ingest;
pub mod layer;
pub mod meeting;
pub mod message_form;
pub mod metadata;
pub mod method;
pub mod participant;
pub mod peer;
pub mod read;
pub mod status;
mod warm_up;
pub mod write;

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use self::{
    error::ServiceError,
    read::{pagination::TokenKey, stream_lifetime::StreamLimits},
    write::evidence_policy::EvidencePolicy,
};
use crate::{
    audit::AuditLog,
    fairness::FairQueue,
    feed::{Committer, Feed, RecordLocks},
    model::{
        message_bound::{MessageBound, Oversize},
        participant::Persons,
        report::Aliases,
        resource::{Collection, Deletable, Resource},
        rules::{Check, Violations},
    },
    pb::Participant,
    store::{Doc, RecordState, Store, StoreError},
};

/// The state that all services share; each service is implemented on it.
#[derive(Debug, Clone)]
pub struct Api {
    /// Serves reads.
    pub store: Store,
    /// The audit log.
    pub audit: AuditLog,
    /// Commits writes, in batches.
    pub committer: Committer,
    /// The change feed.
    pub feed: Feed,
    /// A watch sends a heartbeat after this much silence.
    pub heartbeat: Duration,
    /// Serialises the writes of this instance to one record.
    pub record_locks: RecordLocks,
    /// Authenticates page tokens and cursors.
    pub token_key: TokenKey,
    /// Time limit of a query.
    pub question_timeout: Duration,
    /// Maximum age of a stream.
    pub stream_limits: StreamLimits,
    /// The size limit of the messages that are sent.
    pub message_bound: MessageBound,
    /// The evidence that reports of articles must have.
    pub evidence_policy: EvidencePolicy,
    /// Permits for reads of meetings with many bytes of reports, which take much memory.
    pub large_reads: FairQueue,
    /// Permits for dry runs of streams of stories, which keep their records in memory.
    pub dry_runs: FairQueue,
}

/// Number of permits in `Api::large_reads`.
pub const LARGE_READS: usize = 2;

/// Checks a request against the rules of the contract.
fn check(request: &impl Check) -> Result<(), Violations> {
    request.violations().into_result()
}

/// Decodes the records with these ids, in the order of the ids.
///
/// # Errors
/// `NotFound` for the first id that has no doc.
fn in_order<R: Resource>(ids: &[Uuid], docs: &[Doc]) -> Result<Vec<R>, ServiceError> {
    let find = |id: &Uuid| {
        let doc = docs.iter().find(|doc| doc.id == *id);
        let doc = doc.ok_or_else(|| ServiceError::NotFound(R::COLLECTION.name(*id)))?;
        Ok(doc.decode::<R>()?)
    };
    ids.iter().map(find).collect()
}

/// Bytes that the field of a record takes in an answer, besides the record.
const FIELD_BYTES: usize = 6;

impl Api {
    /// Rejects a record that is larger than a message may be.
    fn require_fits(&self, bytes: usize, name: impl FnOnce() -> String) -> Result<(), ServiceError> {
        let max_bytes = self.message_bound.message();
        match bytes > max_bytes {
            true => Err(ServiceError::AnswerTooLarge(Oversize { name: name(), bytes, max_bytes })),
            false => Ok(()),
        }
    }

    /// Rejects records, given by name and size, one of which is larger than a message may be, or that are it together.
    fn require_all_fit(&self, records: impl Iterator<Item = (String, usize)>) -> Result<(), ServiceError> {
        let mut total = 0;
        for (name, bytes) in records {
            self.require_fits(bytes, || name)?;
            total += bytes + FIELD_BYTES;
        }
        self.require_fits(total, String::new)
    }

    /// Rejects records that are larger together than a message may be, or one of which is.
    fn require_records_fit<R: Resource>(&self, records: &[R]) -> Result<(), ServiceError> {
        self.require_all_fit(records.iter().map(|record| (record.name().to_owned(), record.encoded_len())))
    }

    /// Rejects docs that are larger together than a message may be, or one of which is. An id counts each time.
    fn require_docs_fit(&self, of: Collection, ids: &[Uuid], docs: &[Doc]) -> Result<(), ServiceError> {
        let sizes: HashMap<Uuid, usize> = docs.iter().map(|doc| (doc.id, doc.bytes.len())).collect();
        self.require_all_fit(ids.iter().filter_map(|id| Some((of.name(*id), *sizes.get(id)?))))
    }
}

/// The ids in resource names that the contract's rules have checked.
fn ids<R: Resource>(names: &[String]) -> Vec<Uuid> {
    names.iter().filter_map(|name| R::COLLECTION.id(name)).collect()
}

/// The id in a resource name that the contract's rules have checked.
fn id<R: Resource>(name: &str) -> Result<Uuid, ServiceError> {
    R::COLLECTION.id(name).ok_or_else(|| ServiceError::NotFound(name.to_owned()))
}

/// The id that a create request proposes, or a generated one.
fn new_id(requested: &str) -> Uuid {
    Uuid::try_parse(requested).unwrap_or_else(|_| Uuid::now_v7())
}

/// Rejects ids of records that do not exist or are deleted; the error names the first of them.
async fn require_live<R: Deletable>(store: &Store, ids: &[Uuid]) -> Result<(), ServiceError> {
    if ids.is_empty() {
        return Ok(());
    }
    let states = states::<R>(store, ids).await?;
    ids.iter().try_for_each(|id| error::require_live(R::COLLECTION, *id, states.get(id).map(|state| state.is_live)))
}

/// Rejects ids of participants that do not exist or are deleted. Returns the aliases among them, each with the
/// participant that it is settled as, and the facts about those that they are settled as.
async fn require_live_people(store: &Store, ids: &[Uuid]) -> Result<(Aliases, Persons), ServiceError> {
    let states = states::<Participant>(store, ids).await?;
    let state = |id: &Uuid| states.get(id).map(|state| state.is_live);
    ids.iter().try_for_each(|id| error::require_live(Collection::Participants, *id, state(id)))?;
    let aliases = states.iter().filter_map(|(id, state)| Some((*id, state.alias_of?))).collect();
    let persons = states.into_iter().filter_map(|(id, state)| Some((state.alias_of.unwrap_or(id), state.person?)));
    Ok((aliases, persons.collect()))
}

/// The states of records. Ids without a record are absent.
async fn states<R: Deletable>(store: &Store, ids: &[Uuid]) -> Result<HashMap<Uuid, RecordState>, ServiceError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let states = store.by_id().live.get_all(ids.iter().map(|id| (R::COLLECTION, *id)).collect()).await?;
    Ok(states.into_iter().map(|((_, id), state)| (id, RecordState::clone(&state))).collect())
}

/// Rejects an id that exists. Generated ids are unique, so only a requested one is looked up.
async fn require_free<R: Resource>(store: &Store, requested: &str, id: Uuid) -> Result<(), ServiceError> {
    if !requested.is_empty() && store.existing::<R>(&[id]).await?.contains(&id) {
        return Err(ServiceError::DuplicateId(R::COLLECTION.name(id)));
    }
    Ok(())
}

impl From<StoreError> for tonic::Status {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}
