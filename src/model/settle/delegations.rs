//! The settled delegations and their heads.

use std::collections::HashMap;

use super::{
    ranking::{ReportedValue, SourceRanking},
    settled_ids::Ids,
};
use crate::pb::{self, participation::Role};

/// The settled delegations, without their heads.
pub fn settle(ids: &Ids<'_>, ranking: &SourceRanking) -> Vec<pb::Delegation> {
    let mut reported: Vec<Vec<(usize, &pb::Delegation)>> = vec![Vec::new(); ids.delegations.len()];
    for (rank, report) in ids.reports.iter().enumerate() {
        for (delegation, &index) in report.account.delegations.iter().zip(&report.delegations) {
            reported[index].push((rank, delegation));
        }
    }
    let settle = |(id, delegations): (&String, Vec<(usize, &pb::Delegation)>)| {
        let text = |field: fn(&pb::Delegation) -> &str| {
            ranking.text(delegations.iter().map(|(rank, delegation)| ReportedValue(*rank, field(delegation))))
        };
        let number = |field: fn(&pb::Delegation) -> i32| {
            ranking.number(delegations.iter().map(|(rank, delegation)| ReportedValue(*rank, field(delegation))))
        };
        pb::Delegation {
            id: id.clone(),
            label: text(|delegation| &delegation.label),
            region_code: text(|delegation| &delegation.region_code),
            organization: text(|delegation| &delegation.organization),
            kind: number(|delegation| delegation.kind),
            head: String::new(),
            stated_size: number(|delegation| delegation.stated_size),
            complete: delegations.iter().any(|(_, delegation)| delegation.complete),
        }
    };
    ids.delegations.iter().zip(reported).map(settle).collect()
}

/// Sets the head of each delegation, and takes HEAD_OF_DELEGATION from all its other members.
///
/// A head is a member of the delegation as settled. Members reported as head of this delegation come first. If there is
/// none, members reported as a head elsewhere or of no delegation count.
pub fn settle_heads(
    ids: &Ids<'_>,
    ranking: &SourceRanking,
    delegations: &mut [pb::Delegation],
    participations: &mut [pb::Participation],
) {
    let by_id: HashMap<&str, usize> =
        ids.delegations.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect();
    let mut own_heads: Vec<Vec<ReportedValue<usize>>> = delegations.iter().map(|_| Vec::new()).collect();
    let mut other_heads: Vec<Vec<ReportedValue<usize>>> = delegations.iter().map(|_| Vec::new()).collect();
    for (rank, report) in ids.reports.iter().enumerate() {
        for participation in &report.participations {
            if !participation.reported.roles.contains(&(Role::HeadOfDelegation as i32)) {
                continue;
            }
            let settled = &participations[participation.index].delegation;
            let Some(&delegation) = by_id.get(settled.as_str()) else { continue };
            let is_own = participation.delegation == Some(delegation);
            let heads = if is_own { &mut own_heads } else { &mut other_heads };
            heads[delegation].push(ReportedValue(rank, participation.index));
        }
    }
    let heads: Vec<Option<usize>> = own_heads
        .into_iter()
        .zip(other_heads)
        .map(|(own, other)| if own.is_empty() { other } else { own })
        .map(|values| ranking.value(values.into_iter(), |participation| *participation))
        .collect();
    for (delegation, head) in delegations.iter_mut().zip(&heads) {
        delegation.head = head.map(|participation| ids.participations[participation].clone()).unwrap_or_default();
    }
    for (index, participation) in participations.iter_mut().enumerate() {
        let Some(&delegation) = by_id.get(participation.delegation.as_str()) else { continue };
        if heads[delegation] != Some(index) {
            participation.roles.retain(|&role| role != Role::HeadOfDelegation as i32);
        }
    }
}
