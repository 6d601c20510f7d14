//! A meeting as its reports make it.

use std::collections::BTreeSet;

use super::settle::{Told, settle, unite};
use crate::pb::{Account, Meeting, meeting::Review, participation::Presence};

/// A meeting has at most so many reports.
pub const MOST_REPORTS: usize = 1_000;

/// Settles a meeting on its active reports: the account, without what `with_statements` adds, the counts, and whether it
/// has any.
pub fn settle_on(meeting: &mut Meeting, told: &[Told<'_>]) {
    meeting.account = Some(settle(told));
    let articles: BTreeSet<&str> = told.iter().map(|one| one.report.article.as_str()).collect();
    // At most 1,000 of both: the numbers fit.
    meeting.report_count = told.len() as i32;
    meeting.article_count = articles.len() as i32;
    match (told.is_empty(), meeting.review()) {
        (true, _) => meeting.set_review(Review::Retracted),
        (false, Review::Unspecified | Review::Retracted) => meeting.set_review(Review::Unreviewed),
        (false, Review::Unreviewed) => {}
    }
}

/// The meeting in the FULL view: with the statements, outcomes and links of its reports.
pub fn with_statements(mut meeting: Meeting, told: &[Told<'_>]) -> Meeting {
    let account = meeting.account.get_or_insert_default();
    (account.statements, account.outcomes, account.links) = unite(told);
    meeting
}

/// The regions of those who were there, in person, remotely or through somebody else; perhaps more than once.
pub fn regions(account: &Account) -> impl Iterator<Item = &str> {
    let was_there = |presence| matches!(presence, Presence::Present | Presence::Remote | Presence::Represented);
    let there = account.participations.iter().filter(move |one| was_there(one.presence()));
    there.map(|one| one.region_code.as_str()).filter(|code| !code.is_empty())
}
