//! Clusters: the participants that are one person, from comparisons and judgements. Independent of the order of both.
//!
//! 1. Judgements, the latest first: SAME joins two groups unless a later DIFFERENT keeps them apart; DIFFERENT keeps two
//!    groups apart unless a later SAME has joined them.
//! 2. A confident comparison joins two groups if it is unique: a group that is confidently one with two others that
//!    contradict each other joins neither.
//! 3. The comparisons of the highest score join first. Those of one score that would put a contradiction into one group
//!    join nothing.
//!
//! Groups contradict each other if they were judged DIFFERENT, if a comparison of theirs has the level `No`, if all
//! their regions differ, or if all their ids in one scheme do. The rules work on whole groups, so that a third
//! participant does not bypass a judgement.

mod groups;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use self::groups::Groups;
use super::compare::Level;
use crate::pb::ExternalId;

/// Maximum number of members of a cluster.
pub const MAX_CLUSTER: usize = 1_000;

/// A participant, as far as clusters depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterNode {
    /// Its id.
    pub id: Uuid,
    /// `participant::Kind` as a number.
    pub kind: i32,
    /// The number of reports that name it.
    pub reports: u64,
    /// ISO 3166 alpha-2, or empty.
    pub region: String,
    /// Its external ids.
    pub external_ids: Vec<ExternalId>,
    /// The door keys of its names.
    pub door_keys: Vec<String>,
}

/// A comparison of two participants. The level `No` is a contradiction: such a pair is never in one cluster by rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// One participant.
    pub a: Uuid,
    /// The other.
    pub b: Uuid,
    /// The level of the comparison.
    pub level: Level,
    /// The score of the comparison.
    pub score: f32,
}

/// A curator's verdict on two participants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are one.
    Same,
    /// They are two.
    Different,
}

/// A judgement of a curator. A withdrawn judgement is not given.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// One participant.
    pub a: Uuid,
    /// The other.
    pub b: Uuid,
    /// The verdict.
    pub verdict: Verdict,
    /// Orders judgements: of two that contradict each other, the greater counts.
    pub sequence: i64,
    /// True for a merge by hand: it then also says that `a` was merged into `b`.
    pub is_merge: bool,
}

/// The grounds of an alias.
#[derive(Debug, Clone, PartialEq)]
pub enum AliasCause {
    /// The rule: the strongest comparison that joins the participant with its cluster.
    Rule {
        /// The participant that it was compared with.
        with: Uuid,
        /// The score.
        score: f32,
    },
    /// A judgement or a merge by hand.
    Judged {
        /// The participant that it was judged to be.
        with: Uuid,
        /// The judgement's sequence number.
        sequence: i64,
        /// True for a merge by hand.
        is_merge: bool,
    },
}

/// A participant that is one with another.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// The participant.
    pub participant: Uuid,
    /// The cluster's settled participant; never an alias itself.
    pub into: Uuid,
    /// The grounds: judgements first, then comparisons by score. At least one.
    pub causes: Vec<AliasCause>,
}

/// The result of [`clusters`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settlement {
    /// The aliases, by participant.
    pub aliases: Vec<Alias>,
    /// Participants that a full cluster left out, by id.
    pub left_out: Vec<Uuid>,
}

/// Settles who is one with whom. Ends of edges and judgements that are no nodes are left out, as are duplicates.
pub fn clusters(nodes: &[ClusterNode], edges: &[Edge], judgements: &[Judgement]) -> Settlement {
    let mut nodes: Vec<&ClusterNode> = nodes.iter().collect();
    nodes.sort_by_key(|node| node.id);
    nodes.dedup_by_key(|node| node.id);
    let index: HashMap<Uuid, usize> = nodes.iter().enumerate().map(|(at, node)| (node.id, at)).collect();
    let ends = |a: Uuid, b: Uuid| Some((*index.get(&a)?, *index.get(&b)?)).filter(|(a, b)| a != b);

    let mut groups = Groups::new(&nodes);
    let mut judgements: Vec<&Judgement> = judgements.iter().collect();
    judgements.sort_by_key(|judgement| (std::cmp::Reverse(judgement.sequence), judgement.a, judgement.b));
    for judgement in &judgements {
        let Some((a, b)) = ends(judgement.a, judgement.b) else { continue };
        match judgement.verdict {
            Verdict::Same => groups.join_judged(a, b),
            Verdict::Different => groups.keep_apart(a, b),
        }
    }

    let mut confident: Vec<Link> = Vec::new();
    for edge in edges {
        let Some((a, b)) = ends(edge.a, edge.b) else { continue };
        match edge.level {
            Level::No => groups.contradict(a, b),
            Level::Possible => {}
            Level::Confident => confident.push(Link { a: a.min(b), b: a.max(b), score: percent(edge.score) }),
        }
    }
    confident.sort_unstable_by_key(|link| (std::cmp::Reverse(link.score), link.a, link.b));
    confident.dedup_by_key(|link| (link.a, link.b));
    join_unique(&mut groups, &confident);
    settlement(&nodes, &mut groups, &confident, &judgements, &index)
}

/// A confident comparison of two nodes.
#[derive(Debug, Clone, Copy)]
struct Link {
    a: usize,
    b: usize,
    score: u8,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percent(score: f32) -> u8 {
    (score.clamp(0., 1.) * 100.).round() as u8
}

/// Joins the groups of the links that are unique, by score.
fn join_unique(groups: &mut Groups<'_>, links: &[Link]) {
    let mut neighbours: HashMap<usize, HashSet<usize>> = HashMap::new();
    for link in links {
        let (a, b) = (groups.root(link.a), groups.root(link.b));
        if a != b && !groups.contradicts(a, b) {
            neighbours.entry(a).or_default().insert(b);
            neighbours.entry(b).or_default().insert(a);
        }
    }
    let ambiguous = ambiguous(groups, &neighbours);
    let usable: Vec<&Link> = links
        .iter()
        .filter(|link| {
            let (a, b) = (groups.root(link.a), groups.root(link.b));
            neighbours.get(&a).is_some_and(|others| others.contains(&b))
                && !ambiguous.contains(&a)
                && !ambiguous.contains(&b)
        })
        .collect();
    for tier in usable.chunk_by(|link, next| link.score == next.score) {
        let mut parts = Components::default();
        for link in tier {
            parts.join(groups.root(link.a), groups.root(link.b));
        }
        for part in parts.all() {
            if !groups.has_contradiction(&part) {
                groups.join_all(&part);
            }
        }
    }
}

/// The groups that are confidently one with two groups that contradict each other.
fn ambiguous(groups: &Groups<'_>, neighbours: &HashMap<usize, HashSet<usize>>) -> HashSet<usize> {
    let mut ambiguous: HashSet<usize> = HashSet::new();
    for (group, others) in neighbours {
        if others.len() > 1 && groups.differ_in_region_or_id(others.iter().copied()) {
            ambiguous.insert(*group);
        }
    }
    let of = |group: &usize| neighbours.get(group).filter(|others| !others.is_empty());
    for (a, b) in groups.contradicting_pairs() {
        if let (Some(left), Some(right)) = (of(&a), of(&b)) {
            let (less, more) = if left.len() <= right.len() { (left, right) } else { (right, left) };
            ambiguous.extend(less.iter().filter(|group| more.contains(group)));
        }
    }
    ambiguous
}

/// Connected components of groups.
#[derive(Debug, Default)]
struct Components {
    parent: BTreeMap<usize, usize>,
}

impl Components {
    fn root(&mut self, mut at: usize) -> usize {
        let mut parent = *self.parent.entry(at).or_insert(at);
        while parent != at {
            let above = self.parent[&parent];
            self.parent.insert(at, above);
            (at, parent) = (parent, above);
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent.insert(a.max(b), a.min(b));
    }

    fn all(mut self) -> Vec<Vec<usize>> {
        let members: Vec<usize> = self.parent.keys().copied().collect();
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for member in members {
            parts.entry(self.root(member)).or_default().push(member);
        }
        parts.into_values().filter(|part| part.len() > 1).collect()
    }
}

fn settlement(
    nodes: &[&ClusterNode],
    groups: &mut Groups<'_>,
    links: &[Link],
    judgements: &[&Judgement],
    index: &HashMap<Uuid, usize>,
) -> Settlement {
    let mut causes: Vec<Vec<AliasCause>> = vec![Vec::new(); nodes.len()];
    for judgement in judgements.iter().filter(|judgement| judgement.verdict == Verdict::Same) {
        let (Some(&a), Some(&b)) = (index.get(&judgement.a), index.get(&judgement.b)) else { continue };
        if a != b && groups.root(a) == groups.root(b) {
            for (at, with) in [(a, b), (b, a)] {
                let Judgement { sequence, is_merge, .. } = **judgement;
                causes[at].push(AliasCause::Judged { with: nodes[with].id, sequence, is_merge });
            }
        }
    }
    let mut has_rule = vec![false; nodes.len()];
    for link in links {
        if groups.root(link.a) != groups.root(link.b) {
            continue;
        }
        for (at, with) in [(link.a, link.b), (link.b, link.a)] {
            if !std::mem::replace(&mut has_rule[at], true) {
                causes[at].push(AliasCause::Rule { with: nodes[with].id, score: f32::from(link.score) / 100. });
            }
        }
    }
    let merges = merge_ranks(nodes.len(), groups, judgements, index);
    let mut settlement = Settlement::default();
    for members in groups.groups() {
        let order = |a: &usize, b: &usize| merges[*a].cmp(&merges[*b]).then_with(|| precedence(nodes[*a], nodes[*b]));
        let settled = members.iter().copied().min_by(order).unwrap_or_default();
        for member in members.into_iter().filter(|member| *member != settled) {
            let causes = std::mem::take(&mut causes[member]);
            settlement.aliases.push(Alias { participant: nodes[member].id, into: nodes[settled].id, causes });
        }
    }
    settlement.aliases.sort_by_key(|alias| alias.participant);
    settlement.left_out = groups.left_out().map(|at| nodes[at].id).collect();
    settlement
}

/// The place of a participant in the merges by hand of its cluster. The first place gives the cluster its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MergeRank {
    /// Others were merged into it, and it into none.
    Survivor,
    /// It is in no merge.
    None,
    /// It was merged into another.
    Source,
}

fn merge_ranks(
    count: usize,
    groups: &mut Groups<'_>,
    judgements: &[&Judgement],
    index: &HashMap<Uuid, usize>,
) -> Vec<MergeRank> {
    let mut ranks = vec![MergeRank::None; count];
    for judgement in judgements.iter().filter(|judgement| judgement.is_merge) {
        let (Some(&source), Some(&survivor)) = (index.get(&judgement.a), index.get(&judgement.b)) else { continue };
        if source != survivor && groups.root(source) == groups.root(survivor) {
            ranks[source] = MergeRank::Source;
            if ranks[survivor] == MergeRank::None {
                ranks[survivor] = MergeRank::Survivor;
            }
        }
    }
    ranks
}

/// The order in which participants give their cluster its name, apart from merges by hand: most reports, then the least
/// door key, a set region before an unset one, the least region, the least door keys and external ids. The id, which
/// depends on the order of their creation, decides only between participants that agree in all of these.
fn precedence(a: &ClusterNode, b: &ClusterNode) -> std::cmp::Ordering {
    let facts = |node: &'_ ClusterNode| {
        let mut keys = node.door_keys.clone();
        keys.sort_unstable();
        let mut ids: Vec<(String, String)> =
            node.external_ids.iter().map(|id| (id.scheme.clone(), id.value.clone())).collect();
        ids.sort_unstable();
        (keys.first().cloned(), node.region.is_empty(), node.region.clone(), keys, ids, node.id)
    };
    b.reports.cmp(&a.reports).then_with(|| facts(a).cmp(&facts(b)))
}
