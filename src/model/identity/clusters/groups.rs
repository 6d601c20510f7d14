//! Groups of participants that are one, and the contradictions between them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{ClusterNode, MAX_CLUSTER, precedence};

/// Disjoint sets of nodes. A group is named by one of its nodes, its root.
#[derive(Debug)]
pub struct Groups<'a> {
    nodes: &'a [&'a ClusterNode],
    parent: Vec<usize>,
    facts: Vec<Facts<'a>>,
    left_out: BTreeSet<usize>,
}

/// All that is known of a group, at its root.
#[derive(Debug, Default)]
struct Facts<'a> {
    members: Vec<usize>,
    regions: BTreeSet<&'a str>,
    ids: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Groups that were judged to be others.
    judged: HashSet<usize>,
    /// Groups that a comparison contradicts.
    compared: HashSet<usize>,
}

impl<'a> Groups<'a> {
    /// Each node in a group of its own.
    pub fn new(nodes: &'a [&'a ClusterNode]) -> Self {
        let facts = nodes.iter().enumerate().map(|(at, node)| {
            let mut facts = Facts { members: vec![at], ..Facts::default() };
            facts.regions.extend(Some(node.region.as_str()).filter(|region| !region.is_empty()));
            for id in &node.external_ids {
                facts.ids.entry(&id.scheme).or_default().insert(&id.value);
            }
            facts
        });
        Self { nodes, parent: (0..nodes.len()).collect(), facts: facts.collect(), left_out: BTreeSet::new() }
    }

    /// The root of a node's group.
    pub fn root(&self, mut at: usize) -> usize {
        while self.parent[at] != at {
            at = self.parent[at];
        }
        at
    }

    /// Joins the groups of two nodes, as judged.
    pub fn join_judged(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b || self.facts[a].judged.contains(&b) {
            return;
        }
        if self.size(a) + self.size(b) > MAX_CLUSTER {
            let later = if self.compare_groups(a, b).is_le() { b } else { a };
            self.left_out.extend(self.facts[later].members.iter().copied());
            return;
        }
        self.join(a, b);
    }

    /// Records a judgement that two groups are two.
    pub fn keep_apart(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.facts[a].judged.insert(b);
            self.facts[b].judged.insert(a);
        }
    }

    /// Records a comparison that contradicts the identity of two groups.
    pub fn contradict(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.facts[a].compared.insert(b);
            self.facts[b].compared.insert(a);
        }
    }

    /// True if two groups are never joined by the rule.
    pub fn contradicts(&self, a: usize, b: usize) -> bool {
        self.facts[a].judged.contains(&b)
            || self.facts[a].compared.contains(&b)
            || self.differ_in_region_or_id([a, b].into_iter())
    }

    /// The pairs of groups that a judgement or a comparison contradicts.
    pub fn contradicting_pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let of = |(group, facts): (usize, &Facts<'a>)| {
            let others = facts.judged.union(&facts.compared).filter(move |other| group < **other);
            others.map(move |other| (group, *other)).collect::<Vec<_>>()
        };
        self.facts.iter().enumerate().flat_map(of)
    }

    /// True if two of the groups differ in kind, in all regions, or in all ids of one scheme.
    pub fn differ_in_region_or_id(&self, groups: impl Iterator<Item = usize>) -> bool {
        let mut kind = None;
        let mut regions: BTreeSet<&BTreeSet<&str>> = BTreeSet::new();
        let mut ids: BTreeMap<&str, BTreeSet<&BTreeSet<&str>>> = BTreeMap::new();
        for group in groups {
            if *kind.get_or_insert(self.nodes[group].kind) != self.nodes[group].kind {
                return true;
            }
            let facts = &self.facts[group];
            regions.insert(&facts.regions);
            for (scheme, values) in &facts.ids {
                ids.entry(scheme).or_default().insert(values);
            }
        }
        regions.remove(&BTreeSet::new());
        has_disjoint(&regions) || ids.values().any(has_disjoint)
    }

    /// True if two of the groups contradict each other.
    pub fn has_contradiction(&self, groups: &[usize]) -> bool {
        let all: HashSet<usize> = groups.iter().copied().collect();
        let contradicts = |group: &usize| {
            let facts = &self.facts[*group];
            !facts.judged.is_disjoint(&all) || !facts.compared.is_disjoint(&all)
        };
        groups.iter().any(contradicts) || self.differ_in_region_or_id(groups.iter().copied())
    }

    /// Joins groups, the most important first, as many as a cluster holds.
    pub fn join_all(&mut self, groups: &[usize]) {
        let mut groups = groups.to_vec();
        groups.sort_by(|a, b| self.compare_groups(*a, *b));
        let mut joined = groups[0];
        for &group in &groups[1..] {
            if self.size(joined) + self.size(group) > MAX_CLUSTER {
                self.left_out.extend(self.facts[group].members.iter().copied());
            } else {
                joined = self.join(joined, group);
            }
        }
    }

    /// The members of each group of two and more.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        self.facts.iter().map(|facts| facts.members.clone()).filter(|members| members.len() > 1).collect()
    }

    /// The nodes that a full cluster left out.
    pub fn left_out(&self) -> impl Iterator<Item = usize> {
        self.left_out.iter().copied()
    }

    fn size(&self, root: usize) -> usize {
        self.facts[root].members.len()
    }

    fn compare_groups(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let first = |root: usize| {
            let members = self.facts[root].members.iter().map(|at| self.nodes[*at]);
            members.min_by(|a, b| precedence(a, b))
        };
        match (first(a), first(b)) {
            (Some(a), Some(b)) => precedence(a, b),
            _ => std::cmp::Ordering::Equal,
        }
    }

    /// Joins two groups, and returns the root.
    fn join(&mut self, a: usize, b: usize) -> usize {
        let weight = |root: usize| {
            let facts = &self.facts[root];
            (facts.members.len() + facts.judged.len() + facts.compared.len(), root)
        };
        let (root, part) = if weight(a) >= weight(b) { (a, b) } else { (b, a) };
        let facts = std::mem::take(&mut self.facts[part]);
        for other in facts.judged {
            self.facts[other].judged.remove(&part);
            self.facts[other].judged.insert(root);
            self.facts[root].judged.insert(other);
        }
        for other in facts.compared {
            self.facts[other].compared.remove(&part);
            if other != root {
                self.facts[other].compared.insert(root);
                self.facts[root].compared.insert(other);
            }
        }
        let into = &mut self.facts[root];
        into.members.extend(facts.members);
        into.regions.extend(facts.regions);
        for (scheme, values) in facts.ids {
            into.ids.entry(scheme).or_default().extend(values);
        }
        self.parent[part] = root;
        root
    }
}

/// True if two of the sets have nothing in common. Near linear, unless nearly all sets overlap without being equal.
fn has_disjoint(sets: &BTreeSet<&BTreeSet<&str>>) -> bool {
    let mut rest = sets.iter();
    std::iter::from_fn(|| rest.next().map(|set| (set, rest.clone())))
        .take(MAX_CLUSTER)
        .any(|(set, others)| others.clone().any(|other| set.is_disjoint(other)))
}
