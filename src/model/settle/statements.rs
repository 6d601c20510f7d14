//! What was said and what came of it, united from the reports.

use std::collections::HashSet;

use super::{SourceReport, ids::Ids, reading::RankedReport};
use crate::pb;

/// All statements, outcomes and links that the reports tell, by the rank of the report (see `settle`) and in its
/// order. Each names its `report`. A statement's id becomes `{report uuid}/{id}`, and so does the one it
/// `continues`; speakers and addressees become ids of `settle(told)`, each once. A reference that nothing answers
/// is left out.
pub fn unite(told: &[SourceReport<'_>]) -> (Vec<pb::Statement>, Vec<pb::Outcome>, Vec<pb::Link>) {
    let ids = Ids::of(told);
    let (mut statements, mut outcomes, mut links) = (Vec::new(), Vec::new(), Vec::new());
    for reading in &ids.readings {
        let report = &reading.report.name;
        let known: HashSet<&str> = reading.account.statements.iter().map(|told| told.id.as_str()).collect();
        statements.extend(reading.account.statements.iter().map(|told| statement(told, reading, &ids, &known)));
        outcomes
            .extend(reading.account.outcomes.iter().map(|told| pb::Outcome { report: report.clone(), ..told.clone() }));
        links.extend(reading.account.links.iter().map(|told| pb::Link { report: report.clone(), ..told.clone() }));
    }
    (statements, outcomes, links)
}

fn statement(told: &pb::Statement, reading: &RankedReport<'_>, ids: &Ids<'_>, known: &HashSet<&str>) -> pb::Statement {
    let name = &reading.report.name;
    let uuid = name.strip_prefix("reports/").unwrap_or(name);
    let prefixed = |id: &str| format!("{uuid}/{id}");
    let continues = known.contains(told.continues.as_str()).then(|| prefixed(&told.continues));
    pb::Statement {
        id: prefixed(&told.id),
        speakers: settled(&told.speakers, reading, ids),
        addressees: settled(&told.addressees, reading, ids),
        continues: continues.unwrap_or_default(),
        report: name.clone(),
        ..told.clone()
    }
}

fn settled(references: &[String], reading: &RankedReport<'_>, ids: &Ids<'_>) -> Vec<String> {
    let mut settled: Vec<String> = Vec::with_capacity(references.len());
    for who in references.iter().filter_map(|id| reading.participation(id)) {
        let id = &ids.participations[who];
        if !settled.contains(id) {
            settled.push(id.clone());
        }
    }
    settled
}
