//! The rule of identity: decides from names, regions, ids and appearances if two participants are one. Pure and
//! deterministic: no SQL, no clock, no randomness.

mod clusters;
mod compare;
mod door;
mod fold;
mod given_names;
mod keys;
mod name;
mod profile;
mod region;
mod sound;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use self::{
    clusters::{Alias, AliasCause, ClusterNode, Edge, Judgement, MAX_CLUSTER, Settlement, Verdict, clusters},
    compare::{Comparison, Level, Reason, ReasonKind, compare},
    door::{contradicts_on_ids, door_keys, may_match, name_key, shares_an_id},
    keys::{CandidateKeys, MAX_PAIR_KEYS, MAX_SINGLE_KEYS, candidate_keys},
    profile::{Appearance, Context, Profile},
};

/// The version of the rule: of levels, scores, candidate keys and clusters. Every change of a result increments it.
pub const RULE_VERSION: i32 = 1;
