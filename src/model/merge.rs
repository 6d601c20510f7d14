//! Meetings that are one: what a merge makes of the meeting whose reports move, and what moves back when it is undone.

use std::collections::BTreeSet;

use super::meeting::settle_on;
use crate::pb::Meeting;

/// Empties a meeting whose reports, all of them, move to `survivor`. Labels and review stay for the day when it comes
/// back.
pub fn merge_away(source: &mut Meeting, survivor: &str, moved: BTreeSet<String>) {
    let review = source.review;
    settle_on(source, &[], &[]);
    source.review = review;
    survivor.clone_into(&mut source.merged_into);
    source.merged_reports = moved.into_iter().collect();
}

/// Makes a merged meeting one by itself again, and answers which reports it is to have back, as far as they are where
/// they moved to. It is still to be settled on them.
pub fn take_back(source: &mut Meeting) -> BTreeSet<String> {
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
        model::settle::SourceReport,
        pb::{Account, Participation, Report, Ruling, report::State},
    };

    /// What happens to meetings, each by its number.
    #[derive(Debug, Clone)]
    enum Event {
        Reported {
            meeting: Index,
            kind: i32,
            who: i32,
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
        /// The last merge that can be undone.
        Undone,
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let index = any::<Index>;
        prop_oneof![
            4 => (index(), 0..4, 0..4, 0..3u128).prop_map(|(meeting, kind, who, origin)| Event::Reported { meeting, kind, who, origin }),
            1 => (index(), 1..4).prop_map(|(meeting, kind)| Event::Ruled { meeting, kind }),
            2 => index().prop_map(|report| Event::Retracted { report }),
            2 => (index(), index()).prop_map(|(survivor, source)| Event::Merged { survivor, source }),
            2 => Just(Event::Undone),
        ]
    }

    /// Meetings and reports by name, and the merges that were not undone, the last one last.
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
            let of_meeting =
                self.reports.values().filter(|(one, _)| one.meeting == name && one.state() == State::Active);
            let (rulings, reports): (Vec<_>, Vec<_>) = of_meeting.partition(|(one, _)| one.ruling.is_some());
            let told = |(report, origin): &'_ &'_ (Report, Uuid)| (report.clone(), *origin);
            let reports: Vec<(Report, Uuid)> = reports.iter().map(told).collect();
            let told: Vec<SourceReport<'_>> = reports
                .iter()
                .map(|(report, origin)| SourceReport {
                    report,
                    origin: *origin,
                    publish_date: None,
                    uri: &report.article,
                })
                .collect();
            let rulings: Vec<Report> = rulings.iter().map(|(report, _)| report.clone()).collect();
            let rulings: Vec<&Report> = rulings.iter().collect();
            let meeting = self.meetings.get_mut(name).expect("it is there");
            settle_on(meeting, &told, &rulings);
        }

        /// Those that stand by themselves.
        fn standing(&self) -> Vec<String> {
            let standing = self.meetings.values().filter(|one| one.merged_into.is_empty());
            standing.map(|one| one.name.clone()).collect()
        }

        /// What a meeting was merged into, at the end of the line.
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

        fn report(&mut self, meeting: &str, (kind, who, origin): (i32, i32, u128)) {
            let name = format!("reports/{:04}", self.reports.len());
            let participations = vec![Participation {
                id: "x".into(),
                name_as_written: format!("Somebody {who}"),
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
            let (report, _) = self.reports.get_mut(name).expect("it is there");
            report.set_state(State::Retracted);
            let meeting = report.meeting.clone();
            self.settle(&meeting);
        }

        fn merge(&mut self, survivor: &str, source: &str) {
            let mut moved = BTreeSet::new();
            for (report, _) in self.reports.values_mut().filter(|(one, _)| one.meeting == source) {
                survivor.clone_into(&mut report.meeting);
                moved.insert(report.name.clone());
            }
            merge_away(self.meetings.get_mut(source).expect("it is there"), survivor, moved);
            self.settle(survivor);
            self.merges.push((survivor.to_owned(), source.to_owned()));
        }

        fn undo(&mut self) {
            let Some((survivor, source)) = self.merges.pop() else { return };
            let back = take_back(self.meetings.get_mut(&source).expect("it is there"));
            for name in &back {
                let (report, _) = self.reports.get_mut(name).expect("it is there");
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

        /// A second world has no merges. What is told of a merged meeting is told of its survivor, in both; so after the
        /// last merge was undone they hold the same, whatever happened before, between and after.
        #[test]
        fn merges_that_are_undone_leave_no_trace(events in vec(any_event(), 0..24)) {
            let (mut merged, mut plain) = (World::of(3), World::of(3));
            for event in events {
                let standing = merged.standing();
                match event {
                    Event::Reported { meeting, kind, who, origin } => {
                        let meeting = meeting.get(&standing);
                        merged.report(meeting, (kind, who, origin));
                        plain.report(meeting, (kind, who, origin));
                    }
                    Event::Ruled { meeting, kind } => {
                        let meeting = meeting.get(&standing);
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
                        let (survivor, source) = (survivor.get(&standing), source.get(&standing));
                        if survivor != source {
                            merged.merge(survivor, source);
                        }
                    }
                    Event::Retracted { .. } => {}
                    Event::Undone => merged.undo(),
                }
                // Nothing is lost: each report is where its meeting, or its survivor, is.
                for (name, (report, _)) in &merged.reports {
                    let home = &plain.reports[name].0.meeting;
                    prop_assert_eq!(&report.meeting, &merged.survivor(home));
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
