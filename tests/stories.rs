//! 4,439 real stories, through several streams at a time.

use std::{collections::BTreeMap, io::Read};

use flate2::read::GzDecoder;
use readout::{
    cli::json,
    pb::{
        IngestStoriesResponse, IngestStoryResponse, Meeting, Story,
        account::{Kind, Status},
        ingest_story_response::Outcome,
        participation::{Presence, Role},
    },
};
use serde_json::Value;

use crate::support::{
    Service,
    contents::Contents,
    make::streamed,
    stream::{ingest_all, outcome},
};

const STORIES: usize = 4_439;
/// Spellings: the source has fewer people.
const PARTICIPANTS: usize = 1_797;
const STREAMS: usize = 4;

fn lines() -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("data/stories.ndjson.gz")[..]).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Sends all stories, each stream every fourth of them; the answers in the order of the lines.
async fn ingest(service: &Service, lines: &[String]) -> Vec<IngestStoryResponse> {
    let streams = (0..STREAMS).map(|stream| {
        let client = service.ingest.clone();
        let stories: Vec<Story> = lines
            .iter()
            .skip(stream)
            .step_by(STREAMS)
            .map(|line| json::parse("readout.v1.Story", line).unwrap())
            .collect();
        tokio::spawn(async move { ingest_all(&client, stories.into_iter().map(streamed)).await })
    });
    let streams: Vec<_> = streams.collect();
    let mut answers: BTreeMap<usize, IngestStoryResponse> = BTreeMap::new();
    for (stream, task) in streams.into_iter().enumerate() {
        for (at, answer) in task.await.unwrap().into_iter().enumerate() {
            answers.insert(at * STREAMS + stream, told(answer));
        }
    }
    answers.into_values().collect()
}

fn told(answer: IngestStoriesResponse) -> IngestStoryResponse {
    assert!(!answer.position.is_empty());
    outcome(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_stories_are_all_told_once() {
    let service = Service::start().await;
    let lines = lines();
    let answers = ingest(&service, &lines).await;
    assert_eq!(answers.len(), STORIES);
    assert!(answers.iter().all(|one| one.article_outcome() == Outcome::Created));
    assert!(answers.iter().flat_map(|one| &one.meetings).all(|one| one.outcome() == Outcome::Created));
    assert!(answers.iter().all(|one| one.warnings.is_empty()));
    let contents = service.contents().await;
    assert_eq!(
        (contents.articles.len(), contents.meetings.len(), contents.reports.len(), contents.participants.len()),
        (STORIES, STORIES, STORIES, PARTICIPANTS)
    );
    assert_eq!(contents.changes, i64::try_from(3 * STORIES + PARTICIPANTS).unwrap());

    for (line, answer) in lines.iter().zip(&answers).step_by(89) {
        check(&serde_json::from_str(line).unwrap(), answer, &contents);
    }

    let again = ingest(&service, &lines).await;
    for (first, again) in answers.into_iter().zip(again) {
        let mut expected = first;
        expected.set_article_outcome(Outcome::Matched);
        expected.participants.iter_mut().for_each(|one| one.set_outcome(Outcome::Matched));
        expected.meetings.iter_mut().for_each(|one| one.set_outcome(Outcome::Matched));
        assert_eq!(again, expected);
    }
    assert_eq!(service.count("select count(*) from change").await, contents.changes);
}

/// Compares what is stored with the line as plain JSON.
fn check(story: &Value, answer: &IngestStoryResponse, contents: &Contents) {
    let uri = &story["article"]["uri"];
    let article = contents.articles.iter().find(|one| one.name == answer.article).unwrap();
    assert_eq!((&article.uri, &article.text), (&text(uri), &text(&story["article"]["text"])));
    let meeting = contents.meetings.iter().find(|one| one.name == answer.meetings[0].meeting).unwrap();
    assert_eq!((meeting.revision, meeting.report_count, meeting.article_count), (1, 1, 1));
    let told = &story["reports"][0];
    let report = contents.reports.iter().find(|one| one.name == answer.meetings[0].report).unwrap();
    assert_eq!((&report.meeting, &report.article), (&meeting.name, &article.name));
    assert_eq!(report.evidence.len(), list(&told["evidence"]).len());
    check_account(&told["account"], meeting, &format!("{uri}"));

    // The participants are those whom the story names, in some way of writing.
    let settled = meeting.account.as_ref().unwrap();
    let named = list(&told["account"]["participations"]);
    assert_eq!(settled.participations.len(), named.len(), "{uri}");
    for (one, named) in settled.participations.iter().zip(named) {
        let key = text(&named["participant"]);
        let result = answer.participants.iter().find(|it| format!("#{}", it.key) == key).unwrap();
        assert_eq!(one.participant, result.name, "{uri}");
        assert_eq!(format!("participants/{}", one.id), result.name);
        let participant = contents.participants.iter().find(|it| it.name == result.name).unwrap();
        let sent = list(&story["participants"]).iter().find(|it| format!("#{}", text(&it["key"])) == key).unwrap();
        let name = text(&sent["participant"]["displayName"]);
        assert_eq!(participant.display_name.to_lowercase(), name.to_lowercase(), "{uri}");
    }
}

fn check_account(told: &Value, meeting: &Meeting, uri: &str) {
    let account = meeting.account.as_ref().unwrap();
    assert_eq!(account.title, text(&told["title"]), "{uri}");
    assert_eq!(account.kind(), Kind::from_str_name(&text(&told["kind"])).unwrap(), "{uri}");
    assert_eq!(account.status(), Status::from_str_name(&text(&told["status"])).unwrap(), "{uri}");
    let mut topics: Vec<_> = list(&told["topics"]).iter().map(text).collect();
    topics.sort();
    assert_eq!(account.topics, topics, "{uri}");
    let date = account.date.as_ref().unwrap().start.unwrap();
    let start = &told["date"]["start"];
    let part = |name: &str| i32::try_from(start[name].as_i64().unwrap_or(0)).unwrap();
    assert_eq!((date.year, date.month, date.day), (part("year"), part("month"), part("day")), "{uri}");
    let place = account.place.clone().unwrap_or_default();
    let (locality, region) = (text(&told["place"]["locality"]), text(&told["place"]["regionCode"]));
    assert_eq!((place.locality, place.region_code), (locality, region), "{uri}");

    for (one, told) in account.participations.iter().zip(list(&told["participations"])) {
        assert_eq!(one.name_as_written, text(&told["nameAsWritten"]), "{uri}");
        assert_eq!(one.region_code, text(&told["regionCode"]), "{uri}");
        assert_eq!(one.presence(), Presence::from_str_name(&text(&told["presence"])).unwrap(), "{uri}");
        let roles: Vec<_> = list(&told["roles"]).iter().map(|role| Role::from_str_name(&text(role)).unwrap()).collect();
        assert_eq!(one.roles().collect::<Vec<_>>(), roles, "{uri}");
        let office = one.office.clone().unwrap_or_default();
        assert_eq!(office.title, text(&told["office"]["title"]), "{uri}");
        assert_eq!(i64::from(office.seniority), told["office"]["seniority"].as_i64().unwrap_or(0), "{uri}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
