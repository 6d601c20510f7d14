//! Compares counterparts of participants and paths between them with those made from the stories.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
};

use readout::pb::{Date, FindPathRequest, ListCounterpartsRequest, list_counterparts_request::GroupBy};
use serde_json::Value;

use super::{
    json::{Days, StoryMeeting, text},
    world::World,
};

/// Year, month and day; a part of 0 is missing.
pub type Parts = [i64; 3];

impl StoryMeeting {
    /// The participations of people who are there, in person or remotely.
    fn present(&self) -> impl Iterator<Item = &Value> {
        self.participations().filter(|person| ["PRESENT", "REMOTE"].contains(&text(&person["presence"])))
    }

    /// The participants who are there.
    pub fn met(&self) -> BTreeSet<&str> {
        self.present().map(|person| self.participant(person)).filter(|name| !name.is_empty()).collect()
    }

    /// The participants whom `name` met; empty if `name` was not there.
    fn others(&self, name: &str) -> BTreeSet<&str> {
        let mut met = self.met();
        if met.remove(name) { met } else { BTreeSet::new() }
    }

    /// The regions of those whom `name` met.
    fn regions_of_others(&self, name: &str) -> BTreeSet<&str> {
        let is_there = self.met().contains(name);
        let others = self.present().filter(|person| is_there && self.participant(person) != name);
        others.map(|person| text(&person["regionCode"])).filter(|code| !code.is_empty()).collect()
    }

    /// The date on which the meeting began, as far as it is known: some time within a span, the month or the year that
    /// the whole span is in.
    pub fn began(&self) -> Parts {
        let date = &self.account["date"];
        let [year, month, _] = self.start();
        let days = Days::of_span(date).filter(|_| date["extent"] == "SOMETIME_WITHIN");
        match days.map(|Days { first, last }| (first / 10_000 == last / 10_000, first / 100 == last / 100)) {
            None => self.start(),
            Some((true, true)) => [year, month.max(1), 0],
            Some((true, false)) => [year, 0, 0],
            Some((false, _)) => [0; 3],
        }
    }

    /// The first quarter of the span that the day is within, if it is the only one.
    pub fn quarter(&self) -> Option<String> {
        let Days { first, last } = Days::of_span(&self.account["date"])?;
        let quarter = |day: i64| (day / 10_000, (day / 100 % 100 + 2) / 3);
        let is_known = self.began()[1] > 0 || (self.began()[0] > 0 && quarter(first) == quarter(last));
        is_known.then(|| format!("{}-Q{}", quarter(first).0, quarter(first).1))
    }

    fn start(&self) -> Parts {
        ["year", "month", "day"].map(|part| self.account["date"]["start"][part].as_i64().unwrap_or(0))
    }

    fn first_day(&self) -> Parts {
        let [year, month, day] = self.start();
        if year == 0 { [0; 3] } else { [year, month.max(1), day.max(1)] }
    }
}

/// Number of meetings, first and last date, and the last meeting.
type Encounters = (usize, Parts, Parts, String);

/// The counterparts that `with` finds, most meetings first.
fn ranked<'a>(
    meetings: &'a [StoryMeeting],
    with: impl Fn(&'a StoryMeeting) -> BTreeSet<&'a str>,
) -> Vec<(String, Encounters)> {
    let mut in_order: Vec<&StoryMeeting> = meetings.iter().collect();
    in_order.sort_by_key(|meeting| (meeting.first_day(), &meeting.name));
    let mut counterparts: BTreeMap<&str, Encounters> = BTreeMap::new();
    let mut dated = BTreeSet::new();
    for meeting in in_order {
        for counterpart in with(meeting) {
            let (times, first, last, last_meeting) = counterparts.entry(counterpart).or_default();
            *times += 1;
            // The earliest one with a day: the day may be some time within several years.
            if meeting.first_day() != [0; 3] && dated.insert(counterpart) {
                *first = meeting.began();
            }
            (*last, *last_meeting) = (meeting.began(), meeting.name.clone());
        }
    }
    let mut ranked: Vec<_> = counterparts.into_iter().map(|(name, met)| (name.to_owned(), met)).collect();
    ranked.sort_by_key(|(name, met)| (Reverse(met.0), name.clone()));
    ranked
}

impl World {
    /// The counterparts as the service lists them, over all pages.
    async fn counterparts(&self, mut request: ListCounterpartsRequest) -> Vec<(String, Encounters)> {
        let parts = |date: Option<Date>| date.map_or([0; 3], |date| [date.year, date.month, date.day].map(i64::from));
        let mut all = Vec::new();
        request.page_size = 100;
        let mut client = self.service.participants.clone();
        loop {
            let page = client.list_counterparts(request.clone()).await.expect("a page").into_inner();
            all.extend(page.counterparts.into_iter().map(|row| {
                let times = usize::try_from(row.meeting_count).expect("a count");
                let name = if row.participant.is_empty() { row.region_code } else { row.participant };
                (name, (times, parts(row.first_date), parts(row.last_date), row.last_meeting))
            }));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return all;
            }
        }
    }

    /// The participants of at least one meeting, most meetings first.
    fn busiest(&self) -> Vec<&str> {
        let mut meetings: BTreeMap<&str, usize> = BTreeMap::new();
        self.meetings.iter().flat_map(StoryMeeting::met).for_each(|name| *meetings.entry(name).or_default() += 1);
        let mut names: Vec<&str> = meetings.keys().copied().collect();
        names.sort_by_key(|name| (Reverse(meetings[name]), *name));
        names
    }
}

#[tokio::test]
async fn list_counterparts_ranks_as_the_stories_say() {
    for world in [World::new().await, World::whole().await] {
        for name in &world.busiest()[..20] {
            let all = ListCounterpartsRequest { participant: (*name).into(), ..Default::default() };
            let filtered = |filter: &str| ListCounterpartsRequest { filter: filter.into(), ..all.clone() };
            let regions = ListCounterpartsRequest { group_by: GroupBy::Region.into(), ..all.clone() };
            let meetings = &world.meetings;
            let expected = ranked(meetings, |meeting| meeting.others(name));
            assert_eq!(world.counterparts(all.clone()).await, expected, "{name}");
            let expected = ranked(meetings, |meeting| meeting.regions_of_others(name));
            assert_eq!(world.counterparts(regions).await, expected, "{name}");
            let expected = ranked(meetings, |meeting| {
                let is_visit = meeting.account["kind"] == "VISIT";
                if is_visit { meeting.others(name) } else { BTreeSet::new() }
            });
            assert_eq!(world.counterparts(filtered("kind = VISIT")).await, expected, "{name}");
            let expected = ranked(meetings, |meeting| {
                let days = Days::of_span(&meeting.account["date"]);
                let is_in_years = days.is_some_and(|days| days.first >= 20_080_101 && days.last <= 20_101_231);
                if is_in_years { meeting.others(name) } else { BTreeSet::new() }
            });
            let period = "date >= 2008 AND date <= 2010 AND NOT (date < 2008 OR date > 2010)";
            assert_eq!(world.counterparts(filtered(period)).await, expected, "{name}");
        }
    }
}

/// The distance from `source` to each reachable participant, in meetings.
fn distances<'a>(met: &HashMap<&'a str, BTreeSet<&'a str>>, source: &'a str) -> HashMap<&'a str, usize> {
    let mut distances = HashMap::from([(source, 0)]);
    let mut queue = VecDeque::from([source]);
    while let Some(name) = queue.pop_front() {
        let next = distances[name] + 1;
        for other in &met[name] {
            if !distances.contains_key(other) {
                distances.insert(other, next);
                queue.push_back(other);
            }
        }
    }
    distances
}

#[tokio::test]
async fn find_path_is_as_short_as_the_stories_allow() {
    let world = World::whole().await;
    let mut met: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut together: HashMap<(&str, &str), BTreeSet<&str>> = HashMap::new();
    for meeting in &world.meetings {
        for name in meeting.met() {
            met.entry(name).or_default().extend(meeting.met());
            for other in meeting.met() {
                together.entry((name, other)).or_default().insert(&meeting.name);
            }
        }
    }
    let names = world.busiest();
    // A fixed selection of busy participants and others.
    let step = names.len() / 50;
    for at in 0..50 {
        let (source, target) = (names[at * step], names[(at * 7 * step + names.len() / 3) % names.len()]);
        assert_ne!(source, target);
        let request =
            FindPathRequest { source: source.into(), target: target.into(), max_depth: 6, ..Default::default() };
        let path = world.service.participants.clone().find_path(request).await.expect("an answer").into_inner();
        let expected = distances(&met, source).get(target).copied().filter(|depth| *depth <= 6).unwrap_or(0);
        assert_eq!(path.meetings.len(), expected, "{source} to {target}");
        assert!(!path.truncated);
        if expected > 0 {
            assert_eq!([path.participants[0].as_str(), path.participants[expected].as_str()], [source, target]);
        }
        for (pair, meeting) in path.participants.windows(2).zip(&path.meetings) {
            assert_eq!(together[&(pair[0].as_str(), pair[1].as_str())].first(), Some(&meeting.as_str()));
        }
    }
}
