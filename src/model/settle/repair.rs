//! Makes an account consistent after rulings: a ruled field may not fit the fields that come from the reports.

use std::collections::HashSet;

use super::rulings::Heads;
use crate::{
    model::{participant::office_key, text::names},
    pb::{Account, Announcement, DateSpan, Delegation, Participation, Place, participation::Role},
};

const HEAD: i32 = Role::HeadOfDelegation as i32;

/// Makes an account valid by the contract, with the fewest changes. References that do not resolve are removed, also
/// from a ruled list. So is a participation that consists only of a reference to a missing delegation.
///
/// Heads of delegations and the role HEAD_OF_DELEGATION are made to agree with the ruled one, or, if both were ruled,
/// with the newer ruling. If roles decide and several members of one delegation have the role, the current head keeps
/// it, else the first of them.
pub fn repair_account(account: &mut Account, heads: Heads) {
    account.place.take_if(|place| *place == Place::default());
    account.date.take_if(|date| *date == DateSpan::default());
    account.announcement.take_if(|announcement| *announcement == Announcement::default());
    remove_dangling_references(account);
    let Account { delegations, participations, .. } = account;
    for delegation in delegations {
        match heads {
            Heads::NotRuled | Heads::ByDelegation => align_roles_with_head(delegation, participations),
            Heads::ByRole => align_head_with_roles(delegation, participations),
        }
    }
}

fn remove_dangling_references(account: &mut Account) {
    let groups: HashSet<&str> = account.delegations.iter().map(|delegation| delegation.id.as_str()).collect();
    account.participations.retain_mut(|participation| {
        let is_of_delegation = !participation.delegation.is_empty();
        if !groups.contains(participation.delegation.as_str()) {
            participation.delegation.clear();
        }
        // The office of a delegation is no identity without it.
        has_identity(participation) || (!is_of_delegation && office_key(participation).is_some())
    });

    let people: HashSet<String> = account.participations.iter().map(|participation| participation.id.clone()).collect();
    let clear_dangling = |id: &mut String| {
        if !people.contains(id.as_str()) {
            id.clear();
        }
    };
    for participation in &mut account.participations {
        clear_dangling(&mut participation.on_behalf_of);
        if participation.on_behalf_of == participation.id {
            participation.on_behalf_of.clear();
        }
    }
    account.delegations.iter_mut().for_each(|delegation| clear_dangling(&mut delegation.head));
    clear_dangling(&mut account.initiator);
    account.announcement.iter_mut().for_each(|announcement| clear_dangling(&mut announcement.participation));
    account.announcement.take_if(|announcement| *announcement == Announcement::default());
}

/// True if the participation has a participant, a delegation or a name.
fn has_identity(participation: &Participation) -> bool {
    !participation.participant.is_empty()
        || !participation.delegation.is_empty()
        || !names::key(&participation.name_as_written).is_empty()
}

/// Clears a head that is not a member of the delegation. Gives the role to the head, and removes it from all others.
fn align_roles_with_head(delegation: &mut Delegation, participations: &mut [Participation]) {
    let mut found = false;
    for member in participations.iter_mut().filter(|member| member.delegation == delegation.id) {
        let is_head = member.id == delegation.head;
        found |= is_head;
        match member.roles.iter().position(|role| *role == HEAD) {
            Some(at) if !is_head => drop(member.roles.remove(at)),
            None if is_head => member.roles.push(HEAD),
            _ => {}
        }
    }
    if !found {
        delegation.head.clear();
    }
}

/// Makes the first member with the role the head, unless the current head has the role too.
fn align_head_with_roles(delegation: &mut Delegation, participations: &mut [Participation]) {
    let is_leader = |member: &&Participation| member.delegation == delegation.id && member.roles.contains(&HEAD);
    let mut leaders = participations.iter().filter(is_leader);
    let first = leaders.next().map(|leader| leader.id.clone()).unwrap_or_default();
    if first != delegation.head && !leaders.any(|leader| leader.id == delegation.head) {
        delegation.head = first;
    }
    align_roles_with_head(delegation, participations);
}
