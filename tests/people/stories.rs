//! Who met whom in the real stories, by plain code over their JSON.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
};

use readout::pb::{
    AggregateMeetingsRequest, Date, FindPathRequest, ListCounterpartsRequest, list_counterparts_request::GroupBy,
};
use serde_json::Value;

use crate::support::{
    Service,
    make::streamed,
    stories,
    stream::{ingest_all, outcome},
};

/// What a story tells of its meeting.
struct Told {
    meeting: String,
    kind: String,
    status: String,
    place_region: String,
    topics: BTreeSet<String>,
    date: [i64; 3],
    /// Name, region and seniority. In these stories all are there themselves.
    people: Vec<(String, String, i64)>,
}

impl Told {
    /// Who is who, and which meeting it is, only the service knows.
    fn of(line: &str, meeting: String, who: &HashMap<String, String>) -> Self {
        let story: Value = serde_json::from_str(line).unwrap();
        let account = &story["reports"][0]["account"];
        let start = &account["date"]["start"];
        let person = |one: &Value| {
            assert_eq!(one["presence"], "PRESENT");
            let seniority = one["office"]["seniority"].as_i64().unwrap_or(0);
            (who[text(&one["participant"]).trim_start_matches('#')].clone(), text(&one["regionCode"]), seniority)
        };
        Self {
            meeting,
            kind: text(&account["kind"]),
            status: text(&account["status"]),
            place_region: text(&account["place"]["regionCode"]),
            topics: list(&account["topics"]).iter().map(text).collect(),
            date: ["year", "month", "day"].map(|part| start[part].as_i64().unwrap_or(0)),
            people: list(&account["participations"]).iter().map(person).collect(),
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        self.people.iter().map(|one| one.0.as_str()).collect()
    }

    fn regions(&self) -> BTreeSet<&str> {
        self.people.iter().map(|one| one.1.as_str()).filter(|code| !code.is_empty()).collect()
    }

    /// Those who met somebody; nobody where he was not there.
    fn others(&self, name: &str) -> impl Iterator<Item = &(String, String, i64)> {
        let is_there = self.names().contains(name);
        self.people.iter().filter(move |one| is_there && one.0 != name)
    }

    /// The values of a group.
    fn values(&self, group: &str) -> Vec<String> {
        let pairs = |all: BTreeSet<&str>, between: &str| {
            let pair =
                |one| all.iter().filter(move |other| one < **other).map(move |other| [one, *other].join(between));
            all.iter().flat_map(|one| pair(*one)).collect()
        };
        let [year, month, day] = self.date;
        assert!(year > 0 && month > 0 && day > 0);
        match group {
            "kind" => vec![self.kind.clone()],
            "status" => vec![self.status.clone()],
            "place.region" => vec![self.place_region.clone()],
            "year" => vec![format!("{year}")],
            "quarter" => vec![format!("{year}-Q{}", (month + 2) / 3)],
            "month" => vec![format!("{year}-{month:02}")],
            "region" => self.regions().into_iter().map(str::to_owned).collect(),
            "region_pair" => pairs(self.regions(), "-"),
            "topic" => self.topics.iter().cloned().collect(),
            "seniority" => {
                let all: BTreeSet<i64> = self.people.iter().map(|one| one.2).filter(|one| *one > 0).collect();
                all.into_iter().map(|one| one.to_string()).collect()
            }
            "participant" => self.names().into_iter().map(str::to_owned).collect(),
            "participant_pair" => pairs(self.names(), ","),
            other => panic!("no group {other}"),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A service with all stories, and what they tell.
async fn told() -> (Service, Vec<Told>) {
    let service = Service::start().await;
    let lines = stories::lines();
    let sent: Vec<_> = lines.iter().map(|line| streamed(stories::story(line))).collect();
    let answers = ingest_all(&service.ingest, sent).await;
    let told = |(line, answer): (&String, _)| {
        let answer = outcome(answer).unwrap();
        let who = answer.participants.into_iter().map(|one| (one.key, one.name)).collect();
        Told::of(line, answer.meetings[0].meeting.clone(), &who)
    };
    let told = lines.iter().zip(answers).map(told).collect();
    // As it is soon after a large import, without waiting for it.
    service.execute("vacuum analyze").await;
    (service, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counterparts_paths_and_counts_are_those_that_the_stories_tell() {
    let (service, told) = told().await;
    let mut meetings: BTreeMap<&str, usize> = BTreeMap::new();
    told.iter().flat_map(Told::names).for_each(|name| *meetings.entry(name).or_default() += 1);
    let mut busiest: Vec<&str> = meetings.keys().copied().collect();
    busiest.sort_by_key(|name| (Reverse(meetings[name]), *name));
    for name in &busiest[..20] {
        counterparts(&service, &told, name).await;
        regions(&service, &told, name).await;
    }
    aggregates(&service, &told).await;
    paths(&service, &told, &meetings.keys().copied().collect::<Vec<_>>()).await;
}

/// How often, first and last date, last meeting.
type Met = (usize, [i64; 3], [i64; 3], String);

fn met<'a>(told: &'a [Told], with: impl Fn(&'a Told) -> BTreeSet<&'a str>) -> BTreeMap<&'a str, Met> {
    let mut all: BTreeMap<&str, Met> = BTreeMap::new();
    let mut in_order: Vec<&Told> = told.iter().collect();
    in_order.sort_by(|one, other| (one.date, &one.meeting).cmp(&(other.date, &other.meeting)));
    for one in in_order {
        for who in with(one) {
            let met = all.entry(who).or_insert_with(|| (0, one.date, one.date, String::new()));
            (met.0, met.2, met.3) = (met.0 + 1, one.date, one.meeting.clone());
        }
    }
    all
}

/// The same as a list: the most met first.
fn ranked(all: BTreeMap<&str, Met>) -> Vec<(String, Met)> {
    let mut ranked: Vec<_> = all.into_iter().map(|(who, met)| (who.to_owned(), met)).collect();
    ranked.sort_by(|one, other| (Reverse(one.1.0), &one.0).cmp(&(Reverse(other.1.0), &other.0)));
    ranked
}

async fn listed(service: &Service, mut request: ListCounterpartsRequest) -> Vec<(String, Met)> {
    let parts = |date: Option<Date>| date.map_or([0; 3], |date| [date.year, date.month, date.day].map(i64::from));
    let mut all = Vec::new();
    request.page_size = 100;
    loop {
        let page = service.participants.clone().list_counterparts(request.clone()).await.unwrap().into_inner();
        all.extend(page.counterparts.into_iter().map(|one| {
            let who = if one.participant.is_empty() { one.region_code } else { one.participant };
            let met = (
                usize::try_from(one.meeting_count).unwrap(),
                parts(one.first_date),
                parts(one.last_date),
                one.last_meeting,
            );
            (who, met)
        }));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return all;
        }
    }
}

async fn counterparts(service: &Service, told: &[Told], name: &str) {
    for filter in ["", "date >= 2008 AND date <= 2010", "kind = VISIT"] {
        let is_in = |one: &Told| match filter {
            "" => true,
            "kind = VISIT" => one.kind == "VISIT",
            _ => (2008..=2010).contains(&one.date[0]),
        };
        let others = met(told, |one| one.others(name).filter(|_| is_in(one)).map(|other| other.0.as_str()).collect());
        let request = ListCounterpartsRequest { participant: name.into(), filter: filter.into(), ..Default::default() };
        assert_eq!(listed(service, request).await, ranked(others), "{name} {filter}");
    }
}

async fn regions(service: &Service, told: &[Told], name: &str) {
    let others =
        met(told, |one| one.others(name).map(|other| other.1.as_str()).filter(|code| !code.is_empty()).collect());
    let group_by = GroupBy::Region.into();
    let request = ListCounterpartsRequest { participant: name.into(), group_by, ..Default::default() };
    assert_eq!(listed(service, request).await, ranked(others), "{name}");
}

async fn aggregates(service: &Service, told: &[Told]) {
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
    let pairs = [["year", "kind"], ["topic", "month"], ["region", "participant"], ["place.region", "quarter"]];
    let all = EACH.iter().map(|one| vec![*one]).chain(pairs.iter().map(|two| two.to_vec()));
    for groups in all {
        let mut counted: BTreeMap<Vec<String>, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
        for one in told {
            let mut keys: Vec<Vec<String>> = vec![Vec::new()];
            for group in &groups {
                let values = one.values(group);
                keys = keys
                    .iter()
                    .flat_map(|key| values.iter().map(|it| [key.as_slice(), std::slice::from_ref(it)].concat()))
                    .collect();
            }
            for key in keys {
                let (meetings, people) = counted.entry(key).or_default();
                meetings.insert(&one.meeting);
                people.extend(one.names());
            }
        }
        let mut expected: Vec<_> =
            counted.into_iter().map(|(key, (meetings, people))| (meetings.len(), key, people.len())).collect();
        expected.sort_by(|one, other| (Reverse(one.0), &one.1).cmp(&(Reverse(other.0), &other.1)));
        let request = AggregateMeetingsRequest {
            group_by: groups.iter().map(|one| (*one).to_owned()).collect(),
            page_size: 1_000,
            count_participants: true,
            ..Default::default()
        };
        let answer = service.meetings.clone().aggregate_meetings(request).await.unwrap().into_inner();
        assert_eq!(answer.truncated, expected.len() > 1_000);
        let counts: Vec<_> = answer
            .groups
            .iter()
            .map(|one| {
                let keys = groups.iter().map(|group| one.keys[*group].clone()).collect();
                (one.meeting_count as usize, keys, one.participant_count as usize)
            })
            .collect();
        expected.truncate(1_000);
        assert_eq!(counts, expected, "{groups:?}");
    }
}

async fn paths(service: &Service, told: &[Told], names: &[&str]) {
    let mut met: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut together: HashMap<(&str, &str), BTreeSet<&str>> = HashMap::new();
    for one in told {
        for name in one.names() {
            met.entry(name).or_default().extend(one.names());
            for other in one.names() {
                together.entry((name, other)).or_default().insert(&one.meeting);
            }
        }
    }
    // Far from one another in the list of names, and always the same ones.
    let step = names.len() / 50;
    for at in 0..50 {
        let (source, target) = (names[at * step], names[(at * 7 * step + names.len() / 3) % names.len()]);
        if source == target {
            continue;
        }
        let mut away: HashMap<&str, usize> = HashMap::from([(source, 0)]);
        let mut queue = VecDeque::from([source]);
        while let Some(name) = queue.pop_front() {
            for other in &met[name] {
                if !away.contains_key(other) {
                    away.insert(other, away[name] + 1);
                    queue.push_back(other);
                }
            }
        }
        let request =
            FindPathRequest { source: source.into(), target: target.into(), max_depth: 6, ..Default::default() };
        let path = service.participants.clone().find_path(request).await.unwrap().into_inner();
        let expected = away.get(target).copied().filter(|depth| *depth <= 6).unwrap_or(0);
        assert_eq!(path.meetings.len(), expected, "{source} to {target}");
        assert!(!path.truncated);
        if expected > 0 {
            assert_eq!((path.participants[0].as_str(), path.participants[expected].as_str()), (source, target));
        }
        for (two, meeting) in path.participants.windows(2).zip(&path.meetings) {
            assert_eq!(together[&(two[0].as_str(), two[1].as_str())].first(), Some(&meeting.as_str()));
        }
    }
}
