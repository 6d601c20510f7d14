//! The pairs of persons that a curator should judge.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::{Surroundings, judgements::judged, ordered};
use crate::{model::identity::Level, store::participant::review::DuplicatePair};

/// Maximum number of pairs to review that are kept for one participant: the strongest.
const MAX_PAIRS: usize = 50;

impl Surroundings<'_> {
    /// The pairs of persons that the rule does not decide and no curator has judged, the strongest of each participant.
    pub(super) fn pairs_to_review(&self, person: impl Fn(Uuid) -> Uuid) -> Vec<DuplicatePair> {
        let judged: HashSet<(Uuid, Uuid)> = self
            .nodes
            .iter()
            .flat_map(|(id, node)| judged(&node.record).map(|other| ordered(person(*id), person(other))))
            .collect();
        let mut found: BTreeMap<(Uuid, Uuid), (i16, f32)> = BTreeMap::new();
        for ((a, b), comparison) in &self.pairs {
            let level: i16 = match comparison.level {
                Level::No => continue,
                Level::Possible => 2,
                Level::Confident => 3,
            };
            let pair = ordered(person(*a), person(*b));
            if pair.0 != pair.1 && !judged.contains(&pair) {
                let best = found.entry(pair).or_insert((level, comparison.score));
                if (level, comparison.score) > *best {
                    *best = (level, comparison.score);
                }
            }
        }
        let mut pairs: Vec<DuplicatePair> = found
            .into_iter()
            .map(|((participant, other), (level, score))| DuplicatePair { participant, other, level, score })
            .collect();
        pairs.sort_by(|a, b| (b.level, b.score).partial_cmp(&(a.level, a.score)).unwrap_or(std::cmp::Ordering::Equal));
        let mut counts: HashMap<Uuid, usize> = HashMap::new();
        pairs.retain(|pair| {
            let is_full = [pair.participant, pair.other].iter().any(|id| counts.get(id) >= Some(&MAX_PAIRS));
            [pair.participant, pair.other].iter().for_each(|id| *counts.entry(*id).or_default() += 1);
            !is_full
        });
        pairs
    }
}
