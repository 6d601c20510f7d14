//! IngestStories with `dry_run`, and stories of participants alone.

use crate::support::{
    Refused, Service,
    make::{day, keyed, person, story, streamed, wikidata},
    reason_of,
    status::metadata_of,
    story_stream::{Dialogue, ingest_all, outcome},
};
use prost::Message;
use readout::pb::{
    ErrorReason, IngestStoriesRequest, ParticipantName, Statement, Story, ingest_story_request::MeetingMatching,
    ingest_story_response::Outcome,
};
use tonic::Code;

fn dry_run(story: Story) -> IngestStoriesRequest {
    IngestStoriesRequest { dry_run: true, ..streamed(story) }
}

/// A page about a person.
fn page(uri: &str, about: readout::pb::Participant) -> Story {
    Story { reports: Vec::new(), ..story(uri, &[about]) }
}

#[tokio::test]
async fn dry_run_answers_as_the_stream_would_and_other_calls_see_nothing() {
    let service = Service::start().await;
    let stored =
        outcome(ingest_all(&service.ingest, [streamed(story("urn:0", &[person("Gul", "AZ")]))]).await.remove(0));
    let stored = stored.unwrap();
    let before = service.contents().await;

    let mut dialogue = Dialogue::begin(&service.ingest).await;
    let first = dialogue.send(dry_run(story("urn:1", &[person("Ali", "AZ"), person("Gul", "AZ")]))).await.unwrap();
    assert_eq!(first.article_outcome(), Outcome::Created);
    assert_eq!(first.participants[0].outcome(), Outcome::Created);
    assert_eq!(first.participants[1].name, stored.participants[0].name);
    // Another stream neither sees nor waits for it.
    let other = ingest_all(&service.ingest, [dry_run(story("urn:1", &[person("Ali", "AZ")]))]).await.remove(0);
    assert!(other.position.is_empty());
    assert_eq!(outcome(other).unwrap().participants[0].outcome(), Outcome::Created);

    let again = dialogue.send(dry_run(story("urn:2", &[person("ALI", "AZ")]))).await.unwrap();
    assert_eq!(again.participants[0].name, first.participants[0].name);
    assert_eq!(again.participants[0].outcome(), Outcome::Updated, "it learns the spelling");
    let mut added = story("urn:3", &[person("Ali", "AZ")]);
    added.reports[0].meeting.clone_from(&stored.meetings[0].meeting);
    let given = dialogue.send(dry_run(added.clone())).await.unwrap();
    assert_eq!(given.meetings[0].outcome(), Outcome::Given);
    let repeated = dialogue.send(dry_run(added)).await.unwrap();
    assert_eq!(
        repeated.meetings,
        [readout::pb::ingest_story_response::MeetingResult {
            outcome: Outcome::Matched.into(),
            ..given.meetings[0].clone()
        }]
    );
    let mut differs = story("urn:1", &[person("Ali", "AZ")]);
    differs.article.as_mut().unwrap().title = "Another".into();
    let refused = dialogue.send(dry_run(differs.clone())).await.unwrap_err();
    assert_eq!(reason_of(&refused), ErrorReason::ArticleDiffers);
    let update = IngestStoriesRequest { allow_update: true, ..dry_run(differs) };
    assert_eq!(dialogue.send(update).await.unwrap().article_outcome(), Outcome::Updated);

    assert_eq!(service.contents().await.changes, before.changes);
    assert_eq!(service.contents().await.articles, before.articles);
}

#[tokio::test]
async fn dry_run_does_not_delay_the_writes_of_others() {
    let service = Service::start().await;
    let mut dialogue = Dialogue::begin(&service.ingest).await;
    dialogue.send(dry_run(story("urn:1", &[person("Ali", "AZ")]))).await.unwrap();
    // The same records, while the dry run is open.
    let written = ingest_all(&service.ingest, [streamed(story("urn:1", &[person("Ali", "AZ")]))]).await.remove(0);
    let written = outcome(written).unwrap();
    assert_eq!(written.article_outcome(), Outcome::Created);
    // The dry run keeps what it has planned.
    let planned = dialogue.send(dry_run(story("urn:1", &[person("Ali", "AZ")]))).await.unwrap();
    assert_eq!(planned.article_outcome(), Outcome::Matched);
    assert_ne!(planned.article, written.article);
}

#[tokio::test]
async fn dry_run_joins_reports_to_planned_meetings() {
    let service = Service::start().await;
    let met = |uri: &str| {
        let mut story = story(uri, &[person("Ali", "AZ"), person("Gul", "TR")]);
        let account = story.reports[0].account.as_mut().unwrap();
        account.date = day(2020, 9, 3);
        account.place =
            Some(readout::pb::Place { region_code: "AZ".into(), locality: "Baku".into(), ..Default::default() });
        IngestStoriesRequest { meeting_matching: MeetingMatching::Same.into(), ..dry_run(story) }
    };
    let answers = ingest_all(&service.ingest, ["urn:1", "urn:2", "urn:3"].map(met)).await;
    let meetings: Vec<_> = answers.into_iter().map(|answer| outcome(answer).unwrap().meetings.remove(0)).collect();
    assert!(meetings.iter().all(|meeting| meeting.meeting == meetings[0].meeting));
    let outcomes: Vec<Outcome> = meetings.iter().map(|meeting| meeting.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Created, Outcome::Updated, Outcome::Updated]);
}

#[tokio::test]
async fn stream_refuses_stories_that_are_not_all_of_a_dry_run() {
    let service = Service::start().await;
    let requests = [
        dry_run(story("urn:1", &[])),
        streamed(story("urn:2", &[])),
        IngestStoriesRequest { validate_only: true, ..dry_run(story("urn:3", &[])) },
        dry_run(story("urn:4", &[])),
    ];
    let answers: Vec<_> = ingest_all(&service.ingest, requests).await.into_iter().map(outcome).collect();
    let refused = |index: usize| Refused::from(answers[index].clone().unwrap_err());
    assert_eq!(refused(1), Refused::invalid(["dry_run"]));
    assert_eq!(refused(2), Refused::invalid(["validate_only"]));
    assert!(answers[0].is_ok() && answers[3].is_ok());
    assert_eq!(service.contents().await.changes, 0);
}

#[tokio::test]
async fn third_dry_run_waits_for_one_of_the_others_to_end() {
    let service = Service::start().await;
    // A caller holds two at a time; a third is reserved for others.
    let mut open = Vec::new();
    for number in 0..2 {
        let mut dialogue = Dialogue::begin(&service.ingest).await;
        dialogue.send(dry_run(story(&format!("urn:{number}"), &[]))).await.unwrap();
        open.push(dialogue);
    }
    let third = ingest_all(&service.ingest, [dry_run(story("urn:3", &[]))]);
    tokio::pin!(third);
    tokio::select! {
        biased;
        _ = &mut third => panic!("it does not wait"),
        answered = ingest_all(&service.ingest, [streamed(story("urn:4", &[]))]) => assert_eq!(answered.len(), 1),
    }
    open.pop();
    assert!(outcome(third.await.remove(0)).is_ok());
}

#[tokio::test]
async fn story_of_participants_alone_is_matched_and_teaches() {
    let service = Service::start().await;
    let met = story("urn:1", &[person("Imran Khan", "PK")]);
    let alias = ParticipantName { text: "عمران خان".into(), ..Default::default() };
    let about = readout::pb::Participant {
        external_ids: wikidata("Q155164"),
        names: vec![alias],
        ..person("Imran Khan", "PK")
    };
    let by_alias = story("urn:3", &[person("عمران خان", "PK")]);
    let by_id = readout::pb::Participant { external_ids: wikidata("Q155164"), ..person("I. Khan", "PK") };
    let requests = [met, page("urn:2", about.clone()), by_alias, page("urn:4", by_id), page("urn:2", about)];
    let answers = ingest_all(&service.ingest, requests.map(streamed)).await;
    let results: Vec<_> = answers.into_iter().map(|answer| outcome(answer).unwrap()).collect();
    let first = &results[0].participants[0];
    assert!(results.iter().all(|result| result.participants[0].name == first.name && result.warnings.is_empty()));
    let outcomes: Vec<Outcome> = results.iter().map(|result| result.participants[0].outcome()).collect();
    assert_eq!(outcomes, [Outcome::Created, Outcome::Updated, Outcome::Matched, Outcome::Updated, Outcome::Matched]);
    assert!(results[1].meetings.is_empty());
}

#[tokio::test]
async fn people_are_imported_before_their_meetings() {
    let service = Service::start().await;
    let about = readout::pb::Participant { external_ids: wikidata("Q1"), ..person("Imran Khan", "PK") };
    let requests = [page("urn:1", about), story("urn:2", &[person("Imran Khan", "PK")])];
    let answers = ingest_all(&service.ingest, requests.map(streamed)).await;
    let results: Vec<_> = answers.into_iter().map(|answer| outcome(answer).unwrap()).collect();
    assert_eq!(results[0].participants[0].outcome(), Outcome::Created);
    assert_eq!(results[1].participants[0].outcome(), Outcome::Matched);
    assert_eq!(results[0].participants[0].name, results[1].participants[0].name);
}

#[tokio::test]
async fn story_without_an_article_or_with_a_broken_participant_is_refused() {
    let service = Service::start().await;
    let mut no_article = page("urn:1", person("Ali", "AZ"));
    no_article.article = None;
    let mut twice = page("urn:1", person("Ali", "AZ"));
    twice.participants.push(keyed("p0", person("Gul", "AZ")));
    let mut unused = story("urn:1", &[person("Ali", "AZ")]);
    unused.participants.push(keyed("typo", person("Gul", "AZ")));
    let unnamed = page("urn:1", person("", "AZ"));
    for (story, field) in [
        (no_article, "story.article"),
        (twice, "story.participants[1].key"),
        (unused, "story.participants[1].key"),
        (unnamed, "story.participants[0].participant.display_name"),
    ] {
        let answer = outcome(ingest_all(&service.ingest, [streamed(story)]).await.remove(0));
        assert_eq!(Refused::from(answer.unwrap_err()), Refused::invalid([field]));
    }
}

#[tokio::test]
async fn dry_run_above_its_limit_ends_the_stream_and_writes_nothing() {
    const LIMIT: usize = 128 * 1024 * 1024;
    // With others, an account of some megabytes.
    let statement = |at: usize| Statement { id: format!("s{at}"), text: "a".repeat(8_000), ..Default::default() };
    let statements: Vec<Statement> = (0..480).map(statement).collect();
    let large = |number: usize| {
        let mut story = story(&format!("urn:{number}"), &[]);
        story.reports[0].account.as_mut().unwrap().statements.clone_from(&statements);
        dry_run(story)
    };
    let service = Service::start().await;
    let mut dialogue = Dialogue::begin(&service.ingest).await;
    let mut planned = 0;
    let refused = loop {
        let request = large(planned);
        match dialogue.try_send(request).await {
            Ok(answer) => drop(answer.unwrap()),
            Err(status) => break status,
        }
        planned += 1;
    };
    // The story that exceeds the limit is still answered.
    let of_story = statements.iter().map(Message::encoded_len).sum::<usize>();
    assert!(planned * of_story <= LIMIT + of_story && (planned + 1) * of_story > LIMIT, "{planned} of {of_story}");
    assert_eq!(metadata_of(&refused, "limit_bytes"), LIMIT.to_string());
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::DryRunTooLarge));
    // The next stream begins with nothing, and none has written.
    let mut next = Dialogue::begin(&service.ingest).await;
    next.send(large(0)).await.unwrap();
    assert_eq!(service.contents().await.changes, 0);
}
