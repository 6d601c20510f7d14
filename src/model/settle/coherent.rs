//! An account after rulings: what was ruled may not fit what the reports tell of the rest.

use std::collections::HashSet;

use super::rulings::Heads;
use crate::{
    model::text::names,
    pb::{Account, Announcement, DateSpan, Delegation, Participation, Place, participation::Role},
};

const HEAD: i32 = Role::HeadOfDelegation as i32;

/// Makes an account one that the contract allows, and changes no more than that: references that nothing answers are
/// left out, also in a list that was ruled on; so is a participation that is nothing but a delegation that is not there.
///
/// Heads of delegations and the role HEAD_OF_DELEGATION come to agree: with what was ruled or, if both were, with the
/// newer ruling. Where roles decide and several in one delegation have it, the one that is its head keeps it, else the
/// first.
pub fn make(account: &mut Account, heads: Heads) {
    account.place.take_if(|place| *place == Place::default());
    account.date.take_if(|date| *date == DateSpan::default());
    account.announcement.take_if(|announcement| *announcement == Announcement::default());
    answer_references(account);
    let Account { delegations, participations, .. } = account;
    for delegation in delegations {
        match heads {
            Heads::NotRuled | Heads::ByDelegation => take_head(delegation, participations),
            Heads::ByRole => take_role(delegation, participations),
        }
    }
}

fn answer_references(account: &mut Account) {
    let groups: HashSet<&str> = account.delegations.iter().map(|one| one.id.as_str()).collect();
    for one in &mut account.participations {
        if !groups.contains(one.delegation.as_str()) {
            one.delegation.clear();
        }
    }
    account.participations.retain(is_somebody);

    let people: HashSet<String> = account.participations.iter().map(|one| one.id.clone()).collect();
    let forget = |id: &mut String| {
        if !people.contains(id.as_str()) {
            id.clear();
        }
    };
    for one in &mut account.participations {
        forget(&mut one.on_behalf_of);
        if one.on_behalf_of == one.id {
            one.on_behalf_of.clear();
        }
    }
    account.delegations.iter_mut().for_each(|one| forget(&mut one.head));
    forget(&mut account.initiator);
    account.announcement.iter_mut().for_each(|one| forget(&mut one.participation));
    account.announcement.take_if(|announcement| *announcement == Announcement::default());
}

/// Whether it says who takes part.
fn is_somebody(one: &Participation) -> bool {
    !one.participant.is_empty() || !one.delegation.is_empty() || !names::key(&one.name_as_written).is_empty()
}

/// The head, if it belongs to the delegation, has the role, and nobody else in it.
fn take_head(delegation: &mut Delegation, participations: &mut [Participation]) {
    let mut found = false;
    for one in participations.iter_mut().filter(|one| one.delegation == delegation.id) {
        let is_head = one.id == delegation.head;
        found |= is_head;
        match one.roles.iter().position(|role| *role == HEAD) {
            Some(at) if !is_head => drop(one.roles.remove(at)),
            None if is_head => one.roles.push(HEAD),
            _ => {}
        }
    }
    if !found {
        delegation.head.clear();
    }
}

/// Who in the delegation has the role is its head.
fn take_role(delegation: &mut Delegation, participations: &mut [Participation]) {
    let led = |one: &&Participation| one.delegation == delegation.id && one.roles.contains(&HEAD);
    let mut leaders = participations.iter().filter(led);
    let first = leaders.next().map(|one| one.id.clone()).unwrap_or_default();
    if first != delegation.head && !leaders.any(|one| one.id == delegation.head) {
        delegation.head = first;
    }
    take_head(delegation, participations);
}
