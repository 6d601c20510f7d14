//! Which delegations of different reports are the same.

use std::collections::BTreeMap;

use super::reading::RankedReport;
use crate::{model::text::names, pb};

/// A delegation of one report.
#[derive(Clone, Copy)]
pub struct DelegationMember<'a> {
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
pub fn group<'a>(readings: &[RankedReport<'a>]) -> Vec<(String, Vec<DelegationMember<'a>>)> {
    let mut classes: BTreeMap<String, Vec<DelegationMember<'a>>> = BTreeMap::new();
    for (teller, reading) in readings.iter().enumerate() {
        for (position, delegation) in reading.account.delegations.iter().enumerate() {
            let member = DelegationMember { teller, position, delegation };
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
fn tell_apart<'a>(
    id: String,
    members: Vec<DelegationMember<'a>>,
    finer: &[Trait],
    united: &mut Vec<(String, Vec<DelegationMember<'a>>)>,
) {
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
    let mut classes: BTreeMap<String, Vec<DelegationMember<'a>>> = BTreeMap::new();
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
fn in_order<'a>(members: &[DelegationMember<'a>]) -> Vec<Vec<DelegationMember<'a>>> {
    let mut nths: Vec<Vec<DelegationMember<'a>>> = Vec::new();
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

/// The contract's limit for the id of a participation or delegation.
const MAX_CHARS: usize = 512;

/// An id that keeps to the limit: one that is too long ends in its hash, so that different ids stay different.
pub fn bounded(mut id: String) -> String {
    if id.len() <= MAX_CHARS || id.chars().count() <= MAX_CHARS {
        return id;
    }
    let hash = blake3::hash(id.as_bytes()).to_hex();
    if let Some((cut, _)) = id.char_indices().nth(MAX_CHARS - 1 - hash.len()) {
        id.truncate(cut);
    }
    id.push('~');
    id.push_str(&hash);
    id
}
