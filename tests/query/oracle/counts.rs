//! Compares counts of meetings and their participants by group with counts made from the stories.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use readout::pb::AggregateMeetingsRequest;

use super::{
    json::{StoryMeeting, list, text},
    world::World,
};

const EACH: [&str; 13] = [
    "kind",
    "status",
    "visit_type",
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

/// The values of a meeting for a group.
fn values(meeting: &StoryMeeting, group: &str) -> BTreeSet<String> {
    let single = |value: &str| BTreeSet::from([value.to_owned()]);
    let set = |values: BTreeSet<&str>| values.into_iter().map(str::to_owned).collect();
    let [year, month, _] = meeting.began();
    match group {
        "kind" | "status" => single(text(&meeting.account[group])),
        "visit_type" => single(text(&meeting.account["visitType"])),
        "place.region" => single(text(&meeting.account["place"]["regionCode"])),
        "year" if year == 0 => single(""),
        "year" => single(&year.to_string()),
        "quarter" => single(&meeting.quarter().unwrap_or_default()),
        "month" if month == 0 => single(""),
        "month" => single(&format!("{year}-{month:02}")),
        "region" => set(regions(meeting)),
        "region_pair" => pairs(&regions(meeting), "-"),
        "topic" => set(list(&meeting.account["topics"]).iter().map(text).collect()),
        "seniority" => {
            let seniorities = meeting.participations().filter_map(|person| person["office"]["seniority"].as_i64());
            seniorities.filter(|level| *level > 0).map(|level| level.to_string()).collect()
        }
        "participant" => set(meeting.met()),
        "participant_pair" => pairs(&meeting.met(), ","),
        other => panic!("no group {other}"),
    }
}

/// The regions of those who take part, also by a representative.
fn regions(meeting: &StoryMeeting) -> BTreeSet<&str> {
    let take_part = |presence| ["PRESENT", "REMOTE", "REPRESENTED"].contains(&presence);
    let present = meeting.participations().filter(|person| take_part(text(&person["presence"])));
    present.map(|person| text(&person["regionCode"])).filter(|code| !code.is_empty()).collect()
}

fn pairs(values: &BTreeSet<&str>, separator: &str) -> BTreeSet<String> {
    let pairs_of = |first| {
        let greater = values.iter().filter(move |second| first < **second);
        greater.map(move |second| [first, *second].join(separator))
    };
    values.iter().flat_map(|first| pairs_of(*first)).collect()
}

/// Number of meetings, key and number of participants of each group, most meetings first.
fn counts(meetings: &[StoryMeeting], groups: &[&str]) -> Vec<(usize, Vec<String>, usize)> {
    let mut sets: BTreeMap<Vec<String>, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for meeting in meetings {
        let mut keys: Vec<Vec<String>> = vec![Vec::new()];
        for group in groups {
            let values = values(meeting, group);
            let extend = |key: &Vec<String>| {
                let key = key.clone();
                values.iter().map(move |value| [key.clone(), vec![value.clone()]].concat()).collect::<Vec<_>>()
            };
            keys = keys.iter().flat_map(extend).collect();
        }
        for key in keys {
            let (names, people) = sets.entry(key).or_default();
            names.insert(&meeting.name);
            people.extend(meeting.met());
        }
    }
    let mut counts: Vec<_> = sets.into_iter().map(|(key, (names, people))| (names.len(), key, people.len())).collect();
    counts.sort_by_key(|(meetings, key, _)| (Reverse(*meetings), key.clone()));
    counts
}

#[tokio::test]
async fn aggregate_meetings_counts_as_the_stories_say() {
    for world in [World::new().await, World::whole().await] {
        for groups in EACH.iter().map(std::slice::from_ref).chain(TWO.iter().map(<[_; 2]>::as_slice)) {
            let mut expected = counts(&world.meetings, groups);
            let request = AggregateMeetingsRequest {
                group_by: groups.iter().map(|group| (*group).to_owned()).collect(),
                page_size: 1_000,
                count_participants: true,
                ..Default::default()
            };
            let answer = world.service.meetings.clone().aggregate_meetings(request).await;
            let answer = answer.expect("counts").into_inner();
            assert_eq!(answer.truncated, expected.len() > 1_000);
            expected.truncate(1_000);
            let count = |count| usize::try_from(count).expect("a count");
            let received = answer.groups.iter().map(|row| {
                let keys = groups.iter().map(|group| row.keys[*group].clone()).collect();
                (count(row.meeting_count), keys, count(row.participant_count))
            });
            assert_eq!(received.collect::<Vec<_>>(), expected, "{groups:?}");
        }
    }
}
