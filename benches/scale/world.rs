//! What meetings are made of: those that really were, each told again with other people and on another day. Pure: the
//! same seed makes the same world.
//!
//! Kinds, numbers of people, roles, offices, years and months are so distributed as they are in the sample stories. These
//! are of one country; here it is the host of four meetings out of five.

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

/// The country that the stories are of.
const HOME: &str = "CN";
/// Beside the topics of the stories, which all have in common.
const TOPICS: usize = 200;
/// 1 January 2026, from which on the ids count: they are in no relation to when meetings were.
const FIRST_ID: u64 = 1_767_225_600_000;

pub struct World {
    /// What was really told, and the article's text.
    told: Vec<(Account, String)>,
    names: Vec<String>,
    /// Each with how many of the stories have it or one before it.
    regions: Vec<(String, u64)>,
    /// The numbers of the participants of each region; the first are the busiest.
    people: HashMap<String, Vec<usize>>,
    size: usize,
}

impl World {
    /// A world of so many people. A larger one has the same, and more.
    pub fn of(size: usize) -> Self {
        let stories: Vec<_> = stories::lines().iter().map(|line| stories::story(line)).collect();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut told = Vec::new();
        for story in &stories {
            let text = &story.article.as_ref().expect("each has one").text;
            for account in story.reports.iter().filter_map(|report| report.account.as_ref()) {
                let regions: HashSet<&str> = account.participations.iter().map(|one| &*one.region_code).collect();
                regions
                    .into_iter()
                    .filter(|code| !code.is_empty())
                    .for_each(|code| *counts.entry(code).or_default() += 1);
                told.push((account.clone(), text.clone()));
            }
        }
        // Of the whole world it is one of the largest, not half of it.
        let largest = counts.iter().filter(|one| *one.0 != HOME).map(|one| *one.1).max().unwrap_or(1);
        counts.insert(HOME, largest);
        let mut upto = 0;
        let regions = counts.into_iter().map(|(code, count)| {
            upto += count;
            (code.to_owned(), upto)
        });
        let regions = regions.collect();
        let people = stories.iter().flat_map(|story| &story.participants).filter_map(|one| one.participant.as_ref());
        let names: Vec<String> = people.map(|one| one.display_name.clone()).collect();
        let mut world = Self { told, names, regions, people: HashMap::new(), size };
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
        let at = chance.below(self.regions.last().expect("there are some").1);
        &self.regions[self.regions.partition_point(|(_, upto)| *upto <= at)].0
    }

    /// The participant of this number.
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

    /// Any of the participants, however seldom it comes.
    pub fn anybody(&self, chance: &mut Chance) -> String {
        Collection::Participants.name(id_of("participant", chance.below(self.size as u64) as usize))
    }

    /// What a source tells of some meeting.
    pub fn told(&self, chance: &mut Chance) -> Told {
        let (account, text) = one_of(chance, &self.told);
        let mut account = account.clone();
        let home = if chance.once_in(5) { self.region(chance) } else { HOME };
        let mut regions: HashMap<String, &str> = [(HOME.to_owned(), home), (String::new(), home)].into();
        let mut taken = HashSet::new();
        for one in &mut account.participations {
            let region = *regions.entry(one.region_code.clone()).or_insert_with(|| self.region(chance));
            if !one.region_code.is_empty() {
                region.clone_into(&mut one.region_code);
            }
            if let Some(office) = one.office.as_mut().filter(|office| !office.region_code.is_empty()) {
                region.clone_into(&mut office.region_code);
            }
            self.cast(one, region, &mut taken, chance);
        }
        if let Some(place) = account.place.as_mut().filter(|place| !place.region_code.is_empty()) {
            let region = *regions.entry(place.region_code.clone()).or_insert_with(|| self.region(chance));
            region.clone_into(&mut place.region_code);
        }
        account.topics.push(format!("topic-{}", rank(chance, TOPICS)));
        set_days(&mut account, chance);
        vary(&mut account, chance);
        Told { account, text: text.clone() }
    }

    /// Somebody of the region takes part, who does not do so already.
    fn cast(&self, one: &mut Participation, region: &str, taken: &mut HashSet<usize>, chance: &mut Chance) {
        let people = self.people.get(region).map(Vec::as_slice).unwrap_or_default();
        let first = if people.is_empty() { 0 } else { rank(chance, people.len()) };
        let free = people.iter().cycle().skip(first).take(people.len()).find(|number| !taken.contains(*number));
        match free {
            Some(&number) => {
                let id = id_of("participant", number);
                taken.insert(number);
                one.participant = Collection::Participants.name(id);
                one.name_as_written = self.name(number);
                one.id = id.to_string();
            }
            None => one.participant.clear(),
        }
    }
}

/// What is told of a meeting, and in which words.
pub struct Told {
    pub account: Account,
    pub text: String,
}

/// On another day of the same month.
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

/// So many days later.
pub fn days_after(date: &Date, days: u64) -> Date {
    let day = dates::first_day(date).expect("it is one");
    dates::of_day(day + chrono::Days::new(days))
}

/// What the stories do not have, and what is asked for.
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

/// The id of the record of this number. As time goes by, numbers and ids grow.
pub fn id_of(kind: &str, number: usize) -> Uuid {
    let chance = &mut chance_of(kind, number);
    let random: Vec<u8> = (0..10).map(|_| chance.below(256) as u8).collect();
    let random = random.try_into().expect("ten");
    Builder::from_unix_timestamp_millis(FIRST_ID + number as u64 / 8, &random).into_uuid()
}
