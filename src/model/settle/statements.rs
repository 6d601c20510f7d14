//! Unites the statements, outcomes and links of the reports.

use std::collections::HashSet;

use prost::{Message, encoding};

use super::{SourceReport, ranked_report::RankedReport, settled_ids::Ids};
use crate::pb;

/// The statements, outcomes and links of reports, as many as fit into a number of bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct United {
    /// The statements.
    pub statements: Vec<pb::Statement>,
    /// The outcomes.
    pub outcomes: Vec<pb::Outcome>,
    /// The links.
    pub links: Vec<pb::Link>,
    /// The numbers of those that do not fit.
    pub omitted: pb::Omission,
}

/// All statements, outcomes and links of the reports, by the rank of the report (see [`settle`](super::settle)) and in
/// its order. Each names its `report`. A statement's id becomes `{report uuid}/{id}`, as does the id that it
/// `continues`. Speakers and addressees become settled ids, each once. A reference that does not resolve is removed.
pub fn unite(reports: &[SourceReport<'_>]) -> United {
    unite_within(reports, usize::MAX, |_| {})
}

/// As [`unite`], up to `max_bytes` of the encoded account. The parts of one report are taken in the order statements,
/// outcomes, links. The first part that does not fit ends all lists, so that what is returned does not depend on the
/// sizes of later parts. `adapt` changes each statement before it is measured.
pub fn unite_within(reports: &[SourceReport<'_>], max_bytes: usize, adapt: impl Fn(&mut pb::Statement)) -> United {
    let ids = Ids::of(reports);
    let mut united = United::default();
    let mut room = Room { bytes: max_bytes, is_full: false };
    for ranked in &ids.reports {
        let report = || ranked.report.name.clone();
        let account = ranked.account;
        let local_ids: HashSet<&str> = account.statements.iter().map(|statement| statement.id.as_str()).collect();
        let statements = account.statements.iter().map(|reported| {
            let mut statement = statement(reported, ranked, &ids, &local_ids);
            adapt(&mut statement);
            statement
        });
        let omitted = &mut united.omitted;
        room.fill(&mut united.statements, account.statements.len(), statements, &mut omitted.statement_count);
        let outcomes = account.outcomes.iter().map(|outcome| pb::Outcome { report: report(), ..outcome.clone() });
        room.fill(&mut united.outcomes, account.outcomes.len(), outcomes, &mut omitted.outcome_count);
        let links = account.links.iter().map(|link| pb::Link { report: report(), ..link.clone() });
        room.fill(&mut united.links, account.links.len(), links, &mut omitted.link_count);
    }
    united
}

/// The bytes that are left in a message.
struct Room {
    bytes: usize,
    /// True after the first part that did not fit.
    is_full: bool,
}

impl Room {
    /// Takes parts while they fit, and counts the others of `count`.
    fn fill<T: Message>(
        &mut self,
        taken: &mut Vec<T>,
        count: usize,
        mut parts: impl Iterator<Item = T>,
        omitted: &mut i32,
    ) {
        let before = taken.len();
        while !self.is_full
            && let Some(part) = parts.next()
        {
            let bytes = part.encoded_len();
            // The fields of an account have tags of one byte.
            let bytes = 1 + encoding::encoded_len_varint(bytes as u64) + bytes;
            match self.bytes.checked_sub(bytes) {
                Some(left) => {
                    self.bytes = left;
                    taken.push(part);
                }
                None => self.is_full = true,
            }
        }
        // At most 1,000 reports of 500 statements: it fits.
        *omitted += (count - (taken.len() - before)) as i32;
    }
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
