//! One report as settling reads it.

use chrono::NaiveDate;
use uuid::Uuid;

use super::SourceReport;
use crate::pb;

/// One report, with the settled participation and delegation that each of its own is.
pub struct RankedReport<'a> {
    pub report: &'a pb::Report,
    pub account: &'a pb::Account,
    pub origin: Uuid,
    pub publish_date: Option<NaiveDate>,
    pub uri: &'a str,
    pub parts: Vec<ReportParticipation<'a>>,
    /// Index into `Ids::delegations`, by position in the account.
    pub delegations: Vec<usize>,
    /// Local id and index into `Ids::participations`, in the order of the former.
    pub by_id: Vec<(&'a str, usize)>,
}

/// A participation of one report.
#[derive(Clone, Copy)]
pub struct ReportParticipation<'a> {
    pub told: &'a pb::Participation,
    /// Index into `Ids::participations`.
    pub who: usize,
    /// Index into `Ids::delegations`.
    pub delegation: Option<usize>,
}

impl RankedReport<'_> {
    /// The settled participation that a reference of the account means.
    pub fn participation(&self, id: &str) -> Option<usize> {
        if id.is_empty() {
            return None;
        }
        let at = self.by_id.binary_search_by(|(one, _)| (*one).cmp(id)).ok()?;
        Some(self.by_id[at].1)
    }

    pub fn delegation(&self, id: &str) -> Option<usize> {
        let told = self.account.delegations.iter().zip(&self.delegations);
        told.filter(|(delegation, _)| delegation.id == id && !id.is_empty()).map(|(_, &at)| at).next()
    }
}

/// The reports in the order of their rank, each once; those without an account tell nothing.
pub fn ranked<'a>(told: &[SourceReport<'a>]) -> Vec<RankedReport<'a>> {
    let mut told: Vec<(&SourceReport<'a>, &'a pb::Account)> =
        told.iter().filter_map(|told| Some((told, told.report.account.as_ref()?))).collect();
    told.sort_unstable_by_key(|(told, _)| {
        let unknown_last = (told.publish_date.is_none(), told.publish_date);
        (unknown_last, told.uri, &told.report.content_hash, &told.report.name)
    });
    told.dedup_by(|(later, later_account), (earlier, account)| {
        later.uri == earlier.uri && later.report.content_hash == earlier.report.content_hash && later_account == account
    });
    let reading = |(told, account): (&SourceReport<'a>, &'a pb::Account)| RankedReport {
        report: told.report,
        account,
        origin: told.origin,
        publish_date: told.publish_date,
        uri: told.uri,
        parts: Vec::with_capacity(account.participations.len()),
        delegations: vec![0; account.delegations.len()],
        by_id: Vec::with_capacity(account.participations.len()),
    };
    told.into_iter().map(reading).collect()
}
