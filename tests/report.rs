//! `MeetingService.AddReport`: further reports of a meeting, and the account that the meeting settles on.

use readout::pb::{
    Account, AddReportRequest, CreateArticleRequest, CreateMeetingRequest, Date, DateSpan, ErrorReason,
    GetReportRequest, ListReportsRequest, Meeting, Report, Statement, account::Kind, date_span::Basis,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{article, ingest, named, person, present, story, story_report, talks},
    metadata_of,
};

fn report(article: &str, account: Account) -> Report {
    Report { article: article.into(), account: Some(account), ..Default::default() }
}

fn add(meeting: &str, report: Report) -> AddReportRequest {
    AddReportRequest { meeting: meeting.into(), report: Some(report), ..Default::default() }
}

/// Creates an article published on this day of September 2020.
async fn published(service: &Service, uri: &str, day: i32, syndicated_from: &str) -> String {
    let mut article = article(uri);
    article.publish_date = Some(Date { year: 2020, month: 9, day });
    article.syndicated_from = syndicated_from.into();
    let request = CreateArticleRequest { article: Some(article), ..Default::default() };
    service.articles.clone().create_article(request).await.unwrap().into_inner().name
}

/// Creates a meeting with one report.
async fn meeting_of(service: &Service, article: &str, account: Account) -> Meeting {
    let meeting = Some(Meeting { account: Some(account), ..Default::default() });
    let request = CreateMeetingRequest { meeting, source_article: article.into(), ..Default::default() };
    service.meetings.clone().create_meeting(request).await.unwrap().into_inner()
}

fn date(month: i32, day: i32, basis: Basis) -> Option<DateSpan> {
    Some(DateSpan { start: Some(Date { year: 2020, month, day }), basis: basis.into(), ..Default::default() })
}

#[tokio::test]
async fn meeting_is_settled_from_its_reports() {
    let mut service = Service::start().await;
    let (a, b, c) = (
        published(&service, "urn:a", 4, "").await,
        published(&service, "urn:b", 5, "").await,
        published(&service, "urn:c", 6, "").await,
    );
    let statement =
        |text: &str| Statement { id: "s1".into(), speakers: vec!["x".into()], text: text.into(), ..Default::default() };
    let first = Account {
        date: date(9, 4, Basis::InferredFromPublication),
        topics: vec!["trust".into()],
        participations: vec![named("x", "Kerim Veliyev")],
        statements: vec![statement("first")],
        ..talks("Talks in Baku")
    };
    let second = Account {
        kind: Kind::Visit.into(),
        date: date(9, 0, Basis::Stated),
        topics: vec!["army".into()],
        participations: vec![named("y", "Ruslan Tsalikov"), named("x", "KERIM  VELIYEV")],
        statements: vec![statement("second")],
        ..talks("Visit to Baku")
    };
    let third = Account { kind: Kind::Visit.into(), date: date(9, 3, Basis::Relative), ..talks("Visit to Baku") };

    let meeting = meeting_of(&service, &a, first).await;
    let mut reports = service.reports_of(&meeting.name).await;
    for (article, account) in [(&b, second), (&c, third)] {
        let added = service.meetings.add_report(add(&meeting.name, report(article, account))).await.unwrap();
        assert!(added.metadata().contains_key("readout-position"));
        let added = added.into_inner();
        assert_eq!((&added.meeting, &added.article, added.revision), (&meeting.name, article, 1));
        let read = service
            .meetings
            .get_report(GetReportRequest { name: added.name.clone(), ..Default::default() })
            .await
            .unwrap();
        assert_eq!(read.into_inner(), added);
        reports.push(added);
    }

    let settled = service.meeting(&meeting.name).await;
    assert_eq!((settled.revision, settled.report_count, settled.article_count), (3, 3, 3));
    assert_ne!(settled.etag, meeting.etag);
    assert_eq!(settled.create_time, meeting.create_time);
    let account = settled.account.unwrap();
    // Two of three reports give kind and title. A relative day wins over an inferred day and over a month alone.
    assert_eq!((account.kind(), account.title.as_str()), (Kind::Visit, "Visit to Baku"));
    assert_eq!(account.date, date(9, 3, Basis::Relative));
    assert_eq!(account.topics, ["army", "trust"]);
    let participants: Vec<_> = account
        .participations
        .iter()
        .map(|participation| (participation.id.as_str(), participation.name_as_written.as_str()))
        .collect();
    assert_eq!(participants, [("name:kerim veliyev", "Kerim Veliyev"), ("name:ruslan tsalikov", "Ruslan Tsalikov")]);
    let ids: Vec<_> = reports.iter().map(|report| report.name.replace("reports/", "")).collect();
    let statements: Vec<_> =
        account.statements.iter().map(|statement| (statement.id.clone(), statement.text.as_str())).collect();
    assert_eq!(statements, [(format!("{}/s1", ids[0]), "first"), (format!("{}/s1", ids[1]), "second")]);
    assert!(account.statements.iter().all(|statement| statement.speakers == ["name:kerim veliyev"]));
}

#[tokio::test]
async fn copies_of_one_article_count_as_one_source_when_settling() {
    let service = Service::start().await;
    let original = published(&service, "urn:a", 4, "").await;
    let copy = published(&service, "urn:b", 4, &original).await;
    let copy_of_copy = published(&service, "urn:c", 4, &copy).await;
    let others = [published(&service, "urn:x", 5, "").await, published(&service, "urn:y", 5, "").await];
    let meeting = meeting_of(&service, &original, talks("Agency")).await;
    for (article, title) in
        [(&copy, "Agency"), (&copy_of_copy, "Agency"), (&others[0], "Reporters"), (&others[1], "Reporters")]
    {
        service.meetings.clone().add_report(add(&meeting.name, report(article, talks(title)))).await.unwrap();
    }
    let settled = service.meeting(&meeting.name).await;
    assert_eq!((settled.report_count, settled.article_count), (5, 5));
    assert_eq!(settled.account.unwrap().title, "Reporters");
}

#[tokio::test]
async fn add_report_refuses_a_duplicate_report_of_the_article() {
    let service = Service::start().await;
    let a = published(&service, "urn:a", 4, "").await;
    let first = meeting_of(&service, &a, talks("A")).await;
    let second = meeting_of(&service, &a, talks("B")).await;
    let existing = service.reports_of(&first.name).await.remove(0).name;
    let before = service.contents().await;
    for meeting in [&first, &second] {
        let again = add(&meeting.name, report(&a, talks("A")));
        let refused = service.meetings.clone().add_report(again).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "name"), existing);
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateReport));
    }
    assert_eq!(service.contents().await, before);
    let other = published(&service, "urn:b", 4, "").await;
    service.meetings.clone().add_report(add(&first.name, report(&other, talks("A")))).await.unwrap();
}

#[tokio::test]
async fn add_report_refuses_references_to_unknown_records() {
    let mut service = Service::start().await;
    let a = published(&service, "urn:a", 4, "").await;
    let meeting = meeting_of(&service, &a, talks("A")).await.name;
    let before = service.contents().await;
    let missing = |collection: &str| format!("{collection}/{}", Uuid::now_v7());
    let unknown_participant = missing("participants");
    let account = Account { participations: vec![present("x", &unknown_participant)], ..talks("B") };
    let (unknown_meeting, unknown_article) = (missing("meetings"), missing("articles"));
    for (request, missing) in [
        (add(&unknown_meeting, report(&a, talks("B"))), unknown_meeting),
        (add(&meeting, report(&unknown_article, talks("B"))), unknown_article),
        (add(&meeting, report(&a, account)), unknown_participant),
    ] {
        let refused = service.meetings.add_report(request).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "name"), missing);
        assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    }
    let request = AddReportRequest { report: Some(Report::default()), ..Default::default() };
    let mut refused = Refused::from(service.meetings.add_report(request).await.unwrap_err());
    refused.fields.sort();
    assert_eq!(refused, Refused::invalid(["meeting", "report.account", "report.article"]));
    assert_eq!(service.contents().await, before);

    let missing = missing("reports");
    let refused = service
        .meetings
        .get_report(GetReportRequest { name: missing.clone(), ..Default::default() })
        .await
        .unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), missing);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
}

#[tokio::test]
async fn add_report_creates_a_missing_meeting_with_allow_missing() {
    let mut service = Service::start().await;
    let a = published(&service, "urn:a", 4, "").await;
    let labels = |value: &str| [("desk".to_owned(), value.to_owned())].into();
    let name = format!("meetings/{}", Uuid::now_v7());
    let request = AddReportRequest {
        report_id: Uuid::now_v7().to_string(),
        allow_missing: true,
        meeting_labels: labels("caucasus"),
        ..add(&name, report(&a, talks("A")))
    };
    let added = service.meetings.add_report(request.clone()).await.unwrap().into_inner();
    assert_eq!((&added.name, &added.meeting), (&format!("reports/{}", request.report_id), &name));
    let created = service.meeting(&name).await;
    assert_eq!((created.revision, created.report_count), (1, 1));
    assert_eq!((&created.labels, created.account), (&labels("caucasus"), Some(talks("A"))));

    let another = AddReportRequest {
        report_id: String::new(),
        meeting_labels: labels("asia"),
        report: Some(report(&a, talks("B"))),
        ..request
    };
    service.meetings.add_report(another).await.unwrap();
    let settled = service.meeting(&name).await;
    assert_eq!((settled.revision, settled.report_count, settled.labels), (2, 2, created.labels));
}

#[tokio::test]
async fn add_report_writes_nothing_when_validate_only() {
    let mut service = Service::start().await;
    let a = published(&service, "urn:a", 4, "").await;
    let meeting = meeting_of(&service, &a, talks("A")).await;
    let before = service.contents().await;
    let existing = AddReportRequest { validate_only: true, ..add(&meeting.name, report(&a, talks("B"))) };
    let unknown = format!("meetings/{}", Uuid::now_v7());
    let missing = AddReportRequest { meeting: unknown, allow_missing: true, ..existing.clone() };
    for request in [existing, missing] {
        let checked = service.meetings.add_report(request.clone()).await.unwrap();
        assert!(!checked.metadata().contains_key("readout-position"));
        let checked = checked.into_inner();
        assert_eq!((checked.name.as_str(), checked.revision, checked.account), ("", 0, Some(talks("B"))));
        assert_eq!(checked.meeting, request.meeting);
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn concurrent_add_report_duplicates_add_one_report() {
    let service = Service::start().await;
    let a = published(&service, "urn:a", 4, "").await;
    let meeting = meeting_of(&service, &a, talks("A")).await;
    let request = AddReportRequest { request_id: "r-1".into(), ..add(&meeting.name, report(&a, talks("B"))) };
    let calls = (0..16).map(|_| {
        let (mut meetings, request) = (service.meetings.clone(), request.clone());
        async move { meetings.add_report(request).await.unwrap().into_inner() }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(service.meeting(&meeting.name).await.report_count, 2);
}

#[tokio::test]
async fn concurrent_add_report_calls_all_add_their_report() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let a = published(&service, "urn:a", 4, "").await;
    let meeting = meeting_of(&service, &a, talks("First")).await;
    let calls = (0..64).map(|number| {
        let mut meetings = if number % 2 == 0 { &service } else { &other }.meetings.clone();
        let topics = vec![format!("topic-{number}")];
        let request = add(&meeting.name, report(&a, Account { topics, ..talks("Another") }));
        async move { meetings.add_report(request).await.unwrap().into_inner().name }
    });
    let mut names = futures_util::future::join_all(calls).await;
    names.extend(service.reports_of(&a).await.into_iter().map(|report| report.name));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 65);
    let settled = other.meeting(&meeting.name).await;
    assert_eq!((settled.revision, settled.report_count, settled.article_count), (65, 65, 1));
    assert_eq!(settled.account.unwrap().topics.len(), 64);
}

#[tokio::test]
async fn add_report_refuses_more_than_1000_reports_of_a_meeting() {
    let service = Service::start().await;
    let a = published(&service, "urn:a", 4, "").await;
    let meeting = meeting_of(&service, &a, talks("0")).await.name;
    // A story has at most 100 reports.
    let reports = |count: usize, uri: &str| {
        let mut story = story(uri, &[person("Kerim Veliyev", "AZ")]);
        let report = |number| {
            let mut report = story_report(&format!("r{number}"), &story.participants);
            report.meeting.clone_from(&meeting);
            report
        };
        story.reports = (0..count).map(report).collect();
        ingest(story)
    };
    for (number, count) in [100, 100, 100, 100, 100, 100, 100, 100, 100, 98].into_iter().enumerate() {
        service.ingest.clone().ingest_story(reports(count, &format!("urn:story:{number}"))).await.unwrap();
    }
    assert_eq!(service.meeting(&meeting).await.report_count, 999);

    let full = || Refused::with(Code::FailedPrecondition, ErrorReason::TooManyReports);
    let refused = service.ingest.clone().ingest_story(reports(2, "urn:story:more")).await.unwrap_err();
    assert_eq!(Refused::from(refused), full());
    let last = add(&meeting, report(&a, talks("1")));
    service.meetings.clone().add_report(last).await.unwrap();
    assert_eq!(service.meeting(&meeting).await.report_count, 1_000);
    assert_eq!(service.reports_of(&meeting).await.len(), 1_000);

    let refused = service.meetings.clone().add_report(add(&meeting, report(&a, talks("2")))).await.unwrap_err();
    assert_eq!((metadata_of(&refused, "name"), metadata_of(&refused, "limit")), (meeting.clone(), "1000".into()));
    assert_eq!(Refused::from(refused), full());
    assert_eq!(service.count("select count(*) from article").await, 11);
}

#[tokio::test]
async fn list_reports_selects_by_meeting_article_or_both() {
    let mut service = Service::start().await;
    let (a, b) = (published(&service, "urn:a", 4, "").await, published(&service, "urn:b", 4, "").await);
    let (x, y) = (meeting_of(&service, &a, talks("X")).await.name, meeting_of(&service, &a, talks("Y")).await.name);
    let of_b = service.meetings.add_report(add(&x, report(&b, talks("X")))).await.unwrap().into_inner();
    let of_x = service.reports_of(&x).await;
    let of_a = service.reports_of(&a).await;
    assert_eq!(of_x.iter().map(|report| &report.article).collect::<Vec<_>>(), [&a, &b]);
    assert_eq!(of_a.iter().map(|report| &report.meeting).collect::<Vec<_>>(), [&x, &y]);
    assert_eq!(of_x[1], of_b);
    assert_eq!(service.reports_of(&b).await, std::slice::from_ref(&of_b));

    let both = ListReportsRequest { meeting: x.clone(), article: b.clone(), ..Default::default() };
    let both = service.meetings.list_reports(both).await.unwrap().into_inner();
    assert_eq!((both.reports, both.next_page_token.as_str()), (vec![of_b], ""));
    let apart = ListReportsRequest { meeting: y, article: b, ..Default::default() };
    assert!(service.meetings.list_reports(apart).await.unwrap().into_inner().reports.is_empty());
    let refused = service.meetings.list_reports(ListReportsRequest::default()).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["meeting"]));

    let mut request = ListReportsRequest { meeting: x, page_size: 1, ..Default::default() };
    let first = service.meetings.list_reports(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.reports, of_x[..1]);
    request.page_token = first.next_page_token;
    let second = service.meetings.list_reports(request).await.unwrap().into_inner();
    assert_eq!((second.reports.as_slice(), second.next_page_token.as_str()), (&of_x[1..], ""));
}
