//! Tracks the records that an export has, and the records that they refer to. An export may miss a record that is
//! written while it runs; a reference to it would dangle, and an import would refuse the record that has it.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::{
    model::resource::Collection,
    pb::{Account, export_record::Record},
};

type RecordKey = (Collection, Uuid);

/// The records of an export, and their references.
#[derive(Debug, Default)]
pub struct References {
    exported: HashSet<RecordKey>,
    /// Records that were referred to before they were exported, each with the first record that refers to it.
    awaited: HashMap<RecordKey, String>,
    /// The targets of links between meetings. A service accepts links to meetings that do not exist.
    links: Vec<Uuid>,
}

impl References {
    /// Adds a record. Returns `false` if a record of the same name was exported before.
    pub fn add(&mut self, record: &Record) -> bool {
        match record {
            Record::Header(_) => true,
            Record::Participant(participant) => {
                self.require_record(&participant.parent, &participant.name);
                self.export(&participant.name)
            }
            Record::Article(article) => {
                self.require_record(&article.syndicated_from, &article.name);
                self.export(&article.name)
            }
            Record::Report(record) => {
                let Some(report) = &record.report else { return true };
                if !self.export(&report.name) {
                    return false;
                }
                self.export(&record.meeting);
                self.require_record(&report.article, &report.name);
                self.await_participants(report.account.as_ref(), &report.name);
                let links = report.account.iter().flat_map(|account| &account.links);
                self.links.extend(links.filter_map(|link| Collection::Meetings.id(&link.meeting)));
                true
            }
            Record::Ruling(ruling) => {
                self.require_record(&ruling.meeting, &ruling.name);
                self.await_participants(ruling.account.as_ref(), &ruling.name);
                self.export(&ruling.name)
            }
            Record::Review(_) | Record::Merge(_) | Record::Judgement(_) | Record::Binding(_) => true,
        }
    }

    /// Returns `true` if a record is in the export.
    pub fn has(&self, name: &str) -> bool {
        Collection::of(name).is_some_and(|key| self.exported.contains(&key))
    }

    /// Returns the records that are referred to but not exported, each with a record that refers to it, in the order of
    /// their names.
    pub fn missing(&self) -> Vec<(String, &str)> {
        let missing = self.awaited.iter().filter(|(key, _)| !self.exported.contains(key));
        let mut missing: Vec<_> = missing.map(|((of, id), by)| (of.name(*id), by.as_str())).collect();
        missing.sort_unstable();
        missing
    }

    /// Returns the number of links to meetings that are not in the export.
    pub fn dead_links(&self) -> usize {
        self.links.iter().filter(|meeting| !self.exported.contains(&(Collection::Meetings, **meeting))).count()
    }

    fn export(&mut self, name: &str) -> bool {
        Collection::of(name).is_none_or(|key| self.exported.insert(key))
    }

    fn require_record(&mut self, name: &str, by: &str) {
        if let Some(key) = Collection::of(name).filter(|key| !self.exported.contains(key)) {
            self.awaited.entry(key).or_insert_with(|| by.to_owned());
        }
    }

    fn await_participants(&mut self, account: Option<&Account>, by: &str) {
        for participation in account.iter().flat_map(|account| &account.participations) {
            self.require_record(&participation.participant, by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Article, ExportReport, ExportRuling, Link, Participant, Participation, Report};

    fn name(collection: Collection, id: u128) -> String {
        collection.name(Uuid::from_u128(id))
    }

    fn report(id: u128, article: u128, participant: u128, link: u128) -> Record {
        let participant = name(Collection::Participants, participant);
        let account = Account {
            participations: vec![Participation { participant, ..Default::default() }],
            links: vec![Link { meeting: name(Collection::Meetings, link), ..Default::default() }],
            ..Default::default()
        };
        let report = Report {
            name: name(Collection::Reports, id),
            article: name(Collection::Articles, article),
            account: Some(account),
            ..Default::default()
        };
        Record::Report(ExportReport {
            meeting: name(Collection::Meetings, id),
            report: Some(report),
            ..Default::default()
        })
    }

    #[test]
    fn references_to_later_records_are_not_missing() {
        let mut references = References::default();
        let participant = |id, parent| {
            let parent = if parent == 0 { String::new() } else { name(Collection::Participants, parent) };
            Record::Participant(Participant { name: name(Collection::Participants, id), parent, ..Default::default() })
        };
        assert!(references.add(&participant(1, 2)) && references.add(&participant(2, 0)));
        let article = Article { name: name(Collection::Articles, 1), ..Default::default() };
        assert!(references.add(&Record::Article(article)));
        assert!(references.add(&report(1, 1, 2, 2)) && references.add(&report(2, 1, 1, 9)));
        assert!(references.missing().is_empty());
        assert_eq!(references.dead_links(), 1);
        assert!(references.has(&name(Collection::Meetings, 1)) && !references.has(&name(Collection::Meetings, 9)));
    }

    #[test]
    fn references_to_absent_records_are_missing() {
        let mut references = References::default();
        references.add(&report(1, 7, 8, 1));
        let ruling = ExportRuling {
            name: name(Collection::Reports, 3),
            meeting: name(Collection::Meetings, 9),
            ..Default::default()
        };
        references.add(&Record::Ruling(ruling));
        let by = name(Collection::Reports, 1);
        let ruling = name(Collection::Reports, 3);
        assert_eq!(
            references.missing(),
            [
                (name(Collection::Articles, 7), by.as_str()),
                (name(Collection::Meetings, 9), ruling.as_str()),
                (name(Collection::Participants, 8), by.as_str()),
            ]
        );
    }

    #[test]
    fn add_refuses_a_repeated_report() {
        let mut references = References::default();
        assert!(references.add(&report(1, 7, 8, 1)));
        assert!(!references.add(&report(1, 7, 8, 1)));
    }
}
