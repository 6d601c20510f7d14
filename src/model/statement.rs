//! Statements: their speakers, and their form in a meeting.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    participant::NO_PERSONS,
    report::{Aliases, resolved},
    settle::{SourceReport, unite},
};
use crate::pb::{Account, Meeting, Participation, Report, Statement};

/// The participations of the speakers, in the report's own account.
pub fn speakers<'a>(account: &'a Account, statement: &'a Statement) -> impl Iterator<Item = &'a Participation> {
    account.participations.iter().filter(|participation| statement.speakers.contains(&participation.id))
}

/// The statements of a report of this meeting, in the form of the meeting's FULL view: with ids of the meeting's
/// account.
///
/// They are derived from this report alone. If another report distinguishes two delegations of a region, a delegation
/// that speaks as such has a finer id in the meeting. It is left out here.
pub fn of_report(report: &Report, meeting: &Meeting, aliases: &Aliases) -> Vec<Statement> {
    let report = resolved(report, aliases);
    let source =
        SourceReport { report: &report, origin: Uuid::nil(), publish_date: None, uri: "", persons: &NO_PERSONS };
    let mut statements = unite(&[source]).statements;
    let ids = meeting.account.as_ref().map(participation_ids).unwrap_or_default();
    statements.iter_mut().for_each(|statement| retain_participating(statement, &ids));
    statements
}

/// The ids of the participations of an account.
pub fn participation_ids(account: &Account) -> HashSet<&str> {
    account.participations.iter().map(|participation| participation.id.as_str()).collect()
}

/// Removes speakers and addressees without a participation in the meeting: a ruling can remove a participant.
pub fn retain_participating(statement: &mut Statement, ids: &HashSet<&str>) {
    statement.speakers.retain(|id| ids.contains(id.as_str()));
    statement.addressees.retain(|id| ids.contains(id.as_str()));
}
