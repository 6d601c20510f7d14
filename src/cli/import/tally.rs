//! What an import did: its totals, its progress on a terminal, and the lines that it could not take.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

use super::lines::At;
use crate::{
    config::Output,
    pb::{IngestStoryResponse, ingest_story_response::Outcome},
};

/// The totals, where all parts of an import can write to.
#[derive(Debug)]
pub struct Tally {
    totals: Mutex<Totals>,
    /// Draws nothing where standard error is not a terminal.
    bar: ProgressBar,
}

impl Tally {
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{elapsed} {human_pos} lines, {per_sec}") {
            bar.set_style(style);
        }
        Self { totals: Mutex::default(), bar }
    }

    /// A line was accepted; `count` what it led to.
    pub fn accepted<T>(&self, count: impl FnOnce(&mut Totals) -> T) -> T {
        self.bar.inc(1);
        count(&mut self.totals())
    }

    /// A line was not accepted.
    pub fn failed(&self, at: &At, why: &str) {
        self.bar.inc(1);
        self.totals().failed += 1;
        self.tell(at, why);
    }

    /// Tells something about a line.
    pub fn tell(&self, at: &At, what: &str) {
        self.bar.suspend(|| eprintln!("{at}: {what}"));
    }

    /// Whether a line has led to this meeting already.
    pub fn knows_meeting(&self, name: &str) -> bool {
        self.totals().knows_meeting(name)
    }

    /// Tells the totals; answers whether all lines were accepted.
    pub fn finish(&self, output: Output) -> bool {
        self.bar.finish_and_clear();
        let totals = self.totals();
        match output {
            Output::Text => eprintln!("{}", totals.text()),
            Output::Json => println!("{}", totals.json()),
        }
        totals.failed == 0
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
            "{lines}: {} articles, {} meetings, {} reports, {} participants; {} created, {} matched, {} failed",
            self.articles.len(),
            self.meetings.len(),
            self.reports.len(),
            self.participants.len(),
            self.created(),
            self.matched(),
            self.failed,
        )
    }

    fn json(&self) -> String {
        format!(
            r#"{{"stories":{},"articles":{},"meetings":{},"reports":{},"participants":{},"created":{},"matched":{},"failed":{}}}"#,
            self.stories,
            self.articles.len(),
            self.meetings.len(),
            self.reports.len(),
            self.participants.len(),
            self.created(),
            self.matched(),
            self.failed,
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
        totals.failed = 1;
        assert_eq!(
            totals.json(),
            r#"{"stories":4,"articles":3,"meetings":3,"reports":3,"participants":1,"created":7,"matched":3,"failed":1}"#
        );
        assert_eq!(
            totals.text(),
            "4 stories: 3 articles, 3 meetings, 3 reports, 1 participants; 7 created, 3 matched, 1 failed"
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
