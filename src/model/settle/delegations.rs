//! Delegations: which of them are one, and who leads it.

use std::collections::{BTreeMap, HashMap};

use super::{
    choice::{Claim, Scale},
    ids::{Ids, Reading, bounded},
};
use crate::{
    model::names,
    pb::{self, participation::Role},
};

/// A delegation of one report.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    pub teller: usize,
    pub position: usize,
    pub delegation: &'a pb::Delegation,
}

/// The settled delegations, each with its id and what the reports tell of it; in the order of the first telling.
///
/// Two delegations of one report are never one. Delegations of different reports are one if they are of the same
/// region; without a region, of the same organization; without either, under the same label. Where a report tells
/// two of these apart, all of them are told apart by the first that suffices of: kind, organization, label, and
/// the order in their report. Heads do not matter: sources that disagree about the head may mean one delegation.
///
/// The id says as much: `region:RU`, `organization:osce`, `region:RU/kind:PARLIAMENT`, `region:RU/2`.
pub fn unite<'a>(readings: &[Reading<'a>]) -> Vec<(String, Vec<Member<'a>>)> {
    let mut classes: BTreeMap<String, Vec<Member<'a>>> = BTreeMap::new();
    for (teller, reading) in readings.iter().enumerate() {
        for (position, delegation) in reading.account.delegations.iter().enumerate() {
            let member = Member { teller, position, delegation };
            classes.entry(broadly(delegation)).or_default().push(member);
        }
    }
    let mut united = Vec::new();
    for (id, members) in classes {
        tell_apart(id, members, &FINER, &mut united);
    }
    for (id, _) in &mut united {
        *id = bounded(std::mem::take(id));
    }
    united.sort_by_key(|(_, members)| members.first().map(|first| (first.teller, first.position)));
    united
}

type Trait = fn(&pb::Delegation) -> String;

const FINER: [Trait; 3] = [kind, organization, label];

fn broadly(delegation: &pb::Delegation) -> String {
    let traits: [Trait; 3] = [region, organization, label];
    traits.iter().map(|of| of(delegation)).find(|it| !it.is_empty()).unwrap_or_else(|| "unnamed".to_owned())
}

fn region(delegation: &pb::Delegation) -> String {
    named("region", delegation.region_code.trim())
}

fn kind(delegation: &pb::Delegation) -> String {
    match delegation.kind() {
        pb::delegation::Kind::Unspecified => String::new(),
        kind => named("kind", kind.as_str_name()),
    }
}

fn organization(delegation: &pb::Delegation) -> String {
    named("organization", &names::key(&delegation.organization))
}

fn label(delegation: &pb::Delegation) -> String {
    named("label", &names::key(&delegation.label))
}

/// A part of an id; empty if the value is. A slash is escaped, as slashes join the parts.
fn named(name: &str, value: &str) -> String {
    match value {
        "" => String::new(),
        _ => format!("{name}:{}", value.replace('%', "%25").replace('/', "%2F")),
    }
}

/// Divides members, which stand in the order of the telling, until none are of one report.
fn tell_apart<'a>(id: String, members: Vec<Member<'a>>, finer: &[Trait], united: &mut Vec<(String, Vec<Member<'a>>)>) {
    let joined = |part: String| if part.is_empty() { id.clone() } else { format!("{id}/{part}") };
    if members.windows(2).all(|pair| pair[0].teller != pair[1].teller) {
        united.push((id, members));
        return;
    }
    let Some((of, finer)) = finer.split_first() else {
        for (nth, members) in in_order(&members).into_iter().enumerate() {
            let part = if nth == 0 { String::new() } else { (nth + 1).to_string() };
            united.push((joined(part), members));
        }
        return;
    };
    let mut classes: BTreeMap<String, Vec<Member<'a>>> = BTreeMap::new();
    for member in members {
        classes.entry(of(member.delegation)).or_default().push(member);
    }
    let alike = classes.len() == 1;
    for (part, members) in classes {
        let id = if alike { id.clone() } else { joined(part) };
        tell_apart(id, members, finer, united);
    }
}

/// The first of each report, the second of each, and so on.
fn in_order<'a>(members: &[Member<'a>]) -> Vec<Vec<Member<'a>>> {
    let mut nths: Vec<Vec<Member<'a>>> = Vec::new();
    let mut nth = 0;
    for (at, member) in members.iter().enumerate() {
        nth = if at > 0 && members[at - 1].teller == member.teller { nth + 1 } else { 0 };
        if nth == nths.len() {
            nths.push(Vec::new());
        }
        nths[nth].push(*member);
    }
    nths
}

/// The settled delegations, without their heads.
pub fn settle(ids: &Ids<'_>, scale: &Scale) -> Vec<pb::Delegation> {
    let mut told: Vec<Vec<(usize, &pb::Delegation)>> = vec![Vec::new(); ids.delegations.len()];
    for (teller, reading) in ids.readings.iter().enumerate() {
        for (delegation, &at) in reading.account.delegations.iter().zip(&reading.delegations) {
            told[at].push((teller, delegation));
        }
    }
    let settle = |(id, told): (&String, Vec<(usize, &pb::Delegation)>)| {
        let text = |field: fn(&pb::Delegation) -> &str| scale.text(told.iter().map(|(t, it)| Claim(*t, field(it))));
        let number = |field: fn(&pb::Delegation) -> i32| scale.number(told.iter().map(|(t, it)| Claim(*t, field(it))));
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
    scale: &Scale,
    delegations: &mut [pb::Delegation],
    participations: &mut [pb::Participation],
) {
    let by_id: HashMap<&str, usize> = ids.delegations.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let mut of_this: Vec<Vec<Claim<usize>>> = delegations.iter().map(|_| Vec::new()).collect();
    let mut of_some: Vec<Vec<Claim<usize>>> = delegations.iter().map(|_| Vec::new()).collect();
    for (teller, reading) in ids.readings.iter().enumerate() {
        for part in &reading.parts {
            if !part.told.roles.contains(&(Role::HeadOfDelegation as i32)) {
                continue;
            }
            let Some(&at) = by_id.get(participations[part.who].delegation.as_str()) else { continue };
            let claims = if part.delegation == Some(at) { &mut of_this } else { &mut of_some };
            claims[at].push(Claim(teller, part.who));
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
