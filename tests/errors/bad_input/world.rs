//! A service with some records of every collection, for requests to refer to.

use readout::pb::{
    Account, AddReportRequest, Article, CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest,
    ErrorReason, GetArticleRequest, GetParticipantRequest, ListReportsRequest, Meeting, Participant, Report, Statement,
    participant::Kind,
};
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt;

use crate::support::{Service, make, raw, reason_of};

pub const TEXT: &str = "Karim Veliyev met Aleksandr Fomin in Baku.";

pub struct World {
    pub service: Service,
    pub channel: Channel,
    /// Two articles, participants and meetings. The first meeting has two reports, both of the first article.
    pub articles: Vec<String>,
    pub participants: Vec<String>,
    pub meetings: Vec<String>,
    /// A report of the first meeting.
    pub report: String,
    /// A deleted article, participant and meeting.
    pub deleted: [String; 3],
}

impl World {
    pub async fn new() -> Self {
        let mut service = Service::start().await;
        let (mut articles, mut participants, mut meetings) = (Vec::new(), Vec::new(), Vec::new());
        for label in ["a", "b"] {
            let article = Article { uri: format!("urn:world:{label}"), text: TEXT.into(), ..Default::default() };
            let request = CreateArticleRequest { article: Some(article), ..Default::default() };
            articles.push(service.articles.create_article(request).await.unwrap().into_inner().name);

            // The two have one name, and stay two.
            let mut participant =
                Participant { display_name: "Karim Veliyev".into(), exact_only: true, ..Default::default() };
            participant.set_kind(Kind::Person);
            let request = CreateParticipantRequest { participant: Some(participant), ..Default::default() };
            participants.push(service.participants.create_participant(request).await.unwrap().into_inner().name);

            let statement = Statement { id: "said".into(), text: TEXT.into(), ..Default::default() };
            let participations = vec![make::named("somebody", "Somebody")];
            let account =
                Account { title: label.into(), statements: vec![statement], participations, ..Default::default() };
            let meeting = Meeting { account: Some(account), ..Default::default() };
            let request = CreateMeetingRequest {
                meeting: Some(meeting),
                source_article: articles[0].clone(),
                ..Default::default()
            };
            meetings.push(service.meetings.create_meeting(request).await.unwrap().into_inner().name);
        }
        let account = Account { title: "c".into(), ..Default::default() };
        let report = Report { article: articles[0].clone(), account: Some(account), ..Default::default() };
        let request = AddReportRequest { meeting: meetings[0].clone(), report: Some(report), ..Default::default() };
        service.meetings.add_report(request).await.unwrap();
        let request = ListReportsRequest { meeting: meetings[0].clone(), ..Default::default() };
        let reports = service.meetings.list_reports(request).await.unwrap().into_inner().reports;
        let meeting = Meeting { account: Some(Account::default()), ..Default::default() };
        let source_article = articles[0].clone();
        let request = CreateMeetingRequest { meeting: Some(meeting), source_article, ..Default::default() };
        let meeting = service.meetings.create_meeting(request).await.unwrap().into_inner().name;
        let article = service.create_article(make::article("urn:world:deleted")).await.name;
        let participant = service.create_participant(make::person("Nobody", "")).await.name;
        service.delete_article(&article).await.unwrap();
        service.delete_participant(&participant).await.unwrap();
        service.delete_meeting(&meeting).await.unwrap();
        let deleted = [article, participant, meeting];
        let channel = service.channel().await;
        Self { service, channel, articles, participants, meetings, report: reports[0].name.clone(), deleted }
    }

    /// An article, a participant and a meeting, each with its etag.
    pub async fn named_with_etags(&self, [article, participant, meeting]: [String; 3]) -> [(String, String); 3] {
        let request = GetArticleRequest { name: article.clone(), ..Default::default() };
        let article_etag = self.service.articles.clone().get_article(request).await.unwrap().into_inner().etag;
        let request = GetParticipantRequest { name: participant.clone(), ..Default::default() };
        let participant_etag =
            self.service.participants.clone().get_participant(request).await.unwrap().into_inner().etag;
        let meeting_etag = self.service.meeting(&meeting).await.etag;
        [(article, article_etag), (participant, participant_etag), (meeting, meeting_etag)]
    }

    /// The violations that a call with this message is refused for; empty if it is accepted.
    pub async fn call(&self, method: &str, message: Vec<u8>) -> Vec<Violation> {
        match raw::unary(&self.channel, &format!("readout.v1.{method}"), message).await {
            Ok(_) => Vec::new(),
            // An etag of the greatest length is valid, though it matches no record.
            Err(status) if reason_of(&status) == ErrorReason::EtagMismatch => Vec::new(),
            Err(status) => violations(&status),
        }
    }
}

/// A field path and the description of its violation.
pub type Violation = (String, String);

/// The field violations of a status. Panics if it has none.
#[track_caller]
pub fn violations(status: &Status) -> Vec<Violation> {
    let violations = status.get_details_bad_request().unwrap_or_else(|| panic!("not about fields: {status:?}"));
    violations.field_violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
}
