//! Calls that many tests make, with only the arguments that vary.

use std::collections::BTreeSet;

use prost_types::FieldMask;
use readout::pb::{
    Account, AddReportRequest, Article, CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest,
    DeleteArticleRequest, DeleteMeetingRequest, DeleteParticipantRequest, EraseArticleTextRequest, GetArticleRequest,
    GetParticipantRequest, GetReportRequest, ListParticipantsRequest, Meeting, MergeMeetingsRequest, Participant,
    Report, RetractReportRequest, SplitMeetingRequest, UndeleteArticleRequest, UndeleteMeetingRequest,
    UndeleteParticipantRequest, UpdateArticleRequest, UpdateMeetingRequest, UpdateParticipantRequest,
};
use tonic::{Request, Response, Status};

use super::Service;

pub fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// A request that this actor makes.
pub fn as_actor<T>(message: T, actor: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("readout-actor", actor.parse().expect("ASCII"));
    request
}

pub fn of_article(article: Article, paths: &[&str]) -> UpdateArticleRequest {
    UpdateArticleRequest { article: Some(article), update_mask: mask(paths), ..Default::default() }
}

pub fn of_participant(participant: Participant, paths: &[&str]) -> UpdateParticipantRequest {
    UpdateParticipantRequest { participant: Some(participant), update_mask: mask(paths), ..Default::default() }
}

impl Service {
    pub async fn create_article(&self, article: Article) -> Article {
        let request = CreateArticleRequest { article: Some(article), ..Default::default() };
        self.articles.clone().create_article(request).await.expect("a new article").into_inner()
    }

    pub async fn create_participant(&self, participant: Participant) -> Participant {
        let request = CreateParticipantRequest { participant: Some(participant), ..Default::default() };
        self.participants.clone().create_participant(request).await.expect("a new participant").into_inner()
    }

    /// Creates a meeting that this article reports.
    pub async fn create_meeting(&self, article: &Article, account: Account) -> Result<Meeting, Status> {
        let request = CreateMeetingRequest {
            meeting: Some(Meeting { account: Some(account), ..Default::default() }),
            source_article: article.name.clone(),
            ..Default::default()
        };
        self.meetings.clone().create_meeting(request).await.map(Response::into_inner)
    }

    pub async fn add_report(&self, meeting: &str, article: &str, account: Account) -> Result<Report, Status> {
        let report = Report { article: article.into(), account: Some(account), ..Default::default() };
        let request = AddReportRequest { meeting: meeting.into(), report: Some(report), ..Default::default() };
        self.meetings.clone().add_report(request).await.map(Response::into_inner)
    }

    pub async fn delete_article(&self, name: &str) -> Result<Article, Status> {
        let request = DeleteArticleRequest { name: name.into(), ..Default::default() };
        self.articles.clone().delete_article(request).await.map(Response::into_inner)
    }

    pub async fn erase_article_text(&self, name: &str) -> Result<Article, Status> {
        let request = EraseArticleTextRequest { name: name.into(), reason: "Claim 7".into(), ..Default::default() };
        self.articles.clone().erase_article_text(request).await.map(Response::into_inner)
    }

    pub async fn undelete_article(&self, name: &str) -> Result<Article, Status> {
        let request = UndeleteArticleRequest { name: name.into(), ..Default::default() };
        self.articles.clone().undelete_article(request).await.map(Response::into_inner)
    }

    pub async fn delete_participant(&self, name: &str) -> Result<Participant, Status> {
        let request = DeleteParticipantRequest { name: name.into(), ..Default::default() };
        self.participants.clone().delete_participant(request).await.map(Response::into_inner)
    }

    pub async fn undelete_participant(&self, name: &str) -> Result<Participant, Status> {
        let request = UndeleteParticipantRequest { name: name.into(), ..Default::default() };
        self.participants.clone().undelete_participant(request).await.map(Response::into_inner)
    }

    pub async fn delete_meeting(&self, name: &str) -> Result<Meeting, Status> {
        let request = DeleteMeetingRequest { name: name.into(), ..Default::default() };
        self.meetings.clone().delete_meeting(request).await.map(Response::into_inner)
    }

    pub async fn undelete_meeting(&self, name: &str) -> Result<Meeting, Status> {
        let request = UndeleteMeetingRequest { name: name.into(), ..Default::default() };
        self.meetings.clone().undelete_meeting(request).await.map(Response::into_inner)
    }

    pub async fn update_article(&self, article: Article, paths: &[&str]) -> Result<Article, Status> {
        self.articles.clone().update_article(of_article(article, paths)).await.map(Response::into_inner)
    }

    pub async fn update_participant(&self, participant: Participant, paths: &[&str]) -> Result<Participant, Status> {
        self.participants.clone().update_participant(of_participant(participant, paths)).await.map(Response::into_inner)
    }

    pub async fn article(&self, name: &str) -> Article {
        let request = GetArticleRequest { name: name.into(), ..Default::default() };
        self.articles.clone().get_article(request).await.expect("the article exists").into_inner()
    }

    pub async fn participant(&self, name: &str) -> Participant {
        let request = GetParticipantRequest { name: name.to_owned(), ..Default::default() };
        self.participants.clone().get_participant(request).await.unwrap().into_inner()
    }

    pub async fn participants_where(&self, filter: &str) -> Vec<String> {
        let request = ListParticipantsRequest { filter: filter.into(), ..Default::default() };
        let list = self.participants.clone().list_participants(request).await.expect("a list").into_inner();
        list.participants.into_iter().map(|participant| participant.display_name).collect()
    }

    pub async fn merge(&self, name: &str, sources: &[&str]) -> Result<Meeting, Status> {
        let sources = sources.iter().map(|source| (*source).to_owned()).collect();
        let request = MergeMeetingsRequest { name: name.into(), sources, ..Default::default() };
        self.meetings.clone().merge_meetings(request).await.map(Response::into_inner)
    }

    pub async fn split(&self, name: &str, reports: &[&str], into: &str) -> Result<Meeting, Status> {
        let reports = reports.iter().map(|report| (*report).to_owned()).collect();
        let request = SplitMeetingRequest { name: name.into(), reports, into: into.into(), ..Default::default() };
        self.meetings.clone().split_meeting(request).await.map(Response::into_inner)
    }

    pub async fn retract_report(&self, name: &str) -> Result<Report, Status> {
        let request = RetractReportRequest { name: name.into(), reason: "wrong".into(), ..Default::default() };
        self.meetings.clone().retract_report(request).await.map(Response::into_inner)
    }

    pub async fn report_names_of(&self, meeting: &str) -> BTreeSet<String> {
        self.reports_of(meeting).await.into_iter().map(|report| report.name).collect()
    }

    pub async fn update_meeting(&self, meeting: Meeting, paths: &[&str]) -> Result<Meeting, Status> {
        let request = UpdateMeetingRequest { meeting: Some(meeting), update_mask: mask(paths), ..Default::default() };
        self.meetings.clone().update_meeting(request).await.map(Response::into_inner)
    }

    /// Sets these fields of the account by an editor's decision.
    pub async fn rule(&self, meeting: &str, account: Account, paths: &[&str]) -> Result<Meeting, Status> {
        let request = UpdateMeetingRequest {
            meeting: Some(Meeting { name: meeting.into(), account: Some(account), ..Default::default() }),
            update_mask: mask(paths),
            reason: "the ministry's own calendar".into(),
            ..Default::default()
        };
        self.meetings.clone().update_meeting(request).await.map(Response::into_inner)
    }

    pub async fn report(&self, name: &str) -> Report {
        let request = GetReportRequest { name: name.into(), ..Default::default() };
        self.meetings.clone().get_report(request).await.expect("the report exists").into_inner()
    }
}
