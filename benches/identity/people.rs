//! The people of the sample stories: how many the door lets in, and how many the rule leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use readout::{
    model::identity::{Appearance, ClusterNode, Context, Edge, Profile, candidate_keys, clusters, compare, name_key},
    pb::{Participant, Story, participant::Kind},
};
use uuid::Uuid;

use super::stories;

/// A person at the door: one for each key and region.
struct Person {
    name: String,
    profile: Profile,
    reports: u64,
    appearances: Vec<Appearance>,
}

/// Compares all people that share a pair key, settles them, and prints the counts; on demand, each alias.
pub fn print(prints_aliases: bool) {
    let people = people();
    let begin = Instant::now();
    let edges = edges(&people);
    let compared = begin.elapsed();
    let nodes: Vec<ClusterNode> = people.iter().enumerate().map(|(at, person)| node(at, person)).collect();
    let begin = Instant::now();
    let settled = clusters(&nodes, &edges, &[]);
    println!(
        "\n{} people at the door, {} settled; {} pairs compared in {compared:.0?}, settled in {:.0?}",
        people.len(),
        people.len() - settled.aliases.len(),
        edges.len(),
        begin.elapsed(),
    );
    if !prints_aliases {
        return;
    }
    let of = |id: Uuid| &people[position(id)];
    let label = |person: &Person| format!("{} [{}]", person.name, person.profile.region);
    let mut groups: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for alias in &settled.aliases {
        groups.entry(alias.into).or_default().push(label(of(alias.participant)));
    }
    for (into, aliases) in groups {
        println!("{} <- {}", label(of(into)), aliases.join("; "));
    }
}

fn people() -> Vec<Person> {
    let mut people: BTreeMap<(i32, String, String), Person> = BTreeMap::new();
    for line in stories::lines() {
        add_story(&stories::story(&line), &mut people);
    }
    people.into_values().collect()
}

fn add_story(story: &Story, people: &mut BTreeMap<(i32, String, String), Person>) {
    let mut keys = BTreeMap::new();
    for sent in &story.participants {
        let Some(participant) = &sent.participant else { continue };
        let key = (participant.kind, name_key(&participant.display_name), participant.region_code.clone());
        keys.insert(format!("#{}", sent.key), key.clone());
        people.entry(key).or_insert_with(|| Person::of(participant)).reports += 1;
    }
    for account in story.reports.iter().filter_map(|report| report.account.as_ref()) {
        let day = account
            .date
            .as_ref()
            .and_then(|date| date.start.as_ref())
            .map(|date| date.year * 366 + date.month * 31 + date.day);
        for participation in &account.participations {
            let office = participation.office.clone().unwrap_or_default();
            let Some(person) = keys.get(&participation.participant).and_then(|key| people.get_mut(key)) else {
                continue;
            };
            person.appearances.push(Appearance {
                title: office.title,
                organization: office.organization,
                seniority: office.seniority,
                first_day: day,
                last_day: day,
                co_participants: Vec::new(),
            });
        }
    }
}

impl Person {
    fn of(participant: &Participant) -> Self {
        Self {
            name: participant.display_name.clone(),
            profile: Profile::of(participant),
            reports: 0,
            appearances: Vec::new(),
        }
    }
}

fn edges(people: &[Person]) -> Vec<Edge> {
    let mut by_key: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, person) in people.iter().enumerate() {
        for key in candidate_keys(&person.profile).pairs {
            by_key.entry(key).or_default().push(at);
        }
    }
    let pairs: BTreeSet<(usize, usize)> = by_key
        .values()
        .flat_map(|found| found.iter().enumerate().flat_map(|(at, a)| found[at + 1..].iter().map(|b| (*a, *b))))
        .collect();
    let edge = |(a, b): (usize, usize)| {
        let context = Context { a: &people[a].appearances, b: &people[b].appearances };
        let comparison = compare(&people[a].profile, &people[b].profile, &context);
        Edge { a: id(a), b: id(b), level: comparison.level, score: comparison.score }
    };
    pairs.into_iter().map(edge).collect()
}

fn node(at: usize, person: &Person) -> ClusterNode {
    ClusterNode {
        id: id(at),
        kind: Kind::Person.into(),
        reports: person.reports,
        region: person.profile.region.clone(),
        external_ids: person.profile.external_ids.clone(),
        door_keys: person.profile.door_keys.clone(),
    }
}

fn id(at: usize) -> Uuid {
    Uuid::from_u128(at as u128)
}

fn position(id: Uuid) -> usize {
    usize::try_from(id.as_u128()).expect("the number of a person")
}
