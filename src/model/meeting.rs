//! A meeting as its reports make it.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{
    resource::Collection,
    settle::{self, Settled, SourceReport, settle, unite},
    statement,
    time::dates,
};
use crate::pb::{Account, Dispute, Meeting, Participation, Report, dispute, meeting::Review, participation::Presence};

/// A meeting has at most so many reports, rulings among them.
pub const MOST_REPORTS: usize = 1_000;
/// And these have at most so many bytes together.
pub const MOST_REPORT_BYTES: usize = 64 * 1024 * 1024;

/// Settles a meeting on its active reports, those of articles and the rulings: the account, without what `full` adds,
/// the disputes, the counts, and whether it has any.
pub fn settle_on(meeting: &mut Meeting, told: &[SourceReport<'_>], rulings: &[&Report]) {
    let Settled { account, disputes } = settle(told, rulings);
    meeting.account = Some(account);
    meeting.disputes = disputes;
    meeting.settle_version = settle::VERSION;
    let articles: BTreeSet<&str> = told.iter().map(|one| one.report.article.as_str()).collect();
    let origins: BTreeSet<_> = told.iter().map(|one| one.origin).collect();
    // At most 1,000 of each: the numbers fit.
    meeting.report_count = told.len() as i32;
    meeting.article_count = articles.len() as i32;
    meeting.independent_source_count = origins.len() as i32;
    let published: Option<NaiveDate> = told.iter().filter_map(|one| one.publish_date).min();
    meeting.publish_date = published.map(dates::of_day);
    match (told.is_empty(), meeting.review()) {
        (true, _) => meeting.set_review(Review::Retracted),
        (false, Review::Unspecified | Review::Retracted) => meeting.set_review(Review::Unreviewed),
        (false, Review::Unreviewed | Review::Reviewed) => {}
    }
}

/// The meeting in the FULL view: with the statements, outcomes and links of its reports. Who speaks or is spoken to takes
/// part in the meeting: a ruling can leave somebody out. Disputes say which reports tell what.
pub fn full(mut meeting: Meeting, told: &[SourceReport<'_>], rulings: &[&Report]) -> Meeting {
    if !meeting.disputes.is_empty() {
        name_reports(&mut meeting.disputes, settle::disputes(told, rulings));
    }
    let account = meeting.account.get_or_insert_default();
    (account.statements, account.outcomes, account.links) = unite(told);
    statement::leave_out(&mut account.statements, account.participations.iter());
    meeting
}

/// Takes the reports of each value from the same disputes with names. Other values than these, which another version of
/// the rule may have left, stay without.
fn name_reports(disputes: &mut [Dispute], named: Vec<Dispute>) {
    let mut named: HashMap<String, Vec<dispute::Value>> =
        named.into_iter().map(|dispute| (dispute.field, dispute.values)).collect();
    for dispute in disputes {
        let Some(mut named) = named.remove(&dispute.field) else { continue };
        for value in &mut dispute.values {
            if let Some(same) = named.iter_mut().find(|one| one.value == value.value) {
                value.reports = std::mem::take(&mut same.reports);
            }
        }
    }
}

/// How far a meeting can be relied on, also one that an older release wrote.
pub fn review(meeting: &Meeting) -> Review {
    match meeting.review() {
        Review::Unspecified => Review::Unreviewed,
        review => review,
    }
}

/// The meeting in the BASIC view.
pub fn basic(mut meeting: Meeting) -> Meeting {
    meeting.disputes.clear();
    meeting.merged_reports.clear();
    meeting
}

/// Whether somebody takes part: is there, in person, remotely or through somebody else.
pub fn takes_part(one: &Participation) -> bool {
    matches!(one.presence(), Presence::Present | Presence::Remote | Presence::Represented)
}

/// The regions of those who take part; perhaps more than once.
pub fn regions(account: &Account) -> impl Iterator<Item = &str> {
    let there = account.participations.iter().filter(|one| takes_part(one));
    there.map(|one| one.region_code.as_str()).filter(|code| !code.is_empty())
}

/// Whether it can be met by others at the meeting: it is there, in person or remotely.
pub fn is_met(one: &Participation) -> bool {
    matches!(one.presence(), Presence::Present | Presence::Remote)
}

/// Whether lists have it: it is live, stands by itself, and rests on a report.
pub fn is_listed(meeting: &Meeting) -> bool {
    meeting.delete_time.is_none() && meeting.merged_into.is_empty() && review(meeting) != Review::Retracted
}

/// How exactly the first day is known: 1 its year, 2 its month, 3 the day; 0 not at all.
pub fn date_precision(account: &Account) -> i16 {
    let start = account.date.as_ref().and_then(|date| date.start.as_ref());
    start.filter(|start| dates::first_day(start).is_some()).map_or(0, |start| match (start.month, start.day) {
        (0, _) => 1,
        (_, 0) => 2,
        _ => 3,
    })
}

/// The participant who announced it, where that is known.
pub fn announcer(account: &Account) -> Option<Uuid> {
    let id = account.announcement.as_ref()?.participation.as_str();
    let by = account.participations.iter().find(|one| one.id == id)?;
    Collection::Participants.id(&by.participant)
}
