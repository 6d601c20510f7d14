//! The stories of an import whose order matters. They are sent in the order of the files, on one stream; all others may
//! be written at the same time, so that the outcome is that of a single stream.
//!
//! Two stories depend on each other if they share a [`Dependency`]:
//!
//! - a uri: the later story matches the article of the earlier one, updates it, or differs from it;
//! - a description of a participant that no earlier story had: it creates a participant or teaches one. Of several
//!   participants that a later story may mean the oldest is taken, so all of these depend on each other;
//! - a name or an external id of participants with different descriptions. Once a description is stored, it leads to the
//!   same participant in any order, and teaches nothing;
//! - an external id of a meeting: the report is added to the meeting of the earlier story;
//! - with the matching of meetings, a day: a report is added to the meeting of an earlier one. The meeting of an external
//!   id may have any day.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use prost::Message;

use crate::{
    model::{article::uris, identity::door_keys, time::dates},
    pb::{
        Account, Participant, ParticipantMatching, Participation, Story, ingest_story_request::MeetingMatching,
        participant::Kind,
    },
};

/// The longest span of days of which each day is a dependency. A report with a longer one is added to no meeting.
const MAX_DAYS: usize = 32;

/// Something that the outcome of a story depends on, and that its write changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// The hash of what it is.
    pub key: u64,
    /// Stories with the same variant of a key do not depend on each other; those with `None` depend on all.
    variant: Option<u64>,
}

impl Dependency {
    /// True if the order of two stories with these dependencies matters.
    pub fn conflicts_with(self, other: Self) -> bool {
        self.key == other.key && (self.variant.is_none() || self.variant != other.variant)
    }
}

/// The dependencies of a story.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    all: Vec<Dependency>,
    /// The hashes of the descriptions of its participants.
    pub descriptions: Vec<u64>,
}

impl Dependencies {
    /// The dependencies of a story under these rules.
    pub fn of(story: &Story, participants: ParticipantMatching, meetings: MeetingMatching) -> Self {
        let mut found = Self::default();
        let article = story.article.iter();
        article.clone().flat_map(uris).for_each(|uri| found.add(hash(("uri", uri)), None));
        if article.clone().any(|article| !article.syndicated_from.is_empty()) {
            // An update may make an article the source of another one.
            found.add(hash("syndication"), None);
        }

        let listed = story.participants.iter().filter_map(|entry| entry.participant.clone());
        let accounts = || story.reports.iter().filter_map(|report| report.account.as_ref());
        let named = accounts().flat_map(|account| &account.participations).filter_map(described);
        for participant in listed.chain(named).filter(|participant| participant.name.is_empty()) {
            found.add_participant(&participant, participants);
        }

        let named_meetings = story.reports.iter().filter(|report| !report.meeting.is_empty());
        named_meetings.clone().for_each(|report| found.add(hash(("meeting", &report.meeting)), None));
        let ids = accounts().flat_map(|account| &account.external_ids);
        ids.clone().for_each(|id| found.add(hash(("meeting id", &id.scheme, &id.value)), None));
        if meetings == MeetingMatching::Same {
            // A meeting that a story names, by its name or by an external id, has days that only the service knows.
            let is_named = named_meetings.clone().next().is_some() || ids.clone().next().is_some();
            found.add(hash("days"), (!is_named).then_some(0));
            accounts().flat_map(days).for_each(|day| found.add(hash(("day", day)), None));
        }
        found
    }

    /// All dependencies, if these descriptions are stored.
    pub fn after(&self, stored: &HashSet<u64>) -> impl Iterator<Item = Dependency> {
        let teaches = self.descriptions.iter().any(|description| !stored.contains(description));
        let description = Dependency { key: hash("description"), variant: None };
        self.all.iter().copied().chain(teaches.then_some(description))
    }

    fn add(&mut self, key: u64, variant: Option<u64>) {
        self.all.push(Dependency { key, variant });
    }

    fn add_participant(&mut self, participant: &Participant, matching: ParticipantMatching) {
        let Participant { kind, region_code, external_ids, .. } = participant;
        let description = match matching {
            // Only the first one can be created with an external id, and names do not matter.
            ParticipantMatching::None => None,
            _ => Some(hash(participant.encode_to_vec())),
        };
        external_ids.iter().for_each(|id| self.add(hash(("id", &id.scheme, &id.value)), description));
        if let Some(description) = description {
            for name in door_keys(participant) {
                self.add(hash(("name", kind, region_code, name)), Some(description));
            }
            self.descriptions.push(description);
        }
    }
}

/// The participant that a name with a kind stands for.
fn described(participation: &Participation) -> Option<Participant> {
    let kind = Kind::try_from(participation.participant_kind).ok().filter(|kind| *kind != Kind::Unspecified)?;
    Some(Participant {
        kind: kind.into(),
        display_name: participation.name_as_written.clone(),
        region_code: participation.region_code.clone(),
        ..Default::default()
    })
}

/// The days of an account whose report can be added to a meeting.
fn days(account: &Account) -> impl Iterator<Item = chrono::NaiveDate> {
    let span = account.date.as_ref().and_then(dates::span);
    span.into_iter().flat_map(|(first, last)| first.iter_days().take_while(move |day| *day <= last).take(MAX_DAYS))
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Article, Date, DateSpan, ExternalId, StoryParticipant, StoryReport};

    fn person(name: &str) -> Participant {
        let mut person = Participant { display_name: name.into(), ..Default::default() };
        person.set_kind(Kind::Person);
        person
    }

    fn with_id(name: &str, scheme: &str, value: &str) -> Participant {
        let id = ExternalId { scheme: scheme.into(), value: value.into() };
        Participant { external_ids: vec![id], ..person(name) }
    }

    fn story(uri: &str, people: &[Participant]) -> Story {
        let entry = |person: &Participant| StoryParticipant { key: "p".into(), participant: Some(person.clone()) };
        let article = Some(Article { uri: uri.into(), ..Default::default() });
        Story { article, participants: people.iter().map(entry).collect(), ..Default::default() }
    }

    #[test]
    fn reports_depend_on_each_other_by_an_external_id_of_their_meeting() {
        let with = |uri: &str, day: i32, value: &str| {
            let mut story = on(uri, day, "");
            let id = ExternalId { scheme: "register".into(), value: value.into() };
            story.reports[0].account.get_or_insert_default().external_ids.push(id);
            story
        };
        let [a, b] = [with("urn:1", 3, "1"), with("urn:2", 9, "1")];
        for matching in [MeetingMatching::None, MeetingMatching::Same] {
            assert!(depend(&a, &b, ParticipantMatching::Settled, matching));
        }
        // The meeting of the id may have any days.
        for other in [with("urn:2", 9, "2"), on("urn:2", 9, "")] {
            assert!(!depend(&a, &other, ParticipantMatching::Settled, MeetingMatching::None));
            assert!(depend(&a, &other, ParticipantMatching::Settled, MeetingMatching::Same));
        }
    }

    fn on(uri: &str, day: i32, meeting: &str) -> Story {
        let date = |day| Date { year: 2020, month: 9, day };
        let date = DateSpan { start: Some(date(day)), end: Some(date(day + 1)), ..Default::default() };
        let account = Some(Account { date: Some(date), ..Default::default() });
        let report = StoryReport { account, meeting: meeting.into(), ..Default::default() };
        Story { reports: vec![report], ..story(uri, &[]) }
    }

    /// True if two stories depend on each other, with all their participants stored.
    fn depend(a: &Story, b: &Story, participants: ParticipantMatching, meetings: MeetingMatching) -> bool {
        let [a, b] = [a, b].map(|story| Dependencies::of(story, participants, meetings));
        let stored = a.descriptions.iter().chain(&b.descriptions).copied().collect();
        a.after(&stored).any(|a| b.after(&stored).any(|b| a.conflicts_with(b)))
    }

    #[test]
    fn stories_depend_on_each_other_by_uris_names_and_external_ids() {
        let learned = || Participant { names: with_alias("Ali", "Veli").names, ..person("Ali") };
        for (a, b, expected) in [
            (story("urn:1", &[]), story("urn:1", &[]), true),
            (story("urn:1", &[]), story("urn:2", &[]), false),
            (story("urn:1", &[person("Ali")]), story("urn:2", &[person("Ali")]), false),
            (story("urn:1", &[person("Ali")]), story("urn:2", &[person("ALI")]), true),
            (story("urn:1", &[person("Ali")]), story("urn:2", &[person("Veli")]), false),
            (story("urn:1", &[learned()]), story("urn:2", &[person("Veli")]), true),
            (story("urn:1", &[learned()]), story("urn:2", &[learned()]), false),
            (story("urn:1", &[with_id("Ali", "a", "1")]), story("urn:2", &[with_id("Veli", "a", "1")]), true),
            (story("urn:1", &[with_id("Ali", "a", "1")]), story("urn:2", &[with_id("Veli", "b", "1")]), false),
        ] {
            let settled = depend(&a, &b, ParticipantMatching::Settled, MeetingMatching::None);
            assert_eq!(settled, expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn stories_with_participants_that_are_not_stored_depend_on_each_other() {
        let [a, b] = ["Ali", "Veli"].map(|name| {
            Dependencies::of(&story(name, &[person(name)]), ParticipantMatching::Exact, MeetingMatching::None)
        });
        for (stored, expected) in [(vec![], true), (a.descriptions.clone(), false)] {
            let stored = stored.into_iter().collect();
            assert_eq!(a.after(&stored).any(|a| b.after(&stored).any(|b| a.conflicts_with(b))), expected);
        }
    }

    fn with_alias(name: &str, alias: &str) -> Participant {
        let name_of = |text: &str| crate::pb::ParticipantName { text: text.into(), ..Default::default() };
        Participant { names: vec![name_of(alias)], ..person(name) }
    }

    #[test]
    fn participants_without_matching_depend_on_each_other_by_an_external_id_only() {
        let none = |a: &Story, b: &Story| depend(a, b, ParticipantMatching::None, MeetingMatching::None);
        assert!(!none(&story("urn:1", &[person("Ali")]), &story("urn:2", &[person("ALI")])));
        assert!(!none(&story("urn:1", &[with_id("Ali", "a", "1")]), &story("urn:2", &[with_id("Ali", "a", "2")])));
        assert!(none(&story("urn:1", &[with_id("Ali", "a", "1")]), &story("urn:2", &[with_id("Ali", "a", "1")])));
    }

    #[test]
    fn reports_depend_on_each_other_by_a_day_if_meetings_are_matched() {
        let meeting = "meetings/0198f2d1-0000-7000-8000-00000000000b";
        for (a, b, expected) in [
            (on("urn:1", 3, ""), on("urn:2", 4, ""), true),
            (on("urn:1", 3, ""), on("urn:2", 5, ""), false),
            (on("urn:1", 3, ""), on("urn:2", 9, meeting), true),
        ] {
            assert_eq!(depend(&a, &b, ParticipantMatching::Settled, MeetingMatching::Same), expected, "{a:?} {b:?}");
            assert!(!depend(&a, &b, ParticipantMatching::Settled, MeetingMatching::None));
        }
    }

    #[test]
    fn name_with_a_kind_is_the_participant_that_it_stands_for() {
        let mut participation = Participation { name_as_written: "Ali".into(), ..Default::default() };
        participation.set_participant_kind(Kind::Person);
        let account = Some(Account { participations: vec![participation], ..Default::default() });
        let brief = Story { reports: vec![StoryReport { account, ..Default::default() }], ..story("urn:1", &[]) };
        let settled = |other: &Story| depend(&brief, other, ParticipantMatching::Settled, MeetingMatching::None);
        assert!(!settled(&story("urn:2", &[person("Ali")])));
        assert!(settled(&story("urn:2", &[person("ali")])));
    }
}
