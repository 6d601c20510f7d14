//! AliasGroups of connected participants.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::ordered;

/// AliasGroups of connected participants.
#[derive(Default)]
pub struct AliasGroups(HashMap<Uuid, Uuid>);

impl AliasGroups {
    /// The participant that stands for the group of one.
    pub fn root(&mut self, id: Uuid) -> Uuid {
        let mut root = id;
        while let Some(parent) = self.0.get(&root).filter(|parent| **parent != root) {
            root = *parent;
        }
        self.0.insert(id, root);
        root
    }

    /// Joins the groups of two participants.
    pub fn join(&mut self, a: Uuid, b: Uuid) {
        let (a, b) = ordered(self.root(a), self.root(b));
        self.0.insert(b, a);
    }

    /// The groups of at least two, each in the order of ids.
    pub fn members(&mut self) -> Vec<Vec<Uuid>> {
        let ids: BTreeSet<Uuid> = self.0.keys().copied().collect();
        let mut groups: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for id in ids {
            groups.entry(self.root(id)).or_default().push(id);
        }
        groups.into_values().filter(|members| members.len() > 1).collect()
    }
}
