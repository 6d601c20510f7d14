//! Whom somebody met, and by which meetings one comes from one to another.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
};

use readout::pb::{Date, FindPathRequest, ListCounterpartsRequest, list_counterparts_request::GroupBy};
use serde_json::Value;

use super::{
    json::{Days, Told, text},
    world::World,
};

/// Year, month and day; 0 is not told.
pub type Parts = [i64; 3];

impl Told {
    /// Those participations of which somebody is there, in person or remotely.
    fn there(&self) -> impl Iterator<Item = &Value> {
        self.participations().filter(|one| ["PRESENT", "REMOTE"].contains(&text(&one["presence"])))
    }

    /// The participants who are there.
    pub fn met(&self) -> BTreeSet<&str> {
        self.there().map(|one| self.participant(one)).filter(|name| !name.is_empty()).collect()
    }

    /// The participants whom one of them met; nobody where he is not there.
    fn others(&self, name: &str) -> BTreeSet<&str> {
        let mut met = self.met();
        if met.remove(name) { met } else { BTreeSet::new() }
    }

    /// The regions of those whom one of them met.
    fn regions_of_others(&self, name: &str) -> BTreeSet<&str> {
        let is_there = self.met().contains(name);
        let others = self.there().filter(|one| is_there && self.participant(one) != name);
        others.map(|one| text(&one["regionCode"])).filter(|code| !code.is_empty()).collect()
    }

    /// When it began.
    pub fn began(&self) -> Parts {
        ["year", "month", "day"].map(|part| self.account["date"]["start"][part].as_i64().unwrap_or(0))
    }

    fn first_day(&self) -> Parts {
        let [year, month, day] = self.began();
        if year == 0 { [0; 3] } else { [year, month.max(1), day.max(1)] }
    }
}

/// How often, when first and last, and where last.
type Met = (usize, Parts, Parts, String);

/// Those whom somebody met, the most met first.
fn ranked<'a>(told: &'a [Told], with: impl Fn(&'a Told) -> BTreeSet<&'a str>) -> Vec<(String, Met)> {
    let mut in_order: Vec<&Told> = told.iter().collect();
    in_order.sort_by_key(|one| (one.first_day(), &one.meeting));
    let mut all: BTreeMap<&str, Met> = BTreeMap::new();
    for one in in_order {
        for who in with(one) {
            let (times, first, last, meeting) = all.entry(who).or_default();
            *times += 1;
            if *first == [0; 3] {
                *first = one.began();
            }
            (*last, *meeting) = (one.began(), one.meeting.clone());
        }
    }
    let mut ranked: Vec<_> = all.into_iter().map(|(who, met)| (who.to_owned(), met)).collect();
    ranked.sort_by_key(|(who, met)| (Reverse(met.0), who.clone()));
    ranked
}

impl World {
    /// The same as the service answers it, page by page.
    async fn counterparts(&self, mut request: ListCounterpartsRequest) -> Vec<(String, Met)> {
        let parts = |date: Option<Date>| date.map_or([0; 3], |date| [date.year, date.month, date.day].map(i64::from));
        let mut all = Vec::new();
        request.page_size = 100;
        let mut client = self.service.participants.clone();
        loop {
            let page = client.list_counterparts(request.clone()).await.expect("a page").into_inner();
            all.extend(page.counterparts.into_iter().map(|one| {
                let times = usize::try_from(one.meeting_count).expect("a count");
                let who = if one.participant.is_empty() { one.region_code } else { one.participant };
                (who, (times, parts(one.first_date), parts(one.last_date), one.last_meeting))
            }));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return all;
            }
        }
    }

    /// Those who are somewhere, those at most meetings first.
    fn busiest(&self) -> Vec<&str> {
        let mut meetings: BTreeMap<&str, usize> = BTreeMap::new();
        self.told.iter().flat_map(Told::met).for_each(|name| *meetings.entry(name).or_default() += 1);
        let mut names: Vec<&str> = meetings.keys().copied().collect();
        names.sort_by_key(|name| (Reverse(meetings[name]), *name));
        names
    }
}

#[tokio::test]
async fn the_busiest_met_whom_the_stories_tell() {
    for world in [World::new().await, World::whole().await] {
        for name in &world.busiest()[..20] {
            let all = ListCounterpartsRequest { participant: (*name).into(), ..Default::default() };
            let filtered = |filter: &str| ListCounterpartsRequest { filter: filter.into(), ..all.clone() };
            let regions = ListCounterpartsRequest { group_by: GroupBy::Region.into(), ..all.clone() };
            let told = &world.told;
            assert_eq!(world.counterparts(all.clone()).await, ranked(told, |one| one.others(name)), "{name}");
            assert_eq!(world.counterparts(regions).await, ranked(told, |one| one.regions_of_others(name)), "{name}");
            let visits = |one: &&Told| one.account["kind"] == "VISIT";
            let expected = ranked(told, |one| Some(one).filter(visits).map(|one| one.others(name)).unwrap_or_default());
            assert_eq!(world.counterparts(filtered("kind = VISIT")).await, expected, "{name}");
            let days = |one: &Told| Days::of_span(&one.account["date"]);
            let in_years =
                |one: &&Told| days(one).is_some_and(|days| days.first >= 20_080_101 && days.last <= 20_101_231);
            let expected =
                ranked(told, |one| Some(one).filter(in_years).map(|one| one.others(name)).unwrap_or_default());
            let period = "date >= 2008 AND date <= 2010 AND NOT (date < 2008 OR date > 2010)";
            assert_eq!(world.counterparts(filtered(period)).await, expected, "{name}");
        }
    }
}

/// How many meetings away the others are.
fn away<'a>(met: &HashMap<&'a str, BTreeSet<&'a str>>, source: &'a str) -> HashMap<&'a str, usize> {
    let mut away = HashMap::from([(source, 0)]);
    let mut queue = VecDeque::from([source]);
    while let Some(name) = queue.pop_front() {
        let next = away[name] + 1;
        for other in &met[name] {
            if !away.contains_key(other) {
                away.insert(other, next);
                queue.push_back(other);
            }
        }
    }
    away
}

#[tokio::test]
async fn chains_are_as_short_as_the_stories_allow() {
    let world = World::whole().await;
    let mut met: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut together: HashMap<(&str, &str), BTreeSet<&str>> = HashMap::new();
    for one in &world.told {
        for name in one.met() {
            met.entry(name).or_default().extend(one.met());
            for other in one.met() {
                together.entry((name, other)).or_default().insert(&one.meeting);
            }
        }
    }
    let names = world.busiest();
    // Busy ones and others, always the same.
    let step = names.len() / 50;
    for at in 0..50 {
        let (source, target) = (names[at * step], names[(at * 7 * step + names.len() / 3) % names.len()]);
        assert_ne!(source, target);
        let request =
            FindPathRequest { source: source.into(), target: target.into(), max_depth: 6, ..Default::default() };
        let path = world.service.participants.clone().find_path(request).await.expect("an answer").into_inner();
        let expected = away(&met, source).get(target).copied().filter(|depth| *depth <= 6).unwrap_or(0);
        assert_eq!(path.meetings.len(), expected, "{source} to {target}");
        assert!(!path.truncated);
        if expected > 0 {
            assert_eq!([path.participants[0].as_str(), path.participants[expected].as_str()], [source, target]);
        }
        for (two, meeting) in path.participants.windows(2).zip(&path.meetings) {
            assert_eq!(together[&(two[0].as_str(), two[1].as_str())].first(), Some(&meeting.as_str()));
        }
    }
}
