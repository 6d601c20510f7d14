//! Writers, which record the answers that they receive.

use std::time::Duration;

use readout::pb::{
    AddReportRequest, CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest, IngestStoryRequest,
    Meeting, Report, article_service_client::ArticleServiceClient, ingest_service_client::IngestServiceClient,
    ingest_story_response::Outcome, meeting_service_client::MeetingServiceClient,
    participant_service_client::ParticipantServiceClient,
};
use tokio::time::{sleep, timeout};
use tonic::{Code, Response, Status, transport::Channel};
use tonic_types::StatusExt;

use super::{
    history::{Answer, Write},
    instances::InstanceAddress,
    rng::Chance,
    run::Shared,
};
use crate::support::{follow::position, make};

/// A writer that receives no answer for this time retries.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// The number of meetings to which all writers write.
const MEETINGS: usize = 12;

/// The records to which all writers write.
#[derive(Debug, Clone)]
pub struct Scene {
    article: String,
    meetings: Vec<String>,
}

impl Scene {
    /// Creates an article and some meetings.
    pub async fn create(address: &InstanceAddress, tag: u64) -> Self {
        let channel = connect(address).await.expect("the instance listens");
        let request =
            CreateArticleRequest { article: Some(make::article(&format!("urn:scene-{tag}"))), ..Default::default() };
        let article = ArticleServiceClient::new(channel.clone()).create_article(request).await.expect("created");
        let article = article.into_inner().name;
        let mut meetings = Vec::new();
        for number in 0..MEETINGS {
            let account = Some(make::talks(&format!("Talks {number}")));
            let meeting = Some(Meeting { account, ..Default::default() });
            let request = CreateMeetingRequest { meeting, source_article: article.clone(), ..Default::default() };
            let created = MeetingServiceClient::new(channel.clone()).create_meeting(request).await.expect("created");
            meetings.push(created.into_inner().name);
        }
        Self { article, meetings }
    }
}

/// Connects to an instance; `None` if it does not listen.
pub async fn connect(instance: &InstanceAddress) -> Option<Channel> {
    let address = *instance.borrow();
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a url").connect_timeout(CONNECT_TIMEOUT);
    timeout(CONNECT_TIMEOUT, endpoint.connect()).await.ok()?.ok()
}

/// A writer.
pub struct Writer {
    pub number: usize,
    pub chance: Chance,
    pub addresses: Vec<InstanceAddress>,
    pub scene: Scene,
    pub shared: Shared,
    pub channel: Option<Channel>,
}

/// A write that can be retried.
#[derive(Debug, Clone)]
enum Intent {
    Participant(Box<CreateParticipantRequest>),
    Report(Box<AddReportRequest>),
    Story(Box<IngestStoryRequest>),
}

/// The position of a write, and the records that it wrote.
type Written = (String, Vec<String>);

impl Writer {
    /// Writes until the run ends.
    pub async fn run(mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        while !self.shared.is_ending() {
            let request_id = self.shared.request_id(self.number, writes.len());
            let intent = self.intent(&request_id);
            let write = self.carry_out(request_id, intent).await;
            if let Answer::At(position) | Answer::By(position) = write.answer {
                self.shared.acknowledge(position);
            }
            writes.push(write);
            sleep(Duration::from_micros(self.chance.below(4_000))).await;
        }
        writes
    }

    fn intent(&mut self, request_id: &str) -> Intent {
        let request_id = request_id.to_owned();
        match self.chance.below(10) {
            0..5 => Intent::Participant(Box::new(CreateParticipantRequest {
                participant: Some(make::person(&format!("Person {request_id}"), "AZ")),
                request_id,
                ..Default::default()
            })),
            5..8 => Intent::Report(Box::new(AddReportRequest {
                meeting: self.scene.meetings[self.chance.below(MEETINGS as u64) as usize].clone(),
                report: Some(Report {
                    article: self.scene.article.clone(),
                    account: Some(make::talks(&request_id)),
                    ..Default::default()
                }),
                request_id,
                ..Default::default()
            })),
            _ => {
                // A person whom other stories name too, and one who occurs only here.
                let shared_name = format!("Delegate {}", self.chance.below(20));
                let people = [make::person(&shared_name, "AZ"), make::person(&format!("Guest {request_id}"), "RU")];
                let story = make::story(&format!("urn:{request_id}"), &people);
                Intent::Story(Box::new(IngestStoryRequest { request_id, ..make::ingest(story) }))
            }
        }
    }

    async fn carry_out(&mut self, request_id: String, intent: Intent) -> Write {
        let mut may_be_written = false;
        loop {
            if self.channel.is_none() {
                let instance = self.chance.below(self.addresses.len() as u64) as usize;
                self.channel = connect(&self.addresses[instance]).await;
            }
            let Some(channel) = self.channel.clone() else {
                sleep(PAUSE).await;
                continue;
            };
            match timeout(CALL_TIMEOUT, send(channel, &intent)).await {
                Ok(Ok((position_text, names))) => {
                    let number = self.shared.number(&position_text);
                    let answer = if may_be_written { Answer::By(number) } else { Answer::At(number) };
                    return Write { request_id, answer, names };
                }
                Ok(Err(status)) if !is_outcome_unknown(&status) => {
                    self.shared.report_unexpected(format!("write {request_id}: {status:?}"));
                    return Write { request_id, answer: Answer::Refused, names: Vec::new() };
                }
                Ok(Err(_)) | Err(_) => {
                    may_be_written = true;
                    self.channel = None;
                    // Some writers give up without learning the outcome.
                    if self.chance.once_in(8) {
                        return Write { request_id, answer: Answer::Unknown, names: Vec::new() };
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// True if a write with this error may have happened, so that it is retried. An error without a reason comes from the
/// connection, not from the service.
pub fn is_outcome_unknown(status: &Status) -> bool {
    let codes = [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted];
    status.get_details_error_info().is_none() || codes.contains(&status.code())
}

async fn send(channel: Channel, intent: &Intent) -> Result<Written, Status> {
    match intent.clone() {
        Intent::Participant(request) => {
            let answer = ParticipantServiceClient::new(channel).create_participant(*request).await?;
            Ok((position_of(&answer), vec![answer.into_inner().name]))
        }
        Intent::Report(request) => {
            let meeting = request.meeting.clone();
            let answer = MeetingServiceClient::new(channel).add_report(*request).await?;
            Ok((position_of(&answer), vec![answer.into_inner().name, meeting]))
        }
        Intent::Story(request) => {
            let answer = IngestServiceClient::new(channel).ingest_story(*request).await?;
            let position = position_of(&answer);
            let answer = answer.into_inner();
            let people = answer.participants.into_iter().filter(|result| result.outcome() == Outcome::Created);
            let meetings = answer.meetings.into_iter().flat_map(|result| [result.meeting, result.report]);
            let names = people.map(|result| result.name).chain(meetings).chain([answer.article]).collect();
            Ok((position, names))
        }
    }
}

fn position_of<T>(answer: &Response<T>) -> String {
    let text = answer.metadata().get("readout-position").expect("a position").to_str().expect("ASCII");
    assert!(position(text).1 > 0);
    text.to_owned()
}
