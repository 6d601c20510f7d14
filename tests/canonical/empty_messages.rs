//! An empty message counts as an absent one.

use readout::pb::{
    Account, AddReportRequest, Announcement, Article, CreateMeetingRequest, Date, DateSpan, ErrorReason, Evidence,
    Extractor, IngestStoryRequest, LatLng, Meeting, Office, Outcome as AccountOutcome, Participation, Place, Publisher,
    Report, Story, StoryReport, TimeOfDay, ingest_story_response::Outcome, outcome,
};
use tonic::Code;

use super::matched;
use crate::support::{
    Refused, Service,
    make::{article, ingest, named, talks},
};

fn story_of(account: Account) -> Story {
    let report = StoryReport { key: "r".into(), account: Some(account), ..Default::default() };
    Story { article: Some(article("urn:a")), reports: vec![report], ..Default::default() }
}

fn bare() -> Account {
    let plan = AccountOutcome { kind: outcome::Kind::Plan.into(), ..Default::default() };
    Account { participations: vec![named("p", "Ali")], outcomes: vec![plan], ..talks("Talks") }
}

/// The bare account, each time with another empty message in it.
fn with_empty_parts() -> Vec<Account> {
    let place = |place: Place| Account { place: Some(place), ..bare() };
    let date = |date: DateSpan| Account { date: Some(date), ..bare() };
    let announcement = |date| Account { announcement: Some(Announcement { date, ..Default::default() }), ..bare() };
    let in_office = Participation { office: Some(Office::default()), ..named("p", "Ali") };
    let mut dated_plan = bare();
    dated_plan.outcomes[0].date = Some(DateSpan { start: Some(Date::default()), ..Default::default() });
    vec![
        place(Place::default()),
        place(Place { location: Some(LatLng::default()), ..Default::default() }),
        date(DateSpan::default()),
        date(DateSpan { start: Some(Date::default()), end: Some(Date::default()), ..Default::default() }),
        announcement(None),
        announcement(Some(DateSpan::default())),
        Account { participations: vec![in_office], ..bare() },
        dated_plan,
    ]
}

#[tokio::test]
async fn a_story_is_matched_with_and_without_empty_parts() {
    let service = Service::start().await;
    let first = service.ingest_one(story_of(bare())).await.unwrap();
    let before = service.contents().await;
    for account in with_empty_parts() {
        assert_eq!(service.ingest_one(story_of(account.clone())).await.unwrap(), matched(first.clone()), "{account:?}");
    }
    let extractor = Story { extractor: Some(Extractor::default()), ..story_of(bare()) };
    assert_eq!(service.ingest_one(extractor).await.unwrap(), matched(first.clone()));
    let empty_place = || Some(Place { location: Some(LatLng::default()), ..Default::default() });
    for article in [
        Article { publisher: Some(Publisher::default()), ..article("urn:a") },
        Article { dateline: empty_place(), ..article("urn:a") },
        Article { publish_date: Some(Date::default()), ..article("urn:a") },
    ] {
        let story = Story { article: Some(article), ..story_of(bare()) };
        assert_eq!(service.ingest_one(story).await.unwrap(), matched(first.clone()));
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn a_report_with_empty_parts_is_a_duplicate() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let meeting = service.create_meeting(&article, bare()).await.unwrap();
    for account in with_empty_parts() {
        let refused = service.add_report(&meeting.name, &article.name, account.clone()).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateReport));
        let refused = service.create_meeting(&article, account).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateReport));
    }
}

#[tokio::test]
async fn an_empty_message_is_not_stored() {
    let service = Service::start().await;
    let article = service.create_article(Article { publisher: Some(Publisher::default()), ..article("urn:a") }).await;
    assert_eq!(article.publisher, None);
    for (at, account) in with_empty_parts().into_iter().enumerate() {
        let account = Account { title: format!("Talks {at}"), ..account };
        let meeting = service.create_meeting(&article, account.clone()).await.unwrap();
        let stored = service.reports_of(&meeting.name).await.remove(0).account.unwrap();
        assert_eq!(stored, Account { title: account.title, ..bare() });
    }
}

#[tokio::test]
async fn midnight_and_the_start_of_1970_are_stored() {
    let service = Service::start().await;
    let at = |time: TimeOfDay| {
        let start = Some(Date { year: 2020, month: 9, day: 4 });
        Account { date: Some(DateSpan { start, start_time: Some(time), ..Default::default() }), ..bare() }
    };
    let midnight = service.ingest_one(story_of(at(TimeOfDay::default()))).await.unwrap();
    let account = service.meeting(&midnight.meetings[0].meeting).await.account.unwrap();
    assert_eq!(account.date.unwrap().start_time, Some(TimeOfDay::default()));
    let no_time =
        Account { date: at(TimeOfDay::default()).date.map(|date| DateSpan { start_time: None, ..date }), ..bare() };
    assert_eq!(service.ingest_one(story_of(no_time)).await.unwrap().meetings[0].outcome(), Outcome::Created);

    let in_1970 = Article { publish_time: Some(prost_types::Timestamp::default()), ..article("urn:b") };
    let stored = service.create_article(in_1970).await;
    assert_eq!(stored.publish_time, Some(prost_types::Timestamp::default()));
}

#[tokio::test]
async fn a_required_message_may_be_empty_but_not_absent() {
    let service = Service::start().await;
    let empty = IngestStoryRequest {
        story: Some(Story { article: Some(Article::default()), ..Default::default() }),
        ..Default::default()
    };
    let refused = service.ingest.clone().ingest_story(empty).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["story.article.uri"]));
    let mut story = story_of(Account::default());
    service.ingest_one(story.clone()).await.unwrap();
    story.reports[0].account = None;
    assert_eq!(
        Refused::from(service.ingest_one(story).await.unwrap_err()),
        Refused::invalid(["story.reports[0].account"])
    );

    let article = service.create_article(article("urn:b")).await;
    let request = |meeting| CreateMeetingRequest {
        meeting: Some(meeting),
        source_article: article.name.clone(),
        ..Default::default()
    };
    let mut meetings = service.meetings.clone();
    let refused = meetings.create_meeting(request(Meeting::default())).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["meeting.account"]));
    let empty = Meeting { account: Some(Account::default()), ..Default::default() };
    let meeting = meetings.create_meeting(request(empty)).await.unwrap().into_inner();
    let report = Report { article: article.name.clone(), ..Default::default() };
    let request = AddReportRequest { meeting: meeting.name, report: Some(report), ..Default::default() };
    assert_eq!(Refused::from(meetings.add_report(request).await.unwrap_err()), Refused::invalid(["report.account"]));
}

#[tokio::test]
async fn an_empty_item_of_a_list_is_refused_at_its_index() {
    let service = Service::start().await;
    let mut story = story_of(bare());
    story.reports[0].evidence =
        vec![Evidence::default(), Evidence { field: "title".into(), quote: "met".into(), ..Default::default() }];
    let refused = service.ingest.clone().ingest_story(ingest(story)).await.unwrap_err();
    let mut refused = Refused::from(refused);
    refused.fields.dedup();
    assert!(refused.fields.iter().all(|field| field.starts_with("story.reports[0].evidence[0].")), "{refused:?}");
}
