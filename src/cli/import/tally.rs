//! The outcome of an import: its totals, and the messages that it could not take.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use uuid::Uuid;

use super::{fault::Fault, faults::Faults, reader::At};
use crate::{
    cli::console::Console,
    config::Output,
    pb::{IngestStoryResponse, ingest_story_response::Outcome},
};

/// The totals, where all parts of an import can write to.
#[derive(Debug)]
pub struct Tally {
    totals: Mutex<Totals>,
    faults: Mutex<Faults>,
    console: Console,
}

impl Tally {
    /// One that prints its lines here; with `all_errors` every fault, else the first of each kind.
    pub fn new(console: &Console, all_errors: bool) -> Self {
        let faults = Mutex::new(Faults::new(all_errors));
        Self { totals: Mutex::default(), faults, console: console.clone() }
    }

    /// A message was accepted; `count` counts what it led to.
    pub fn accepted<T>(&self, count: impl FnOnce(&mut Totals) -> T) -> T {
        self.console.count();
        count(&mut self.totals())
    }

    /// The same for a part of a message that is counted itself.
    pub fn accepted_part<T>(&self, count: impl FnOnce(&mut Totals) -> T) -> T {
        count(&mut self.totals())
    }

    /// A message was not accepted.
    pub fn failed(&self, at: &At, fault: &Fault) {
        self.console.count();
        self.totals().failed += 1;
        self.print(at, fault);
    }

    /// A message is about something that is there with other content, and was left as it is.
    pub fn differs(&self, at: &At, fault: &Fault) {
        self.console.count();
        self.part_differs(at, fault);
    }

    /// The same for a part of a message that is counted itself.
    pub fn part_differs(&self, at: &At, fault: &Fault) {
        self.totals().differs += 1;
        self.print(at, fault);
    }

    /// A message was accepted with a warning.
    pub fn warned(&self, at: &At, subject: &str, warning: &str) {
        self.print(at, &Fault::new("warning", format!("warning: {warning}")).about(subject));
    }

    /// Prints a fault, or only counts it.
    fn print(&self, at: &At, fault: &Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = faults.add(at, fault) {
            self.console.say(&line);
        }
    }

    /// Returns `true` if a message has led to this meeting already.
    pub fn knows_meeting(&self, name: &str) -> bool {
        self.totals().knows_meeting(name)
    }

    /// Prints the totals. `true`: all messages were accepted, and everything is there with their content.
    pub fn finish(&self, output: Output) -> bool {
        self.console.finish();
        for line in self.faults.lock().unwrap_or_else(PoisonError::into_inner).summary() {
            self.console.say(&line);
        }
        let totals = self.totals();
        match output {
            Output::Text => self.console.say(&totals.text()),
            Output::Json => println!("{}", totals.json()),
        }
        totals.failed == 0 && totals.differs == 0
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        // Numbers are whole between any two statements.
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Distinct resources, with whether this import created them.
type Resources = HashMap<Uuid, bool>;

/// The totals; `config::Import`'s help says what each number means.
#[derive(Debug, Default)]
pub struct Totals {
    stories: u64,
    records: u64,
    failed: u64,
    differs: u64,
    articles: Resources,
    meetings: Resources,
    reports: Resources,
    participants: Resources,
}

impl Totals {
    /// A story was accepted, with this answer.
    pub fn story(&mut self, answer: &IngestStoryResponse) -> Result<()> {
        self.stories += 1;
        self.resource(&answer.article, answer.article_outcome() == Outcome::Created)?;
        for participant in &answer.participants {
            self.resource(&participant.name, participant.outcome() == Outcome::Created)?;
        }
        for meeting in &answer.meetings {
            self.resource(&meeting.meeting, meeting.outcome() == Outcome::Created)?;
            // A report that was added to a meeting of the story's choice is new, too.
            self.resource(&meeting.report, meeting.outcome() != Outcome::Matched)?;
        }
        Ok(())
    }

    /// A record of an export was accepted.
    pub fn record(&mut self, name: &str, created: bool) -> Result<()> {
        self.records += 1;
        self.resource(name, created)
    }

    /// A line led to this resource. Once created, it stays so.
    pub fn resource(&mut self, name: &str, created: bool) -> Result<()> {
        let found = name.split_once('/').and_then(|(collection, id)| {
            let resources = match collection {
                "articles" => &mut self.articles,
                "meetings" => &mut self.meetings,
                "reports" => &mut self.reports,
                "participants" => &mut self.participants,
                _ => return None,
            };
            Some((resources, Uuid::try_parse(id).ok()?))
        });
        let (resources, id) = found.with_context(|| format!("{name:?} is no resource's name"))?;
        *resources.entry(id).or_default() |= created;
        Ok(())
    }

    fn knows_meeting(&self, name: &str) -> bool {
        let id = name.strip_prefix("meetings/").and_then(|id| Uuid::try_parse(id).ok());
        id.is_some_and(|id| self.meetings.contains_key(&id))
    }

    fn kinds(&self) -> [&Resources; 4] {
        [&self.articles, &self.meetings, &self.reports, &self.participants]
    }

    fn created(&self) -> usize {
        self.kinds().iter().flat_map(|kind| kind.values()).filter(|created| **created).count()
    }

    fn matched(&self) -> usize {
        self.kinds().iter().flat_map(|kind| kind.values()).filter(|created| !**created).count()
    }

    fn text(&self) -> String {
        let lines = match (self.stories, self.records) {
            (stories, 0) => format!("{stories} stories"),
            (0, records) => format!("{records} records"),
            (stories, records) => format!("{stories} stories and {records} records"),
        };
        format!(
            "{lines}: {} articles, {} meetings, {} reports, {} participants; {} created, {} matched, {} failed, {} differ",
            self.articles.len(),
            self.meetings.len(),
            self.reports.len(),
            self.participants.len(),
            self.created(),
            self.matched(),
            self.failed,
            self.differs,
        )
    }

    fn json(&self) -> String {
        format!(
            r#"{{"stories":{},"articles":{},"meetings":{},"reports":{},"participants":{},"created":{},"matched":{},"failed":{},"differs":{}}}"#,
            self.stories,
            self.articles.len(),
            self.meetings.len(),
            self.reports.len(),
            self.participants.len(),
            self.created(),
            self.matched(),
            self.failed,
            self.differs,
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::pb::ingest_story_response::{MeetingResult, ParticipantResult};

    use super::*;

    fn name(collection: &str, id: u128) -> String {
        format!("{collection}/{}", Uuid::from_u128(id))
    }

    fn answer(id: u128, outcome: Outcome) -> IngestStoryResponse {
        let outcome = outcome.into();
        IngestStoryResponse {
            article: name("articles", id),
            article_outcome: outcome,
            participants: vec![ParticipantResult { name: name("participants", 7), outcome, ..Default::default() }],
            meetings: vec![MeetingResult {
                meeting: name("meetings", id),
                report: name("reports", id),
                outcome,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn a_resource_is_counted_once_and_created_wins() {
        let mut totals = Totals::default();
        // Of two streams the one that matched the participant may answer first.
        for (id, outcome) in
            [(1, Outcome::Matched), (2, Outcome::Created), (2, Outcome::Matched), (3, Outcome::Created)]
        {
            totals.story(&answer(id, outcome)).unwrap();
        }
        (totals.failed, totals.differs) = (1, 2);
        assert_eq!(
            totals.json(),
            r#"{"stories":4,"articles":3,"meetings":3,"reports":3,"participants":1,"created":7,"matched":3,"failed":1,"differs":2}"#
        );
        assert_eq!(
            totals.text(),
            "4 stories: 3 articles, 3 meetings, 3 reports, 1 participants; 7 created, 3 matched, 1 failed, 2 differ"
        );
    }

    #[test]
    fn a_report_added_to_a_given_meeting_is_created_and_the_meeting_is_not() {
        let mut totals = Totals::default();
        totals.story(&answer(1, Outcome::Given)).unwrap();
        assert_eq!((totals.created(), totals.matched()), (1, 3));
        assert!(totals.reports.values().all(|created| *created));
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        for wrong in ["", "articles/", "articles/7", "things/00000000-0000-0000-0000-000000000001"] {
            assert!(Totals::default().resource(wrong, true).is_err(), "{wrong}");
        }
    }
}
