//! Filters that chance made, over all fields and functions of meetings.

use std::collections::BTreeSet;

use readout::pb::{ListFilterFieldsRequest, ListMeetingsRequest};
use serde_json::Value;

use super::{
    json::{Days, Told, list, text},
    world::World,
};
use crate::{
    faults::chance::Chance,
    support::question::{Askable, Asker, EQUAL, HAS, ORDERED, Question},
};

const QUESTIONS: usize = 250;
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

/// Whether a question is true of a meeting.
fn is_so(told: &Told, question: &Question) -> bool {
    match question {
        Question::And(parts) => parts.iter().all(|part| is_so(told, part)),
        Question::Or(parts) => parts.iter().any(|part| is_so(told, part)),
        Question::Not(inner) => !is_so(told, inner),
        Question::Compare(field, "!=", value) => !compare(told, field, "=", value),
        Question::Compare(field, operator, value) => compare(told, field, plain(operator), value),
        Question::OneParticipation(conditions) => told.participations().any(|one| is_so_of(told, one, conditions)),
        Question::Between(one, other) => takes_part(told, one) && takes_part(told, other),
    }
}

/// `:` says the same as `=`.
fn plain(operator: &str) -> &str {
    if operator == ":" { "=" } else { operator }
}

fn compare(told: &Told, field: &str, operator: &str, value: &str) -> bool {
    let account = &told.account;
    let announcement = &account["announcement"];
    let days = |days: Option<Days>| days.is_some_and(|days| days.stand(operator, Days::read(value)));
    match field {
        "kind" => account["kind"] == value,
        "status" => account["status"] == value,
        "region" => takes_part(told, value),
        "place.region" => account["place"]["regionCode"] == value,
        "place.locality" => is_written(&account["place"]["locality"], value),
        "participant" => told.participations().any(|one| told.participant(one) == value),
        "article" => told.article == value,
        "topic" => list(&account["topics"]).iter().any(|topic| topic == value),
        "date" => days(Days::of_span(&account["date"])),
        // Each rests on one report, and nobody has looked at it.
        "has_dispute" => value == "false",
        "report_count" | "independent_source_count" => number(1, operator, value),
        "review" => value == "UNREVIEWED",
        "announcement.by" => is_written(&announcement["by"], value),
        "announcement.participant" => {
            let by = told.participations().find(|one| one["id"] == announcement["participation"]);
            by.is_some_and(|by| told.participant(by) == value)
        }
        "announcement.date" => days(Days::of_span(&announcement["date"])),
        "publish_date" => {
            days(Days::of_date(&told.source["publishDate"]).map(|days| Days { last: days.first, ..days }))
        }
        // Longer ago than the stories are told, or not yet.
        "create_time" | "update_time" => matches!((value < "2026", operator), (true, ">" | ">=") | (false, "<" | "<=")),
        other => panic!("the oracle knows nothing of {other}"),
    }
}

fn is_so_of(told: &Told, one: &Value, question: &Question) -> bool {
    match question {
        Question::And(parts) => parts.iter().all(|part| is_so_of(told, one, part)),
        Question::Or(parts) => parts.iter().any(|part| is_so_of(told, one, part)),
        Question::Not(inner) => !is_so_of(told, one, inner),
        Question::Compare(field, "!=", value) => !compare_of(told, one, field, "=", value),
        Question::Compare(field, operator, value) => compare_of(told, one, field, plain(operator), value),
        other => panic!("{other} cannot be asked of a participation"),
    }
}

fn compare_of(told: &Told, one: &Value, field: &str, operator: &str, value: &str) -> bool {
    match field {
        "participant" => told.participant(one) == value,
        "region" => one["regionCode"] == value,
        "role" => list(&one["roles"]).iter().any(|role| role == value),
        "presence" => one["presence"] == value,
        "seniority" => one["office"]["seniority"].as_i64().is_some_and(|seniority| number(seniority, operator, value)),
        other => panic!("the oracle knows nothing of {other}"),
    }
}

fn takes_part(told: &Told, region: &str) -> bool {
    let is_there = |one: &Value| ["PRESENT", "REMOTE", "REPRESENTED"].contains(&text(&one["presence"]));
    told.participations().any(|one| one["regionCode"] == region && is_there(one))
}

/// Whether a text is written so, but for case and white space.
fn is_written(told: &Value, value: &str) -> bool {
    let key = |text: &str| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    !text(told).is_empty() && key(text(told)) == key(value)
}

fn number(one: i64, operator: &str, other: &str) -> bool {
    let other: i64 = other.parse().expect("a number");
    match operator {
        "=" => one == other,
        "<" => one < other,
        "<=" => one <= other,
        ">" => one > other,
        ">=" => one >= other,
        operator => panic!("{operator} is no operator of numbers"),
    }
}

fn asker(world: &World, chance: Chance) -> Asker {
    let people = |keys: &[&str]| -> Vec<String> {
        let named = |key: &&str| world.told.iter().find_map(|told| told.names.get(*key)).expect("somebody").clone();
        keys.iter().map(named).collect()
    };
    let people = people(&["hu-jintao", "wang-yi", "tang-jiaxuan", "tsalikov", "defence-ministry"]);
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (first, last) = (&world.told[7].article, &world.told[world.told.len() - 1].article);
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
    /// The names of all meetings that a list finds.
    async fn listed(&self, filter: &str) -> BTreeSet<String> {
        let mut request = ListMeetingsRequest { filter: filter.into(), page_size: 1_000, ..Default::default() };
        let mut found = BTreeSet::new();
        loop {
            let page = self.service.meetings.clone().list_meetings(request.clone()).await;
            let page = page.unwrap_or_else(|status| panic!("{filter}: {status}")).into_inner();
            let names = page.meetings.len();
            let before = found.len();
            found.extend(page.meetings.into_iter().map(|one| one.name));
            assert_eq!(found.len(), before + names, "{filter}: none comes twice");
            if page.next_page_token.is_empty() {
                return found;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Asserts that a question is answered as the stories answer it; how many meetings it finds.
    async fn agree(&self, question: &Question, seed: u64) -> usize {
        let expected: BTreeSet<String> =
            self.told.iter().filter(|told| is_so(told, question)).map(|told| told.meeting.clone()).collect();
        let found = self.listed(&question.to_string()).await;
        let differ: Vec<_> = expected.symmetric_difference(&found).take(3).collect();
        assert!(differ.is_empty(), "READOUT_SEED={seed} {question}: {differ:?}");
        expected.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_find_what_the_stories_say() {
    let world = World::new().await;
    assert!(world.told.len() > 1_400);
    let seed = Chance::seed();
    let mut asker = asker(&world, Chance::of(seed, "filters"));
    // The oracle is asked for every field that the service has.
    let request = ListFilterFieldsRequest { collection: "meetings".into() };
    let fields = world.service.filters.clone().list_filter_fields(request).await.unwrap().into_inner().fields;
    let asked: BTreeSet<&str> = asker.fields.iter().map(|one| one.field).collect();
    assert_eq!(asked, fields.iter().map(|one| one.name.as_str()).collect());

    // Each field, operator and value by itself, then what chance makes of them.
    let singly: Vec<Question> = asker.fields.iter().flat_map(each).collect();
    let inside = asker.participations.iter().flat_map(each);
    let inside: Vec<_> = inside.map(|one| Question::OneParticipation(Box::new(one))).collect();
    for question in singly.iter().chain(&inside).step_by(3) {
        world.agree(question, seed).await;
    }
    let (mut some, all) = (0, world.told.len());
    for _ in 0..QUESTIONS {
        some += usize::from((1..all).contains(&world.agree(&asker.ask(3), seed).await));
    }
    assert!(some > QUESTIONS / 4, "many filters tell something apart: {some}");
}

fn each(one: &Askable) -> impl Iterator<Item = Question> {
    let values = one.values.iter();
    let field = one.field;
    let all = values.flat_map(move |value| one.operators.iter().map(move |operator| (*operator, value.clone())));
    all.map(move |(operator, value)| Question::Compare(field, operator, value))
}
