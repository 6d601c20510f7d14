//! Merging of meetings that prove to be the same, and undoing a merge.

use std::collections::BTreeSet;

use super::settle_on;
use crate::pb::Meeting;

/// Empties a meeting whose reports all move to the meeting named `survivor`. `moved` are the names of these reports.
/// Labels and review stay, for a later undo.
pub fn mark_merged(source: &mut Meeting, survivor: &str, moved: BTreeSet<String>) {
    let review = source.review;
    settle_on(source, &[], &[]);
    source.review = review;
    survivor.clone_into(&mut source.merged_into);
    source.merged_reports = moved.into_iter().collect();
}

/// Undoes [`mark_merged`]. Returns the names of the reports that moved; the caller moves back those that are still in
/// the survivor, and then settles the meeting on them.
pub fn unmark_merged(source: &mut Meeting) -> BTreeSet<String> {
    source.merged_into.clear();
    std::mem::take(&mut source.merged_reports).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*, sample::Index};
    use prost_types::FieldMask;
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::{participant::NO_PERSONS, settle::SourceReport},
        pb::{Account, Participation, Report, Ruling, report::State},
    };

    /// An event in the life of meetings and reports. An index selects one of those that exist.
    #[derive(Debug, Clone)]
    enum Event {
        Reported {
            meeting: Index,
            kind: i32,
            person: i32,
            origin: u128,
        },
        Ruled {
            meeting: Index,
            kind: i32,
        },
        Retracted {
            report: Index,
        },
        Merged {
            survivor: Index,
            source: Index,
        },
        /// Undoes the last merge that was not undone yet.
        Undone,
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let index = any::<Index>;
        prop_oneof![
            4 => (index(), 0..4, 0..4, 0..3u128).prop_map(|(meeting, kind, person, origin)| Event::Reported { meeting, kind, person, origin }),
            1 => (index(), 1..4).prop_map(|(meeting, kind)| Event::Ruled { meeting, kind }),
            2 => index().prop_map(|report| Event::Retracted { report }),
            2 => (index(), index()).prop_map(|(survivor, source)| Event::Merged { survivor, source }),
            2 => Just(Event::Undone),
        ]
    }

    /// Meetings and reports by name, and the merges that were not undone, latest last, as (survivor, source).
    #[derive(Debug, Clone, Default)]
    struct World {
        meetings: BTreeMap<String, Meeting>,
        reports: BTreeMap<String, (Report, Uuid)>,
        merges: Vec<(String, String)>,
    }

    impl World {
        fn of(count: usize) -> Self {
            let mut world = Self::default();
            for at in 0..count {
                let name = format!("meetings/{at}");
                world.meetings.insert(name.clone(), Meeting { name, ..Default::default() });
            }
            world.meetings.keys().cloned().collect::<Vec<_>>().iter().for_each(|name| world.settle(name));
            world
        }

        fn settle(&mut self, name: &str) {
            let active = |report: &Report| report.meeting == name && report.state() == State::Active;
            let of_meeting = self.reports.values().filter(|(report, _)| active(report)).cloned();
            let (rulings, reports): (Vec<_>, Vec<_>) = of_meeting.partition(|(report, _)| report.ruling.is_some());
            let sources: Vec<SourceReport<'_>> = reports
                .iter()
                .map(|(report, origin)| SourceReport {
                    report,
                    origin: *origin,
                    publish_date: None,
                    uri: &report.article,
                    persons: &NO_PERSONS,
                })
                .collect();
            let rulings: Vec<&Report> = rulings.iter().map(|(report, _)| report).collect();
            let meeting = self.meetings.get_mut(name).expect("it exists");
            settle_on(meeting, &sources, &rulings);
        }

        /// Names of the meetings that are not merged into another.
        fn unmerged(&self) -> Vec<String> {
            let unmerged = self.meetings.values().filter(|meeting| meeting.merged_into.is_empty());
            unmerged.map(|meeting| meeting.name.clone()).collect()
        }

        /// The last survivor in the chain of merges of a meeting.
        fn survivor(&self, name: &str) -> String {
            match self.meetings[name].merged_into.as_str() {
                "" => name.to_owned(),
                into => self.survivor(into),
            }
        }

        fn add(&mut self, report: Report, origin: u128) {
            let meeting = report.meeting.clone();
            self.reports.insert(report.name.clone(), (report, Uuid::from_u128(origin)));
            self.settle(&meeting);
        }

        fn report(&mut self, meeting: &str, (kind, person, origin): (i32, i32, u128)) {
            let name = format!("reports/{:04}", self.reports.len());
            let participations = vec![Participation {
                id: "x".into(),
                name_as_written: format!("Person {person}"),
                presence: kind,
                ..Default::default()
            }];
            let account = Some(Account { kind, participations, ..Default::default() });
            let article = format!("urn:{}", self.reports.len());
            self.add(Report { name, meeting: meeting.into(), article, account, ..Default::default() }.active(), origin);
        }

        fn rule(&mut self, meeting: &str, kind: i32) {
            let name = format!("reports/{:04}", self.reports.len());
            let mask = Some(FieldMask { paths: vec!["account.kind".into()] });
            let ruling = Some(Ruling { mask, reason: "because".into() });
            let account = Some(Account { kind, ..Default::default() });
            self.add(Report { name, meeting: meeting.into(), ruling, account, ..Default::default() }.active(), 0);
        }

        fn retract(&mut self, name: &str) {
            let (report, _) = self.reports.get_mut(name).expect("it exists");
            report.set_state(State::Retracted);
            let meeting = report.meeting.clone();
            self.settle(&meeting);
        }

        fn merge(&mut self, survivor: &str, source: &str) {
            let mut moved = BTreeSet::new();
            for (report, _) in self.reports.values_mut().filter(|(report, _)| report.meeting == source) {
                survivor.clone_into(&mut report.meeting);
                moved.insert(report.name.clone());
            }
            mark_merged(self.meetings.get_mut(source).expect("it exists"), survivor, moved);
            self.settle(survivor);
            self.merges.push((survivor.to_owned(), source.to_owned()));
        }

        fn undo(&mut self) {
            let Some((survivor, source)) = self.merges.pop() else { return };
            let back = unmark_merged(self.meetings.get_mut(&source).expect("it exists"));
            for name in &back {
                let (report, _) = self.reports.get_mut(name).expect("it exists");
                if report.meeting == survivor {
                    source.clone_into(&mut report.meeting);
                }
            }
            self.settle(&source);
            self.settle(&survivor);
        }
    }

    impl Report {
        fn active(mut self) -> Self {
            self.set_state(State::Active);
            self
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Compares with a second world that gets the same events except merges. Once every merge is undone, both worlds
        /// are equal.
        #[test]
        fn merges_that_are_undone_leave_no_trace(events in vec(any_event(), 0..24)) {
            let (mut merged, mut plain) = (World::of(3), World::of(3));
            for event in events {
                let unmerged = merged.unmerged();
                match event {
                    Event::Reported { meeting, kind, person, origin } => {
                        let meeting = meeting.get(&unmerged);
                        merged.report(meeting, (kind, person, origin));
                        plain.report(meeting, (kind, person, origin));
                    }
                    Event::Ruled { meeting, kind } => {
                        let meeting = meeting.get(&unmerged);
                        merged.rule(meeting, kind);
                        plain.rule(meeting, kind);
                    }
                    Event::Retracted { report } if !merged.reports.is_empty() => {
                        let names: Vec<String> = merged.reports.keys().cloned().collect();
                        let name = report.get(&names);
                        merged.retract(name);
                        plain.retract(name);
                    }
                    Event::Merged { survivor, source } => {
                        let (survivor, source) = (survivor.get(&unmerged), source.get(&unmerged));
                        if survivor != source {
                            merged.merge(survivor, source);
                        }
                    }
                    Event::Retracted { .. } => {}
                    Event::Undone => merged.undo(),
                }
                // No report is lost: each belongs to its original meeting or to the survivor of that.
                for (name, (report, _)) in &merged.reports {
                    let original = &plain.reports[name].0.meeting;
                    prop_assert_eq!(&report.meeting, &merged.survivor(original));
                }
            }
            while !merged.merges.is_empty() {
                merged.undo();
            }
            prop_assert_eq!(&merged.meetings, &plain.meetings);
            prop_assert_eq!(&merged.reports, &plain.reports);
        }
    }
}
