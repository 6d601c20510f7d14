//! Calls at the start of the service. Nobody reads their answers: they open connections and prepare statements, so that
//! the first caller does not wait for that.

use std::time::Duration;

use tokio::time;
use tonic::Request;
use uuid::Uuid;

use super::{Api, write::evidence_policy::EvidencePolicy};
use crate::{
    access::principal::Principal,
    model::{resource::Collection, role::Role},
    pb::{
        Account, Article, GetArticleRequest, GetMeetingRequest, GetParticipantRequest, IngestStoryRequest,
        ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest, Participant, Participation, Story,
        StoryParticipant, StoryReport, article_service_server::ArticleService, ingest_service_server::IngestService,
        meeting_service_server::MeetingService, participant::Kind, participant_service_server::ParticipantService,
    },
};

/// The service starts after this time at the latest.
const TIMEOUT: Duration = Duration::from_secs(2);

impl Api {
    /// Makes a call of each frequent kind. They read next to nothing, and write nothing. A call that fails is no fault of
    /// the start: the database may be a standby, or may be busy.
    pub async fn warm_up(&self) {
        let _ = time::timeout(TIMEOUT, async {
            if let Ok(connection) = self.store.commits().acquire().await {
                connection.keep();
            }
            self.read_nothing().await;
            let mut story = Request::new(IngestStoryRequest { validate_only: true, ..story() });
            story.extensions_mut().insert(Principal::anonymous(Role::Admin, true));
            // The policy would count this report as one without evidence.
            let api = Self { evidence_policy: EvidencePolicy::default(), ..self.clone() };
            let _ = api.ingest_story(story).await;
        })
        .await;
    }

    async fn read_nothing(&self) {
        let name = |collection: Collection| collection.name(Uuid::nil());
        let participant = GetParticipantRequest { name: name(Collection::Participants), ..Default::default() };
        let article = GetArticleRequest { name: name(Collection::Articles), ..Default::default() };
        let meeting = GetMeetingRequest { name: name(Collection::Meetings), ..Default::default() };
        let _ = self.get_participant(Request::new(participant)).await;
        let _ = self.get_article(Request::new(article)).await;
        let _ = self.get_meeting(Request::new(meeting)).await;
        let filter = "create_time < 1970-01-01T00:00:00Z".to_owned();
        let participants = ListParticipantsRequest { filter: filter.clone(), ..Default::default() };
        let articles = ListArticlesRequest { filter, ..Default::default() };
        // Antarctica.
        let meetings = ListMeetingsRequest { filter: "region = \"AQ\"".into(), ..Default::default() };
        let _ = self.list_participants(Request::new(participants)).await;
        let _ = self.list_articles(Request::new(articles)).await;
        let _ = self.list_meetings(Request::new(meetings)).await;
    }
}

/// A story that names a person and a meeting.
fn story() -> IngestStoryRequest {
    let person = Participant { display_name: "Nobody".into(), kind: Kind::Person.into(), ..Default::default() };
    let participation = Participation { id: "p".into(), participant: "#p".into(), ..Default::default() };
    let account = Account { title: "Nothing".into(), participations: vec![participation], ..Default::default() };
    let story = Story {
        article: Some(Article { uri: "urn:readout:warm-up".into(), ..Default::default() }),
        participants: vec![StoryParticipant { key: "p".into(), participant: Some(person) }],
        reports: vec![StoryReport { key: "r".into(), account: Some(account), ..Default::default() }],
        ..Default::default()
    };
    IngestStoryRequest { story: Some(story), ..Default::default() }
}
