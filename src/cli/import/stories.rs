//! Imports stories over several concurrent streams. Stories without an answer are sent again when a connection breaks;
//! the service matches a story that it has already stored.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock},
};

use anyhow::{Context, Result, bail};
use prost::Message;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::{
    fault::{Fault, uri_in},
    reader::{Location, Reader},
    tally::ImportSummary,
};
use crate::{
    cli::{
        Clients, MESSAGE_LIMIT, json,
        retry::{self, CallBackoff},
    },
    config::{self, MeetingRule, ParticipantRule},
    model::rules::wire_limits::{self, RequestType},
    pb::{
        self, ErrorReason, IngestStoriesRequest, IngestStoriesResponse, ParticipantMatching, Story,
        ingest_stories_response::Outcome, ingest_story_request::MeetingMatching,
    },
};

const REQUEST: &str = "readout.v1.IngestStoriesRequest";

/// The window of unanswered stories on one stream, in stories and in bytes: enough to keep the service busy.
const WINDOW: usize = 32;
const WINDOW_BYTES: usize = 8 << 20;

/// Imports all messages as stories.
///
/// # Errors
/// If the service is unreachable, refuses every call, or breaks the protocol.
pub async fn import(
    messages: Reader,
    clients: &Clients,
    tally: &Arc<ImportSummary>,
    args: &config::Import,
) -> Result<()> {
    let rules = Rules::of(args);
    let messages = Arc::new(Mutex::new(messages));
    let mut workers = JoinSet::new();
    for _ in 0..args.concurrency {
        let worker = Worker {
            messages: messages.clone(),
            clients: clients.clone(),
            tally: tally.clone(),
            rules,
            backoff: clients.backoff(),
            unanswered: VecDeque::new(),
        };
        workers.spawn(worker.run());
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

/// The rules of matching, for all stories of an import.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    participants: ParticipantMatching,
    meetings: MeetingMatching,
}

impl Rules {
    fn of(args: &config::Import) -> Self {
        let participants = match args.participant_matching {
            ParticipantRule::None => ParticipantMatching::None,
            ParticipantRule::Exact => ParticipantMatching::Exact,
            ParticipantRule::Settled => ParticipantMatching::Settled,
        };
        let meetings = match args.meeting_matching {
            MeetingRule::None => MeetingMatching::None,
            MeetingRule::Same => MeetingMatching::Same,
        };
        Self { participants, meetings }
    }
}

/// A worker with one stream, which it reopens when it breaks.
struct Worker {
    messages: Arc<Mutex<Reader>>,
    clients: Clients,
    tally: Arc<ImportSummary>,
    rules: Rules,
    backoff: CallBackoff,
    /// In the order in which they were sent. Answers have the same order.
    unanswered: VecDeque<PendingStory>,
}

struct PendingStory {
    location: Location,
    request: IngestStoriesRequest,
    bytes: usize,
}

impl Worker {
    async fn run(mut self) -> Result<()> {
        loop {
            // The stream opens with a first story, as the service may wait for it before it responds.
            if self.unanswered.is_empty() {
                match next_story(&self.messages, &self.tally, self.rules).await {
                    Some(story) => self.unanswered.push_back(story),
                    None => return Ok(()),
                }
            }
            let Err(error) = self.stream().await else { continue };
            let status = match error.downcast::<Status>() {
                Ok(status) => status,
                Err(error) => return Err(error),
            };
            if retry::is_transient(&status) {
                self.backoff.after(status).await.map_err(retry::given_up)?;
            } else if retry::is_fatal(&status) {
                return Err(retry::given_up(status));
            } else if let Some(story) = self.unanswered.pop_front() {
                // The first unanswered story caused the failure.
                self.refused(&story, &status);
            }
        }
    }

    /// Sends unanswered stories and then further ones, until all messages are answered. An error that is a `Status`
    /// means that the stream broke.
    async fn stream(&mut self) -> Result<()> {
        // The channel has the size of the window, so that sending never waits.
        let (requests, outgoing) = mpsc::channel(WINDOW);
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
            let bytes: usize = self.unanswered.iter().map(|story| story.bytes).sum();
            let has_room = self.unanswered.len() < WINDOW && bytes < WINDOW_BYTES;
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
                story = next_story(&self.messages, &self.tally, self.rules), if has_more && has_room => match story {
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
            Some(Outcome::Result(result)) => {
                self.backoff.reset();
                for warning in &result.warnings {
                    self.tally.warned(&story.location, uri(&story.request), warning);
                }
                self.tally.accepted(|totals| totals.story(&result))?;
                return Ok(None);
            }
            Some(Outcome::Status(status)) => {
                Status::with_details(Code::from_i32(status.code), status.message.clone(), status.encode_to_vec().into())
            }
            None => bail!("{}: the service answered neither a result nor a status", story.location),
        };
        if retry::is_transient(&status) {
            match self.backoff.after(status).await {
                Ok(()) => return Ok(Some(story)),
                Err(status) if retry::is_fatal(&status) => return Err(retry::given_up(status)),
                Err(status) => self.refused(&story, &status),
            }
        } else {
            self.refused(&story, &status);
        }
        self.backoff.reset();
        Ok(None)
    }

    /// Counts a story that the service refused.
    fn refused(&self, story: &PendingStory, status: &Status) {
        let value = |path: &str| json::at_path(REQUEST, &story.request, path);
        let fault = Fault::from_status(status, value).about(uri(&story.request));
        match retry::reason(status) == ErrorReason::ArticleDiffers.as_str_name() {
            true => self.tally.differs(&story.location, &fault),
            false => self.tally.failed(&story.location, &fault),
        }
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

/// Returns the next well-formed story. Cancel safe.
async fn next_story(messages: &Mutex<Reader>, tally: &ImportSummary, rules: Rules) -> Option<PendingStory> {
    loop {
        let message = messages.lock().await.next().await?;
        match story(message.text, rules) {
            Ok((request, bytes)) => return Some(PendingStory { location: message.location, request, bytes }),
            Err(fault) => tally.failed(&message.location, &fault),
        }
    }
}

/// The type of [`REQUEST`].
static REQUEST_TYPE: LazyLock<Option<RequestType>> =
    LazyLock::new(|| RequestType::of(&pb::pool().get_message_by_name(REQUEST)?));

/// Converts a message to a request, with its size in bytes. Refuses what the service would refuse before it decodes the
/// request: that would end the stream, with all of its stories.
fn story(text: Result<String, Fault>, rules: Rules) -> Result<(IngestStoriesRequest, usize), Fault> {
    let text = text?;
    let fault = |fault: Fault| fault.about(uri_in(text.as_bytes()).unwrap_or_default());
    let story = json::parse::<Story>("readout.v1.Story", &text);
    let story = story.map_err(|mismatch| fault(Fault::from_mismatch(&mismatch)))?;
    let mut request = IngestStoriesRequest { story: Some(story), ..Default::default() };
    request.set_participant_matching(rules.participants);
    request.set_meeting_matching(rules.meetings);
    match request.encoded_len() {
        bytes if bytes > MESSAGE_LIMIT => {
            let problem = format!("takes {bytes} bytes, and a message can have {MESSAGE_LIMIT}: split its reports");
            Err(fault(Fault::new("too large for a message", problem)))
        }
        bytes => {
            let checked = REQUEST_TYPE.map(|of| wire_limits::check(of, &[request.encode_to_vec()])).transpose();
            checked.map_err(|breach| fault(Fault::new("too many items", breach.to_string())))?;
            Ok((request, bytes))
        }
    }
}

/// Returns the uri of the article of a story.
fn uri(request: &IngestStoriesRequest) -> &str {
    let article = request.story.as_ref().and_then(|story| story.article.as_ref());
    article.map_or("", |article| article.uri.as_str())
}
