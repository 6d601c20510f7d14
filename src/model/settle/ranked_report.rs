//! A report in its rank, with the settled ids of its participations and delegations.

use chrono::NaiveDate;
use uuid::Uuid;

use super::SourceReport;
use crate::pb;

/// A report, with the settled participation or delegation to which each of its own belongs.
pub struct RankedReport<'a> {
    pub report: &'a pb::Report,
    pub account: &'a pb::Account,
    pub origin: Uuid,
    pub publish_date: Option<NaiveDate>,
    pub uri: &'a str,
    pub participations: Vec<ReportParticipation<'a>>,
    /// Indexes into `Ids::delegations`, by position in the account.
    pub delegations: Vec<usize>,
    /// Local id and index into `Ids::participations`, sorted by local id.
    pub by_id: Vec<(&'a str, usize)>,
}

/// A participation of one report.
#[derive(Clone, Copy)]
pub struct ReportParticipation<'a> {
    pub reported: &'a pb::Participation,
    /// Index into `Ids::participations`.
    pub index: usize,
    /// Index into `Ids::delegations`.
    pub delegation: Option<usize>,
}

impl RankedReport<'_> {
    /// The settled participation with a local id, as an index into `Ids::participations`.
    pub fn participation(&self, id: &str) -> Option<usize> {
        if id.is_empty() {
            return None;
        }
        let at = self.by_id.binary_search_by(|(local_id, _)| (*local_id).cmp(id)).ok()?;
        Some(self.by_id[at].1)
    }

    /// The settled delegation with a local id, as an index into `Ids::delegations`.
    pub fn delegation(&self, id: &str) -> Option<usize> {
        let mut delegations = self.account.delegations.iter().zip(&self.delegations);
        delegations.find(|(delegation, _)| delegation.id == id && !id.is_empty()).map(|(_, &index)| index)
    }
}

/// The distinct reports that have an account, by rank.
pub fn ranked<'a>(reports: &[SourceReport<'a>]) -> Vec<RankedReport<'a>> {
    let mut sources: Vec<(&SourceReport<'a>, &'a pb::Account)> =
        reports.iter().filter_map(|source| Some((source, source.report.account.as_ref()?))).collect();
    sources.sort_unstable_by_key(|(source, _)| {
        let unknown_last = (source.publish_date.is_none(), source.publish_date);
        (unknown_last, source.uri, &source.report.content_hash, &source.report.name)
    });
    sources.dedup_by(|(later, later_account), (earlier, account)| {
        later.uri == earlier.uri && later.report.content_hash == earlier.report.content_hash && later_account == account
    });
    let ranked = |(source, account): (&SourceReport<'a>, &'a pb::Account)| RankedReport {
        report: source.report,
        account,
        origin: source.origin,
        publish_date: source.publish_date,
        uri: source.uri,
        participations: Vec::with_capacity(account.participations.len()),
        delegations: vec![0; account.delegations.len()],
        by_id: Vec::with_capacity(account.participations.len()),
    };
    sources.into_iter().map(ranked).collect()
}
