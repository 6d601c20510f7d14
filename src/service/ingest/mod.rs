//! IngestService: articles with their participants and reports, one story per request or as a stream.
//!
//! `validated` checks a story by itself, `lookup` reads the stored records that stories refer to, `participants`
//! matches the participants of a story, and `plan` turns stories into writes. This file owns the streams: it reads
//! stories in chunks, writes each chunk as one batch, and returns one outcome per story, in order.

mod known_events;
mod lookup;
mod meetings;
mod participants;
mod plan;
mod validated;

use std::{
    collections::HashSet,
    future::poll_fn,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    task::Poll,
};

use futures_util::{StreamExt, stream};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use self::{
    plan::{PlannedStory, prepare},
    validated::ValidatedStory,
};
use super::{
    Api,
    error::ServiceError,
    layer::{call_audit::record_refusal, request_body::Charges},
    metadata::{actor, origin},
    read::stream_lifetime::Ended,
    write::{respond, scope::WriteScope},
};
use crate::{
    audit::AuditedCall,
    fairness::{Call, Permit},
    model::article::uris,
    pb::{
        IngestStoriesRequest, IngestStoriesResponse, IngestStoryRequest, IngestStoryResponse,
        ingest_service_server::IngestService, ingest_stories_response::Outcome,
    },
    store::{StoreError, change::Position, origin::Origin},
};

/// Maximum number of stories in a chunk, and of their bytes. A single larger story is a chunk of its own.
const CHUNK_STORIES: usize = 64;
const CHUNK_BYTES: usize = 512 * 1024;

/// Full names of the methods.
const INGEST_STORY: &str = "readout.v1.IngestService/IngestStory";
const INGEST_STORIES: &str = "readout.v1.IngestService/IngestStories";

#[tonic::async_trait]
impl IngestService for Api {
    async fn ingest_story(
        &self,
        request: Request<IngestStoryRequest>,
    ) -> Result<Response<IngestStoryResponse>, Status> {
        let actor = actor(&request)?;
        let (origin, scope) = (origin(&request, INGEST_STORY)?, WriteScope::of(&request, INGEST_STORY)?);
        let story = [ValidatedStory::read(request.into_inner(), &origin, (&actor, &scope))?];
        let _locks = self.record_locks.lock_all(story[0].meetings()).await;
        let (mut planned, positions) = self.write(|| prepare(self, &story)).await?;
        let (answer, _) = planned.pop().ok_or(ServiceError::Contention)?;
        Ok(respond(answer?, positions.last().filter(|_| !story[0].validate_only)))
    }

    type IngestStoriesStream = Pin<Box<dyn Stream<Item = Result<IngestStoriesResponse, Status>> + Send>>;

    async fn ingest_stories(
        &self,
        request: Request<Streaming<IngestStoriesRequest>>,
    ) -> Result<Response<Self::IngestStoriesStream>, Status> {
        let actor = actor(&request)?;
        let (origin, scope) = (origin(&request, INGEST_STORIES)?, WriteScope::of(&request, INGEST_STORIES)?);
        // A task of its own: a chunk whose write has begun is completed even if the client disconnects.
        let (answers, receiver) = mpsc::channel(CHUNK_STORIES);
        // The layer adds them to every stream of requests.
        let charges = request.extensions().get::<Charges>().cloned().unwrap_or_default();
        let stories = request.into_inner();
        let chunks = Chunks { actor, origin, scope, stories, charges, next: None, broken: None };
        let ingest = ingest(self.clone(), chunks, answers);
        tokio::spawn(Call::current().scope(ingest));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Ingests a stream until it ends or the client disconnects. While a chunk is written, up to two further chunks are
/// read and checked. This bounds memory to three chunks, and flow control reaches back to the client.
async fn ingest(api: Api, chunks: Chunks, answers: mpsc::Sender<Result<IngestStoriesResponse, Status>>) {
    let origin = chunks.origin.clone();
    let (sender, mut read) = mpsc::channel(1);
    tokio::spawn(Call::current().scope(read_chunks(chunks, sender)));
    let lifetime = api.stream_limits.begin();
    let mut index = 0;
    loop {
        let chunk = tokio::select! {
            biased;
            // The answers show how far the stream came: no resume point is needed.
            reason = lifetime.ended() => Err(ServiceError::Ended(Ended { reason, resume: None }).into()),
            // The reader always sends the end of the stream before it ends itself.
            chunk = read.recv() => chunk.unwrap_or_else(|| Err(ServiceError::Defect.into())),
        };
        let chunk = match chunk {
            Ok(chunk) if chunk.stories.is_empty() => return,
            Ok(chunk) => chunk,
            Err(status) => {
                // If the client's stream broke, the client may have disconnected: a failed send is not an error.
                let _ = answers.send(Err(super::status::add_details(status, INGEST_STORIES))).await;
                return;
            }
        };
        for (outcome, position) in write(&api, chunk).await {
            let position = position.map(|position| position.to_string()).unwrap_or_default();
            let outcome = match outcome {
                Ok(result) => Outcome::Result(result),
                Err(error) => {
                    let status = error.into();
                    // The layer sees the refusals of calls only: the stream continues.
                    record_refusal(&api.audit, &audited(&origin), &status);
                    Outcome::Status(rpc_status(&status))
                }
            };
            let answer = IngestStoriesResponse { index, position, outcome: Some(outcome) };
            if answers.send(Ok(answer)).await.is_err() {
                return;
            }
            index += 1;
        }
    }
}

/// A stream, as the audit log has it.
fn audited(origin: &Origin) -> AuditedCall<'_> {
    AuditedCall {
        principal: Some(&origin.principal),
        address: origin.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        method: origin.method,
        request_id: &origin.call_id,
    }
}

/// Reads and checks chunks until the stream ends or the receiver is gone.
async fn read_chunks(mut chunks: Chunks, sender: mpsc::Sender<Result<Chunk, Status>>) {
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            () = sender.closed() => return,
        };
        let is_end = chunk.as_ref().map_or(true, |chunk| chunk.stories.is_empty());
        if sender.send(chunk).await.is_err() || is_end {
            return;
        }
    }
}

/// Stories that arrived together, in their order.
#[derive(Default)]
struct Chunk {
    stories: Vec<Result<ValidatedStory, ServiceError>>,
    /// The bytes charged to the caller for the stories. Dropping them returns the bytes.
    _charges: Vec<Permit>,
}

/// The answer to a story, and the position of its write.
type StoryOutcome = (Result<IngestStoryResponse, ServiceError>, Option<Position>);

/// Writes a chunk. Rejected stories keep their place in the order.
async fn write(api: &Api, chunk: Chunk) -> Vec<StoryOutcome> {
    let mut rejections = Vec::with_capacity(chunk.stories.len());
    let mut stories = Vec::with_capacity(chunk.stories.len());
    for story in chunk.stories {
        match story {
            Ok(story) => {
                stories.push(story);
                rejections.push(None);
            }
            Err(error) => rejections.push(Some(error)),
        }
    }
    let mut outcomes = write_stories(api, stories).await.into_iter();
    let outcome = |rejection| match rejection {
        Some(error) => (Err(error), None),
        None => outcomes.next().unwrap_or((Err(ServiceError::Contention), None)),
    };
    rejections.into_iter().map(outcome).collect()
}

/// Writes stories as one batch, or one by one if the batch fails because of some of them.
async fn write_stories(api: &Api, mut stories: Vec<ValidatedStory>) -> Vec<StoryOutcome> {
    let mut outcomes = Vec::with_capacity(stories.len());
    // A plan covers the first stories, up to the first that must see the committed writes of those before it.
    while !stories.is_empty() {
        let _locks = api.record_locks.lock_all(stories[0].meetings()).await;
        match api.write(|| prepare(api, &stories)).await {
            Ok((planned, positions)) => {
                let rest = stories.split_off(planned.len().clamp(1, stories.len()));
                let written = planned.into_iter().zip(&stories);
                outcomes
                    .extend(written.map(|(planned, story)| with_position(planned, story.validate_only, &positions)));
                stories = rest;
            }
            Err(error) if stories.len() > 1 && is_caused_by_stories(&error) => {
                let singly = stream::iter(stories).then(|story| Box::pin(write_stories(api, vec![story])));
                outcomes.extend(singly.collect::<Vec<_>>().await.into_iter().flatten());
                break;
            }
            Err(error) => {
                outcomes.extend(stories.iter().map(|_| (Err(error.clone()), None)));
                break;
            }
        }
    }
    outcomes
}

/// True if one story, or two stories together, can have caused the failure of a batch.
fn is_caused_by_stories(error: &ServiceError) -> bool {
    match error {
        ServiceError::Store(error) => matches!(**error, StoreError::Defect(_)),
        error => matches!(error, ServiceError::Contention),
    }
}

/// A story's answer with the position of its write. A story that wrote nothing gets the last position of the batch.
fn with_position((answer, write): PlannedStory, validate_only: bool, positions: &[Position]) -> StoryOutcome {
    let position = match write {
        Some(index) => positions.get(index),
        None => positions.last(),
    };
    let position = position.filter(|_| answer.is_ok() && !validate_only).cloned();
    (answer, position)
}

/// Splits a stream of stories into chunks of those that have arrived together.
struct Chunks {
    /// The actor of the stream.
    actor: String,
    /// Its origin in the audit log.
    origin: Origin,
    /// The scopes of its caller.
    scope: WriteScope,
    stories: Streaming<IngestStoriesRequest>,
    /// The bytes charged to the caller for the stories that were read.
    charges: Charges,
    /// A story that was read and begins the next chunk, with its bytes.
    next: Option<(Result<ValidatedStory, ServiceError>, usize)>,
    /// The error that broke the stream, to be returned after the last chunk.
    broken: Option<Status>,
}

impl Chunks {
    /// Reads the next chunk, which is empty at the end of the stream. No two of its stories share a uri or a request
    /// id, and a story that adds to a meeting is alone, so that each story sees the writes of those before it.
    async fn next(&mut self) -> Result<Chunk, Status> {
        if let Some(status) = self.broken.take() {
            return Err(status);
        }
        let first = match self.next.take() {
            Some(first) => first,
            None => match self.stories.message().await? {
                Some(request) => read(request, &self.origin, (&self.actor, &self.scope)),
                None => return Ok(Chunk::default()),
            },
        };
        let mut seen = HashSet::new();
        let mut bytes = first.1;
        let mut is_alone = !can_join(&first.0, &mut seen);
        let mut stories = vec![first.0];
        while stories.len() < CHUNK_STORIES && bytes < CHUNK_BYTES && !is_alone {
            // Poll once: stories that have not arrived do not hold up those that have.
            let arrived = poll_fn(|context| Poll::Ready(self.stories.poll_next_unpin(context))).await;
            let request = match arrived {
                Poll::Ready(Some(Ok(request))) => request,
                Poll::Ready(Some(Err(status))) => {
                    self.broken = Some(status);
                    break;
                }
                // The next call sees the end of the stream again.
                Poll::Ready(None) | Poll::Pending => break,
            };
            let (story, size) = read(request, &self.origin, (&self.actor, &self.scope));
            bytes += size;
            is_alone = !can_join(&story, &mut seen);
            if is_alone || bytes > CHUNK_BYTES {
                self.next = Some((story, size));
                break;
            }
            stories.push(story);
        }
        // Those of a story that begins the next chunk are among them: it is read while this chunk is written.
        Ok(Chunk { stories, _charges: self.charges.take() })
    }
}

/// True if a story can be prepared together with those before it, whose uris and request ids are in `seen`.
fn can_join(story: &Result<ValidatedStory, ServiceError>, seen: &mut HashSet<String>) -> bool {
    let Ok(story) = story else { return true };
    let request_id = Some(story.call.request_id.as_str()).filter(|id| !id.is_empty());
    let keys: HashSet<String> = uris(&story.article)
        .map(|uri| format!("uri {uri}"))
        .chain(request_id.map(|id| format!("request {id}")))
        .collect();
    let is_new = keys.is_disjoint(seen);
    seen.extend(keys);
    is_new && story.meetings().next().is_none()
}

/// Checks a story, and returns it with its bytes.
fn read(
    request: IngestStoriesRequest,
    origin: &Origin,
    caller: (&str, &WriteScope),
) -> (Result<ValidatedStory, ServiceError>, usize) {
    let size = request.encoded_len();
    let IngestStoriesRequest { story, request_id, validate_only, allow_update, participant_matching, meeting_matching } =
        request;
    let request =
        IngestStoryRequest { story, request_id, validate_only, allow_update, participant_matching, meeting_matching };
    (ValidatedStory::read(request, origin, caller), size)
}

/// Converts a status to its message, with its details.
fn rpc_status(status: &Status) -> tonic_types::pb::Status {
    tonic_types::pb::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::pb::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}
