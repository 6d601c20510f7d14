//! The settled delegations and their heads.

use std::collections::HashMap;

use super::{
    ids::Ids,
    ranking::{ReportedValue, SourceRanking},
};
use crate::pb::{self, participation::Role};

/// The settled delegations, without their heads.
pub fn settle(ids: &Ids<'_>, scale: &SourceRanking) -> Vec<pb::Delegation> {
    let mut told: Vec<Vec<(usize, &pb::Delegation)>> = vec![Vec::new(); ids.delegations.len()];
    for (teller, reading) in ids.readings.iter().enumerate() {
        for (delegation, &at) in reading.account.delegations.iter().zip(&reading.delegations) {
            told[at].push((teller, delegation));
        }
    }
    let settle = |(id, told): (&String, Vec<(usize, &pb::Delegation)>)| {
        let text =
            |field: fn(&pb::Delegation) -> &str| scale.text(told.iter().map(|(t, it)| ReportedValue(*t, field(it))));
        let number =
            |field: fn(&pb::Delegation) -> i32| scale.number(told.iter().map(|(t, it)| ReportedValue(*t, field(it))));
        pb::Delegation {
            id: id.clone(),
            label: text(|it| &it.label),
            region_code: text(|it| &it.region_code),
            organization: text(|it| &it.organization),
            kind: number(|it| it.kind),
            head: String::new(),
            stated_size: number(|it| it.stated_size),
            complete: told.iter().any(|(_, it)| it.complete),
        }
    };
    ids.delegations.iter().zip(told).map(settle).collect()
}

/// Gives each delegation its head, and takes HEAD_OF_DELEGATION from all others in it.
///
/// A head belongs to the delegation as settled. Those told as head of this very delegation come first; if none of
/// them belongs to it, those told as some head who do.
pub fn settle_heads(
    ids: &Ids<'_>,
    scale: &SourceRanking,
    delegations: &mut [pb::Delegation],
    participations: &mut [pb::Participation],
) {
    let by_id: HashMap<&str, usize> = ids.delegations.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let mut of_this: Vec<Vec<ReportedValue<usize>>> = delegations.iter().map(|_| Vec::new()).collect();
    let mut of_some: Vec<Vec<ReportedValue<usize>>> = delegations.iter().map(|_| Vec::new()).collect();
    for (teller, reading) in ids.readings.iter().enumerate() {
        for part in &reading.parts {
            if !part.told.roles.contains(&(Role::HeadOfDelegation as i32)) {
                continue;
            }
            let Some(&at) = by_id.get(participations[part.who].delegation.as_str()) else { continue };
            let claims = if part.delegation == Some(at) { &mut of_this } else { &mut of_some };
            claims[at].push(ReportedValue(teller, part.who));
        }
    }
    let heads: Vec<Option<usize>> = of_this
        .into_iter()
        .zip(of_some)
        .map(|(this, some)| if this.is_empty() { some } else { this })
        .map(|claims| scale.value(claims.into_iter(), |who| *who))
        .collect();
    for (delegation, head) in delegations.iter_mut().zip(&heads) {
        delegation.head = head.map(|who| ids.participations[who].clone()).unwrap_or_default();
    }
    for (who, participation) in participations.iter_mut().enumerate() {
        let Some(&at) = by_id.get(participation.delegation.as_str()) else { continue };
        if heads[at] != Some(who) {
            participation.roles.retain(|&role| role != Role::HeadOfDelegation as i32);
        }
    }
}
