//! `IngestService`: external ids of meetings. A report joins the meeting that has one of its ids, whatever the order and
//! the number of streams.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use readout::pb::{
    ErrorReason, ExternalId, IngestStoryRequest, IngestStoryResponse, Story, StoryReport,
    ingest_story_request::MeetingMatching, ingest_story_response::Outcome,
};
use tonic::{Code, Status};

use crate::support::{
    Service,
    make::{ingest, person, story, streamed, talks},
    refused,
    status::metadata_of,
    story_stream::{ingest_all, outcome},
};

/// A story whose reports have these ids of a register, a list for each report.
fn told(uri: &str, reports: &[&[&str]]) -> Story {
    let id = |value: &&str| ExternalId { scheme: "nsw".into(), value: (*value).into() };
    let report = |(at, ids): (usize, &&[&str])| {
        let title = format!("{uri} {at}");
        let external_ids = ids.iter().map(id).collect();
        let account = readout::pb::Account { external_ids, ..talks(&title) };
        StoryReport { key: format!("r{at}"), account: Some(account), ..Default::default() }
    };
    Story { reports: reports.iter().enumerate().map(report).collect(), ..story(uri, &[]) }
}

async fn send(service: &Service, request: IngestStoryRequest) -> Result<IngestStoryResponse, Status> {
    service.ingest.clone().ingest_story(request).await.map(tonic::Response::into_inner)
}

fn results(answer: &IngestStoryResponse) -> Vec<(Outcome, &str)> {
    answer.meetings.iter().map(|meeting| (meeting.outcome(), meeting.meeting.as_str())).collect()
}

#[tokio::test]
async fn report_joins_the_live_meeting_with_one_of_its_external_ids() {
    let service = Service::start().await;
    let first = send(&service, ingest(told("urn:a", &[&["1"]]))).await.unwrap();
    let meeting = results(&first)[0].1;
    assert_eq!(results(&first)[0].0, Outcome::Created);
    let dry = IngestStoryRequest { validate_only: true, ..ingest(told("urn:b", &[&["2", "1"]])) };
    let validated = send(&service, dry).await.unwrap();
    assert_eq!(results(&validated), [(Outcome::Updated, meeting)]);
    assert!(validated.effects.iter().any(|effect| effect.field == "account.external_ids"), "{validated:?}");
    let second = send(&service, ingest(told("urn:b", &[&["2", "1"]]))).await.unwrap();
    assert_eq!(results(&second), [(Outcome::Updated, meeting)]);
    // By the id that only the second report told.
    let third = send(&service, ingest(told("urn:c", &[&["2"]]))).await.unwrap();
    assert_eq!(results(&third), [(Outcome::Updated, meeting)]);
    let stored = service.meeting(meeting).await;
    assert_eq!((stored.report_count, stored.article_count), (3, 3));
    let before = service.contents().await;
    let again = send(&service, ingest(told("urn:b", &[&["1", "2"]]))).await.unwrap();
    assert_eq!(results(&again), [(Outcome::Matched, meeting)]);
    assert_eq!(service.contents().await, before);

    // A deleted meeting has freed its ids.
    service.delete_meeting(meeting).await.unwrap();
    let new = send(&service, ingest(told("urn:d", &[&["1"]]))).await.unwrap();
    assert_eq!(results(&new)[0].0, Outcome::Created);
    assert_ne!(results(&new)[0].1, meeting);
}

#[tokio::test]
async fn reports_of_one_story_that_share_an_external_id_have_one_meeting() {
    let service = Service::start().await;
    // The fourth report connects the first and the third.
    let answer = send(&service, ingest(told("urn:a", &[&["1"], &["2"], &["3"], &["3", "1"], &[]]))).await.unwrap();
    let found = results(&answer);
    assert!(found.iter().all(|(outcome, _)| *outcome == Outcome::Created), "{found:?}");
    assert_eq!((found[2].1, found[3].1), (found[0].1, found[0].1));
    let distinct: BTreeSet<&str> = found.iter().map(|(_, meeting)| *meeting).collect();
    assert_eq!(distinct.len(), 3);
    assert_eq!(service.meeting(found[0].1).await.report_count, 3);

    // A report that names a meeting takes the others with it.
    let mut given = told("urn:b", &[&["9"], &["9", "8"]]);
    given.reports[1].meeting = found[1].1.to_owned();
    let answer = send(&service, ingest(given)).await.unwrap();
    assert_eq!(results(&answer), [(Outcome::Updated, found[1].1), (Outcome::Given, found[1].1)]);
}

#[tokio::test]
async fn report_with_the_external_ids_of_two_meetings_is_refused_with_both_names() {
    let service = Service::start().await;
    let answer = send(&service, ingest(told("urn:a", &[&["1"], &["2"]]))).await.unwrap();
    let [one, two] = [0, 1].map(|at| answer.meetings[at].meeting.clone());
    let status = send(&service, ingest(told("urn:b", &[&["1", "2"]]))).await.unwrap_err();
    let named = [metadata_of(&status, "name"), metadata_of(&status, "other")];
    assert_eq!(BTreeSet::from(named), BTreeSet::from([one.clone(), two.clone()]));
    assert_eq!(status.code(), Code::AlreadyExists);
    // Two reports that share an id, each with that of another meeting.
    let status = send(&service, ingest(told("urn:b", &[&["1", "5"], &["5", "2"]]))).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);

    let mut other = told("urn:c", &[&["2"]]);
    other.reports[0].meeting.clone_from(&one);
    let status = send(&service, ingest(other)).await.unwrap_err();
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateMeeting, &two);

    service.merge(&one, &[&two]).await.unwrap();
    let joined = send(&service, ingest(told("urn:b", &[&["1", "2"]]))).await.unwrap();
    assert_eq!(results(&joined), [(Outcome::Updated, one.as_str())]);
}

#[tokio::test]
async fn external_ids_come_before_the_comparison_of_events() {
    let service = Service::start().await;
    let event = |uri: &str, ids: &[&str]| {
        let mut event = story(uri, &[person("Kerim Veliyev", "AZ"), person("Ruslan Tsalikov", "RU")]);
        let ids = told(uri, &[ids]).reports[0].account.as_ref().unwrap().external_ids.clone();
        let account = event.reports[0].account.as_mut().unwrap();
        account.date = crate::support::make::day(2020, 8, 24);
        account.place =
            Some(readout::pb::Place { locality: "Baku".into(), region_code: "AZ".into(), ..Default::default() });
        account.title = uri.into();
        account.external_ids = ids;
        for participation in &mut account.participations {
            participation.roles = vec![readout::pb::participation::Role::Host.into()];
        }
        IngestStoryRequest { meeting_matching: MeetingMatching::Same.into(), ..ingest(event) }
    };
    let first = send(&service, event("urn:a", &[])).await.unwrap();
    let meeting = results(&first)[0].1;
    // The event is the same: the meeting gets the id.
    let second = send(&service, event("urn:b", &["1"])).await.unwrap();
    assert_eq!(results(&second), [(Outcome::Updated, meeting)]);
    // The register tells this event apart.
    let third = send(&service, event("urn:c", &["2"])).await.unwrap();
    assert_eq!(results(&third)[0].0, Outcome::Created);
    assert!(third.warnings[0].contains(&format!("{meeting} (CANDIDATE)")), "{third:?}");
    let fourth = send(&service, event("urn:d", &["2"])).await.unwrap();
    assert_eq!(results(&fourth), [(Outcome::Updated, results(&third)[0].1)]);
}

#[tokio::test]
async fn stories_of_one_stream_join_the_meetings_of_its_earlier_stories() {
    let service = Service::start().await;
    let stories = (0..90).map(|at| streamed(told(&format!("urn:{at}"), &[&[&format!("{}", at % 3)]])));
    let stories: Vec<_> = stories.collect();
    let answers: Vec<_> =
        ingest_all(&service.ingest, stories).await.into_iter().map(|answer| outcome(answer).unwrap()).collect();
    for (at, answer) in answers.iter().enumerate() {
        let expected = if at < 3 { Outcome::Created } else { Outcome::Updated };
        assert_eq!(results(answer), [(expected, results(&answers[at % 3])[0].1)], "{at}");
    }
    let contents = service.contents().await;
    assert_eq!(contents.meetings.iter().map(|meeting| meeting.report_count).collect::<Vec<_>>(), [30, 30, 30]);
}

/// Of several streams through two instances, each tells every meeting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_streams_make_one_meeting_of_each_external_id() {
    const STREAMS: usize = 8;
    const MEETINGS: usize = 12;
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let streams = (0..STREAMS).map(|stream| {
        // Each stream has another order.
        let stories = (0..MEETINGS).map(move |at| (at * 5 + stream * 7) % MEETINGS);
        let stories = stories.map(move |at| streamed(told(&format!("urn:{stream}:{at}"), &[&[&format!("{at}")]])));
        ingest_all(&[&service, &other][stream % 2].ingest, stories.collect::<Vec<_>>())
    });
    for answer in join_all(streams).await.into_iter().flatten() {
        outcome(answer).unwrap();
    }
    let contents = service.contents().await;
    let counts: Vec<i32> = contents.meetings.iter().map(|meeting| meeting.report_count).collect();
    assert_eq!(counts, [i32::try_from(STREAMS).unwrap(); MEETINGS]);
}

/// Concurrent calls claim an id that is free, next to calls that create the meeting in another way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_calls_make_one_meeting_of_an_external_id() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..5 {
        let value = format!("{round}");
        let calls = (0..12).map(|call| {
            let story = told(&format!("urn:{round}:{call}"), &[&[&value]]);
            send([&service, &other][call % 2], ingest(story))
        });
        let created = async {
            let source = service.create_article(crate::support::make::article(&format!("urn:{round}"))).await;
            service.create_meeting(&source, crate::external_ids::with_ids("Talks", &[&value])).await
        };
        let (answers, created) = tokio::join!(join_all(calls), created);
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let meetings: BTreeSet<&str> = answers.iter().map(|answer| results(answer)[0].1).collect();
        assert_eq!(meetings.len(), 1, "{answers:?}");
        match created {
            Ok(meeting) => assert_eq!(meetings.first(), Some(&meeting.name.as_str())),
            Err(status) => {
                refused(status, Code::AlreadyExists, ErrorReason::DuplicateMeeting, meetings.first().unwrap())
            }
        }
        assert_eq!(service.meetings_found(&format!("external_id = \"nsw:{round}\""), true).await.len(), 1);
    }
}
