//! Generates meetings: each is a real one with other people and on another day. Deterministic: the same seed gives the
//! same world.
//!
//! Kinds, numbers of people, roles, offices, years and months are distributed as in the sample stories. Those are all
//! from one country; here it hosts four meetings out of five.

use std::collections::{BTreeMap, HashMap, HashSet};

use readout::{
    model::{resource::Collection, time::dates},
    pb::{
        Account, Announcement, Date, DateSpan, Participant, Participation,
        participant::Kind,
        participation::{Presence, Role},
    },
};
use uuid::{Builder, Uuid};

use super::{
    chance::{Chance, chance_of, one_of, rank},
    stories,
};

/// The country of the sample stories.
const HOME: &str = "CN";
/// Topics in addition to those of the stories, which every story has.
const TOPICS: usize = 200;
/// The time of the first id: 1 January 2026. Ids do not depend on the dates of meetings.
const FIRST_ID: u64 = 1_767_225_600_000;

pub struct World {
    /// The accounts of the real meetings, with the text of their articles.
    real: Vec<(Account, String)>,
    names: Vec<String>,
    /// Regions with cumulative counts of stories.
    regions: Vec<(String, u64)>,
    /// The participants of each region by number; the first are the busiest.
    people: HashMap<String, Vec<usize>>,
    size: usize,
}

impl World {
    /// A world of this many people. A larger world has the same people, and more.
    pub fn of(size: usize) -> Self {
        let stories: Vec<_> = stories::lines().iter().map(|line| stories::story(line)).collect();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut real = Vec::new();
        for story in &stories {
            let text = &story.article.as_ref().expect("each story has an article").text;
            for account in story.reports.iter().filter_map(|report| report.account.as_ref()) {
                let regions: HashSet<&str> = account.participations.iter().map(|person| &*person.region_code).collect();
                regions
                    .into_iter()
                    .filter(|code| !code.is_empty())
                    .for_each(|code| *counts.entry(code).or_default() += 1);
                real.push((account.clone(), text.clone()));
            }
        }
        // In the world this country is one of the largest regions, not half of it.
        let largest = counts.iter().filter(|(code, _)| **code != HOME).map(|(_, count)| *count).max().unwrap_or(1);
        counts.insert(HOME, largest);
        let mut upto = 0;
        let regions = counts.into_iter().map(|(code, count)| {
            upto += count;
            (code.to_owned(), upto)
        });
        let regions = regions.collect();
        let people =
            stories.iter().flat_map(|story| &story.participants).filter_map(|entry| entry.participant.as_ref());
        let names: Vec<String> = people.map(|person| person.display_name.clone()).collect();
        let mut world = Self { real, names, regions, people: HashMap::new(), size };
        for number in 0..size {
            let region = world.region_of(number).to_owned();
            world.people.entry(region).or_default().push(number);
        }
        world
    }

    fn region_of(&self, number: usize) -> &str {
        let chance = &mut chance_of("region", number);
        if chance.once_in(2) { HOME } else { self.region(chance) }
    }

    fn region(&self, chance: &mut Chance) -> &str {
        let at = chance.below(self.regions.last().expect("there are regions").1);
        &self.regions[self.regions.partition_point(|(_, upto)| *upto <= at)].0
    }

    /// The participant with this number.
    pub fn participant(&self, number: usize) -> Participant {
        Participant {
            kind: Kind::Person.into(),
            display_name: self.name(number),
            region_code: self.region_of(number).to_owned(),
            ..Default::default()
        }
    }

    fn name(&self, number: usize) -> String {
        format!("{} {number}", self.names[number % self.names.len()])
    }

    /// Any participant, however rarely they take part.
    pub fn any_participant(&self, chance: &mut Chance) -> String {
        Collection::Participants.name(id_of("participant", chance.below(self.size as u64) as usize))
    }

    /// A meeting, with the text of its article.
    pub fn meeting(&self, chance: &mut Chance) -> GeneratedMeeting {
        let (account, text) = one_of(chance, &self.real);
        let mut account = account.clone();
        let home = if chance.once_in(5) { self.region(chance) } else { HOME };
        let mut regions: HashMap<String, &str> = [(HOME.to_owned(), home), (String::new(), home)].into();
        let mut taken = HashSet::new();
        for person in &mut account.participations {
            let region = *regions.entry(person.region_code.clone()).or_insert_with(|| self.region(chance));
            if !person.region_code.is_empty() {
                region.clone_into(&mut person.region_code);
            }
            if let Some(office) = person.office.as_mut().filter(|office| !office.region_code.is_empty()) {
                region.clone_into(&mut office.region_code);
            }
            self.assign(person, region, &mut taken, chance);
        }
        if let Some(place) = account.place.as_mut().filter(|place| !place.region_code.is_empty()) {
            let region = *regions.entry(place.region_code.clone()).or_insert_with(|| self.region(chance));
            region.clone_into(&mut place.region_code);
        }
        account.topics.push(format!("topic-{}", rank(chance, TOPICS)));
        set_days(&mut account, chance);
        vary(&mut account, chance);
        GeneratedMeeting { account, text: text.clone() }
    }

    /// Assigns a participant of the region who does not take part yet.
    fn assign(&self, person: &mut Participation, region: &str, taken: &mut HashSet<usize>, chance: &mut Chance) {
        let people = self.people.get(region).map(Vec::as_slice).unwrap_or_default();
        let first = if people.is_empty() { 0 } else { rank(chance, people.len()) };
        let free = people.iter().cycle().skip(first).take(people.len()).find(|number| !taken.contains(*number));
        match free {
            Some(&number) => {
                let id = id_of("participant", number);
                taken.insert(number);
                person.participant = Collection::Participants.name(id);
                person.name_as_written = self.name(number);
                person.id = id.to_string();
            }
            None => person.participant.clear(),
        }
    }
}

/// The account of a generated meeting, and the text of its article.
pub struct GeneratedMeeting {
    pub account: Account,
    pub text: String,
}

/// Moves the meeting to another day of the same month.
fn set_days(account: &mut Account, chance: &mut Chance) {
    let Some(start) = account.date.as_mut().and_then(|date| date.start.as_mut()) else { return };
    start.day = 1 + chance.below(28) as i32;
    let day = *start;
    if chance.once_in(10) {
        account.announcement = Some(Announcement {
            by: "Ministry of Foreign Affairs".into(),
            date: Some(DateSpan { start: Some(days_after(&day, 1)), ..Default::default() }),
            ..Default::default()
        });
    }
}

/// The date this many days later.
pub fn days_after(date: &Date, days: u64) -> Date {
    let day = dates::first_day(date).expect("a valid date");
    dates::of_day(day + chrono::Days::new(days))
}

/// Adds values that no story has and that queries filter by.
fn vary(account: &mut Account, chance: &mut Chance) {
    let Some(first) = account.participations.first_mut() else { return };
    if chance.once_in(20) {
        first.roles.push(Role::HeadOfDelegation.into());
    }
    if chance.once_in(2_000) {
        first.roles.push(Role::Mediator.into());
    }
    if chance.once_in(50) {
        first.set_presence(Presence::Remote);
    }
}

/// The id of a record by its number. Ids grow with numbers.
pub fn id_of(kind: &str, number: usize) -> Uuid {
    let chance = &mut chance_of(kind, number);
    let random: Vec<u8> = (0..10).map(|_| chance.below(256) as u8).collect();
    let random = random.try_into().expect("ten");
    Builder::from_unix_timestamp_millis(FIRST_ID + number as u64 / 8, &random).into_uuid()
}
