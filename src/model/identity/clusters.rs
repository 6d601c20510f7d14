//! Clusters: the participants that are one person, from comparisons and judgements. Independent of the order of both.

use uuid::Uuid;

use super::compare::Level;
use crate::pb::ExternalId;

/// A participant, as far as clusters depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterNode {
    /// Its id.
    pub id: Uuid,
    /// `participant::Kind` as a number.
    pub kind: i32,
    /// The number of reports that name it.
    pub reports: u64,
    /// ISO 3166-1 alpha-2, or empty.
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

/// Settles who is one with whom.
pub fn clusters(nodes: &[ClusterNode], edges: &[Edge], judgements: &[Judgement]) -> Settlement {
    let _ = (nodes, edges, judgements);
    Settlement::default()
}
