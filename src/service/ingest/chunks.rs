//! The stories of a stream, in chunks of those that have arrived together, read and checked.

use std::{collections::HashSet, future::poll_fn, task::Poll};

use futures_util::StreamExt;
use prost::Message;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::validated::ValidatedStory;
use crate::{
    fairness::Permit,
    model::{
        article::uris,
        rules::{Path, Violations},
    },
    pb::{IngestStoriesRequest, IngestStoryRequest},
    service::{error::ServiceError, layer::request_body::Charges, write::scope::WriteScope},
    store::origin::Origin,
};

/// Maximum number of stories in a chunk, and of their bytes. A single larger story is a chunk of its own.
pub const CHUNK_STORIES: usize = 64;
const CHUNK_BYTES: usize = 512 * 1024;

/// Reads and checks chunks until the stream ends or the receiver is gone.
pub async fn read_chunks(mut chunks: Chunks, sender: mpsc::Sender<Result<Chunk, Status>>) {
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
pub struct Chunk {
    pub stories: Vec<Result<ValidatedStory, ServiceError>>,
    /// True if the stories are to be planned only.
    pub dry_run: bool,
    /// The bytes charged to the caller for the stories. Dropping them returns the bytes.
    _charges: Vec<Permit>,
}

/// Splits a stream of stories into chunks of those that have arrived together.
pub struct Chunks {
    /// The actor of the stream.
    pub actor: String,
    /// Its origin in the audit log.
    pub origin: Origin,
    /// The scopes of its caller.
    pub scope: WriteScope,
    pub stories: Streaming<IngestStoriesRequest>,
    /// The bytes charged to the caller for the stories that were read.
    pub charges: Charges,
    /// A story that was read and begins the next chunk, with its bytes.
    pub next: Option<(Result<ValidatedStory, ServiceError>, usize)>,
    /// The error that broke the stream, to be returned after the last chunk.
    pub broken: Option<Status>,
    /// `dry_run` of the first story.
    pub dry_run: Option<bool>,
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
                Some(request) => self.read(request),
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
            let (story, size) = self.read(request);
            bytes += size;
            is_alone = !can_join(&story, &mut seen);
            if is_alone || bytes > CHUNK_BYTES {
                self.next = Some((story, size));
                break;
            }
            stories.push(story);
        }
        // Those of a story that begins the next chunk are among them: it is read while this chunk is written.
        let dry_run = self.dry_run.unwrap_or_default();
        Ok(Chunk { stories, dry_run, _charges: self.charges.take() })
    }

    /// Checks a story, and returns it with its bytes.
    fn read(&mut self, request: IngestStoriesRequest) -> (Result<ValidatedStory, ServiceError>, usize) {
        let size = request.encoded_len();
        let IngestStoriesRequest {
            story,
            request_id,
            validate_only,
            allow_update,
            participant_matching,
            meeting_matching,
            offset_encoding,
            require_evidence,
            dry_run,
        } = request;
        let mut violations = Violations::default();
        if *self.dry_run.get_or_insert(dry_run) != dry_run {
            violations.add(&Path::ROOT.field("dry_run"), "must be that of the first story of the stream");
        }
        if dry_run && validate_only {
            violations.add(&Path::ROOT.field("validate_only"), "must not be set with dry_run");
        }
        if let Err(violations) = violations.into_result() {
            return (Err(violations.into()), size);
        }
        let request = IngestStoryRequest {
            story,
            // A dry run is not answered by a stored response, and stores none.
            request_id: if dry_run { String::new() } else { request_id },
            validate_only,
            allow_update,
            participant_matching,
            meeting_matching,
            offset_encoding,
            require_evidence,
        };
        (ValidatedStory::read(request, &self.origin, (&self.actor, &self.scope)), size)
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
