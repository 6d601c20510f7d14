//! An import of 4,439 real stories through several concurrent streams.

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
    make::streamed,
    stored_records::Contents,
    story_stream::{ingest_all, outcome},
};

const STORIES: usize = 4_439;
/// Distinct name keys in distinct regions; the source has fewer people.
const PARTICIPANTS: usize = 1_841;
const STREAMS: usize = 4;

fn lines() -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("../data/stories.ndjson.gz")[..]).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Sends every fourth story through each of four streams. Returns the responses in the order of the lines.
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
            answers.insert(at * STREAMS + stream, accepted(answer));
        }
    }
    answers.into_values().collect()
}

fn accepted(answer: IngestStoriesResponse) -> IngestStoryResponse {
    assert!(!answer.position.is_empty());
    outcome(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn import_of_real_stories_writes_each_story_once() {
    let service = Service::start().await;
    let lines = lines();
    let answers = ingest(&service, &lines).await;
    assert_eq!(answers.len(), STORIES);
    assert!(answers.iter().all(|answer| answer.article_outcome() == Outcome::Created));
    assert!(answers.iter().flat_map(|answer| &answer.meetings).all(|meeting| meeting.outcome() == Outcome::Created));
    assert!(answers.iter().all(|answer| answer.warnings.is_empty()));
    let contents = service.contents().await;
    assert_eq!(
        (contents.articles.len(), contents.meetings.len(), contents.reports.len(), contents.participants.len()),
        (STORIES, STORIES, STORIES, PARTICIPANTS)
    );
    let learned: i64 = contents.participants.iter().map(|participant| participant.revision - 1).sum();
    assert_eq!(contents.changes, i64::try_from(3 * STORIES + PARTICIPANTS).unwrap() + learned);

    for (line, answer) in lines.iter().zip(&answers).step_by(89) {
        check(&serde_json::from_str(line).unwrap(), answer, &contents);
    }

    let again = ingest(&service, &lines).await;
    for (first, again) in answers.into_iter().zip(again) {
        let mut expected = first;
        expected.warnings.clear();
        expected.set_article_outcome(Outcome::Matched);
        expected.participants.iter_mut().for_each(|participant| participant.set_outcome(Outcome::Matched));
        expected.meetings.iter_mut().for_each(|meeting| meeting.set_outcome(Outcome::Matched));
        assert_eq!(again, expected);
    }
    assert_eq!(service.count("select count(*) from change").await, contents.changes);
}

/// Compares the stored records with the line as plain JSON.
fn check(story: &Value, answer: &IngestStoryResponse, contents: &Contents) {
    let uri = &story["article"]["uri"];
    let article = contents.articles.iter().find(|article| article.name == answer.article).unwrap();
    assert_eq!((&article.uri, &article.text), (&text(uri), &text(&story["article"]["text"])));
    let meeting = contents.meetings.iter().find(|meeting| meeting.name == answer.meetings[0].meeting).unwrap();
    assert_eq!((meeting.revision, meeting.report_count, meeting.article_count), (1, 1, 1));
    let sent = &story["reports"][0];
    let report = contents.reports.iter().find(|report| report.name == answer.meetings[0].report).unwrap();
    assert_eq!((&report.meeting, &report.article), (&meeting.name, &article.name));
    assert_eq!(report.evidence.len(), list(&sent["evidence"]).len());
    check_account(&sent["account"], meeting, &format!("{uri}"));

    // The participants are those that the story names, apart from upper and lower case.
    let settled = meeting.account.as_ref().unwrap();
    let named = list(&sent["account"]["participations"]);
    assert_eq!(settled.participations.len(), named.len(), "{uri}");
    for (participation, named) in settled.participations.iter().zip(named) {
        let key = text(&named["participant"]);
        let result = answer.participants.iter().find(|entry| format!("#{}", entry.key) == key).unwrap();
        assert_eq!(participation.participant, result.name, "{uri}");
        assert_eq!(format!("participants/{}", participation.id), result.name);
        let participant = contents.participants.iter().find(|participant| participant.name == result.name).unwrap();
        let entry =
            list(&story["participants"]).iter().find(|entry| format!("#{}", text(&entry["key"])) == key).unwrap();
        let name = text(&entry["participant"]["displayName"]);
        assert_eq!(participant.display_name.to_lowercase(), name.to_lowercase(), "{uri}");
    }
}

fn check_account(sent: &Value, meeting: &Meeting, uri: &str) {
    let account = meeting.account.as_ref().unwrap();
    assert_eq!(account.title, text(&sent["title"]), "{uri}");
    assert_eq!(account.kind(), Kind::from_str_name(&text(&sent["kind"])).unwrap(), "{uri}");
    assert_eq!(account.status(), Status::from_str_name(&text(&sent["status"])).unwrap(), "{uri}");
    let mut topics: Vec<_> = list(&sent["topics"]).iter().map(text).collect();
    topics.sort();
    assert_eq!(account.topics, topics, "{uri}");
    let date = account.date.as_ref().unwrap().start.unwrap();
    let start = &sent["date"]["start"];
    let part = |name: &str| i32::try_from(start[name].as_i64().unwrap_or(0)).unwrap();
    assert_eq!((date.year, date.month, date.day), (part("year"), part("month"), part("day")), "{uri}");
    let place = account.place.clone().unwrap_or_default();
    let (locality, region) = (text(&sent["place"]["locality"]), text(&sent["place"]["regionCode"]));
    assert_eq!((place.locality, place.region_code), (locality, region), "{uri}");

    for (participation, sent) in account.participations.iter().zip(list(&sent["participations"])) {
        assert_eq!(participation.name_as_written, text(&sent["nameAsWritten"]), "{uri}");
        assert_eq!(participation.region_code, text(&sent["regionCode"]), "{uri}");
        assert_eq!(participation.presence(), Presence::from_str_name(&text(&sent["presence"])).unwrap(), "{uri}");
        let roles: Vec<_> = list(&sent["roles"]).iter().map(|role| Role::from_str_name(&text(role)).unwrap()).collect();
        assert_eq!(participation.roles().collect::<Vec<_>>(), roles, "{uri}");
        let office = participation.office.clone().unwrap_or_default();
        assert_eq!(office.title, text(&sent["office"]["title"]), "{uri}");
        assert_eq!(i64::from(office.seniority), sent["office"]["seniority"].as_i64().unwrap_or(0), "{uri}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
