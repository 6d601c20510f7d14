//! What was said: by whom, and how a meeting tells it.

use std::collections::HashSet;

use uuid::Uuid;

use super::settle::{SourceReport, unite};
use crate::pb::{Account, Meeting, Participation, Report, Statement};

/// The participations of those who speak, by the account of the report itself.
pub fn speakers<'a>(account: &'a Account, statement: &'a Statement) -> impl Iterator<Item = &'a Participation> {
    account.participations.iter().filter(|one| statement.speakers.contains(&one.id))
}

/// The statements of a report of this meeting, each as the meeting has it in the FULL view: with the ids of its account.
/// They are made of the report alone. Where another one tells two delegations of a region apart, a delegation that speaks
/// itself has a finer id there, and is left out here.
pub fn of_report(report: &Report, meeting: &Meeting) -> Vec<Statement> {
    let told = SourceReport { report, origin: Uuid::nil(), publish_date: None, uri: "" };
    let (mut statements, ..) = unite(&[told]);
    let participations = meeting.account.iter().flat_map(|account| &account.participations);
    leave_out(&mut statements, participations);
    statements
}

/// Leaves out speakers and addressees who take no part in the meeting: a ruling can leave somebody out.
pub fn leave_out<'a>(statements: &mut [Statement], participations: impl Iterator<Item = &'a Participation>) {
    let there: HashSet<&str> = participations.map(|one| one.id.as_str()).collect();
    for statement in statements {
        statement.speakers.retain(|id| there.contains(id.as_str()));
        statement.addressees.retain(|id| there.contains(id.as_str()));
    }
}
