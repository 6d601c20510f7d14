//! A stream of stories, which is opened again when it breaks. Stories without an answer are then sent again, in their
//! order; the service matches a story that it has already stored.

use std::collections::VecDeque;

use anyhow::{Context, Result, anyhow, bail};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::{fault::Fault, reader::Location};
use crate::{
    cli::{
        Clients, json,
        retry::{self, CallBackoff},
    },
    pb::{
        ErrorReason, IngestStoriesRequest, IngestStoriesResponse, IngestStoryResponse,
        ingest_stories_response::Outcome as AnswerOutcome,
    },
};

/// The full name of the requests.
pub const REQUEST: &str = "readout.v1.IngestStoriesRequest";

/// Maximum number of unanswered stories of a stream.
pub const MAX_UNANSWERED: usize = 128;

/// A story to be sent.
#[derive(Debug)]
pub struct PendingStory {
    /// Its number in the import.
    pub number: u64,
    pub location: Location,
    pub request: IngestStoriesRequest,
    pub bytes: usize,
}

impl PendingStory {
    /// The uri of its article.
    pub fn uri(&self) -> &str {
        let article = self.request.story.as_ref().and_then(|story| story.article.as_ref());
        article.map_or("", |article| article.uri.as_str())
    }
}

/// The outcome of a story.
#[derive(Debug)]
pub enum Outcome {
    Accepted(Box<IngestStoryResponse>),
    Failed(Fault),
    /// The article exists with other content.
    Differs(Fault),
}

/// A story that was answered.
#[derive(Debug)]
pub struct Answered {
    pub number: u64,
    pub outcome: Outcome,
}

/// A stream. Its stories are answered in their order.
pub struct Lane {
    /// The stories to send. The sender leaves at most [`MAX_UNANSWERED`] of them unanswered.
    pub stories: mpsc::UnboundedReceiver<PendingStory>,
    pub answers: mpsc::UnboundedSender<Answered>,
    pub clients: Clients,
    pub backoff: CallBackoff,
    /// True for a dry run, of which the service forgets everything when the stream breaks.
    pub dry_run: bool,
    /// In the order in which they were sent.
    pub unanswered: VecDeque<PendingStory>,
    /// The number of stories that were answered.
    pub answered: u64,
}

impl Lane {
    /// Sends stories until there are no further ones, and all are answered.
    ///
    /// # Errors
    /// If the service is unreachable, refuses every call, or breaks the protocol, and if a dry run is interrupted.
    pub async fn run(mut self) -> Result<()> {
        loop {
            // The stream opens with a first story, as the service may wait for it before it responds.
            if self.unanswered.is_empty() {
                match self.stories.recv().await {
                    Some(story) => self.unanswered.push_back(story),
                    None => return Ok(()),
                }
            }
            let Err(error) = self.stream().await else { continue };
            let status = match error.downcast::<Status>() {
                Ok(status) => status,
                Err(error) => return Err(error),
            };
            if self.dry_run && (self.answered > 0 || !retry::is_transient(&status)) {
                return Err(anyhow!("the dry run cannot continue: {}", retry::describe(&status)));
            } else if retry::is_transient(&status) {
                self.backoff.after(status).await.map_err(retry::given_up)?;
            } else if retry::is_fatal(&status) {
                return Err(retry::given_up(status));
            } else if let Some(story) = self.unanswered.pop_front() {
                // The first unanswered story caused the failure.
                let outcome = refusal(&story, &status);
                self.answer(&story, outcome);
            }
        }
    }

    /// Sends unanswered stories and then further ones, until all are answered and there are no further ones. An error
    /// that is a `Status` means that the stream broke.
    async fn stream(&mut self) -> Result<()> {
        // The channel has the size of the window, so that sending never waits.
        let (requests, outgoing) = mpsc::channel(MAX_UNANSWERED);
        let send = |story: &PendingStory| {
            // Fails only if the stream is broken, which the next read reports.
            let _ = requests.try_send(story.request.clone());
        };
        self.unanswered.iter().for_each(send);
        let mut client = self.clients.ingest.clone();
        let mut answers = self.clients.answer(client.ingest_stories(ReceiverStream::new(outgoing))).await?.into_inner();
        let mut index = 0;
        let mut has_more = true;
        while has_more || !self.unanswered.is_empty() {
            tokio::select! {
                answer = next_answer(&mut answers, &self.clients, !self.unanswered.is_empty()) => {
                    let answer = answer?.ok_or_else(|| Status::unavailable("the stream ended early"))?;
                    let story = self.unanswered.pop_front().filter(|_| answer.index == index);
                    let story = story.context("the service answered out of order")?;
                    index += 1;
                    if let Some(story) = self.answered(story, answer).await? {
                        send(&story);
                        self.unanswered.push_back(story);
                    }
                }
                story = self.stories.recv(), if has_more => match story {
                    Some(story) => {
                        send(&story);
                        self.unanswered.push_back(story);
                    }
                    None => has_more = false,
                }
            }
        }
        drop(requests);
        // All stories are answered: the status of the stream does not matter.
        let _ = answers.message().await;
        Ok(())
    }

    /// Handles the answer to a story. Returns the story if it is to be sent again.
    async fn answered(&mut self, story: PendingStory, answer: IngestStoriesResponse) -> Result<Option<PendingStory>> {
        let status = match answer.outcome {
            Some(AnswerOutcome::Result(result)) => {
                self.backoff.reset();
                self.answer(&story, Outcome::Accepted(Box::new(result)));
                return Ok(None);
            }
            Some(AnswerOutcome::Status(status)) => {
                Status::with_details(Code::from_i32(status.code), status.message.clone(), status.encode_to_vec().into())
            }
            None => bail!("{}: the service answered neither a result nor a status", story.location),
        };
        let mut refused = status;
        if retry::is_transient(&refused) {
            match self.backoff.after(refused).await {
                Ok(()) => return Ok(Some(story)),
                Err(status) if retry::is_fatal(&status) => return Err(retry::given_up(status)),
                Err(status) => refused = status,
            }
        }
        let outcome = refusal(&story, &refused);
        self.answer(&story, outcome);
        self.backoff.reset();
        Ok(None)
    }

    fn answer(&mut self, story: &PendingStory, outcome: Outcome) {
        self.answered += 1;
        // Fails only if the import has failed.
        let _ = self.answers.send(Answered { number: story.number, outcome });
    }
}

/// The outcome of a story that the service refused.
fn refusal(story: &PendingStory, status: &Status) -> Outcome {
    let value = |path: &str| json::at_path(REQUEST, &story.request, path);
    let fault = Fault::from_status(status, value).about(story.uri());
    match retry::reason(status) == ErrorReason::ArticleDiffers.as_str_name() {
        true => Outcome::Differs(fault),
        false => Outcome::Failed(fault),
    }
}

/// Returns the next answer of a stream. If one is expected, a long wait is reported.
async fn next_answer(
    answers: &mut Streaming<IngestStoriesResponse>,
    clients: &Clients,
    is_expected: bool,
) -> Result<Option<IngestStoriesResponse>, Status> {
    match is_expected {
        true => clients.answer(answers.message()).await,
        false => answers.message().await,
    }
}
