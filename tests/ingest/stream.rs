//! `IngestService.IngestStories`: streams of stories.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use readout::pb::{
    ErrorReason, Evidence, IngestStoriesRequest, Story, ingest_service_client::IngestServiceClient,
    ingest_story_response::Outcome,
};
use tonic::{Code, transport::Endpoint};
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{ingest, person, story, story_report, streamed},
    reason_of,
    story_stream::{Dialogue, ingest_all, outcome},
};

/// The number in a position of the feed.
fn number(position: &str) -> u64 {
    position.split_once('.').and_then(|(_, number)| number.parse().ok()).expect("epoch.number")
}

#[tokio::test]
async fn ingest_stream_answers_stories_in_order_with_index_and_position() {
    let service = Service::start().await;
    let stories = (0..200).map(|at| streamed(story(&format!("urn:{at}"), &[person(&format!("P{at}"), "")])));
    let answers = ingest_all(&service.ingest, stories).await;
    assert_eq!(answers.len(), 200);
    assert!(answers.is_sorted_by_key(|answer| number(&answer.position)));
    let contents = service.contents().await;
    assert_eq!(number(&answers[199].position), contents.changes.unsigned_abs());
    for (at, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.index, i64::try_from(at).unwrap());
        let result = outcome(answer).unwrap();
        assert_eq!(result.article_outcome(), Outcome::Created);
        let article = contents.articles.iter().find(|article| article.name == result.article).unwrap();
        assert_eq!(article.uri, format!("urn:{at}"));
    }
}

#[tokio::test]
async fn ingest_stream_continues_after_a_refused_story() {
    let service = Service::start().await;
    let good = |uri: &str| story(uri, &[person("Kerim Veliyev", "AZ")]);
    let mut no_uri = good("");
    no_uri.reports[0].account = None;
    let mut quote = good("urn:x");
    quote.reports[0].evidence = vec![Evidence { field: "kind".into(), quote: "Lavrov".into(), ..Default::default() }];
    let mut differs = good("urn:1");
    differs.article.as_mut().unwrap().title = "Another".into();
    let mut missing = good("urn:x");
    missing.reports[0].meeting = format!("meetings/{}", Uuid::now_v7());
    let stories = [no_uri, good("urn:1"), quote, differs, good("urn:2"), missing.clone(), good("urn:3"), missing];
    let answers = ingest_all(&service.ingest, stories.map(streamed)).await;

    let not_found = || Err(Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    let expected = [
        Err(Refused::invalid(["story.article.uri", "story.reports[0].account", "story.participants[0].key"])),
        Ok(()),
        Err(Refused::fields(ErrorReason::EvidenceNotFound, ["story.reports[0].evidence[0].quote"])),
        Err(Refused::with(Code::AlreadyExists, ErrorReason::ArticleDiffers)),
        Ok(()),
        not_found(),
        Ok(()),
        not_found(),
    ];
    assert_eq!(answers.len(), expected.len());
    for (at, (answer, expected)) in answers.into_iter().zip(expected).enumerate() {
        assert_eq!(answer.index, i64::try_from(at).unwrap());
        assert_eq!(answer.position.is_empty(), expected.is_err());
        assert_eq!(outcome(answer).map(drop).map_err(Refused::from), expected, "{at}");
    }
    assert_eq!(service.contents().await.articles.len(), 3);
}

#[tokio::test]
async fn ingest_stream_story_sees_the_earlier_stories() {
    let service = Service::start().await;
    let first = story("urn:a", &[person("Kerim Veliyev", "AZ")]);
    let mut more = first.clone();
    more.reports.push(story_report("more", &more.participants));
    let mut changed = first.clone();
    changed.article.as_mut().unwrap().title = "Corrected".into();
    let changed = IngestStoriesRequest { allow_update: true, ..streamed(changed) };
    let other = story("urn:b", &[person("KERIM VELIYEV", "AZ"), person("Ruslan Tsalikov", "RU")]);
    // Sent without waiting for responses, so that the stories arrive together.
    let requests = [streamed(first.clone()), streamed(first), streamed(other), streamed(more), changed];
    let answers = ingest_all(&service.ingest, requests).await;
    assert!(answers.iter().all(|answer| !answer.position.is_empty()));
    let answers: Vec<_> = answers.into_iter().map(|answer| outcome(answer).unwrap()).collect();

    let of_article: Vec<_> = answers.iter().map(|answer| answer.article_outcome()).collect();
    use Outcome::{Created, Matched, Updated};
    assert_eq!(of_article, [Created, Matched, Created, Matched, Updated]);
    assert_eq!(
        (&answers[1].article, &answers[1].meetings[0].report),
        (&answers[0].article, &answers[0].meetings[0].report)
    );
    assert_eq!(answers[2].participants[0].outcome(), Updated);
    assert_eq!(answers[2].participants[0].name, answers[0].participants[0].name);
    assert_eq!(answers[3].meetings.iter().map(|meeting| meeting.outcome()).collect::<Vec<_>>(), [Matched, Created]);
    let contents = service.contents().await;
    assert_eq!((contents.articles.len(), contents.participants.len(), contents.meetings.len()), (2, 2, 3));
}

#[tokio::test]
async fn ingest_stream_answers_each_story_without_waiting_for_the_next() {
    let service = Service::start().await;
    let mut dialogue = Dialogue::begin(&service.ingest).await;
    let first = dialogue.send_story(story("urn:a", &[person("Kerim Veliyev", "AZ")])).await.unwrap();
    let meeting = &first.meetings[0].meeting;
    for uri in ["urn:b", "urn:c"] {
        let mut more = story(uri, &[person("Kerim Veliyev", "AZ")]);
        more.reports[0].meeting.clone_from(meeting);
        let answer = dialogue.send_story(more).await.unwrap();
        assert_eq!((answer.meetings[0].outcome(), &answer.meetings[0].meeting), (Outcome::Given, meeting));
        assert_eq!(answer.participants[0].name, first.participants[0].name);
    }
    assert_eq!(service.meeting(meeting).await.report_count, 3);
}

#[tokio::test]
async fn ingest_stream_repeats_the_response_of_a_request_id_and_refuses_its_reuse() {
    let service = Service::start().await;
    let request = |uri: &str| IngestStoriesRequest { request_id: "r-1".into(), ..streamed(story(uri, &[])) };
    let answers = ingest_all(&service.ingest, [request("urn:a"), request("urn:b"), request("urn:a")]).await;
    let answers: Vec<_> = answers.into_iter().map(outcome).collect();
    let first = answers[0].as_ref().unwrap();
    assert_eq!(first.article_outcome(), Outcome::Created);
    assert_eq!(answers[2].as_ref().unwrap(), first);
    assert_eq!(reason_of(answers[1].as_ref().unwrap_err()), ErrorReason::RequestIdReused);
    assert_eq!(service.contents().await.articles.len(), 1);
}

#[tokio::test]
async fn ingest_stream_writes_nothing_when_validate_only() {
    let service = Service::start().await;
    let checked = |uri: &str| IngestStoriesRequest {
        validate_only: true,
        ..streamed(story(uri, &[person("Kerim Veliyev", "AZ")]))
    };
    let answers = ingest_all(&service.ingest, [checked("urn:a"), checked("urn:a"), checked("urn:b")]).await;
    for answer in answers {
        assert_eq!(answer.position, "");
        let result = outcome(answer).unwrap();
        assert_eq!((result.article_outcome(), result.article.as_str()), (Outcome::Created, ""));
        assert_eq!(result.participants[0].outcome(), Outcome::Created);
    }
    assert_eq!(service.contents().await.changes, 0);
}

#[tokio::test]
async fn concurrent_ingest_streams_create_one_participant_per_name() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let streams = (0..6).map(|stream| {
        let client = if stream % 2 == 0 { &service } else { &other }.ingest.clone();
        let stories = (0..60).map(move |at: usize| {
            let name = |number: usize| person(&format!("Person {}", number % 25), "AZ");
            streamed(story(&format!("urn:{stream}:{at}"), &[name(at), name(at + 7 * (stream + 1))]))
        });
        async move { ingest_all(&client, stories).await }
    });
    let answers = futures_util::future::join_all(streams).await;
    let mut names = BTreeSet::new();
    let mut created = 0;
    for answer in answers.into_iter().flatten() {
        for participant in outcome(answer).unwrap().participants {
            created += usize::from(participant.outcome() == Outcome::Created);
            names.insert(participant.name);
        }
    }
    assert_eq!((names.len(), created), (25, 25));
    let contents = service.contents().await;
    assert_eq!((contents.participants.len(), contents.articles.len(), contents.reports.len()), (25, 360, 360));
}

/// A story of two meetings and two people. The first person is in every story.
fn two_meetings(at: usize) -> Story {
    let mut story = story(&format!("urn:{at}"), &[person("Kerim Veliyev", "AZ"), person(&format!("Guest {at}"), "")]);
    story.reports.push(story_report("visit", &story.participants[1..]));
    story
}

#[tokio::test]
async fn broken_ingest_stream_keeps_every_acknowledged_story_and_no_partial_one() {
    let service = Service::start().await;
    let mut acknowledged = Vec::new();
    {
        let mut client = IngestServiceClient::new(service.channel().await);
        let stories = tokio_stream::iter((0..).map(|at| streamed(two_meetings(at))));
        let mut answers = client.ingest_stories(stories).await.unwrap().into_inner();
        while acknowledged.len() < 100 {
            acknowledged.push(outcome(answers.message().await.unwrap().unwrap()).unwrap());
        }
    }
    let database = service.database.clone();
    service.stop().await;

    let service = Service::start_on(database).await;
    let contents = service.contents().await;
    let names: BTreeSet<_> = contents.articles.iter().map(|article| article.name.as_str()).collect();
    assert!(acknowledged.iter().all(|answer| names.contains(answer.article.as_str())));
    let reports: BTreeSet<_> = contents.reports.iter().map(|report| report.name.as_str()).collect();
    assert!(
        acknowledged
            .iter()
            .flat_map(|answer| &answer.meetings)
            .all(|meeting| reports.contains(meeting.report.as_str()))
    );

    let stories = contents.articles.len();
    assert_eq!(contents.reports.len(), 2 * stories);
    assert_eq!(contents.meetings.len(), 2 * stories);
    assert_eq!(contents.participants.len(), 1 + stories);
    let reported: BTreeSet<_> = contents.reports.iter().map(|report| &report.meeting).collect();
    assert_eq!(reported, contents.meetings.iter().map(|meeting| &meeting.name).collect());
    let named = contents.reports.iter().flat_map(|report| &report.account.as_ref().unwrap().participations);
    let named: BTreeSet<_> = named.map(|participation| &participation.participant).collect();
    assert_eq!(named, contents.participants.iter().map(|participant| &participant.name).collect());
    assert_eq!(contents.changes, i64::try_from(1 + 6 * stories).unwrap());
}

#[tokio::test]
async fn ingest_stream_applies_backpressure_to_a_client_that_reads_no_responses() {
    let service = Service::start().await;
    // The response window is small and the responses are long.
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let mut client = IngestServiceClient::new(endpoint.connect().await.unwrap());
    let long = |at: usize| {
        let people: Vec<_> = (0..5).map(|number| person(&format!("Person {number}"), "")).collect();
        let mut story = story(&format!("urn:{at}"), &people);
        story.article.as_mut().unwrap().text = format!("{at} {}", "x".repeat(20_000));
        story.reports[0].key = "k".repeat(128);
        for entry in &mut story.participants {
            let key = format!("{:0>128}", entry.key);
            story.reports[0].account.as_mut().unwrap().participations.iter_mut().for_each(|part| {
                if part.participant == format!("#{}", entry.key) {
                    part.participant = format!("#{key}");
                }
            });
            entry.key = key;
        }
        streamed(story)
    };
    let (taken, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let stories = {
        let (taken, enough) = (taken.clone(), enough.clone());
        std::iter::from_fn(move || {
            let more = !enough.load(Ordering::Relaxed);
            more.then(|| long(taken.fetch_add(1, Ordering::Relaxed)))
        })
    };
    let mut answers = client.ingest_stories(tokio_stream::iter(stories)).await.unwrap().into_inner();

    // The stream is blocked once other clients are served for five rounds while it takes no further story.
    let mut idle_rounds = 0;
    let mut before = 0;
    for round in 0.. {
        for other in 0..20 {
            let story = story(&format!("urn:other:{round}:{other}"), &[]);
            service.ingest.clone().ingest_story(ingest(story)).await.unwrap();
        }
        let now = taken.load(Ordering::Relaxed);
        assert!(now < 1_000, "the service takes stories without backpressure");
        idle_rounds = if now == before && now > 0 { idle_rounds + 1 } else { 0 };
        before = now;
        if idle_rounds == 5 {
            break;
        }
    }

    // The stream resumes once the responses are read, and no story is lost.
    enough.store(true, Ordering::Relaxed);
    let mut index = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(answer.index, index);
        outcome(answer).unwrap();
        index += 1;
    }
    assert_eq!(usize::try_from(index).unwrap(), taken.load(Ordering::Relaxed));
}
