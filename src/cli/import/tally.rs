//! Counts the outcome of an import, and prints faults and totals.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use uuid::Uuid;

use super::{fault::Fault, fault_report::FaultReport, reader::Location};
use crate::{
    cli::console::Console,
    config::Output,
    pb::{IngestStoryResponse, ingest_story_response::Outcome},
};

/// The totals and the faults, shared by the tasks of an import.
#[derive(Debug)]
pub struct ImportSummary {
    totals: Mutex<Totals>,
    faults: Mutex<FaultReport>,
    console: Console,
}

impl ImportSummary {
    /// Creates an empty summary. With `all_errors` it prints every fault, else the first of each kind.
    pub fn new(console: &Console, all_errors: bool) -> Self {
        let faults = Mutex::new(FaultReport::new(all_errors));
        Self { totals: Mutex::default(), faults, console: console.clone() }
    }

    /// Records an accepted message. `count` adds its resources.
    pub fn accepted<T>(&self, count: impl FnOnce(&mut Totals) -> T) -> T {
        self.console.count();
        count(&mut self.totals())
    }

    /// Records an accepted part of a message, without counting the message.
    pub fn accepted_part<T>(&self, count: impl FnOnce(&mut Totals) -> T) -> T {
        count(&mut self.totals())
    }

    /// Records a message that was not accepted.
    pub fn failed(&self, location: &Location, fault: &Fault) {
        self.console.count();
        self.totals().failed += 1;
        self.print(location, fault);
    }

    /// Records a message whose resource exists with other content and was left unchanged.
    pub fn differs(&self, location: &Location, fault: &Fault) {
        self.console.count();
        self.part_differs(location, fault);
    }

    /// Records a part of a message that differs, without counting the message.
    pub fn part_differs(&self, location: &Location, fault: &Fault) {
        self.totals().differs += 1;
        self.print(location, fault);
    }

    /// Prints a warning about an accepted message.
    pub fn warned(&self, location: &Location, subject: &str, warning: &str) {
        self.print(location, &Fault::new("warning", format!("warning: {warning}")).about(subject));
    }

    /// Prints a fault, or only counts it.
    fn print(&self, location: &Location, fault: &Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = faults.add(location, fault) {
            self.console.say(&line);
        }
    }

    /// Returns `true` if an earlier message belonged to this meeting.
    pub fn knows_meeting(&self, name: &str) -> bool {
        self.totals().knows_meeting(name)
    }

    /// Prints the totals. Returns `true` if all messages were accepted and none differs.
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
        // A panic cannot leave the totals inconsistent: the poisoned lock is usable.
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Distinct resources by id; the value is `true` if this import created the resource.
type Resources = HashMap<Uuid, bool>;

/// The totals. The help text of `import` defines each number.
#[derive(Debug, Default)]
pub struct Totals {
    stories: u64,
    records: u64,
    failed: u64,
    differs: u64,
    /// Articles and participants with a new revision.
    updated: HashSet<String>,
    /// Reports that were added to a meeting that the matching found.
    joined: u64,
    articles: Resources,
    meetings: Resources,
    reports: Resources,
    participants: Resources,
}

impl Totals {
    /// Adds an accepted story with this answer.
    pub fn story(&mut self, answer: &IngestStoryResponse) -> Result<()> {
        self.stories += 1;
        self.resource(&answer.article, answer.article_outcome() == Outcome::Created)?;
        if answer.article_outcome() == Outcome::Updated {
            self.updated.insert(answer.article.clone());
        }
        for participant in &answer.participants {
            if participant.outcome() == Outcome::Updated {
                self.updated.insert(participant.name.clone());
            }
            self.resource(&participant.name, participant.outcome() == Outcome::Created)?;
        }
        for meeting in &answer.meetings {
            self.resource(&meeting.meeting, meeting.outcome() == Outcome::Created)?;
            self.joined += u64::from(meeting.outcome() == Outcome::Updated);
            // A report that was added to a given meeting is created too.
            self.resource(&meeting.report, meeting.outcome() != Outcome::Matched)?;
        }
        Ok(())
    }

    /// Adds an accepted record of an export.
    pub fn record(&mut self, name: &str, created: bool) -> Result<()> {
        self.records += 1;
        self.resource(name, created)
    }

    /// Adds a resource of a message. A resource stays created once any message created it.
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
        let (resources, id) = found.with_context(|| format!("{name:?} is not a resource name"))?;
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

    /// The counts that are left out if they are zero.
    fn more(&self) -> impl Iterator<Item = (u64, &'static str)> {
        // The number of records of an import does not reach 2⁶⁴.
        let updated = u64::try_from(self.updated.len()).unwrap_or(u64::MAX);
        [(updated, "updated"), (self.joined, "joined")].into_iter().filter(|(count, _)| *count > 0)
    }

    fn text(&self) -> String {
        let lines = match (self.stories, self.records) {
            (stories, 0) => format!("{stories} stories"),
            (0, records) => format!("{records} records"),
            (stories, records) => format!("{stories} stories and {records} records"),
        };
        let mut more = String::new();
        for (count, what) in self.more() {
            more.push_str(&format!(", {count} {what}"));
        }
        format!(
            "{lines}: {} articles, {} meetings, {} reports, {} participants; {} created, {} matched{more}, {} failed, {} differ",
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
        let more: String = self.more().map(|(count, what)| format!(r#","{what}":{count}"#)).collect();
        format!(
            r#"{{"stories":{},"articles":{},"meetings":{},"reports":{},"participants":{},"created":{},"matched":{}{more},"failed":{},"differs":{}}}"#,
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
    fn resource_is_counted_once_and_created_takes_precedence() {
        let mut totals = Totals::default();
        // The stream that matched a participant may answer before the one that created it.
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
    fn report_added_to_a_given_meeting_is_created_and_the_meeting_is_matched() {
        let mut totals = Totals::default();
        totals.story(&answer(1, Outcome::Given)).unwrap();
        assert_eq!((totals.created(), totals.matched()), (1, 3));
        assert!(totals.reports.values().all(|created| *created));
    }

    #[test]
    fn malformed_name_is_an_error() {
        for wrong in ["", "articles/", "articles/7", "things/00000000-0000-0000-0000-000000000001"] {
            assert!(Totals::default().resource(wrong, true).is_err(), "{wrong}");
        }
    }
}
