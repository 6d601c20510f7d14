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
        Question::CompareAny(field, operator, values) => {
            values.iter().any(|value| compare(meeting, field, "=", value)) != (*operator == "!=")
        }
        Question::IsSet(field) => is_set(meeting, field),
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
        "title" => is_written(&account["title"], value),
        "place.region" => places(account).any(|place| place["regionCode"] == value),
        "place.locality" => places(account).any(|place| is_written(&place["locality"], value)),
        "place.venue" => places(account).any(|place| is_written(&place["venue"], value)),
        "visit_type" => account["visitType"] == value,
        "external_id" => list(&account["externalIds"])
            .iter()
            .any(|id| format!("{}:{}", text(&id["scheme"]), text(&id["value"])) == value),
        // No story has a time of day, or labels.
        "start_time" | "labels.KEY" => false,
        "delegation.stated_size" => {
            let sizes = list(&account["delegations"]).iter().filter_map(|delegation| delegation["statedSize"].as_i64());
            sizes.filter(|size| *size != 0).any(|size| number(size, operator, value))
        }
        "participant" => meeting.participations().any(|person| meeting.participant(person) == value),
        "article" => meeting.article == value,
        "topic" => list(&account["topics"]).iter().any(|topic| topic == value),
        "date" => matches_days(Days::of_span(&account["date"])),
        // Each meeting rests on one report and is unreviewed.
        "has_dispute" => value == "false",
        // Everything that its only source states is fragile.
        "fragile" => is_fragile(meeting, value),
        "report_count" | "independent_source_count" => number(1, operator, value),
        "evidence_coverage" => number(meeting.coverage(), operator, &value.replace('.', "")),
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

/// True if the meeting has a value of the field.
fn is_set(meeting: &StoryMeeting, field: &str) -> bool {
    let account = &meeting.account;
    let announcement = &account["announcement"];
    match field {
        "kind" | "status" | "title" => !text(&account[field]).is_empty(),
        "place.region" => places(account).any(|place| !text(&place["regionCode"]).is_empty()),
        "place.locality" | "place.venue" => {
            places(account).any(|place| !text(&place[field.trim_start_matches("place.")]).is_empty())
        }
        "visit_type" => !text(&account["visitType"]).is_empty(),
        "external_id" => !list(&account["externalIds"]).is_empty(),
        "region" => meeting.participations().any(|person| is_there(person) && !text(&person["regionCode"]).is_empty()),
        "participant" => meeting.participations().any(|person| !meeting.participant(person).is_empty()),
        "topic" => !list(&account["topics"]).is_empty(),
        "date" => Days::of_span(&account["date"]).is_some(),
        "announcement.by" => !text(&announcement["by"]).is_empty(),
        "announcement.participant" => {
            let by = meeting.participations().find(|person| person["id"] == announcement["participation"]);
            by.is_some_and(|person| !meeting.participant(person).is_empty())
        }
        "announcement.date" => Days::of_span(&announcement["date"]).is_some(),
        "publish_date" => Days::of_date(&meeting.source["publishDate"]).is_some(),
        "delegation.stated_size" => {
            list(&account["delegations"]).iter().any(|delegation| delegation["statedSize"].as_i64() > Some(0))
        }
        "start_time" | "labels.KEY" => false,
        "fragile" => ["kind", "date", "status", "place.regionCode", "place.locality", "participations", "initiator"]
            .iter()
            .any(|field| is_fragile(meeting, field)),
        // Every meeting has these.
        "article"
        | "has_dispute"
        | "report_count"
        | "independent_source_count"
        | "evidence_coverage"
        | "review"
        | "create_time"
        | "update_time" => true,
        other => panic!("the oracle does not know the field {other}"),
    }
}

/// True if a participation has a value of the field.
fn is_set_in_participation(meeting: &StoryMeeting, person: &Value, field: &str) -> bool {
    match field {
        "participant" => !meeting.participant(person).is_empty(),
        "region" => !text(&person["regionCode"]).is_empty(),
        "name" => !text(&person["nameAsWritten"]).is_empty(),
        "rank" => !text(&person["rank"]).is_empty(),
        "office.title" | "office.organization" => {
            !text(&person["office"][field.trim_start_matches("office.")]).is_empty()
        }
        "role" => !list(&person["roles"]).is_empty(),
        "presence" => !matches!(text(&person["presence"]), "" | "PRESENCE_UNSPECIFIED"),
        "kind" => !meeting.participant(person).is_empty(),
        "seniority" => person["office"]["seniority"].as_i64() > Some(0),
        other => panic!("the oracle does not know the field {other}"),
    }
}

/// The place and the places of the stops.
fn places(account: &Value) -> impl Iterator<Item = &Value> {
    let stops = list(&account["stops"]).iter().map(|stop| &stop["place"]);
    std::iter::once(&account["place"]).chain(stops)
}

fn is_fragile(meeting: &StoryMeeting, field: &str) -> bool {
    let account = &meeting.account;
    let is_told = |value: &Value| !matches!(text(value), "" | "KIND_UNSPECIFIED") || value.is_object();
    match field {
        "place.locality" => is_told(&account["place"]["locality"]),
        "participations" => {
            let of = ["office", "rank", "regionCode", "presence", "delegation"];
            meeting.participations().any(|person| of.iter().any(|field| is_told(&person[*field])))
        }
        "visit_type" => is_told(&account["visitType"]),
        field => is_told(&account[field]),
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
        Question::CompareAny(field, operator, values) => {
            let is_any = values.iter().any(|value| compare_participation(meeting, person, field, "=", value));
            is_any != (*operator == "!=")
        }
        Question::IsSet(field) => is_set_in_participation(meeting, person, field),
        other => panic!("{other} is not a condition on a participation"),
    }
}

fn compare_participation(meeting: &StoryMeeting, person: &Value, field: &str, operator: &str, value: &str) -> bool {
    let seniority = || person["office"]["seniority"].as_i64();
    match field {
        "participant" => meeting.participant(person) == value,
        "region" => person["regionCode"] == value,
        "name" => is_named(&person["nameAsWritten"], value),
        "rank" => is_written(&person["rank"], value),
        "office.title" => is_written(&person["office"]["title"], value),
        "office.organization" => is_written(&person["office"]["organization"], value),
        "role" => list(&person["roles"]).iter().any(|role| role == value),
        "presence" => person["presence"] == value,
        "kind" => meeting.kind_of(person) == value,
        "seniority" => seniority().is_some_and(|seniority| number(seniority, operator, value)),
        other => panic!("the oracle does not know the field {other}"),
    }
}

fn is_there(person: &Value) -> bool {
    ["PRESENT", "REMOTE", "REPRESENTED"].contains(&text(&person["presence"]))
}

/// True if a name equals the value, ignoring case, white space and hyphens.
fn is_named(written: &Value, value: &str) -> bool {
    let key = |text: &str| text.to_lowercase().replace([' ', '-'], "");
    !text(written).is_empty() && key(text(written)) == key(value)
}

fn takes_part(meeting: &StoryMeeting, region: &str) -> bool {
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
    let titles: Vec<&str> = world.meetings.iter().step_by(500).map(|meeting| text(&meeting.account["title"])).collect();
    let (first, last) = (&world.meetings[7].article, &world.meetings[world.meetings.len() - 1].article);
    let regions = ["CN", "RU", "US", "JP", "AZ", "XK", "FR"];
    Asker {
        chance,
        fields: vec![
            Askable::new("kind", EQUAL, &["TALKS", "VISIT", "PHONE_CALL", "CEREMONY", "MEDIATION"]),
            Askable::new("status", EQUAL, &["HELD", "PLANNED", "DENIED"]),
            Askable::new("visit_type", EQUAL, &["STATE", "WORKING", "PRIVATE"]),
            Askable::new("external_id", HAS, &["register:8", "register:29:x", "other:8"]),
            Askable::new("region", HAS, &regions),
            Askable::new("place.region", HAS, &["CN", "US", "RU", "AZ", "IS"]),
            Askable::new("place.locality", HAS, &["beijing", "NEW  YORK", "Hanoi", "Bei%", "_eijing", ""]),
            Askable::new("title", EQUAL, &titles),
            Askable::new("place.venue", HAS, &["great hall of the people", "Great Hall", ""]),
            Askable::new("start_time", ORDERED, &["2000", "2020-09-04T12:00:00Z"]),
            Askable::new("delegation.stated_size", ORDERED, &["0", "1", "5", "10", "100"]),
            Askable::new("labels.KEY", EQUAL, &["", "x"]),
            Askable::new("participant", HAS, &people),
            Askable::new("article", HAS, &[first, last]),
            Askable::new("topic", HAS, &["bilateral-relations", "credentials", "sea-cup", "sport"]),
            Askable::new("date", ORDERED, &DATES),
            Askable::new("has_dispute", EQUAL, &["true", "false"]),
            Askable::new("fragile", HAS, &["kind", "date", "place.locality", "participations", "initiator"]),
            Askable::new("report_count", ORDERED, &["0", "1", "2"]),
            Askable::new("independent_source_count", ORDERED, &["0", "1", "2"]),
            Askable::new("evidence_coverage", ORDERED, &["0.000", "0.250", "0.400", "0.500", "1.000"]),
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
            Askable::new("name", EQUAL, &["hu jintao", "HU JIN-TAO", "Hu", ""]),
            Askable::new("office.title", EQUAL, &["president", "Chinese President", "foreign minister"]),
            Askable::new(
                "office.organization",
                EQUAL,
                &["ministry of defence", "Ministry of Foreign Affairs", "state council"],
            ),
            Askable::new("rank", EQUAL, &["lieutenant general", "General"]),
            Askable::new("seniority", ORDERED, &["0", "1", "2", "3", "4", "5", "6"]),
            Askable::new("presence", EQUAL, &["PRESENT", "REMOTE", "REPRESENTED", "ABSENT", "REFERENCED"]),
            Askable::new("kind", EQUAL, &["PERSON", "ORGANIZATION", "STATE", "GROUP"]),
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
    let set = asker.fields.iter().map(|askable| Question::IsSet(askable.field));
    let set_inside = asker.participations.iter().map(|askable| Question::IsSet(askable.field));
    let set: Vec<_> = set.chain(set_inside.map(|condition| Question::OneParticipation(Box::new(condition)))).collect();
    for question in singly.iter().chain(&inside).step_by(3).chain(&set) {
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
