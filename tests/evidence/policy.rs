//! The policy on evidence: a report of an article that tells a required field must have evidence for it.

use readout::{
    config::{self, EvidenceMode},
    model::evidence::AccountField,
    pb::{
        Account, AddReportRequest, Article, CreateArticleRequest, CreateMeetingRequest, ErrorReason,
        IngestStoriesRequest, IngestStoryRequest, Meeting, Participation, Report, Story,
        ingest_story_response::Outcome,
    },
};
use tonic::Code;
use uuid::Uuid;

use super::{TEXT, account, evidence, quoting_story};
use crate::support::{
    Refused, Service, cluster,
    make::{article, day, ingest, keyed, person, present, story_report, streamed, talks},
    metadata_of,
    story_stream::{ingest_all, outcome},
};

const MISSING: ErrorReason = ErrorReason::EvidenceMissing;

/// A service that requires evidence for these fields.
async fn requiring(fields: &[&str], mode: EvidenceMode) -> Service {
    let require_evidence = fields.iter().map(|field| AccountField::parse(field).unwrap()).collect();
    let evidence = config::Evidence { require_evidence, require_evidence_mode: mode };
    Service::start_as(cluster::database().await, config::Service { evidence, ..Default::default() }).await
}

/// A story with two reports: the first tells a date and one participant, and the second a date. Only the title of the
/// first has evidence.
fn told() -> Story {
    let mut story = quoting_story(Default::default(), TEXT, evidence("title", "met", 0, 0));
    story.participants.extend([keyed("other", person("Sergey Shoigu", "RU"))]);
    story.reports[0].account.as_mut().unwrap().date = day(2020, 8, 24);
    let mut second = story_report("visit", &[]);
    let participations = vec![present("other", "#other")];
    second.account = Some(Account { date: day(2020, 8, 25), participations, ..talks("Visit") });
    story.reports.push(second);
    story
}

/// The story with evidence for all its dates and participants.
fn proven() -> Story {
    let mut story = told();
    let name = "participations[0].name_as_written";
    let mut account = |at: usize, written: &str| {
        story.reports[at].account.as_mut().unwrap().participations[0].name_as_written = written.into();
        story.reports[at].evidence.push(evidence("date", "met", 0, 0));
        story.reports[at].evidence.push(evidence(name, written, 0, 0));
    };
    account(0, "Kərim Vəliyev");
    account(1, "Sergey Shoigu");
    story
}

#[tokio::test]
async fn story_without_required_evidence_is_refused_with_every_field() {
    let mut service = requiring(&["participations.participant", "date", "place"], EvidenceMode::Enforce).await;
    let before = service.contents().await;
    let status = service.ingest.ingest_story(ingest(told())).await.unwrap_err();
    assert_eq!(metadata_of(&status, "required"), "date");
    assert_eq!(metadata_of(&status, "field"), "story.reports[0].account.date");
    let expected = [
        "story.reports[0].account.date",
        "story.reports[0].account.participations[0].participant",
        "story.reports[1].account.date",
        "story.reports[1].account.participations[0].participant",
    ];
    assert_eq!(Refused::from(status), Refused::fields(MISSING, expected));
    let validated = IngestStoryRequest { validate_only: true, ..ingest(told()) };
    let status = service.ingest.ingest_story(validated).await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::fields(MISSING, expected));
    let answers = ingest_all(&service.ingest, vec![streamed(told())]).await;
    let status = outcome(answers.into_iter().next().unwrap()).unwrap_err();
    assert_eq!(Refused::from(status), Refused::fields(MISSING, expected));
    assert_eq!(service.contents().await, before);
    let answer = service.ingest.ingest_story(ingest(proven())).await.unwrap().into_inner();
    assert!(answer.warnings.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn story_that_is_stored_matches_although_the_policy_refuses_its_reports() {
    let database = cluster::database().await;
    let mut open = Service::start_on(database.clone()).await;
    let stored = open.ingest.ingest_story(ingest(told())).await.unwrap().into_inner();
    open.stop().await;
    let require_evidence = vec![AccountField::parse("date").unwrap()];
    let evidence = config::Evidence { require_evidence, ..Default::default() };
    let mut service = Service::start_as(database, config::Service { evidence, ..Default::default() }).await;
    let again = service.ingest.ingest_story(ingest(told())).await.unwrap().into_inner();
    assert_eq!(again.article, stored.article);
    for (again, stored) in again.meetings.iter().zip(&stored.meetings) {
        assert_eq!((again.outcome(), &again.report), (Outcome::Matched, &stored.report));
    }
    // Of a story with stored and new reports, only the new ones need evidence.
    let mut longer = told();
    longer.reports.push(story_report("signing", &[]));
    longer.reports[2].account.as_mut().unwrap().date = day(2020, 8, 26);
    let status = service.ingest.ingest_story(ingest(longer)).await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::fields(MISSING, ["story.reports[2].account.date"]));
}

#[tokio::test]
async fn unary_writes_of_reports_need_the_evidence_and_rulings_do_not() {
    let service = requiring(&["participations", "date"], EvidenceMode::Enforce).await;
    let text = Article { text: TEXT.into(), ..article("urn:a") };
    let request = CreateArticleRequest { article: Some(text), ..Default::default() };
    let article = service.articles.clone().create_article(request).await.unwrap().into_inner();
    let create = |evidence| CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(account()), ..Default::default() }),
        source_article: article.name.clone(),
        evidence,
        ..Default::default()
    };
    let status = service.meetings.clone().create_meeting(create(Vec::new())).await.unwrap_err();
    let at = |at: &str| ["date", "participations[0]", "participations[1]"].map(|field| format!("{at}.account.{field}"));
    let expected = |paths: [String; 3]| Refused { code: Code::InvalidArgument, reason: MISSING, fields: paths.into() };
    assert_eq!(Refused::from(status), expected(at("meeting")));
    let add = |evidence| AddReportRequest {
        meeting: format!("meetings/{}", Uuid::now_v7()),
        report: Some(Report {
            article: article.name.clone(),
            account: Some(account()),
            evidence,
            ..Default::default()
        }),
        allow_missing: true,
        ..Default::default()
    };
    let status = service.meetings.clone().add_report(add(Vec::new())).await.unwrap_err();
    assert_eq!(Refused::from(status), expected(at("report")));

    let proof = vec![
        evidence("date.literal", "met", 0, 0),
        evidence("participations[0].name_as_written", "Kərim Vəliyev", 0, 0),
        evidence("participations[1].name_as_written", "Sergey Shoigu", 0, 0),
    ];
    let meeting = service.meetings.clone().create_meeting(create(proof.clone())).await.unwrap().into_inner();
    // A report that is stored is a duplicate, also for the policy.
    let status = service.meetings.clone().add_report(add(proof.clone())).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let other = [&[evidence("title", "met", 0, 0)], &proof[..]].concat();
    service.meetings.clone().add_report(add(other)).await.unwrap();
    let ruling = Account { date: day(2020, 8, 24), ..Default::default() };
    service.rule(&meeting.name, ruling, &["account.date"]).await.unwrap();
}

#[tokio::test]
async fn policy_that_only_warns_names_the_fields_and_stores_the_story() {
    let mut service = requiring(&["participations.participant", "date"], EvidenceMode::Warn).await;
    let mut story = told();
    let people = vec![story.reports[1].account.as_ref().unwrap().participations[0].clone(); 12];
    let people = (0..).zip(people).map(|(at, person)| Participation { id: format!("p{at}"), ..person });
    story.reports[1].account.as_mut().unwrap().participations = people.collect();
    let answer = service.ingest.ingest_story(ingest(story.clone())).await.unwrap().into_inner();
    let [first, second] = &answer.warnings[..] else { panic!("{answer:?}") };
    assert_eq!(
        first,
        "report \"talks\": has no evidence for date, participations[0].participant, which the service is to require"
    );
    assert!(second.starts_with("report \"visit\": has no evidence for date, "), "{second}");
    assert!(second.contains("participations[8].participant and 3 more, "), "{second}");
    assert_eq!(service.contents().await.reports.len(), 2);
    let again = service.ingest.ingest_story(ingest(story)).await.unwrap().into_inner();
    assert!(again.warnings.is_empty(), "{again:?}");
    // The request of the caller is enforced, and the policy of the service continues to warn.
    let mut other = told();
    other.article.as_mut().unwrap().uri = "urn:other".into();
    let request = IngestStoryRequest { require_evidence: vec!["date".into()], ..ingest(other) };
    let status = service.ingest.ingest_story(request).await.unwrap_err();
    let expected = ["story.reports[0].account.date", "story.reports[1].account.date"];
    assert_eq!(Refused::from(status), Refused::fields(MISSING, expected));
}

#[tokio::test]
async fn request_requires_evidence_besides_the_policy() {
    let mut service = requiring(&["date"], EvidenceMode::Enforce).await;
    let require_evidence = vec!["participations.participant".to_owned(), "date".to_owned()];
    let request = IngestStoryRequest { require_evidence: require_evidence.clone(), ..ingest(told()) };
    let status = service.ingest.ingest_story(request).await.unwrap_err();
    assert_eq!(Refused::from(status).fields.len(), 4);
    let request = IngestStoriesRequest { require_evidence: require_evidence.clone(), ..streamed(told()) };
    let answers = ingest_all(&service.ingest, vec![request]).await;
    let status = outcome(answers.into_iter().next().unwrap()).unwrap_err();
    assert_eq!(Refused::from(status).fields.len(), 4);
    // Order and repetition of the fields do not make another request.
    let request = IngestStoryRequest { request_id: "r".into(), ..ingest(proven()) };
    let first = IngestStoryRequest { require_evidence: require_evidence.clone(), ..request.clone() };
    let first = service.ingest.ingest_story(first).await.unwrap().into_inner();
    let turned = require_evidence.iter().rev().chain(&require_evidence).cloned().collect();
    let turned = IngestStoryRequest { require_evidence: turned, ..request };
    assert_eq!(service.ingest.ingest_story(turned).await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn request_that_requires_unknown_or_too_many_fields_is_refused() {
    let mut service = Service::start().await;
    let send = |require_evidence: Vec<String>| IngestStoryRequest { require_evidence, ..ingest(proven()) };
    let status = service.ingest.ingest_story(send(vec!["date".into(), "plaxe".into()])).await.unwrap_err();
    assert!(status.message().contains("did you mean \"place\"?"), "{status:?}");
    assert_eq!(Refused::from(status), Refused::invalid(["require_evidence[1]"]));
    for (fields, at) in [
        (vec!["date".to_owned(); 65], "require_evidence"),
        (vec![String::new()], "require_evidence[0]"),
        (vec![format!("date.{}", "x".repeat(124))], "require_evidence[0]"),
    ] {
        let refused = Refused::from(service.ingest.ingest_story(send(fields)).await.unwrap_err());
        assert_eq!(refused.reason, ErrorReason::InvalidField);
        assert!(refused.fields.iter().all(|field| field == at), "{refused:?}");
    }
    service.ingest.ingest_story(send(vec!["date".into(); 64])).await.unwrap();
}
