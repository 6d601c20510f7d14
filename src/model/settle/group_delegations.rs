//! Groups the delegations of different reports that are the same delegation.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::ranked_report::RankedReport;
use crate::{model::text::names, pb};

/// A delegation of one report.
#[derive(Clone, Copy)]
pub struct DelegationMember<'a> {
    pub rank: usize,
    pub position: usize,
    pub delegation: &'a pb::Delegation,
}

/// The settled delegations.
pub struct DelegationGroups<'a> {
    /// The id of each, and the reported delegations that it unites.
    pub groups: Vec<(String, Vec<DelegationMember<'a>>)>,
    /// The origins without any one of which other delegations may have another id.
    pub renaming: BTreeSet<Uuid>,
}

/// The settled delegations, each with its id and the reported delegations that it unites, in the order in which the
/// reports, by rank, first mention them.
///
/// Two delegations of one report are always distinct. Delegations of different reports are the same if they have the
/// same region; without a region, the same organization; without either, the same label. If one report has several of
/// such a group, the group is divided by the first of these that suffices: kind, organization, label, and the order in
/// the report. Heads do not matter: sources that disagree about the head may mean the same delegation.
///
/// The id shows these traits: `region:RU`, `organization:osce`, `region:RU/kind:PARLIAMENT`, `region:RU/2`.
pub fn group<'a>(reports: &[RankedReport<'a>]) -> DelegationGroups<'a> {
    let mut classes: BTreeMap<String, Vec<DelegationMember<'a>>> = BTreeMap::new();
    for (rank, report) in reports.iter().enumerate() {
        for (position, delegation) in report.account.delegations.iter().enumerate() {
            let member = DelegationMember { rank, position, delegation };
            classes.entry(broad_trait(delegation)).or_default().push(member);
        }
    }
    let mut division = Division { reports, groups: Vec::new(), renaming: BTreeSet::new() };
    for (id, members) in classes {
        division.divide(id, members, &FINER);
    }
    let Division { mut groups, renaming, .. } = division;
    for (id, _) in &mut groups {
        *id = bounded(std::mem::take(id));
    }
    groups.sort_by_key(|(_, members)| members.first().map(|first| (first.rank, first.position)));
    DelegationGroups { groups, renaming }
}

type DelegationTrait = fn(&pb::Delegation) -> String;

const FINER: [DelegationTrait; 3] = [kind, organization, label];

/// The id of the undivided group of a delegation.
fn broad_trait(delegation: &pb::Delegation) -> String {
    let traits: [DelegationTrait; 3] = [region, organization, label];
    traits.iter().map(|of| of(delegation)).find(|part| !part.is_empty()).unwrap_or_else(|| "unnamed".to_owned())
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

/// A part of an id; empty if the value is. Slashes are escaped, because they join the parts.
fn named(name: &str, value: &str) -> String {
    match value {
        "" => String::new(),
        _ => format!("{name}:{}", value.replace('%', "%25").replace('/', "%2F")),
    }
}

/// The division of delegations into groups.
struct Division<'r, 'a> {
    reports: &'r [RankedReport<'a>],
    groups: Vec<(String, Vec<DelegationMember<'a>>)>,
    renaming: BTreeSet<Uuid>,
}

impl<'a> Division<'_, 'a> {
    /// Divides members, which are sorted by rank and position, until no group has two members of one report.
    fn divide(&mut self, id: String, members: Vec<DelegationMember<'a>>, finer: &[DelegationTrait]) {
        let joined = |part: String| if part.is_empty() { id.clone() } else { format!("{id}/{part}") };
        let is_pair = |pair: &[DelegationMember<'_>]| pair[0].rank == pair[1].rank;
        if !members.windows(2).any(is_pair) {
            self.groups.push((id, members));
            return;
        }
        // Without the only origin that distinguishes such delegations, they are one.
        let dividing = members.windows(2).filter(|pair| is_pair(pair)).map(|pair| pair[0].rank);
        self.renaming.extend(self.only_origin(dividing));
        let Some((of, finer)) = finer.split_first() else {
            for (nth, members) in by_order_in_report(&members).into_iter().enumerate() {
                let part = if nth == 0 { String::new() } else { (nth + 1).to_string() };
                self.groups.push((joined(part), members));
            }
            return;
        };
        let mut classes: BTreeMap<String, Vec<DelegationMember<'a>>> = BTreeMap::new();
        for member in members {
            classes.entry(of(member.delegation)).or_default().push(member);
        }
        if classes.len() > 1 {
            // Without the only origin of all classes but one, the id of that one does not have the trait.
            let mut own_classes: BTreeMap<Uuid, usize> = BTreeMap::new();
            for members in classes.values() {
                if let Some(origin) = self.only_origin(members.iter().map(|member| member.rank)) {
                    *own_classes.entry(origin).or_default() += 1;
                }
            }
            let renaming = own_classes.into_iter().filter(|(_, count)| count + 1 >= classes.len());
            self.renaming.extend(renaming.map(|(origin, _)| origin));
        }
        let is_undivided = classes.len() == 1;
        for (part, members) in classes {
            let id = if is_undivided { id.clone() } else { joined(part) };
            self.divide(id, members, finer);
        }
    }

    fn only_origin(&self, mut ranks: impl Iterator<Item = usize>) -> Option<Uuid> {
        let first = self.reports[ranks.next()?].origin;
        ranks.all(|rank| self.reports[rank].origin == first).then_some(first)
    }
}

/// Groups the first member of each report, the second of each, and so on.
fn by_order_in_report<'a>(members: &[DelegationMember<'a>]) -> Vec<Vec<DelegationMember<'a>>> {
    let mut groups: Vec<Vec<DelegationMember<'a>>> = Vec::new();
    let mut nth = 0;
    for (at, member) in members.iter().enumerate() {
        nth = if at > 0 && members[at - 1].rank == member.rank { nth + 1 } else { 0 };
        if nth == groups.len() {
            groups.push(Vec::new());
        }
        groups[nth].push(*member);
    }
    groups
}

/// The contract's limit for the id of a participation or delegation, in code points.
const MAX_CHARS: usize = 512;

/// Shortens an id to the limit. A shortened id ends in the hash of the whole, so that different ids stay different.
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
