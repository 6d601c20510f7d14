//! The records that an export names, and those that it has. A record that is written while an export runs may be missed,
//! and one that names it would dangle: an import refuses it.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::{
    model::resource::Collection,
    pb::{Account, export_record::Record},
};

type RecordKey = (Collection, Uuid);

/// The records of an export, and those that they name.
#[derive(Debug, Default)]
pub struct References {
    exported: HashSet<RecordKey>,
    /// Those that were not exported when they were named, with the first record that names each.
    awaited: HashMap<RecordKey, String>,
    /// Meetings that links lead to; a service takes links to meetings that are not there.
    links: Vec<Uuid>,
}

impl References {
    /// Takes note of a record. `false`: one of its name was exported before.
    pub fn add(&mut self, record: &Record) -> bool {
        match record {
            Record::Header(_) => true,
            Record::Participant(participant) => {
                self.await_record(&participant.parent, &participant.name);
                self.export(&participant.name)
            }
            Record::Article(article) => {
                self.await_record(&article.syndicated_from, &article.name);
                self.export(&article.name)
            }
            Record::Report(record) => {
                let Some(report) = &record.report else { return true };
                if !self.export(&report.name) {
                    return false;
                }
                self.export(&record.meeting);
                self.await_record(&report.article, &report.name);
                self.await_participants(report.account.as_ref(), &report.name);
                let links = report.account.iter().flat_map(|account| &account.links);
                self.links.extend(links.filter_map(|link| Collection::Meetings.id(&link.meeting)));
                true
            }
            Record::Ruling(ruling) => {
                self.await_record(&ruling.meeting, &ruling.name);
                self.await_participants(ruling.account.as_ref(), &ruling.name);
                self.export(&ruling.name)
            }
            Record::Review(_) => true,
        }
    }

    /// Returns `true` if a record is in the export.
    pub fn has(&self, name: &str) -> bool {
        Collection::of(name).is_some_and(|key| self.exported.contains(&key))
    }

    /// Records that are not in the export, each with one that names it, in the order of their names.
    pub fn missing(&self) -> Vec<(String, &str)> {
        let missing = self.awaited.iter().filter(|(key, _)| !self.exported.contains(key));
        let mut missing: Vec<_> = missing.map(|((of, id), by)| (of.name(*id), by.as_str())).collect();
        missing.sort_unstable();
        missing
    }

    /// How many links lead to meetings that are not in the export.
    pub fn dead_links(&self) -> usize {
        self.links.iter().filter(|meeting| !self.exported.contains(&(Collection::Meetings, **meeting))).count()
    }

    fn export(&mut self, name: &str) -> bool {
        Collection::of(name).is_none_or(|key| self.exported.insert(key))
    }

    fn await_record(&mut self, name: &str, by: &str) {
        if let Some(key) = Collection::of(name).filter(|key| !self.exported.contains(key)) {
            self.awaited.entry(key).or_insert_with(|| by.to_owned());
        }
    }

    fn await_participants(&mut self, account: Option<&Account>, by: &str) {
        for participation in account.iter().flat_map(|account| &account.participations) {
            self.await_record(&participation.participant, by);
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
    fn records_that_come_later_are_not_missing() {
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
    fn records_that_do_not_come_are_missing() {
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
    fn a_report_is_exported_once() {
        let mut references = References::default();
        assert!(references.add(&report(1, 7, 8, 1)));
        assert!(!references.add(&report(1, 7, 8, 1)));
    }
}
