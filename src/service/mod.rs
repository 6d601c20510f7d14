//! The gRPC services: each handler decodes its request, calls `model`, `feed` and `store`, and encodes the answer.
//!
//! One directory per noun holds the handlers of that noun's service: `article`, `participant`, `meeting`, `ingest`,
//! `change`, and the file `filter`. They share `read` (the path of a read) and `write` (the path of a write).
//! `metadata` reads the metadata of requests, `method` and `peer` describe their method and connection.
//! `layer` holds the middleware that every call passes through. `error` lists every way in which a call can fail, and
//! `status` is the only place that maps those to gRPC status codes. No SQL is written here.

pub mod article;
pub mod change;
pub mod codec;
pub mod error;
pub mod filter;
pub mod ingest;
pub mod layer;
pub mod meeting;
pub mod metadata;
pub mod method;
pub mod participant;
pub mod peer;
pub mod read;
pub mod status;
pub mod write;

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use self::{
    error::ServiceError,
    read::{pagination::TokenKey, stream_lifetime::StreamLimits},
};
use crate::{
    feed::{Committer, Feed, RecordLocks},
    model::{
        resource::{Deletable, Resource},
        rules::{Check, Violations},
    },
    store::{Doc, Store, StoreError},
};

/// The state that all services share; each service is implemented on it.
#[derive(Debug, Clone)]
pub struct Api {
    /// Serves reads.
    pub store: Store,
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
}

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

/// Rejects an answer that is larger than a message may be.
fn require_fits(bytes: usize) -> Result<(), ServiceError> {
    if bytes > status::MESSAGE_BYTES { Err(ServiceError::TooLarge) } else { Ok(()) }
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
    let live = live::<R>(store, ids).await?;
    ids.iter().try_for_each(|id| error::require_live(R::COLLECTION, *id, live.get(id).copied()))
}

/// True for each record that is live, false for each that is deleted. Ids without a record are absent.
async fn live<R: Deletable>(store: &Store, ids: &[Uuid]) -> Result<HashMap<Uuid, bool>, ServiceError> {
    let live = store.by_id().live.get_all(ids.iter().map(|id| (R::COLLECTION, *id)).collect()).await?;
    Ok(live.into_iter().map(|((_, id), is_live)| (id, *is_live)).collect())
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
