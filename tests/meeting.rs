//! `MeetingService.CreateMeeting`: meetings and their first reports.

use readout::pb::{
    Account, Announcement, CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest, Date, DateSpan,
    Delegation, ErrorReason, Evidence, Extractor, GetMeetingRequest, GetReportRequest, Link, Meeting, Office, Outcome,
    Participation, Place, Statement, View, account::Kind, date_span::Basis, evidence::Match, participation::Role,
    report::Prominence,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{article, named, person, present, talks},
    metadata_of, reason_of,
};

fn create(article: &str, account: Account) -> CreateMeetingRequest {
    CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(account), ..Default::default() }),
        source_article: article.into(),
        ..Default::default()
    }
}

fn get(name: &str, view: View) -> GetMeetingRequest {
    GetMeetingRequest { name: name.into(), view: view.into(), ..Default::default() }
}

fn day(year: i32, month: i32, day: i32) -> Option<DateSpan> {
    let start = Some(Date { year, month, day });
    Some(DateSpan { start, basis: Basis::Stated.into(), ..Default::default() })
}

async fn create_article(service: &mut Service) -> String {
    let request = CreateArticleRequest { article: Some(article("urn:a")), ..Default::default() };
    service.articles.create_article(request).await.unwrap().into_inner().name
}

async fn create_person(service: &mut Service, name: &str) -> String {
    let request = CreateParticipantRequest { participant: Some(person(name, "")), ..Default::default() };
    service.participants.create_participant(request).await.unwrap().into_inner().name
}

/// An account with a value in every field.
fn account(veliyev: &str, tsalikov: &str) -> Account {
    let office = |title: &str| Some(Office { title: title.into(), seniority: 3, ..Default::default() });
    let head = Participation {
        roles: vec![Role::Visitor.into(), Role::HeadOfDelegation.into()],
        delegation: "guests".into(),
        office: office("First Deputy Defence Minister"),
        region_code: "RU".into(),
        ..present("t", tsalikov)
    };
    let statement = |id: &str, text: &str, continues: &str| Statement {
        id: id.into(),
        speakers: vec!["v".into()],
        addressees: vec!["t".into(), "crowd".into()],
        text: text.into(),
        continues: continues.into(),
        ..Default::default()
    };
    Account {
        summary: "They talked.".into(),
        topics: vec!["trust".into(), "military-cooperation".into()],
        date: day(2020, 9, 3),
        place: Some(Place { venue: "Headquarters".into(), region_code: "AZ".into(), ..Default::default() }),
        announcement: Some(Announcement { by: "the host".into(), participation: "v".into(), ..Default::default() }),
        delegations: vec![Delegation {
            id: "guests".into(),
            region_code: "RU".into(),
            head: "t".into(),
            ..Default::default()
        }],
        participations: vec![
            Participation { roles: vec![Role::Host.into()], region_code: "AZ".into(), ..present("v", veliyev) },
            head,
            named("crowd", " The  Crowd"),
        ],
        initiator: "v".into(),
        statements: vec![statement("s1", "mutual trust", ""), statement("s2", "more of it", "s1")],
        outcomes: vec![Outcome { kind: 3, title: "Plan for 2021".into(), ..Default::default() }],
        links: vec![Link { kind: 2, meeting: format!("meetings/{}", Uuid::nil()), ..Default::default() }],
        ..talks("Talks in Baku")
    }
}

#[tokio::test]
async fn create_meeting_settles_the_account_of_its_first_report() {
    let mut service = Service::start().await;
    let article = create_article(&mut service).await;
    let (v, t) = (create_person(&mut service, "V").await, create_person(&mut service, "T").await);
    let sent = account(&v, &t);
    let (meeting_id, report_id) = (Uuid::now_v7(), Uuid::now_v7());
    let mut request = CreateMeetingRequest {
        meeting_id: meeting_id.to_string(),
        report_id: report_id.to_string(),
        prominence: Prominence::Lead.into(),
        evidence: vec![Evidence {
            field: "kind".into(),
            quote: "met".into(),
            start: 14,
            end: 17,
            ..Default::default()
        }],
        extractor: Some(Extractor { name: "hand".into(), ..Default::default() }),
        ..create(&article, sent.clone())
    };
    request.meeting.as_mut().unwrap().labels = [("desk".to_owned(), "caucasus".to_owned())].into();
    let created = service.meetings.create_meeting(request.clone()).await.unwrap();
    assert!(created.metadata().contains_key("readout-position"));
    let created = created.into_inner();
    assert_eq!(created.name, format!("meetings/{meeting_id}"));
    assert_eq!((created.revision, created.report_count, created.article_count), (1, 1, 1));
    assert_eq!(created.labels, request.meeting.as_ref().unwrap().labels);
    assert_eq!(created, service.meetings.get_meeting(get(&created.name, View::Full)).await.unwrap().into_inner());

    // Participations and delegations have settled ids; statements, outcomes and links name their report.
    let (v, t) = (v.replace("participants/", ""), t.replace("participants/", ""));
    let report = format!("reports/{report_id}");
    let mut settled = sent.clone();
    settled.topics.sort();
    settled.initiator.clone_from(&v);
    settled.announcement.as_mut().unwrap().participation.clone_from(&v);
    settled.delegations[0].id = "region:RU".into();
    settled.delegations[0].head.clone_from(&t);
    let ids = [v.clone(), t.clone(), "name:the crowd".to_owned()];
    for (participation, id) in settled.participations.iter_mut().zip(&ids) {
        participation.id.clone_from(id);
    }
    settled.participations[1].delegation = "region:RU".into();
    for statement in &mut settled.statements {
        statement.id = format!("{report_id}/{}", statement.id);
        statement.speakers = vec![v.clone()];
        statement.addressees = vec![t.clone(), ids[2].clone()];
        statement.report.clone_from(&report);
    }
    settled.statements[1].continues = format!("{report_id}/s1");
    settled.outcomes[0].report.clone_from(&report);
    settled.links[0].report.clone_from(&report);
    assert_eq!(created.account.as_ref(), Some(&settled));

    let basic = service.meetings.get_meeting(get(&created.name, View::Basic)).await.unwrap().into_inner();
    let bare = Account { statements: vec![], outcomes: vec![], links: vec![], ..settled };
    assert_eq!(basic, Meeting { account: Some(bare), fragile_fields: vec![], ..created.clone() });

    // The report keeps the account as sent.
    let read = service
        .meetings
        .get_report(GetReportRequest { name: report.clone(), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((read.name, read.meeting, read.article), (report, created.name, article));
    let exact = Evidence { r#match: Match::Exact.into(), ..request.evidence.remove(0) };
    assert_eq!((read.account, read.evidence), (Some(sent), vec![exact]));
    assert_eq!((read.prominence, read.extractor), (Prominence::Lead.into(), request.extractor));
    assert_eq!((read.revision, read.article_revision, read.content_hash.len()), (1, 1, 64));
}

#[tokio::test]
async fn create_meeting_refuses_ids_that_are_taken() {
    let mut service = Service::start().await;
    let article = create_article(&mut service).await;
    let id = Uuid::now_v7().to_string();
    let first = CreateMeetingRequest { meeting_id: id.clone(), report_id: id.clone(), ..create(&article, talks("A")) };
    service.meetings.create_meeting(first).await.unwrap();
    let before = service.contents().await;
    let of_meeting = CreateMeetingRequest { meeting_id: id.clone(), ..create(&article, talks("B")) };
    let of_report = CreateMeetingRequest { report_id: id.clone(), ..create(&article, talks("B")) };
    for (request, name) in [(of_meeting, format!("meetings/{id}")), (of_report, format!("reports/{id}"))] {
        let refused = service.meetings.create_meeting(request).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "name"), name);
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateId));
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn create_meeting_refuses_a_duplicate_report_of_the_article() {
    let mut service = Service::start().await;
    let article = create_article(&mut service).await;
    let first = service.meetings.create_meeting(create(&article, talks("A"))).await.unwrap().into_inner();
    let report = service.reports_of(&first.name).await.remove(0).name;
    let refused = service.meetings.create_meeting(create(&article, talks("A"))).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), report);
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateReport));
    service.meetings.create_meeting(create(&article, talks("B"))).await.unwrap();
}

#[tokio::test]
async fn create_meeting_refuses_references_to_unknown_records() {
    let mut service = Service::start().await;
    let article = create_article(&mut service).await;
    let participant = create_person(&mut service, "Somebody").await;
    let before = service.contents().await;
    let unknown = format!("participants/{}", Uuid::now_v7());
    let account = Account { participations: vec![present("a", &participant), present("b", &unknown)], ..talks("A") };
    let unknown_article = format!("articles/{}", Uuid::now_v7());
    for (request, missing) in
        [(create(&article, account), unknown), (create(&unknown_article, talks("A")), unknown_article)]
    {
        let refused = service.meetings.create_meeting(request).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "name"), missing);
        assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn create_meeting_reports_all_violations_at_once() {
    let mut service = Service::start().await;
    let bad = Account {
        kind: 99,
        topics: vec!["Not A Slug".into()],
        date: day(2021, 2, 29),
        delegations: vec![Delegation { id: "d".into(), head: "a".into(), ..Default::default() }],
        participations: vec![named("a", "A"), named("a", "B"), present("c", ""), present("k", "#key")],
        initiator: "nobody".into(),
        statements: vec![Statement { id: "s".into(), continues: "s".into(), ..Default::default() }],
        links: vec![Link { kind: 0, meeting: "meetings/1".into(), ..Default::default() }],
        ..talks("A")
    };
    let refused = service.meetings.create_meeting(create("articles/1", bad)).await.unwrap_err();
    let mut refused = Refused::from(refused);
    refused.fields.sort();
    let expected = [
        "meeting.account.date.start",
        "meeting.account.delegations[0].head",
        "meeting.account.initiator",
        "meeting.account.kind",
        "meeting.account.links[0].kind",
        "meeting.account.links[0].meeting",
        "meeting.account.participations[1].id",
        "meeting.account.participations[2]",
        "meeting.account.participations[3].participant",
        "meeting.account.statements[0].continues",
        "meeting.account.statements[0].text",
        "meeting.account.topics[0]",
        "source_article",
    ];
    assert_eq!(refused, Refused::invalid(expected));

    let empty = CreateMeetingRequest { meeting: Some(Meeting::default()), ..create("", talks("")) };
    let mut refused = Refused::from(service.meetings.create_meeting(empty).await.unwrap_err());
    refused.fields.sort();
    assert_eq!(refused, Refused::invalid(["meeting.account", "source_article"]));
}

#[tokio::test]
async fn create_meeting_writes_nothing_when_validate_only() {
    let mut service = Service::start().await;
    let article = create_article(&mut service).await;
    let participant = create_person(&mut service, "Somebody").await;
    let before = service.contents().await;
    let sent = Account { participations: vec![present("a", &participant)], ..talks("A") };
    let request = CreateMeetingRequest { validate_only: true, ..create(&article, sent) };
    let checked = service.meetings.create_meeting(request.clone()).await.unwrap();
    assert!(!checked.metadata().contains_key("readout-position"));
    let checked = checked.into_inner();
    assert_eq!((checked.name.as_str(), checked.revision, checked.report_count), ("", 0, 1));
    assert_eq!(checked.account.unwrap().participations[0].id, participant.replace("participants/", ""));
    assert_eq!(service.contents().await, before);

    let written = CreateMeetingRequest { validate_only: false, ..request.clone() };
    service.meetings.create_meeting(written).await.unwrap();
    let refused = service.meetings.create_meeting(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), ErrorReason::DuplicateReport);
}

#[tokio::test]
async fn concurrent_create_meeting_duplicates_have_one_result() {
    let mut service = Service::start().await;
    let article = create_article(&mut service).await;
    for round in 0..10 {
        let request = CreateMeetingRequest {
            request_id: format!("r-{round}"),
            ..create(&article, talks(&format!("Talks {round}")))
        };
        let calls = (0..16).map(|_| {
            let (mut meetings, request) = (service.meetings.clone(), request.clone());
            async move { meetings.create_meeting(request).await.unwrap().into_inner() }
        });
        let answers = futures_util::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
    assert_eq!(service.contents().await.meetings.len(), 10);
    let other = CreateMeetingRequest { request_id: "r-1".into(), ..create(&article, talks("Others")) };
    let refused = service.meetings.create_meeting(other).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));
}

#[tokio::test]
async fn create_meeting_keeps_kind_and_date_as_sent() {
    let mut service = Service::start().await;
    let article = create_article(&mut service).await;
    let visit = Account { kind: Kind::Visit.into(), date: day(2020, 8, 24), ..talks("Visit") };
    let empty = Account::default();
    for sent in [visit, empty] {
        let created = service.meetings.create_meeting(create(&article, sent.clone())).await.unwrap().into_inner();
        assert_eq!(created.account, Some(sent));
    }
}
