//! Stories, over several streams at a time. What was not answered when a connection broke is sent again: a story
//! that is there already is matched.

use std::{collections::VecDeque, sync::Arc};

use anyhow::{Context, Result, bail};
use prost::Message;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{
    lines::{At, Lines},
    tally::Tally,
};
use crate::{
    cli::{
        Clients, MESSAGE_LIMIT,
        client::Wire,
        json,
        retry::{self, Backoff},
    },
    pb::{
        IngestStoriesRequest, IngestStoriesResponse, Story, ingest_service_client::IngestServiceClient,
        ingest_stories_response::Outcome,
    },
};

/// Stories of one stream that may be without an answer, and their bytes: enough to keep the service busy.
const WINDOW: usize = 32;
const WINDOW_BYTES: usize = 8 << 20;

/// Imports all lines as stories.
pub async fn import(lines: Lines, clients: &Clients, tally: &Arc<Tally>, streams: u16) -> Result<()> {
    let lines = Arc::new(Mutex::new(lines));
    let mut workers = JoinSet::new();
    for _ in 0..streams {
        let worker = Worker {
            lines: lines.clone(),
            client: clients.ingest.clone(),
            tally: tally.clone(),
            backoff: Backoff::default(),
            unanswered: VecDeque::new(),
        };
        workers.spawn(worker.run());
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

/// One stream, made anew when it breaks.
struct Worker {
    lines: Arc<Mutex<Lines>>,
    client: IngestServiceClient<Wire>,
    tally: Arc<Tally>,
    backoff: Backoff,
    /// In the order in which they were sent, which is that of their answers.
    unanswered: VecDeque<Sent>,
}

struct Sent {
    at: At,
    request: IngestStoriesRequest,
    bytes: usize,
}

impl Worker {
    async fn run(mut self) -> Result<()> {
        loop {
            // With the first story at hand, as a service may wait for it before it answers the call.
            if self.unanswered.is_empty() {
                match next_story(&self.lines, &self.tally).await {
                    Some(story) => self.unanswered.push_back(story),
                    None => return Ok(()),
                }
            }
            let Err(broken) = self.stream().await else { continue };
            let status = match broken.downcast::<Status>() {
                Ok(status) => status,
                Err(error) => return Err(error),
            };
            if retry::is_passing(&status) {
                self.backoff.after(status).await.map_err(retry::given_up)?;
            } else if retry::is_hopeless(&status) {
                return Err(retry::given_up(status));
            } else if let Some(story) = self.unanswered.pop_front() {
                // The first one without an answer is what the service, or the connection, stumbled over.
                self.tally.failed(&story.at, &retry::describe(&status));
            }
        }
    }

    /// Sends what is unanswered and then more lines, until all are answered and no line is left. An error that is a
    /// `Status`: the stream broke.
    async fn stream(&mut self) -> Result<()> {
        // As large as the window, so that sending never waits.
        let (requests, outgoing) = mpsc::channel(WINDOW);
        let send = |story: &Sent| {
            // Fails when the stream is broken; the next answer will say so.
            let _ = requests.try_send(story.request.clone());
        };
        self.unanswered.iter().for_each(send);
        let mut answers = self.client.ingest_stories(ReceiverStream::new(outgoing)).await?.into_inner();
        let mut index = 0;
        let mut more = true;
        while more || !self.unanswered.is_empty() {
            let bytes: usize = self.unanswered.iter().map(|story| story.bytes).sum();
            let room = self.unanswered.len() < WINDOW && bytes < WINDOW_BYTES;
            tokio::select! {
                answer = answers.message() => {
                    let answer = answer?.ok_or_else(|| Status::unavailable("the stream ended early"))?;
                    let story = self.unanswered.pop_front().filter(|_| answer.index == index);
                    let story = story.context("the service answered out of order")?;
                    index += 1;
                    if let Some(story) = self.answered(story, answer).await? {
                        send(&story);
                        self.unanswered.push_back(story);
                    }
                }
                story = next_story(&self.lines, &self.tally), if more && room => match story {
                    Some(story) => {
                        send(&story);
                        self.unanswered.push_back(story);
                    }
                    None => more = false,
                }
            }
        }
        drop(requests);
        // All is answered: how the stream ends changes nothing.
        let _ = answers.message().await;
        Ok(())
    }

    /// Takes in what became of a story; answers it if it is to be sent again.
    async fn answered(&mut self, story: Sent, answer: IngestStoriesResponse) -> Result<Option<Sent>> {
        let status = match answer.outcome {
            Some(Outcome::Result(result)) => {
                self.backoff.reset();
                for warning in &result.warnings {
                    self.tally.tell(&story.at, &format!("warning: {warning}"));
                }
                self.tally.accepted(|totals| totals.story(&result))?;
                return Ok(None);
            }
            Some(Outcome::Status(status)) => {
                Status::with_details(Code::from_i32(status.code), status.message.clone(), status.encode_to_vec().into())
            }
            None => bail!("{}: the service answered neither a result nor a status", story.at),
        };
        if retry::is_passing(&status) {
            match self.backoff.after(status).await {
                Ok(()) => return Ok(Some(story)),
                Err(status) if retry::is_lost(&status) => return Err(retry::given_up(status)),
                Err(status) => self.tally.failed(&story.at, &retry::describe(&status)),
            }
        } else {
            self.tally.failed(&story.at, &retry::describe(&status));
        }
        self.backoff.reset();
        Ok(None)
    }
}

/// The next line that is a story. Safe to drop while it waits.
async fn next_story(lines: &Mutex<Lines>, tally: &Tally) -> Option<Sent> {
    loop {
        let line = lines.lock().await.next().await?;
        match story(line.text) {
            Ok((request, bytes)) => return Some(Sent { at: line.at, request, bytes }),
            Err(why) => tally.failed(&line.at, &why),
        }
    }
}

/// A line as a request, with its size; or what is wrong with it.
fn story(text: Result<String, String>) -> Result<(IngestStoriesRequest, usize), String> {
    let story: Story = json::parse("readout.v1.Story", &text?).map_err(|error| format!("{error:#}"))?;
    let request = IngestStoriesRequest { story: Some(story), ..Default::default() };
    match request.encoded_len() {
        bytes if bytes > MESSAGE_LIMIT => Err(format!("takes {bytes} bytes, and a message can have {MESSAGE_LIMIT}")),
        bytes => Ok((request, bytes)),
    }
}
