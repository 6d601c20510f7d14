//! Settles who is one person. [`plan`] reads the participants around some of them, compares them by the rule of
//! `model::identity`, and returns the aliases that change and the pairs that a curator should judge.

pub mod appearances;
mod groups;
mod judgements;
mod review;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use self::{
    appearances::appearances_of,
    groups::AliasGroups,
    judgements::{judged, judgements},
};
use crate::{
    model::{
        identity::{
            self, Alias, AliasCause, Appearance, CandidateKeys, ClusterNode, Comparison, Context, Edge, Level, Profile,
            Settlement, candidate_keys, clusters, compare,
        },
        resource::{Collection, Deletable, Resource},
    },
    pb::Participant,
    service::{Api, error::ServiceError},
    store::{
        Doc, change,
        participant::{
            self,
            identity::{meeting_counts, sharing},
            review::DuplicatePair,
        },
        write::{Put, PutParticipant, clock},
    },
};

/// Maximum number of participants that are settled together. More are left as they are: to settle a part of them could
/// divide a person.
const MAX_COMPONENT: usize = 4_000;
/// Maximum number of participants of one component whose pairs are all compared.
const MAX_FULLY_COMPARED: usize = 60;
/// Maximum number of participants that the reason of a change explains.
const MAX_EXPLAINED: usize = 3;

/// The result of settling some participants.
#[derive(Debug, Default)]
pub struct Settling {
    /// The participants that change, in groups that must be written together.
    pub groups: Vec<AliasGroup>,
    /// The participants whose pairs are in `pairs`.
    pub reviewed: Vec<Uuid>,
    /// The pairs to review.
    pub pairs: Vec<DuplicatePair>,
    /// The number of participants that were left out, because the cluster of one name was full.
    pub left_out: usize,
    /// True if there were too many participants around the seeds. None of them was settled.
    pub is_too_large: bool,
}

/// Participants that change together.
#[derive(Debug, Default)]
pub struct AliasGroup {
    /// Their next revisions.
    pub puts: Vec<PutParticipant>,
    /// The reason of the change, for its revisions.
    pub reason: String,
}

/// Settles the participants around `seeds`. `changed` has participants as a write is about to leave them; they are
/// written even if they are settled as before.
///
/// # Errors
/// `NewerContract` or `Damaged` for a participant that changes, or the database fails.
pub async fn plan(
    api: &Api,
    seeds: &[Uuid],
    changed: HashMap<Uuid, Participant>,
    kind: change::Kind,
) -> Result<Settling, ServiceError> {
    let (nodes, pairs, rare_keys) = Default::default();
    let mut surroundings = Surroundings { api, changed, nodes, rare_keys, pairs };
    if !surroundings.expand(seeds.iter().copied().collect()).await? {
        return Ok(Settling { is_too_large: true, ..Default::default() });
    }
    surroundings.compare_components();
    surroundings.settle(kind).await
}

/// A participant that was read.
struct Node {
    doc: Doc,
    record: Participant,
    profile: Profile,
    keys: CandidateKeys,
    /// True if all its candidates were read.
    is_expanded: bool,
    appearances: Option<Vec<Appearance>>,
}

impl Node {
    /// False if the rule does not apply: only judgements join it with others.
    fn is_open(&self) -> bool {
        !self.record.exact_only && !self.record.is_deleted()
    }
}

/// The participants around the seeds.
struct Surroundings<'a> {
    api: &'a Api,
    changed: HashMap<Uuid, Participant>,
    nodes: BTreeMap<Uuid, Node>,
    /// The pair keys that few enough participants have. Participants that share only other keys are not compared, also
    /// if both were read: the result must not depend on the seeds.
    rare_keys: HashSet<i64>,
    /// Comparisons of open participants, with the smaller id first.
    pairs: BTreeMap<(Uuid, Uuid), Comparison>,
}

impl Surroundings<'_> {
    /// Reads the participants that can be one person with these, and those that can be one with them, and so on.
    /// False if there are too many.
    async fn expand(&mut self, mut frontier: BTreeSet<Uuid>) -> Result<bool, ServiceError> {
        let mut expanded = 0;
        while !frontier.is_empty() {
            expanded += frontier.len();
            if expanded > MAX_COMPONENT {
                return Ok(false);
            }
            let ids: Vec<Uuid> = std::mem::take(&mut frontier).into_iter().collect();
            frontier = self.expand_once(&ids).await?;
            frontier.retain(|id| self.nodes.get(id).is_none_or(|node| !node.is_expanded));
        }
        Ok(true)
    }

    /// Reads the candidates of some participants. Returns those of them that must be expanded too.
    async fn expand_once(&mut self, ids: &[Uuid]) -> Result<BTreeSet<Uuid>, ServiceError> {
        let pool = self.api.store.reads();
        self.read(ids).await?;
        let mut next: BTreeSet<Uuid> = BTreeSet::new();
        for (_, members) in participant::members(pool, ids).await? {
            next.extend(members);
        }
        let keys: BTreeSet<i64> = ids
            .iter()
            .filter_map(|id| self.nodes.get(id).filter(|node| node.is_open()))
            .flat_map(|node| node.keys.pairs.iter().copied())
            .collect();
        let by_key = sharing(pool, &keys.into_iter().collect::<Vec<_>>()).await?;
        self.rare_keys.extend(by_key.keys());
        let candidates: BTreeSet<Uuid> = by_key.into_values().flatten().collect();
        self.read(&candidates.iter().copied().collect::<Vec<_>>()).await?;
        self.compare_candidates(ids).await?;
        for id in ids {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            node.is_expanded = true;
            next.extend(judged(&node.record));
        }
        let expanded: HashSet<&Uuid> = ids.iter().collect();
        for ((a, b), _) in self.pairs.iter().filter(|(_, comparison)| comparison.level == Level::Confident) {
            if expanded.contains(a) || expanded.contains(b) {
                next.extend([*a, *b]);
            }
        }
        Ok(next)
    }

    /// Reads participants that were not read before. Unknown ones are left out.
    async fn read(&mut self, ids: &[Uuid]) -> Result<(), ServiceError> {
        let unread: Vec<Uuid> = ids.iter().copied().filter(|id| !self.nodes.contains_key(id)).collect();
        if unread.is_empty() {
            return Ok(());
        }
        for doc in participant::get(self.api.store.reads(), &unread).await? {
            let record = match self.changed.get(&doc.id) {
                Some(changed) => changed.clone(),
                None => doc.decode()?,
            };
            let profile = Profile::of(&record);
            let keys = candidate_keys(&profile);
            let node = Node { profile, keys, record, is_expanded: false, appearances: None, doc };
            self.nodes.insert(node.doc.id, node);
        }
        Ok(())
    }

    /// Compares some participants with all that share a rare pair key, first by their names, then with their appearances
    /// if these can decide.
    async fn compare_candidates(&mut self, ids: &[Uuid]) -> Result<(), ServiceError> {
        let mut by_key: HashMap<i64, Vec<Uuid>> = HashMap::new();
        for (id, node) in self.nodes.iter().filter(|(_, node)| node.is_open()) {
            let keys = node.keys.pairs.iter().filter(|key| self.rare_keys.contains(key));
            keys.for_each(|key| by_key.entry(*key).or_default().push(*id));
        }
        let mut unclear: BTreeSet<(Uuid, Uuid)> = BTreeSet::new();
        for id in ids {
            let Some(node) = self.nodes.get(id).filter(|node| node.is_open()) else { continue };
            let others: BTreeSet<Uuid> =
                node.keys.pairs.iter().filter_map(|key| by_key.get(key)).flatten().copied().collect();
            for other in others.into_iter().filter(|other| other != id) {
                let pair = ordered(*id, other);
                if self.pairs.contains_key(&pair) {
                    continue;
                }
                let Some(comparison) = self.compare(pair) else { continue };
                if comparison.level != Level::No {
                    unclear.insert(pair);
                }
                self.pairs.insert(pair, comparison);
            }
        }
        if unclear.is_empty() {
            return Ok(());
        }
        self.read_appearances(unclear.iter().flat_map(|(a, b)| [*a, *b]).collect()).await?;
        for pair in unclear {
            if let Some(comparison) = self.compare(pair) {
                self.pairs.insert(pair, comparison);
            }
        }
        Ok(())
    }

    fn compare(&self, (a, b): (Uuid, Uuid)) -> Option<Comparison> {
        let (a, b) = (self.nodes.get(&a)?, self.nodes.get(&b)?);
        let none: &[Appearance] = &[];
        let context =
            Context { a: a.appearances.as_deref().unwrap_or(none), b: b.appearances.as_deref().unwrap_or(none) };
        Some(compare(&a.profile, &b.profile, &context))
    }

    async fn read_appearances(&mut self, of: BTreeSet<Uuid>) -> Result<(), ServiceError> {
        let is_unread = |id: &Uuid| self.nodes.get(id).is_some_and(|node| node.appearances.is_none());
        let ids: Vec<Uuid> = of.into_iter().filter(is_unread).collect();
        let mut by_id = appearances_of(self.api, &ids).await?;
        for id in ids {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.appearances = Some(by_id.remove(&id).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Compares all pairs of each small component, so that contradictions are known between participants without a
    /// common key.
    fn compare_components(&mut self) {
        let mut groups = AliasGroups::default();
        for ((a, b), comparison) in &self.pairs {
            if comparison.level == Level::Confident {
                groups.join(*a, *b);
            }
        }
        for members in groups.members() {
            if members.len() > MAX_FULLY_COMPARED {
                continue;
            }
            for (index, a) in members.iter().enumerate() {
                for b in &members[index + 1..] {
                    let pair = ordered(*a, *b);
                    if !self.pairs.contains_key(&pair)
                        && let Some(comparison) = self.compare(pair)
                    {
                        self.pairs.insert(pair, comparison);
                    }
                }
            }
        }
    }

    /// Settles the participants all of whose candidates were read.
    async fn settle(self, kind: change::Kind) -> Result<Settling, ServiceError> {
        let expanded = || self.nodes.iter().filter(|(_, node)| node.is_expanded && !node.record.is_deleted());
        let ids: Vec<Uuid> = expanded().map(|(id, _)| *id).collect();
        let counts = meeting_counts(self.api.store.reads(), &ids).await?;
        let nodes: Vec<ClusterNode> =
            expanded().map(|(id, node)| cluster_node(*id, node, counts.get(id).copied().unwrap_or(0))).collect();
        let is_settled = |id: &Uuid| self.nodes.get(id).is_some_and(|node| node.is_expanded);
        let edges: Vec<Edge> = self
            .pairs
            .iter()
            .filter(|((a, b), _)| is_settled(a) && is_settled(b))
            .map(|((a, b), comparison)| Edge { a: *a, b: *b, level: comparison.level, score: comparison.score })
            .collect();
        let judgements: Vec<identity::Judgement> =
            expanded().flat_map(|(id, node)| judgements(*id, &node.record)).collect();
        let Settlement { aliases, left_out } = clusters(&nodes, &edges, &judgements);
        let by_participant: HashMap<Uuid, &Alias> = aliases.iter().map(|alias| (alias.participant, alias)).collect();
        let person = |id: Uuid| by_participant.get(&id).map_or(id, |alias| alias.into);
        let groups = self.changes(&by_participant, kind)?;
        let pairs = self.pairs_to_review(person);
        Ok(Settling { groups, reviewed: ids, pairs, left_out: left_out.len(), is_too_large: false })
    }

    /// The next revisions of the participants that change, in groups that are connected by an alias before or after.
    fn changes(&self, aliases: &HashMap<Uuid, &Alias>, kind: change::Kind) -> Result<Vec<AliasGroup>, ServiceError> {
        let now = clock::now();
        let mut groups = AliasGroups::default();
        let mut puts: BTreeMap<Uuid, PutParticipant> = BTreeMap::new();
        for (id, node) in self.nodes.iter().filter(|(_, node)| node.is_expanded || node.record.is_deleted()) {
            let alias = aliases.get(id).filter(|_| !node.record.is_deleted());
            let merged_into = alias.map(|alias| Collection::Participants.name(alias.into)).unwrap_or_default();
            if node.record.merged_into == merged_into && !self.changed.contains_key(id) {
                continue;
            }
            let former: Participant = node.doc.decode_to_rewrite()?;
            for other in [&former.merged_into, &merged_into] {
                Collection::Participants.id(other).into_iter().for_each(|other| groups.join(*id, other));
            }
            let mut next = node.record.clone();
            next.merged_into = merged_into;
            next.make_next_revision(&former, now);
            let kind = if self.changed.contains_key(id) { kind } else { change::Kind::Settled };
            let put = Put::next(*id, next, kind);
            puts.insert(*id, PutParticipant { put, absent: Vec::new(), former: Some(former) });
        }
        let mut by_group: BTreeMap<Uuid, AliasGroup> = BTreeMap::new();
        for (id, put) in puts {
            let group = by_group.entry(groups.root(id)).or_default();
            if group.puts.len() < MAX_EXPLAINED {
                let separator = if group.reason.is_empty() { "" } else { "; " };
                group.reason.push_str(separator);
                group.reason.push_str(&self.explain(id, aliases.get(&id).copied()));
            }
            group.puts.push(put);
        }
        // A watch compares each change with the aliases of those before it: a person follows its new aliases.
        for group in by_group.values_mut() {
            group.puts.sort_by_key(|put| put.put.record.merged_into.is_empty());
        }
        Ok(by_group.into_values().collect())
    }

    /// A sentence on an alias, or on its end.
    fn explain(&self, id: Uuid, alias: Option<&Alias>) -> String {
        let name = |id: Uuid| self.nodes.get(&id).map_or("", |node| node.record.display_name.as_str());
        let Some(alias) = alias else { return format!("{} stands for itself", name(id)) };
        let cause = match alias.causes.first() {
            Some(AliasCause::Judged { with, is_merge, .. }) => {
                let verb = if *is_merge { "merged with" } else { "judged to be" };
                format!("{verb} {} ({})", name(*with), Collection::Participants.name(*with))
            }
            Some(AliasCause::Rule { with, score }) => {
                let with_name = Collection::Participants.name(*with);
                format!("rule {}, score {score:.2} with {} ({with_name})", identity::RULE_VERSION, name(*with))
            }
            None => String::new(),
        };
        format!("{} is {}: {cause}", name(id), name(alias.into))
    }
}

/// The two, the smaller one first.
fn ordered(a: Uuid, b: Uuid) -> (Uuid, Uuid) {
    if a <= b { (a, b) } else { (b, a) }
}

fn cluster_node(id: Uuid, node: &Node, reports: u64) -> ClusterNode {
    ClusterNode {
        id,
        kind: node.record.kind,
        reports,
        region: node.record.region_code.clone(),
        external_ids: node.record.external_ids.clone(),
        door_keys: node.profile.door_keys.clone(),
    }
}
