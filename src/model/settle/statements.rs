//! Unites the statements, outcomes and links of the reports.

use std::collections::HashSet;

use super::{SourceReport, ranked_report::RankedReport, settled_ids::Ids};
use crate::pb;

/// All statements, outcomes and links of the reports, by the rank of the report (see [`settle`](super::settle)) and in
/// its order. Each names its `report`. A statement's id becomes `{report uuid}/{id}`, as does the id that it
/// `continues`. Speakers and addressees become settled ids, each once. A reference that does not resolve is removed.
pub fn unite(reports: &[SourceReport<'_>]) -> (Vec<pb::Statement>, Vec<pb::Outcome>, Vec<pb::Link>) {
    let ids = Ids::of(reports);
    let (mut statements, mut outcomes, mut links) = (Vec::new(), Vec::new(), Vec::new());
    for ranked in &ids.reports {
        let name = &ranked.report.name;
        let account = ranked.account;
        let local_ids: HashSet<&str> = account.statements.iter().map(|statement| statement.id.as_str()).collect();
        statements.extend(account.statements.iter().map(|reported| statement(reported, ranked, &ids, &local_ids)));
        let outcome = |outcome: &pb::Outcome| pb::Outcome { report: name.clone(), ..outcome.clone() };
        outcomes.extend(account.outcomes.iter().map(outcome));
        links.extend(account.links.iter().map(|link| pb::Link { report: name.clone(), ..link.clone() }));
    }
    (statements, outcomes, links)
}

fn statement(
    reported: &pb::Statement,
    ranked: &RankedReport<'_>,
    ids: &Ids<'_>,
    local_ids: &HashSet<&str>,
) -> pb::Statement {
    let name = &ranked.report.name;
    let uuid = name.strip_prefix("reports/").unwrap_or(name);
    let prefixed = |id: &str| format!("{uuid}/{id}");
    let continues = local_ids.contains(reported.continues.as_str()).then(|| prefixed(&reported.continues));
    pb::Statement {
        id: prefixed(&reported.id),
        speakers: settled_ids(&reported.speakers, ranked, ids),
        addressees: settled_ids(&reported.addressees, ranked, ids),
        continues: continues.unwrap_or_default(),
        report: name.clone(),
        ..reported.clone()
    }
}

fn settled_ids(references: &[String], ranked: &RankedReport<'_>, ids: &Ids<'_>) -> Vec<String> {
    let mut settled: Vec<String> = Vec::with_capacity(references.len());
    for participation in references.iter().filter_map(|id| ranked.participation(id)) {
        let id = &ids.participations[participation];
        if !settled.contains(id) {
            settled.push(id.clone());
        }
    }
    settled
}
