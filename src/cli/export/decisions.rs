//! The decisions of curators on who is one person: merges and judgements of participants, bindings of reports.

use std::collections::BTreeMap;

use prost_types::Timestamp;

use crate::pb::{ExportBinding, ExportJudgement, ExportMerge, Participant, Report, export_record::Record};

/// The place of a decision in the export: its time, then its names.
type DecisionKey = (i64, i32, String, String);

/// Merges and judgements, by time: a later one may contradict an earlier one.
#[derive(Debug, Default)]
pub struct Decisions(BTreeMap<DecisionKey, Record>);

impl Decisions {
    /// Adds the merge and the judgements of a participant. Both participants have a judgement; it is added once.
    pub fn add(&mut self, participant: &Participant) {
        let key = |time: Option<Timestamp>, name: &str, other: &str| {
            let time = time.unwrap_or_default();
            (time.seconds, time.nanos, name.to_owned(), other.to_owned())
        };
        if let Some(merge) = &participant.merge {
            let record = Record::Merge(ExportMerge {
                participant: participant.name.clone(),
                into: merge.into.clone(),
                reason: merge.reason.clone(),
            });
            self.0.insert(key(merge.time, &participant.name, &merge.into), record);
        }
        for judgement in &participant.judgements {
            let record = Record::Judgement(ExportJudgement {
                participant: judgement.participant.clone(),
                other: judgement.other.clone(),
                verdict: judgement.verdict,
                reason: judgement.reason.clone(),
            });
            self.0.insert(key(judgement.time, &judgement.participant, &judgement.other), record);
        }
    }

    /// The decisions, the oldest first.
    pub fn in_order(self) -> impl Iterator<Item = Record> {
        self.0.into_values()
    }
}

/// The bindings of a report.
pub fn bindings(report: &Report) -> impl Iterator<Item = ExportBinding> {
    report.bindings.iter().map(|binding| ExportBinding {
        report: report.name.clone(),
        participation: binding.participation.clone(),
        participant: binding.participant.clone(),
        reason: binding.reason.clone(),
    })
}
