//! IngestService.

pub mod lookup;
pub mod participants;
pub mod plan;
pub mod validated;

use std::{collections::HashSet, future::poll_fn, pin::Pin, task::Poll};

use futures_util::{StreamExt, stream};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use self::{
    plan::{PlannedStory, prepare},
    validated::ValidatedStory,
};
use super::{Api, error::ServiceError, read::stream_lifetime::Ended, write::idempotency::actor};
use crate::{
    model::article::uris,
    pb::{
        IngestStoriesRequest, IngestStoriesResponse, IngestStoryRequest, IngestStoryResponse,
        ingest_service_server::IngestService, ingest_stories_response::Outcome,
    },
    store::{StoreError, change::Position},
};

/// A chunk of a stream has at most so many stories and, but for a single larger one, so many bytes.
const CHUNK_STORIES: usize = 64;
const CHUNK_BYTES: usize = 512 * 1024;

/// Full name of the method that takes a stream.
const STORIES: &str = "readout.v1.IngestService/IngestStories";

#[tonic::async_trait]
impl IngestService for Api {
    async fn ingest_story(
        &self,
        request: Request<IngestStoryRequest>,
    ) -> Result<Response<IngestStoryResponse>, Status> {
        let actor = actor(&request)?;
        let story = [ValidatedStory::read(request.into_inner(), "readout.v1.IngestService/IngestStory", &actor)?];
        let _turns = self.record_locks.take_all(story[0].meetings()).await;
        let (mut ingested, positions) = self.write(|| prepare(self, &story)).await?;
        let (answer, _) = ingested.pop().ok_or(ServiceError::Contention)?;
        let mut response = Response::new(answer?);
        if let Some(position) = positions.last().filter(|_| !story[0].validate_only) {
            response.metadata_mut().insert(super::POSITION, super::ascii(position));
        }
        Ok(response)
    }

    type IngestStoriesStream = Pin<Box<dyn Stream<Item = Result<IngestStoriesResponse, Status>> + Send>>;

    async fn ingest_stories(
        &self,
        request: Request<Streaming<IngestStoriesRequest>>,
    ) -> Result<Response<Self::IngestStoriesStream>, Status> {
        let actor = actor(&request)?;
        // A task of its own: what it has begun to write it also reports, whether or not anybody listens.
        let (answers, receiver) = mpsc::channel(CHUNK_STORIES);
        tokio::spawn(ingest(self.clone(), actor, request.into_inner(), answers));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Ingests a stream until it ends, or nobody listens. While a chunk is written, the ones after it are read and checked:
/// two at most, so that flow control reaches back to the client, and memory is bounded by three chunks.
async fn ingest(
    api: Api,
    actor: String,
    stories: Streaming<IngestStoriesRequest>,
    answers: mpsc::Sender<Result<IngestStoriesResponse, Status>>,
) {
    let (read, mut chunks) = mpsc::channel(1);
    tokio::spawn(read_chunks(actor, stories, read));
    let life = api.stream_limits.begin();
    let mut index = 0;
    loop {
        let chunk = tokio::select! {
            biased;
            // How far it came its answers have told.
            why = life.ended() => Err(ServiceError::Ended(Ended { why, resume: None }).into()),
            // The reader says how the stream ended before it ends itself.
            chunk = chunks.recv() => chunk.unwrap_or_else(|| Err(ServiceError::Defect.into())),
        };
        let chunk = match chunk {
            Ok(chunk) if chunk.is_empty() => return,
            Ok(chunk) => chunk,
            Err(status) => {
                // The client's stream broke: there may be nobody to tell.
                let _ = answers.send(Err(super::status::complete(status, STORIES))).await;
                return;
            }
        };
        for (outcome, position) in write(&api, chunk).await {
            let position = position.map(|position| position.to_string()).unwrap_or_default();
            let outcome = match outcome {
                Ok(result) => Outcome::Result(result),
                Err(refusal) => Outcome::Status(rpc_status(&refusal.into())),
            };
            let answer = IngestStoriesResponse { index, position, outcome: Some(outcome) };
            if answers.send(Ok(answer)).await.is_err() {
                return;
            }
            index += 1;
        }
    }
}

/// Reads and checks chunks until the stream ends, or nobody takes them.
async fn read_chunks(
    actor: String,
    stories: Streaming<IngestStoriesRequest>,
    read: mpsc::Sender<Result<Chunk, Status>>,
) {
    let mut chunks = Chunks { actor, stories, ahead: None, broken: None };
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            () = read.closed() => return,
        };
        let is_end = chunk.as_ref().map_or(true, Vec::is_empty);
        if read.send(chunk).await.is_err() || is_end {
            return;
        }
    }
}

/// Stories that have arrived together, in their order.
type Chunk = Vec<Result<ValidatedStory, ServiceError>>;

type StoryOutcome = (Result<IngestStoryResponse, ServiceError>, Option<Position>);

/// Writes a chunk. Stories that could not be read keep their places.
async fn write(api: &Api, chunk: Chunk) -> Vec<StoryOutcome> {
    let mut refused = Vec::with_capacity(chunk.len());
    let mut stories = Vec::with_capacity(chunk.len());
    for story in chunk {
        match story {
            Ok(story) => {
                stories.push(story);
                refused.push(None);
            }
            Err(refusal) => refused.push(Some(refusal)),
        }
    }
    let mut told = write_stories(api, stories).await.into_iter();
    let in_place = |refusal| match refusal {
        Some(refusal) => (Err(refusal), None),
        None => told.next().unwrap_or((Err(ServiceError::Contention), None)),
    };
    refused.into_iter().map(in_place).collect()
}

async fn write_stories(api: &Api, stories: Vec<ValidatedStory>) -> Vec<StoryOutcome> {
    if stories.is_empty() {
        return Vec::new();
    }
    let _turns = api.record_locks.take_all(stories[0].meetings()).await;
    match api.write(|| prepare(api, &stories)).await {
        Ok((ingested, positions)) => {
            let validated = stories.iter().map(|story| story.validate_only);
            ingested.into_iter().zip(validated).map(|(one, validated)| place(one, validated, &positions)).collect()
        }
        Err(refusal) if stories.len() > 1 && is_of_one(&refusal) => {
            let singly = stream::iter(stories).then(|story| Box::pin(write_stories(api, vec![story])));
            singly.collect::<Vec<_>>().await.into_iter().flatten().collect()
        }
        Err(refusal) => stories.iter().map(|_| (Err(refusal.clone()), None)).collect(),
    }
}

/// True if one story, or two stories together, cause the refusal of a chunk. Its stories are then written one by one.
fn is_of_one(refusal: &ServiceError) -> bool {
    match refusal {
        ServiceError::Store(error) => matches!(**error, StoreError::Defect(_)),
        refusal => matches!(refusal, ServiceError::Contention),
    }
}

/// A story's answer with its position; one that wrote nothing was there at the last.
fn place((answer, own): PlannedStory, validated: bool, positions: &[Position]) -> StoryOutcome {
    let position = match own {
        Some(own) => positions.get(own),
        None => positions.last(),
    };
    let position = position.filter(|_| answer.is_ok() && !validated).cloned();
    (answer, position)
}

/// A stream of stories, in chunks of those that have arrived already.
struct Chunks {
    /// Who sends it.
    actor: String,
    stories: Streaming<IngestStoriesRequest>,
    /// One that has been read and begins the next chunk.
    ahead: Option<(Result<ValidatedStory, ServiceError>, usize)>,
    /// How the stream broke, after the last chunk.
    broken: Option<Status>,
}

impl Chunks {
    /// The next chunk, empty at the end. No two of its stories have a uri or a request id in common, and one that adds to
    /// a meeting is alone: each sees what is written before it.
    async fn next(&mut self) -> Result<Chunk, Status> {
        if let Some(status) = self.broken.take() {
            return Err(status);
        }
        let first = match self.ahead.take() {
            Some(first) => first,
            None => match self.stories.message().await? {
                Some(request) => read(request, &self.actor),
                None => return Ok(Vec::new()),
            },
        };
        let mut seen = HashSet::new();
        let mut bytes = first.1;
        let mut is_alone = !joins(&first.0, &mut seen);
        let mut chunk = vec![first.0];
        while chunk.len() < CHUNK_STORIES && bytes < CHUNK_BYTES && !is_alone {
            // Whatever has not arrived does not hold up what has.
            let arrived = poll_fn(|context| Poll::Ready(self.stories.poll_next_unpin(context))).await;
            let request = match arrived {
                Poll::Ready(Some(Ok(request))) => request,
                Poll::Ready(Some(Err(status))) => {
                    self.broken = Some(status);
                    break;
                }
                // The end is met again when the stream is read next.
                Poll::Ready(None) | Poll::Pending => break,
            };
            let (story, size) = read(request, &self.actor);
            bytes += size;
            is_alone = !joins(&story, &mut seen);
            if is_alone || bytes > CHUNK_BYTES {
                self.ahead = Some((story, size));
                break;
            }
            chunk.push(story);
        }
        Ok(chunk)
    }
}

/// Whether a story can be prepared together with those before it.
fn joins(story: &Result<ValidatedStory, ServiceError>, seen: &mut HashSet<String>) -> bool {
    let Ok(story) = story else { return true };
    let request_id = Some(story.call.request_id.as_str()).filter(|id| !id.is_empty());
    let claims: HashSet<String> = uris(&story.article)
        .map(|uri| format!("uri {uri}"))
        .chain(request_id.map(|id| format!("request {id}")))
        .collect();
    let is_new = claims.is_disjoint(seen);
    seen.extend(claims);
    is_new && story.meetings().next().is_none()
}

fn read(request: IngestStoriesRequest, actor: &str) -> (Result<ValidatedStory, ServiceError>, usize) {
    let size = request.encoded_len();
    let IngestStoriesRequest { story, request_id, validate_only, allow_update, participant_matching } = request;
    let request = IngestStoryRequest { story, request_id, validate_only, allow_update, participant_matching };
    (ValidatedStory::read(request, STORIES, actor), size)
}

/// What a status has for the wire, with its details.
fn rpc_status(status: &Status) -> tonic_types::pb::Status {
    tonic_types::pb::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::pb::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}
