//! Scopes: the articles that a caller may write.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use readout::{
    model::role::Role,
    pb::{
        self, AddReportRequest, Article, CreateArticleRequest, CreateMeetingRequest, DeleteArticleRequest, ErrorReason,
        IngestStoriesResponse, IngestStoryRequest, Meeting, Publisher, Report, RetractReportRequest, Story,
        StoryReport, UpdateArticleRequest, UpdateMeetingRequest,
    },
    service::method::Method,
};
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};

use super::{api_tokens, scoped_token, start, token, with};
use crate::support::{
    Refused, Service,
    make::{self, labels, named, person, talks},
    metadata_of,
    raw::Bytes,
    reason_of,
    story_stream::outcome,
};

/// The scope of the tests.
pub const SCOPE: &str = "publisher=Azərnews";
pub const INSIDE: &str = "Azərnews";
pub const OUTSIDE: &str = "Reuters";

pub fn article(uri: &str, publisher: &str) -> Article {
    let publisher = Some(Publisher { display_name: publisher.into(), ..Default::default() });
    Article { publisher, ..make::article(uri) }
}

pub fn create(article: Article) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article), ..Default::default() }
}

fn update(article: Article, mask: &str) -> UpdateArticleRequest {
    let paths = mask.split(',').map(str::to_owned).collect();
    UpdateArticleRequest {
        article: Some(article),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    }
}

fn report(meeting: &str, article: &str, title: &str) -> AddReportRequest {
    let account = pb::Account { participations: vec![named("host", "Somebody")], ..talks(title) };
    let report = Report { article: article.into(), account: Some(account), ..Default::default() };
    AddReportRequest { meeting: meeting.into(), report: Some(report), ..Default::default() }
}

fn meeting(article: &str, title: &str) -> CreateMeetingRequest {
    let meeting = Some(Meeting { account: Some(talks(title)), ..Default::default() });
    CreateMeetingRequest { source_article: article.into(), meeting, ..Default::default() }
}

#[track_caller]
fn out_of_scope<T>(outcome: Result<T, Status>, key: &str, value: &str) {
    let status = outcome.map(drop).expect_err("the write is refused");
    assert_eq!((metadata_of(&status, "scope"), metadata_of(&status, key)), (SCOPE.to_owned(), value.to_owned()));
    assert_eq!(Refused::from(status), Refused::with(Code::PermissionDenied, ErrorReason::OutOfScope));
}

/// A service, with the tokens of an admin without scopes and of one that is bound to `SCOPE`.
pub struct Desk {
    pub service: Service,
    pub free: String,
    pub bound: String,
}

impl Desk {
    pub async fn start() -> Self {
        let service = start(api_tokens()).await;
        let free = token(&service.database, "free", Role::Admin).await.reveal();
        let bound = scoped_token(&service.database, "bound", Role::Admin, &[SCOPE]).await;
        Self { service, free, bound }
    }

    pub async fn create(&self, token: &str, article: Article) -> Result<Article, Status> {
        Ok(self.service.articles.clone().create_article(with(token, create(article))).await?.into_inner())
    }

    async fn update(&self, token: &str, article: Article, mask: &str) -> Result<Article, Status> {
        Ok(self.service.articles.clone().update_article(with(token, update(article, mask))).await?.into_inner())
    }

    async fn meeting(&self, token: &str, article: &str, title: &str) -> Result<Meeting, Status> {
        Ok(self.service.meetings.clone().create_meeting(with(token, meeting(article, title))).await?.into_inner())
    }

    async fn report(&self, token: &str, meeting: &str, article: &str, title: &str) -> Result<Report, Status> {
        Ok(self.service.meetings.clone().add_report(with(token, report(meeting, article, title))).await?.into_inner())
    }

    async fn ingest(&self, token: &str, story: Story, allow_update: bool) -> Result<pb::IngestStoryResponse, Status> {
        let request = IngestStoryRequest { story: Some(story), allow_update, ..Default::default() };
        Ok(self.service.ingest.clone().ingest_story(with(token, request)).await?.into_inner())
    }
}

/// A request of each method that writes by an article, in ProtoJSON. Words in capitals stand for records.
const BY_ARTICLE: [(&str, &str); 11] = [
    ("CreateArticle", r#"{"article": {"uri": "NEW", "publisher": {"display_name": "PUBLISHER"}}}"#),
    ("UpdateArticle", r#"{"article": {"name": "ARTICLE", "title": "Talks"}, "update_mask": "title"}"#),
    ("DeleteArticle", r#"{"name": "ARTICLE", "force": true}"#),
    ("UndeleteArticle", r#"{"name": "DELETED"}"#),
    ("EraseArticleText", r#"{"name": "ARTICLE", "reason": "by order of a court"}"#),
    ("CreateMeeting", r#"{"source_article": "ARTICLE", "meeting": {"account": {"kind": "TALKS", "title": "other"}}}"#),
    (
        "AddReport",
        r#"{"meeting": "MEETING", "report": {"article": "ARTICLE", "account": {"kind": "TALKS", "title": "more"}}}"#,
    ),
    (
        "BindParticipation",
        r#"{"report": "REPORT", "participation": "host", "participant": "PERSON", "reason": "known"}"#,
    ),
    ("RetractReport", r#"{"name": "REPORT", "reason": "wrong"}"#),
    ("IngestStory", r#"{"story": {"article": {"uri": "NEW", "publisher": {"display_name": "PUBLISHER"}}}}"#),
    ("IngestStories", r#"{"story": {"article": {"uri": "NEW", "publisher": {"display_name": "PUBLISHER"}}}}"#),
];

/// The records of an article of one publisher, by the words of `BY_ARTICLE`.
async fn records(desk: &Desk, publisher: &str, uri: &str) -> BTreeMap<&'static str, String> {
    let article_of = |at: &str| article(&format!("{uri}:{at}"), publisher);
    let article = desk.create(&desk.free, article_of("live")).await.unwrap().name;
    let deleted = desk.create(&desk.free, article_of("deleted")).await.unwrap().name;
    let request = DeleteArticleRequest { name: deleted.clone(), ..Default::default() };
    desk.service.articles.clone().delete_article(with(&desk.free, request)).await.unwrap();
    let meeting = desk.meeting(&desk.free, &article, "first").await.unwrap().name;
    let report = desk.report(&desk.free, &meeting, &article, "second").await.unwrap().name;
    let participant = Some(make::person("Kerim Veliyev", "AZ"));
    let request = pb::CreateParticipantRequest { participant, ..Default::default() };
    let person = desk.service.participants.clone().create_participant(with(&desk.free, request)).await.unwrap();
    let person = person.into_inner().name;
    [
        ("PERSON", person),
        ("NEW", format!("{uri}:new")),
        ("PUBLISHER", publisher.to_owned()),
        ("ARTICLE", article),
        ("DELETED", deleted),
        ("MEETING", meeting),
        ("REPORT", report),
    ]
    .into()
}

/// Sends a request in ProtoJSON as a message to validate. A refused story of a stream is an error too.
async fn validate(
    channel: &Channel,
    method: &MethodDescriptor,
    token: &str,
    (json, records): (&str, &BTreeMap<&str, String>),
) -> Result<(), Status> {
    let json = records.iter().fold(json.to_owned(), |json, (word, value)| json.replace(word, value));
    let mut message = DynamicMessage::deserialize(method.input(), &mut serde_json::Deserializer::from_str(&json))
        .expect("a message of the method");
    if method.input().get_field_by_name("validate_only").is_some() {
        message.set_field_by_name("validate_only", prost_reflect::Value::Bool(true));
    }
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("the service listens");
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let request: Request<_> = with(token, tokio_stream::iter([message.encode_to_vec()]));
    let mut answers =
        client.streaming(request, PathAndQuery::try_from(path).expect("a path"), Bytes).await?.into_inner();
    let answer = answers.message().await?.unwrap_or_default();
    if method.is_client_streaming() {
        return outcome(IngestStoriesResponse::decode(&*answer).expect("an answer")).map(drop);
    }
    Ok(())
}

#[tokio::test]
async fn scopes_admit_a_write_by_its_article_and_every_read() {
    let desk = Desk::start().await;
    let channel = desk.service.channel().await;
    let inside = records(&desk, INSIDE, "urn:in").await;
    let outside = records(&desk, OUTSIDE, "urn:out").await;
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let mut seen = 0;
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let name = method.name().to_owned();
        let full_name = format!("{}/{name}", method.parent_service().full_name());
        let rule = Method::of(&format!("/{full_name}")).expect("a method").scope_rule;
        let sample = BY_ARTICLE.iter().find(|(of, _)| *of == name).map(|(_, json)| *json);
        assert_eq!(sample.is_some(), rule == pb::ScopeRule::ByArticle, "{name} needs a sample");
        match sample {
            Some(json) => {
                seen += 1;
                let admitted = validate(&channel, &method, &desk.bound, (json, &inside)).await;
                admitted.unwrap_or_else(|status| panic!("{name}: {status:?}"));
                let refused = validate(&channel, &method, &desk.bound, (json, &outside)).await;
                let (key, value) = match name.as_str() {
                    "CreateArticle" | "IngestStory" | "IngestStories" => ("uri", &outside["NEW"]),
                    "UndeleteArticle" => ("name", &outside["DELETED"]),
                    _ => ("name", &outside["ARTICLE"]),
                };
                out_of_scope(refused, key, value);
                validate(&channel, &method, &desk.free, (json, &outside)).await.expect("a token without scopes");
            }
            None if rule == pb::ScopeRule::NoArticle => {
                out_of_scope(validate(&channel, &method, &desk.bound, ("{}", &inside)).await, "method", &full_name);
            }
            // Watches never end; their role is the one of all reads.
            None if method.is_server_streaming() => {}
            None => {
                let read = validate(&channel, &method, &desk.bound, ("{}", &inside)).await;
                assert!(read.err().is_none_or(|status| status.code() != Code::PermissionDenied), "{name}");
            }
        }
    }
    assert_eq!(seen, BY_ARTICLE.len());
}

#[tokio::test]
async fn an_update_does_not_move_an_article_into_or_out_of_scope() {
    let desk = Desk::start().await;
    let ours = desk.create(&desk.bound, article("urn:ours", INSIDE)).await.expect("in scope");
    let theirs = desk.create(&desk.free, article("urn:theirs", OUTSIDE)).await.unwrap();
    let publisher = |article: &Article, name: &str| Article {
        publisher: Some(Publisher { display_name: name.into(), ..Default::default() }),
        etag: String::new(),
        ..article.clone()
    };
    desk.update(&desk.bound, Article { title: "Talks".into(), etag: String::new(), ..ours.clone() }, "title")
        .await
        .expect("in scope before and after");
    out_of_scope(desk.update(&desk.bound, publisher(&ours, OUTSIDE), "publisher").await, "name", &ours.name);
    out_of_scope(desk.update(&desk.bound, publisher(&theirs, INSIDE), "publisher").await, "name", &theirs.name);
    // An update without an effect writes nothing, and is refused too.
    out_of_scope(desk.update(&desk.bound, publisher(&theirs, OUTSIDE), "publisher").await, "name", &theirs.name);

    let story = |uri: &str, publisher: &str| Story { article: Some(article(uri, publisher)), ..Default::default() };
    out_of_scope(desk.ingest(&desk.bound, story("urn:ours", OUTSIDE), true).await, "name", &ours.name);
    for allow_update in [true, false] {
        // The stored article has another publisher than the story says.
        let refused = desk.ingest(&desk.bound, story("urn:theirs", INSIDE), allow_update).await;
        out_of_scope(refused, "name", &theirs.name);
    }
    out_of_scope(desk.ingest(&desk.bound, story("urn:theirs", OUTSIDE), true).await, "name", &theirs.name);
    let copy = Article { syndicated_from: theirs.name, ..article("urn:copy", INSIDE) };
    desk.ingest(&desk.bound, Story { article: Some(copy), ..Default::default() }, false)
        .await
        .expect("only the own article of the story counts");
    desk.ingest(&desk.bound, story("urn:ours", INSIDE), true).await.expect("in scope before and after");
}

#[tokio::test]
async fn a_story_in_scope_makes_participants_and_adds_to_a_meeting_of_other_articles() {
    let desk = Desk::start().await;
    let theirs = desk.create(&desk.free, article("urn:theirs", OUTSIDE)).await.unwrap();
    let shared = desk.meeting(&desk.free, &theirs.name, "shared").await.unwrap();
    let story = |uri: &str, publisher: &str| Story {
        article: Some(article(uri, publisher)),
        ..make::story(uri, &[person("Kerim Veliyev", "AZ")])
    };
    let mut adding = story("urn:ours", INSIDE);
    let account = Some(pb::Account { participations: vec![named("p", "Ruslan Tsalikov")], ..talks("added") });
    adding.reports.push(StoryReport {
        key: "added".into(),
        meeting: shared.name.clone(),
        account,
        ..Default::default()
    });
    let written = desk.ingest(&desk.bound, adding, false).await.expect("in scope");
    assert_eq!((written.participants.len(), written.meetings.len()), (1, 2));
    assert_eq!(written.meetings[1].meeting, shared.name);

    let stories = [("urn:a", INSIDE), ("urn:b", OUTSIDE), ("urn:c", INSIDE), ("urn:theirs", INSIDE)];
    let stories = stories.map(|(uri, publisher)| make::streamed(story(uri, publisher)));
    let request = with(&desk.bound, tokio_stream::iter(stories));
    let mut answers = desk.service.ingest.clone().ingest_stories(request).await.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.expect("the stream continues") {
        outcomes.push(outcome(answer));
    }
    let [first, second, third, fourth] = outcomes.try_into().expect("four outcomes");
    first.expect("in scope");
    out_of_scope(second, "uri", "urn:b");
    third.expect("in scope");
    out_of_scope(fourth, "name", &theirs.name);
}

#[tokio::test]
async fn a_repeated_request_is_out_of_scope_as_the_first_would_be() {
    let desk = Desk::start().await;
    // A token of the same name is the same caller, with the same request ids.
    let bound = scoped_token(&desk.service.database, "free", Role::Admin, &[SCOPE]).await;
    let (mut articles, mut ingest) = (desk.service.articles.clone(), desk.service.ingest.clone());
    let request = CreateArticleRequest { request_id: "a".into(), ..create(article("urn:a", OUTSIDE)) };
    articles.create_article(with(&desk.free, request.clone())).await.unwrap();
    articles.create_article(with(&desk.free, request.clone())).await.expect("the stored answer");
    out_of_scope(articles.create_article(with(&bound, request)).await, "uri", "urn:a");
    let story = Some(Story { article: Some(article("urn:b", OUTSIDE)), ..Default::default() });
    let request = IngestStoryRequest { story, request_id: "b".into(), ..Default::default() };
    let written = ingest.ingest_story(with(&desk.free, request.clone())).await.unwrap().into_inner();
    out_of_scope(ingest.ingest_story(with(&bound, request)).await, "name", &written.article);
    let request = CreateArticleRequest { request_id: "c".into(), ..create(article("urn:c", INSIDE)) };
    let first = articles.create_article(with(&bound, request.clone())).await.unwrap().into_inner();
    assert_eq!(articles.create_article(with(&bound, request)).await.expect("in scope").into_inner(), first);
}

#[tokio::test]
async fn a_deletion_in_scope_retracts_the_reports_of_its_article_and_a_ruling_is_out_of_scope() {
    let desk = Desk::start().await;
    let ours = desk.create(&desk.bound, article("urn:ours", INSIDE)).await.unwrap();
    let theirs = desk.create(&desk.free, article("urn:theirs", OUTSIDE)).await.unwrap();
    let shared = desk.meeting(&desk.free, &theirs.name, "shared").await.unwrap();
    let mine = desk.report(&desk.bound, &shared.name, &ours.name, "mine").await.expect("the article is in scope");
    let mut meetings = desk.service.meetings.clone();
    let ruling = UpdateMeetingRequest {
        meeting: Some(Meeting { name: shared.name.clone(), account: Some(talks("ruled")), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["account.title".into()] }),
        reason: "checked".into(),
        report_id: "0198c0de-0000-7000-8000-000000000001".into(),
        ..Default::default()
    };
    let method = "readout.v1.MeetingService/UpdateMeeting";
    out_of_scope(meetings.update_meeting(with(&desk.bound, ruling.clone())).await, "method", method);
    meetings.update_meeting(with(&desk.free, ruling)).await.expect("no scopes");
    let retract = |name: &str| RetractReportRequest { name: name.into(), reason: "x".into(), ..Default::default() };
    let ruled = retract("reports/0198c0de-0000-7000-8000-000000000001");
    let method = "readout.v1.MeetingService/RetractReport";
    out_of_scope(meetings.retract_report(with(&desk.bound, ruled)).await, "method", method);
    meetings.retract_report(with(&desk.bound, retract(&mine.name))).await.expect("the article is in scope");
    let other = desk.report(&desk.bound, &shared.name, &ours.name, "other").await.expect("in scope");

    let mut articles = desk.service.articles.clone();
    let delete = DeleteArticleRequest { name: ours.name.clone(), force: true, ..Default::default() };
    articles.delete_article(with(&desk.bound, delete)).await.expect("in scope, with its reports");
    let request = pb::GetReportRequest { name: other.name, ..Default::default() };
    let other = meetings.get_report(with(&desk.bound, request)).await.unwrap().into_inner();
    assert_eq!(other.state(), pb::report::State::Retracted);
}

/// The committer compares the revision of the article by which a write was found in scope.
#[tokio::test]
async fn a_report_is_not_added_to_an_article_that_has_left_the_scope() {
    let desk = Desk::start().await;
    let flipped = desk.create(&desk.free, article("urn:flip", INSIDE)).await.unwrap();
    let shared = desk.meeting(&desk.free, &flipped.name, "shared").await.unwrap();
    desk.report(&desk.bound, &shared.name, &flipped.name, "talks before").await.expect("in scope");
    // Odd revisions are in scope, even ones are not.
    let flips = async {
        for round in 0..30 {
            let publisher = if round % 2 == 0 { OUTSIDE } else { INSIDE };
            let next = Article { name: flipped.name.clone(), ..article("urn:flip", publisher) };
            desk.update(&desk.free, next, "publisher").await.expect("no scopes");
        }
    };
    let reports = join_all((0..60).map(|number| {
        let (desk, shared, flipped) = (&desk, &shared, &flipped);
        async move { desk.report(&desk.bound, &shared.name, &flipped.name, &format!("talks {number}")).await }
    }));
    let ((), reports) = tokio::join!(flips, reports);
    for outcome in reports {
        match outcome {
            Ok(report) => assert_eq!(report.article_revision % 2, 1, "{report:?}"),
            Err(status) => assert_eq!(reason_of(&status), ErrorReason::OutOfScope),
        }
    }
}

#[tokio::test]
async fn labels_are_required_together_with_the_publisher() {
    let desk = Desk::start().await;
    let scopes = ["publisher=A", "publisher=B", "label:desk=press"];
    let bound = scoped_token(&desk.service.database, "desk", Role::Writer, &scopes).await;
    let labelled =
        |uri: &str, publisher: &str| Article { labels: labels(&[("desk", "press")]), ..article(uri, publisher) };
    for publisher in ["A", "B"] {
        desk.create(&bound, labelled(&format!("urn:{publisher}"), publisher)).await.expect("in scope");
    }
    for (sent, scope) in [
        (labelled("urn:c", "C"), "publisher=A, publisher=B"),
        (article("urn:d", "A"), "label:desk=press"),
        (Article { publisher: None, ..labelled("urn:e", "") }, "publisher=A, publisher=B"),
    ] {
        let refused = desk.create(&bound, sent).await.unwrap_err();
        assert_eq!((metadata_of(&refused, "scope"), reason_of(&refused)), (scope.to_owned(), ErrorReason::OutOfScope));
    }
    // The role is checked too.
    let request =
        DeleteArticleRequest { name: "articles/0198c0de-0000-7000-8000-000000000001".into(), ..Default::default() };
    let refused = desk.service.articles.clone().delete_article(with(&bound, request)).await.unwrap_err();
    assert_eq!(reason_of(&refused), ErrorReason::RoleTooLow);
}
