//! The gRPC services, one file each: decode, call, encode. `status` is the only place that names status codes,
//! `layer` what every call passes through.

pub mod article;
pub mod change;
pub mod codec;
pub mod error;
pub mod filter;
pub mod ingest;
pub mod layer;
pub mod meeting;
pub mod method;
pub mod participant;
pub mod peer;
pub mod read;
pub mod status;
pub mod write;

use std::{collections::HashMap, fmt::Display, future::Future, time::Duration};

use tonic::{Request, Response, metadata::MetadataValue};
use uuid::Uuid;

use self::{
    error::ServiceError,
    read::{pagination::TokenKey, stream_lifetime::StreamLimits},
    write::idempotency,
};
use crate::{
    feed::{Committer, Feed, RecordLocks, committer::Verdict},
    model::{
        resource::{Deletable, Resource},
        rules::Check,
    },
    store::{
        Doc, Store, StoreError,
        change::{Position, head},
        write::Write,
    },
};

/// What the services share.
#[derive(Debug, Clone)]
pub struct Api {
    /// For reads.
    pub store: Store,
    /// For writes.
    pub committer: Committer,
    /// What was written, for those who follow.
    pub feed: Feed,
    /// After which silence they get a sign of life.
    pub heartbeat: Duration,
    /// Who is writing to which meeting.
    pub record_locks: RecordLocks,
    /// Check sums of page tokens.
    pub token_key: TokenKey,
    /// A question takes no longer.
    pub question_timeout: Duration,
    /// How long streams live.
    pub stream_limits: StreamLimits,
}

/// A call that was checked, and what it would write.
pub enum WritePlan<T> {
    /// To be written.
    Write(T, Vec<Write>),
    /// Nothing to be written: it was there.
    Unchanged(T),
    /// Nothing to be written: the caller only wanted to know.
    Validated(T),
}

/// How often a write is prepared anew when others come first. Each round somebody wins, so that it takes as many
/// rounds as there are writes that fight for one name; more than this is no fight but a fault.
const ROUNDS: usize = 100;

/// The metadata that says the position of a write, and that which says the least that a read must have.
const POSITION: &str = "readout-position";
const MIN_POSITION: &str = "readout-min-position";
/// A read waits so long for the position that it must have.
const MIN_POSITION_TIMEOUT: Duration = Duration::from_secs(2);

impl Api {
    /// The request of a read: checked, and not before the position that the caller wants it to have.
    pub async fn read<R: Check>(&self, request: Request<R>) -> Result<R, ServiceError> {
        let request = self.reached(request).await?;
        idempotency::check(&request)?;
        Ok(request)
    }

    /// The request of a question, as `read`, and how long it may take: as long as the caller waits, if that is less than it
    /// may take here.
    pub async fn asked<R: Check>(&self, request: Request<R>) -> Result<(R, Duration), ServiceError> {
        let patience = idempotency::patience(request.metadata());
        let request = self.read(request).await?;
        Ok((request, patience.unwrap_or(self.question_timeout).min(self.question_timeout)))
    }

    /// The request of a read, not before the position that the caller wants it to have.
    async fn reached<R>(&self, request: Request<R>) -> Result<R, ServiceError> {
        if let Some(position) = request.metadata().get(MIN_POSITION) {
            let text = String::from_utf8_lossy(position.as_bytes()).into_owned();
            let Some(position) = Position::parse(&text) else {
                return Err(ServiceError::Position { field: MIN_POSITION, position: text });
            };
            self.reach(&position).await?;
        }
        Ok(request.into_inner())
    }

    /// Waits until reads have a position.
    async fn reach(&self, position: &Position) -> Result<(), ServiceError> {
        if self.feed.reach(position, MIN_POSITION_TIMEOUT).await? {
            return Ok(());
        }
        let head = self.feed.head();
        match head.epoch == position.epoch {
            true => Err(ServiceError::NotReached(head.to_string())),
            false => Err(ServiceError::EpochChanged(head.epoch.to_string())),
        }
    }

    /// Prepares a write and commits it, again when what it relied on has changed meanwhile. Answers the position of
    /// each write; of an unchanged record, one at which it was there.
    pub async fn write<T, F>(&self, mut prepare: impl FnMut() -> F) -> Result<(T, Vec<Position>), ServiceError>
    where
        F: Future<Output = Result<WritePlan<T>, ServiceError>>,
    {
        for _ in 0..ROUNDS {
            match prepare().await? {
                WritePlan::Validated(answer) => return Ok((answer, Vec::new())),
                WritePlan::Unchanged(answer) => {
                    return Ok((answer, vec![head(self.store.reads()).await?]));
                }
                WritePlan::Write(answer, writes) => match self.committer.submit(writes).await? {
                    Verdict::Committed(positions) => return Ok((answer, positions)),
                    Verdict::Stale => {}
                },
            }
        }
        Err(ServiceError::Contention)
    }

    /// The same, as the response to a unary call.
    pub async fn commit_and_respond<T, F>(&self, prepare: impl FnMut() -> F) -> Result<Response<T>, tonic::Status>
    where
        F: Future<Output = Result<WritePlan<T>, ServiceError>>,
    {
        let (answer, positions) = self.write(prepare).await?;
        let mut response = Response::new(answer);
        if let Some(position) = positions.last() {
            response.metadata_mut().insert(POSITION, ascii(position));
        }
        Ok(response)
    }
}

fn ascii(value: impl Display) -> MetadataValue<tonic::metadata::Ascii> {
    // Positions are digits, letters and a dot.
    MetadataValue::try_from(value.to_string()).unwrap_or(MetadataValue::from_static(""))
}

/// The records of these docs, in the order in which their ids were asked for; none if one is not there.
fn in_order<R: Resource>(ids: &[Uuid], docs: &[Doc]) -> Result<Vec<R>, ServiceError> {
    let find = |id: &Uuid| {
        let doc = docs.iter().find(|doc| doc.id == *id);
        let doc = doc.ok_or_else(|| ServiceError::NotFound(R::COLLECTION.name(*id)))?;
        Ok(doc.decode::<R>()?)
    };
    ids.iter().map(find).collect()
}

/// Refuses an answer of more bytes than a message may have.
fn require_fits(bytes: usize) -> Result<(), ServiceError> {
    if bytes > status::MESSAGE_BYTES { Err(ServiceError::TooLarge) } else { Ok(()) }
}

/// The ids in names that the contract's rules have checked.
fn ids<R: Resource>(names: &[String]) -> Vec<Uuid> {
    names.iter().filter_map(|name| R::COLLECTION.id(name)).collect()
}

/// The id in a name that the contract's rules have checked.
fn id<R: Resource>(name: &str) -> Result<Uuid, ServiceError> {
    R::COLLECTION.id(name).ok_or_else(|| ServiceError::NotFound(name.to_owned()))
}

/// The id that a create request asks for, or a new one.
fn new_id(asked: &str) -> Uuid {
    Uuid::try_parse(asked).unwrap_or_else(|_| Uuid::now_v7())
}

/// Whether records of these ids are there and live; the first that is not is the refusal.
async fn require_live<R: Deletable>(store: &Store, ids: &[Uuid]) -> Result<(), ServiceError> {
    if ids.is_empty() {
        return Ok(());
    }
    let live = live::<R>(store, ids).await?;
    ids.iter().try_for_each(|id| error::require_live(R::COLLECTION, *id, live.get(id).copied()))
}

/// Whether the records of these ids are live; those that are not there are left out.
async fn live<R: Deletable>(store: &Store, ids: &[Uuid]) -> Result<HashMap<Uuid, bool>, ServiceError> {
    let live = store.by_id().live.get_all(ids.iter().map(|id| (R::COLLECTION, *id)).collect()).await?;
    Ok(live.into_iter().map(|((_, id), is_live)| (id, *is_live)).collect())
}

/// Refuses an id that is taken. Only one that the caller chose can be.
async fn require_free<R: Resource>(store: &Store, asked: &str, id: Uuid) -> Result<(), ServiceError> {
    if !asked.is_empty() && store.existing::<R>(&[id]).await?.contains(&id) {
        return Err(ServiceError::DuplicateId(R::COLLECTION.name(id)));
    }
    Ok(())
}

impl From<StoreError> for tonic::Status {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}
