//! How many meetings, and how many people in them, by all that they can be grouped by.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use readout::pb::AggregateMeetingsRequest;

use super::{
    json::{Told, list, text},
    world::World,
};

const EACH: [&str; 12] = [
    "kind",
    "status",
    "place.region",
    "year",
    "quarter",
    "month",
    "region",
    "region_pair",
    "topic",
    "seniority",
    "participant",
    "participant_pair",
];
const TWO: [[&str; 2]; 4] =
    [["year", "kind"], ["topic", "month"], ["region", "participant"], ["place.region", "quarter"]];

/// What a meeting has of a group.
fn values(told: &Told, group: &str) -> BTreeSet<String> {
    let one = |value: &str| BTreeSet::from([value.to_owned()]);
    let all = |values: BTreeSet<&str>| values.into_iter().map(str::to_owned).collect();
    let [year, month, _] = told.began();
    match group {
        "kind" | "status" => one(text(&told.account[group])),
        "place.region" => one(text(&told.account["place"]["regionCode"])),
        "year" if year == 0 => one(""),
        "year" => one(&year.to_string()),
        "quarter" | "month" if month == 0 => one(""),
        "quarter" => one(&format!("{year}-Q{}", (month + 2) / 3)),
        "month" => one(&format!("{year}-{month:02}")),
        "region" => all(regions(told)),
        "region_pair" => pairs(&regions(told), "-"),
        "topic" => all(list(&told.account["topics"]).iter().map(text).collect()),
        "seniority" => {
            let all = told.participations().filter_map(|one| one["office"]["seniority"].as_i64());
            all.filter(|one| *one > 0).map(|one| one.to_string()).collect()
        }
        "participant" => all(told.met()),
        "participant_pair" => pairs(&told.met(), ","),
        other => panic!("no group {other}"),
    }
}

/// The regions of those who take part, also through somebody else.
fn regions(told: &Told) -> BTreeSet<&str> {
    let take_part = |presence| ["PRESENT", "REMOTE", "REPRESENTED"].contains(&presence);
    let there = told.participations().filter(|one| take_part(text(&one["presence"])));
    there.map(|one| text(&one["regionCode"])).filter(|code| !code.is_empty()).collect()
}

fn pairs(all: &BTreeSet<&str>, between: &str) -> BTreeSet<String> {
    let with = |one| all.iter().filter(move |other| one < **other).map(move |other| [one, *other].join(between));
    all.iter().flat_map(|one| with(*one)).collect()
}

/// The groups with their meetings and people, those of most meetings first.
fn counted(told: &[Told], groups: &[&str]) -> Vec<(usize, Vec<String>, usize)> {
    let mut counted: BTreeMap<Vec<String>, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for one in told {
        let mut keys: Vec<Vec<String>> = vec![Vec::new()];
        for group in groups {
            let values = values(one, group);
            let longer = |key: &Vec<String>| {
                let key = key.clone();
                values.iter().map(move |value| [key.clone(), vec![value.clone()]].concat()).collect::<Vec<_>>()
            };
            keys = keys.iter().flat_map(longer).collect();
        }
        for key in keys {
            let (meetings, people) = counted.entry(key).or_default();
            meetings.insert(&one.meeting);
            people.extend(one.met());
        }
    }
    let mut counted: Vec<_> =
        counted.into_iter().map(|(key, (meetings, people))| (meetings.len(), key, people.len())).collect();
    counted.sort_by_key(|one| (Reverse(one.0), one.1.clone()));
    counted
}

#[tokio::test]
async fn counts_are_those_of_the_stories() {
    for world in [World::new().await, World::whole().await] {
        for groups in EACH.iter().map(std::slice::from_ref).chain(TWO.iter().map(<[_; 2]>::as_slice)) {
            let mut expected = counted(&world.told, groups);
            let request = AggregateMeetingsRequest {
                group_by: groups.iter().map(|one| (*one).to_owned()).collect(),
                page_size: 1_000,
                count_participants: true,
                ..Default::default()
            };
            let answer = world.service.meetings.clone().aggregate_meetings(request).await;
            let answer = answer.expect("counts").into_inner();
            assert_eq!(answer.truncated, expected.len() > 1_000);
            expected.truncate(1_000);
            let count = |count| usize::try_from(count).expect("a count");
            let told = answer.groups.iter().map(|one| {
                let keys = groups.iter().map(|group| one.keys[*group].clone()).collect();
                (count(one.meeting_count), keys, count(one.participant_count))
            });
            assert_eq!(told.collect::<Vec<_>>(), expected, "{groups:?}");
        }
    }
}
