//! `IngestService`: matching of meetings. A report of an event that is known joins its meeting, whatever the order and
//! the number of streams.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use readout::pb::{
    IngestStoriesRequest, IngestStoryRequest, IngestStoryResponse, Participant, Place, Story, account::Kind,
    ingest_story_request::MeetingMatching, ingest_story_response::Outcome, participation::Role, report::Prominence,
};

use crate::support::{
    Service,
    make::{day, ingest, person, story, story_report, streamed},
    story_stream::{ingest_all, outcome},
};

/// The partner of the host, and the day in August.
fn event(uri: &str, partner: &str, date: i32) -> Story {
    let mut event = story(uri, &[person("Kerim Veliyev", "AZ"), person(partner, "RU")]);
    let account = event.reports[0].account.as_mut().unwrap();
    account.date = day(2020, 8, date);
    account.place = Some(Place { locality: "Baku".into(), region_code: "AZ".into(), ..Default::default() });
    account.title = format!("As {uri} tells it");
    account.participations[0].roles = vec![Role::Host.into()];
    account.participations[1].roles = vec![Role::Visitor.into()];
    event
}

fn with_same(story: Story) -> IngestStoryRequest {
    IngestStoryRequest { meeting_matching: MeetingMatching::Same.into(), ..ingest(story) }
}

fn streamed_with_same(story: Story) -> IngestStoriesRequest {
    IngestStoriesRequest { meeting_matching: MeetingMatching::Same.into(), ..streamed(story) }
}

async fn send(service: &Service, request: IngestStoryRequest) -> IngestStoryResponse {
    service.ingest.clone().ingest_story(request).await.unwrap().into_inner()
}

fn only(answer: &IngestStoryResponse) -> (Outcome, &str) {
    let [meeting] = &answer.meetings[..] else { panic!("one meeting: {answer:?}") };
    (meeting.outcome(), meeting.meeting.as_str())
}

#[tokio::test]
async fn report_gets_a_new_meeting_and_a_warning_without_matching() {
    let service = Service::start().await;
    let first = send(&service, ingest(event("urn:a", "Ruslan Tsalikov", 24))).await;
    assert!(first.warnings.is_empty(), "{first:?}");
    let second = send(&service, ingest(event("urn:b", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&second).0, Outcome::Created);
    assert_eq!(second.warnings, [format!("report \"talks\": may be the same event as {} (SAME)", only(&first).1)]);
    let next_day = send(&service, ingest(event("urn:c", "Ruslan Tsalikov", 25))).await;
    let [warning] = &next_day.warnings[..] else { panic!("{next_day:?}") };
    for meeting in [only(&first).1, only(&second).1] {
        assert!(warning.contains(&format!("{meeting} (CANDIDATE)")), "{warning}");
    }
    let unrelated = send(&service, ingest(event("urn:d", "Aleksandr Fomin", 24))).await;
    assert!(unrelated.warnings.is_empty(), "{unrelated:?}");
    // A stored report is only returned.
    assert!(send(&service, ingest(event("urn:b", "Ruslan Tsalikov", 24))).await.warnings.is_empty());
}

#[tokio::test]
async fn warning_names_at_most_ten_meetings() {
    let service = Service::start().await;
    let stories = (0..11).map(|at| streamed(event(&format!("urn:{at}"), "Ruslan Tsalikov", 24)));
    // A stream names none.
    let answers = ingest_all(&service.ingest, stories).await;
    assert!(answers.into_iter().all(|answer| outcome(answer).unwrap().warnings.is_empty()));
    let last = send(&service, ingest(event("urn:last", "Ruslan Tsalikov", 24))).await;
    assert_eq!(last.warnings[0].matches("meetings/").count(), 10);
}

#[tokio::test]
async fn report_of_the_same_event_joins_its_meeting() {
    let service = Service::start().await;
    let first = send(&service, ingest(event("urn:a", "Ruslan Tsalikov", 24))).await;
    let meeting = only(&first).1;
    let mut checked = with_same(event("urn:b", "Ruslan Tsalikov", 24));
    checked.validate_only = true;
    let checked = send(&service, checked).await;
    assert_eq!((only(&checked), checked.meetings[0].report.as_str()), ((Outcome::Updated, meeting), ""));

    let second = send(&service, with_same(event("urn:b", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&second), (Outcome::Updated, meeting));
    assert!(second.warnings.is_empty(), "{second:?}");
    let stored = service.meeting(meeting).await;
    assert_eq!((stored.report_count, stored.article_count, stored.revision), (2, 2, 2));

    let before = service.contents().await;
    let again = send(&service, with_same(event("urn:b", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&again), (Outcome::Matched, meeting));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn report_of_a_doubtful_event_joins_no_meeting() {
    let service = Service::start().await;
    let first = send(&service, ingest(event("urn:a", "Ruslan Tsalikov", 24))).await;
    type Change = fn(&mut Story);
    let changes: [(&str, Change); 9] = [
        ("next day", |story| story.reports[0].account.as_mut().unwrap().date = day(2020, 8, 25)),
        ("month", |story| story.reports[0].account.as_mut().unwrap().date = day(2020, 8, 0)),
        ("no place", |story| story.reports[0].account.as_mut().unwrap().place = None),
        ("other kind", |story| story.reports[0].account.as_mut().unwrap().set_kind(Kind::Signing)),
        ("year later", |story| story.reports[0].account.as_mut().unwrap().date = day(2021, 8, 24)),
        ("no date", |story| story.reports[0].account.as_mut().unwrap().date = None),
        ("background", |story| story.reports[0].set_prominence(Prominence::Background)),
        ("planned", |story| {
            story.reports[0].account.as_mut().unwrap().set_status(readout::pb::account::Status::Planned);
        }),
        ("third side", |story| {
            let mut third = story.clone();
            let people = [person("Kerim Veliyev", "AZ"), person("Ruslan Tsalikov", "RU"), person("Hulusi Akar", "TR")];
            third.participants = self::story("urn:x", &people).participants;
            let mut report = story_report("talks", &third.participants);
            let account = third.reports[0].account.clone().unwrap();
            let participations = report.account.take().unwrap().participations;
            report.account = Some(readout::pb::Account { participations, ..account });
            third.reports = vec![report];
            *story = third;
        }),
    ];
    for (name, change) in changes {
        let mut story = event(&format!("urn:{name}"), "Ruslan Tsalikov", 24);
        change(&mut story);
        let answer = send(&service, with_same(story)).await;
        assert_eq!(only(&answer).0, Outcome::Created, "{name}");
        let is_candidate = !matches!(name, "year later" | "no date");
        let named = answer.warnings.iter().any(|warning| warning.contains(only(&first).1));
        assert_eq!(named, is_candidate, "{name}: {:?}", answer.warnings);
    }
    assert_eq!(service.meeting(only(&first).1).await.report_count, 1);
}

#[tokio::test]
async fn report_joins_none_of_several_same_meetings_and_the_survivor_of_their_merge() {
    let service = Service::start().await;
    let mut meetings = Vec::new();
    for uri in ["urn:a", "urn:b"] {
        let answer = send(&service, ingest(event(uri, "Ruslan Tsalikov", 24))).await;
        meetings.push(only(&answer).1.to_owned());
    }
    let third = send(&service, with_same(event("urn:c", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&third).0, Outcome::Created);
    assert_eq!(third.warnings[0].matches("(CANDIDATE)").count(), 2);

    service.merge(&meetings[0], &[&meetings[1], only(&third).1]).await.unwrap();
    let fourth = send(&service, with_same(event("urn:d", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&fourth), (Outcome::Updated, meetings[0].as_str()));
}

#[tokio::test]
async fn report_does_not_join_a_meeting_that_is_deleted_or_only_background() {
    let service = Service::start().await;
    let deleted = send(&service, ingest(event("urn:a", "Ruslan Tsalikov", 24))).await;
    service.delete_meeting(only(&deleted).1).await.unwrap();
    let mut background = event("urn:b", "Ruslan Tsalikov", 24);
    background.reports[0].set_prominence(Prominence::Background);
    let background = send(&service, with_same(background)).await;
    let third = send(&service, with_same(event("urn:c", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&third).0, Outcome::Created);
    // The background meeting is none of two.
    let fourth = send(&service, with_same(event("urn:d", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&fourth), (Outcome::Updated, only(&third).1));
    assert_eq!(service.meeting(only(&background).1).await.report_count, 1);
}

#[tokio::test]
async fn reports_of_one_story_never_share_a_meeting() {
    let service = Service::start().await;
    let mut twice = event("urn:a", "Ruslan Tsalikov", 24);
    let mut second = twice.reports[0].clone();
    second.key = "again".into();
    second.account.as_mut().unwrap().title = "The second round of the day".into();
    twice.reports.push(second);
    let answer = send(&service, with_same(twice.clone())).await;
    assert!(answer.meetings.iter().all(|meeting| meeting.outcome() == Outcome::Created), "{answer:?}");

    // Not either of them joins the meeting of an earlier story.
    let other = send(&service, ingest(event("urn:b", "Aleksandr Fomin", 26))).await;
    let mut later = event("urn:c", "Aleksandr Fomin", 26);
    let mut second = later.reports[0].clone();
    second.key = "again".into();
    second.account.as_mut().unwrap().title = "The second round of the day".into();
    later.reports.push(second);
    let answer = send(&service, with_same(later)).await;
    assert!(answer.meetings.iter().all(|meeting| meeting.outcome() == Outcome::Created), "{answer:?}");
    assert_eq!(service.meeting(only(&other).1).await.report_count, 1);

    // A story that names the meeting for one report does not add the other to it.
    let mut named = event("urn:d", "Aleksandr Fomin", 26);
    named.reports[0].meeting = only(&other).1.to_owned();
    named.reports[0].account.as_mut().unwrap().set_kind(Kind::Signing);
    let unnamed = event("urn:d", "Aleksandr Fomin", 26).reports.remove(0);
    named.reports.push(readout::pb::StoryReport { key: "again".into(), ..unnamed });
    let answer = send(&service, with_same(named)).await;
    assert_eq!(answer.meetings[0].outcome(), Outcome::Given);
    assert_ne!(answer.meetings[1].meeting, answer.meetings[0].meeting);
}

#[tokio::test]
async fn stream_adds_reports_to_the_meetings_of_its_earlier_stories() {
    let service = Service::start().await;
    let partners = ["Ruslan Tsalikov", "Aleksandr Fomin", "Sergey Shoygu"];
    let stories = (0..90).map(move |at| streamed_with_same(event(&format!("urn:{at}"), partners[at % 3], 24)));
    let answers: Vec<_> =
        ingest_all(&service.ingest, stories).await.into_iter().map(|answer| outcome(answer).unwrap()).collect();
    for (at, answer) in answers.iter().enumerate() {
        let expected = if at < 3 { Outcome::Created } else { Outcome::Updated };
        assert_eq!(only(answer), (expected, only(&answers[at % 3]).1), "{at}");
    }
    let contents = service.contents().await;
    assert_eq!(contents.meetings.iter().map(|meeting| meeting.report_count).collect::<Vec<_>>(), [30, 30, 30]);
}

/// Of several streams through two instances, each tells every event; the participants are new, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_streams_make_one_meeting_of_each_event() {
    const STREAMS: usize = 8;
    const EVENTS: usize = 12;
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let streams = (0..STREAMS).map(|stream| {
        // Each stream has another order.
        let stories = (0..EVENTS).map(move |at| (at * 5 + stream * 7) % EVENTS);
        let stories = stories.map(move |at| {
            let uri = format!("urn:{stream}:{at}");
            streamed_with_same(event(&uri, &format!("Partner {}", at / 2), 1 + 3 * i32::try_from(at).unwrap() % 28))
        });
        ingest_all(&[&service, &other][stream % 2].ingest, stories)
    });
    let answers = join_all(streams).await;
    for answer in answers.into_iter().flatten() {
        outcome(answer).unwrap();
    }
    let contents = service.contents().await;
    let counts: Vec<i32> = contents.meetings.iter().map(|meeting| meeting.report_count).collect();
    assert_eq!(counts, [i32::try_from(STREAMS).unwrap(); EVENTS]);
    let by_date: BTreeMap<String, usize> = contents.meetings.iter().fold(BTreeMap::new(), |mut by_date, meeting| {
        let account = meeting.account.as_ref().unwrap();
        *by_date.entry(format!("{:?} {:?}", account.date, account.participations)).or_default() += 1;
        by_date
    });
    assert_eq!(by_date.len(), EVENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_unary_calls_make_one_meeting() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..5 {
        let partner = format!("Partner {round}");
        let calls = (0..12).map(|call| {
            send([&service, &other][call % 2], with_same(event(&format!("urn:{round}:{call}"), &partner, 24)))
        });
        let answers = join_all(calls).await;
        let meetings: BTreeSet<&str> = answers.iter().map(|answer| only(answer).1).collect();
        assert_eq!(meetings.len(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| only(answer).0 == Outcome::Created).count(), 1);
    }
}

#[tokio::test]
async fn report_joins_no_meeting_if_its_principal_has_more_than_256_on_the_day() {
    let service = Service::start().await;
    let first = send(&service, ingest(event("urn:a", "Ruslan Tsalikov", 24))).await;
    let others = |from: usize, to: usize| {
        let partner = |at: usize| person(&format!("Partner {at}"), "RU");
        let stories = (from..to).map(move |at| {
            let mut story = event(&format!("urn:{at}"), "", 24);
            let Participant { display_name, .. } = partner(at);
            story.participants[1].participant.as_mut().unwrap().display_name = display_name;
            streamed(story)
        });
        stories.collect::<Vec<_>>()
    };
    ingest_all(&service.ingest, others(0, 255)).await;
    let joined = send(&service, with_same(event("urn:b", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&joined), (Outcome::Updated, only(&first).1));
    ingest_all(&service.ingest, others(255, 256)).await;
    let alone = send(&service, with_same(event("urn:c", "Ruslan Tsalikov", 24))).await;
    assert_eq!(only(&alone).0, Outcome::Created);
}
