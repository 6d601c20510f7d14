//! IngestService: articles with their participants and reports, one story per request or as a stream.
//!
//! `validated` checks a story by itself, `lookup` reads the stored records that stories refer to, `participants`
//! matches the participants of a story, and `plan` turns stories into writes. `chunks` reads the stories of a stream in
//! chunks. This file owns the streams: it writes each chunk as one batch, and returns one outcome per story, in order. A
//! dry run keeps the records in `planned` in place of writing them.

mod articles;
mod candidates;
mod chunks;
mod external_ids;
mod known_events;
mod lookup;
mod markup;
mod meetings;
mod namesakes;
mod participants;
mod plan;
mod planned;
mod repeats;
mod validated;

use std::{
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
};

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

pub use self::planned::{DRY_RUNS, MAX_DRY_RUN_BYTES};
use self::{
    chunks::{CHUNK_STORIES, Chunk, Chunks, read_chunks},
    plan::{PlannedStory, prepare},
    planned::PlannedRecords,
    validated::ValidatedStory,
};
use super::{
    Api,
    error::ServiceError,
    layer::{call_audit::record_refusal, request_body::Charges},
    metadata::{actor, origin},
    read::stream_lifetime::{Ended, StreamLifetime},
    write::{WritePlan, respond, scope::WriteScope},
};
use crate::{
    audit::AuditedCall,
    fairness::{Call, Permit},
    pb::{
        IngestStoriesRequest, IngestStoriesResponse, IngestStoryRequest, IngestStoryResponse,
        ingest_service_server::IngestService, ingest_stories_response::Outcome,
    },
    store::{StoreError, change::Position, origin::Origin},
};

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
        let nothing = PlannedRecords::default();
        let (mut planned, positions) = self.write(|| prepare(self, &story, &nothing)).await?;
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
        let chunks = Chunks { actor, origin, scope, stories, charges, next: None, broken: None, dry_run: None };
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
    let mut dry_run = None;
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
            Ok(chunk) if chunk.dry_run => match begin_or_continue(&api, &mut dry_run, &lifetime).await {
                Ok(()) => Ok(chunk),
                Err(error) => Err(error.into()),
            },
            chunk => chunk,
        };
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(status) => {
                // If the client's stream broke, the client may have disconnected: a failed send is not an error.
                let _ = answers.send(Err(super::status::add_details(status, INGEST_STORIES))).await;
                return;
            }
        };
        let records = dry_run.as_mut().map(|dry_run: &mut DryRun| &mut dry_run.records);
        for (outcome, position) in write(&api, chunk, records).await {
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

/// A dry run of the stories of a stream.
struct DryRun {
    records: PlannedRecords,
    _permit: Permit,
}

/// Begins a dry run, which may wait for others, or checks that the current one has room for further stories.
async fn begin_or_continue(
    api: &Api,
    dry_run: &mut Option<DryRun>,
    lifetime: &StreamLifetime,
) -> Result<(), ServiceError> {
    if let Some(dry_run) = dry_run {
        return dry_run.records.check_size();
    }
    let call = Call::current();
    let permit = tokio::select! {
        permit = api.dry_runs.acquire_patiently(call.caller(), 1) => permit,
        reason = lifetime.ended() => return Err(ServiceError::Ended(Ended { reason, resume: None })),
    };
    *dry_run = Some(DryRun { records: PlannedRecords::default(), _permit: permit });
    Ok(())
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

/// The answer to a story, and the position of its write.
type StoryOutcome = (Result<IngestStoryResponse, ServiceError>, Option<Position>);

/// Writes a chunk, or adds it to the records of a dry run. Rejected stories keep their place in the order.
async fn write(api: &Api, chunk: Chunk, dry_run: Option<&mut PlannedRecords>) -> Vec<StoryOutcome> {
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
    let mut outcomes = write_stories(api, stories, dry_run).await.into_iter();
    let outcome = |rejection| match rejection {
        Some(error) => (Err(error), None),
        None => outcomes.next().unwrap_or((Err(ServiceError::Contention), None)),
    };
    rejections.into_iter().map(outcome).collect()
}

/// Writes stories as one batch, or one by one if the batch fails because of some of them.
async fn write_stories(
    api: &Api,
    mut stories: Vec<ValidatedStory>,
    mut dry_run: Option<&mut PlannedRecords>,
) -> Vec<StoryOutcome> {
    let mut outcomes = Vec::with_capacity(stories.len());
    // A plan covers the first stories, up to the first that must see the committed writes of those before it.
    while !stories.is_empty() {
        let written = match &mut dry_run {
            Some(records) => plan_only(api, &stories, records).await,
            None => {
                let _locks = api.record_locks.lock_all(stories[0].meetings()).await;
                api.write(|| async { prepare(api, &stories, &PlannedRecords::default()).await }).await
            }
        };
        match written {
            Ok((planned, positions)) => {
                let rest = stories.split_off(planned.len().clamp(1, stories.len()));
                let written = planned.into_iter().zip(&stories);
                outcomes
                    .extend(written.map(|(planned, story)| with_position(planned, story.validate_only, &positions)));
                stories = rest;
            }
            Err(error) if stories.len() > 1 && is_caused_by_stories(&error) => {
                for story in stories {
                    outcomes.extend(Box::pin(write_stories(api, vec![story], dry_run.as_deref_mut())).await);
                }
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

/// Plans stories as they would be written after `records`, and adds theirs.
async fn plan_only(
    api: &Api,
    stories: &[ValidatedStory],
    records: &mut PlannedRecords,
) -> Result<(Vec<PlannedStory>, Vec<Position>), ServiceError> {
    let earlier = &*records;
    let prepare = || async {
        Ok(match prepare(api, stories, earlier).await? {
            WritePlan::Write(planned, writes) => WritePlan::Validated((planned, writes), Vec::new()),
            WritePlan::Unchanged(planned) | WritePlan::Validated(planned, _) => {
                WritePlan::Validated((planned, Vec::new()), Vec::new())
            }
        })
    };
    let ((planned, writes), positions) = api.write(prepare).await?;
    records.add(writes);
    Ok((planned, positions))
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

/// Converts a status to its message, with its details.
fn rpc_status(status: &Status) -> tonic_types::pb::Status {
    tonic_types::pb::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::pb::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}
