//! Random filters over all fields and functions of meetings, compared with the stories.

use std::collections::BTreeSet;

use readout::pb::{ListFilterFieldsRequest, ListMeetingsRequest};
use serde_json::Value;

use super::{
    json::{Days, StoryMeeting, list, text},
    world::World,
};
use crate::{
    faults::rng::Chance,
    support::random_filter::{Askable, Asker, EQUAL, HAS, ORDERED, Question},
};

const FILTERS: usize = 250;
const DATES: [&str; 10] = [
    "2003",
    "2008",
    "2008-08",
    "2010-11-19",
    "2012-02-29",
    "2013-06",
    "2014-03-25",
    "2017",
    "2020-09-03",
    "2020-08-24",
];

/// True if a meeting matches a filter.
fn matches(meeting: &StoryMeeting, question: &Question) -> bool {
    match question {
        Question::And(parts) => parts.iter().all(|part| matches(meeting, part)),
        Question::Or(parts) => parts.iter().any(|part| matches(meeting, part)),
        Question::Not(inner) => !matches(meeting, inner),
        Question::Compare(field, "!=", value) => !compare(meeting, field, "=", value),
        Question::Compare(field, operator, value) => compare(meeting, field, plain(operator), value),
        Question::OneParticipation(conditions) => {
            meeting.participations().any(|person| matches_participation(meeting, person, conditions))
        }
        Question::Between(first, second) => takes_part(meeting, first) && takes_part(meeting, second),
    }
}

/// `:` means the same as `=`.
fn plain(operator: &str) -> &str {
    if operator == ":" { "=" } else { operator }
}

fn compare(meeting: &StoryMeeting, field: &str, operator: &str, value: &str) -> bool {
    let account = &meeting.account;
    let announcement = &account["announcement"];
    let matches_days = |days: Option<Days>| days.is_some_and(|days| days.compare(operator, Days::read(value)));
    match field {
        "kind" => account["kind"] == value,
        "status" => account["status"] == value,
        "region" => takes_part(meeting, value),
        "place.region" => account["place"]["regionCode"] == value,
        "place.locality" => is_written(&account["place"]["locality"], value),
        "participant" => meeting.participations().any(|person| meeting.participant(person) == value),
        "article" => meeting.article == value,
        "topic" => list(&account["topics"]).iter().any(|topic| topic == value),
        "date" => matches_days(Days::of_span(&account["date"])),
        // Each meeting rests on one report and is unreviewed.
        "has_dispute" => value == "false",
        "report_count" | "independent_source_count" => number(1, operator, value),
        "review" => value == "UNREVIEWED",
        "announcement.by" => is_written(&announcement["by"], value),
        "announcement.participant" => {
            let by = meeting.participations().find(|person| person["id"] == announcement["participation"]);
            by.is_some_and(|person| meeting.participant(person) == value)
        }
        "announcement.date" => matches_days(Days::of_span(&announcement["date"])),
        "publish_date" => {
            matches_days(Days::of_date(&meeting.source["publishDate"]).map(|days| Days { last: days.first, ..days }))
        }
        // The values lie before or after every run of this test.
        "create_time" | "update_time" => matches!((value < "2026", operator), (true, ">" | ">=") | (false, "<" | "<=")),
        other => panic!("the oracle does not know the field {other}"),
    }
}

fn matches_participation(meeting: &StoryMeeting, person: &Value, question: &Question) -> bool {
    let matches = |part: &Question| matches_participation(meeting, person, part);
    match question {
        Question::And(parts) => parts.iter().all(matches),
        Question::Or(parts) => parts.iter().any(matches),
        Question::Not(inner) => !matches(inner),
        Question::Compare(field, "!=", value) => !compare_participation(meeting, person, field, "=", value),
        Question::Compare(field, operator, value) => {
            compare_participation(meeting, person, field, plain(operator), value)
        }
        other => panic!("{other} is not a condition on a participation"),
    }
}

fn compare_participation(meeting: &StoryMeeting, person: &Value, field: &str, operator: &str, value: &str) -> bool {
    let seniority = || person["office"]["seniority"].as_i64();
    match field {
        "participant" => meeting.participant(person) == value,
        "region" => person["regionCode"] == value,
        "role" => list(&person["roles"]).iter().any(|role| role == value),
        "presence" => person["presence"] == value,
        "seniority" => seniority().is_some_and(|seniority| number(seniority, operator, value)),
        other => panic!("the oracle does not know the field {other}"),
    }
}

fn takes_part(meeting: &StoryMeeting, region: &str) -> bool {
    let is_there = |person: &Value| ["PRESENT", "REMOTE", "REPRESENTED"].contains(&text(&person["presence"]));
    meeting.participations().any(|person| person["regionCode"] == region && is_there(person))
}

/// True if a text equals the value, ignoring case and white space.
fn is_written(written: &Value, value: &str) -> bool {
    let key = |text: &str| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    !text(written).is_empty() && key(text(written)) == key(value)
}

fn number(left: i64, operator: &str, right: &str) -> bool {
    let right: i64 = right.parse().expect("a number");
    match operator {
        "=" => left == right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        operator => panic!("{operator} is not an operator for numbers"),
    }
}

fn asker(world: &World, chance: Chance) -> Asker {
    let people = |keys: &[&str]| -> Vec<String> {
        let named = |key: &&str| {
            world.meetings.iter().find_map(|meeting| meeting.participants.get(*key)).expect("a known key").clone()
        };
        keys.iter().map(named).collect()
    };
    let people = people(&["hu-jintao", "wang-yi", "tang-jiaxuan", "tsalikov", "defence-ministry"]);
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (first, last) = (&world.meetings[7].article, &world.meetings[world.meetings.len() - 1].article);
    let regions = ["CN", "RU", "US", "JP", "AZ", "XK", "FR"];
    Asker {
        chance,
        fields: vec![
            Askable::new("kind", EQUAL, &["TALKS", "VISIT", "PHONE_CALL", "CEREMONY", "MEDIATION"]),
            Askable::new("status", EQUAL, &["HELD", "PLANNED", "DENIED"]),
            Askable::new("region", HAS, &regions),
            Askable::new("place.region", EQUAL, &["CN", "US", "RU", "AZ", "IS"]),
            Askable::new("place.locality", EQUAL, &["beijing", "NEW  YORK", "Hanoi", "Bei%", "_eijing", ""]),
            Askable::new("participant", HAS, &people),
            Askable::new("article", HAS, &[first, last]),
            Askable::new("topic", HAS, &["bilateral-relations", "credentials", "sea-cup", "sport"]),
            Askable::new("date", ORDERED, &DATES),
            Askable::new("has_dispute", EQUAL, &["true", "false"]),
            Askable::new("report_count", ORDERED, &["0", "1", "2"]),
            Askable::new("independent_source_count", ORDERED, &["0", "1", "2"]),
            Askable::new("review", EQUAL, &["UNREVIEWED", "REVIEWED"]),
            Askable::new("announcement.by", EQUAL, &["the ministry", "xinhua_100%", "Xinhua 100%", ""]),
            Askable::new("announcement.participant", EQUAL, &people),
            Askable::new("announcement.date", ORDERED, &DATES),
            Askable::new("publish_date", ORDERED, &DATES),
            Askable::new("create_time", ORDERED, &["2000", "2020-09-04T12:00:00Z", "9999-12"]),
            Askable::new("update_time", ORDERED, &["2000-01-01", "9999"]),
        ],
        participations: vec![
            Askable::new("participant", EQUAL, &people),
            Askable::new("region", EQUAL, &regions),
            Askable::new("role", HAS, &["HOST", "VISITOR", "MEMBER", "SPEAKER", "HEAD_OF_DELEGATION", "CALLER"]),
            Askable::new("seniority", ORDERED, &["0", "1", "2", "3", "4", "5", "6"]),
            Askable::new("presence", EQUAL, &["PRESENT", "REMOTE", "REPRESENTED", "ABSENT", "REFERENCED"]),
        ],
        regions: regions.map(str::to_owned).to_vec(),
    }
}

impl World {
    /// The names of all meetings that match a filter.
    async fn listed(&self, filter: &str) -> BTreeSet<String> {
        let mut request = ListMeetingsRequest { filter: filter.into(), page_size: 1_000, ..Default::default() };
        let mut found = BTreeSet::new();
        loop {
            let page = self.service.meetings.clone().list_meetings(request.clone()).await;
            let page = page.unwrap_or_else(|status| panic!("{filter}: {status}")).into_inner();
            let names = page.meetings.len();
            let before = found.len();
            found.extend(page.meetings.into_iter().map(|meeting| meeting.name));
            assert_eq!(found.len(), before + names, "{filter}: a meeting is listed twice");
            if page.next_page_token.is_empty() {
                return found;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Asserts that the service and the stories agree on a filter. Returns the number of matching meetings.
    async fn assert_agree(&self, question: &Question, seed: u64) -> usize {
        let matching = self.meetings.iter().filter(|meeting| matches(meeting, question));
        let expected: BTreeSet<String> = matching.map(|meeting| meeting.name.clone()).collect();
        let found = self.listed(&question.to_string()).await;
        let differ: Vec<_> = expected.symmetric_difference(&found).take(3).collect();
        assert!(differ.is_empty(), "READOUT_SEED={seed} {question}: {differ:?}");
        expected.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_meetings_filters_as_the_stories_say() {
    let world = World::new().await;
    assert!(world.meetings.len() > 1_400);
    let seed = Chance::seed();
    let mut asker = asker(&world, Chance::of(seed, "filters"));
    // The filters use every field that the service offers.
    let request = ListFilterFieldsRequest { collection: "meetings".into() };
    let fields = world.service.filters.clone().list_filter_fields(request).await.unwrap().into_inner().fields;
    let used: BTreeSet<&str> = asker.fields.iter().map(|askable| askable.field).collect();
    assert_eq!(used, fields.iter().map(|field| field.name.as_str()).collect());

    // Each field, operator and value alone, then random combinations.
    let singly: Vec<Question> = asker.fields.iter().flat_map(each).collect();
    let inside = asker.participations.iter().flat_map(each);
    let inside: Vec<_> = inside.map(|condition| Question::OneParticipation(Box::new(condition))).collect();
    for question in singly.iter().chain(&inside).step_by(3) {
        world.assert_agree(question, seed).await;
    }
    let (mut selective, all) = (0, world.meetings.len());
    for _ in 0..FILTERS {
        selective += usize::from((1..all).contains(&world.assert_agree(&asker.ask(3), seed).await));
    }
    assert!(selective > FILTERS / 4, "too few filters match some meetings and not others: {selective}");
}

/// A comparison for each operator and value of a field.
fn each(askable: &Askable) -> impl Iterator<Item = Question> {
    let values = askable.values.iter();
    let field = askable.field;
    let all = values.flat_map(move |value| askable.operators.iter().map(move |operator| (*operator, value.clone())));
    all.map(move |(operator, value)| Question::Compare(field, operator, value))
}
