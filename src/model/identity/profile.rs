//! A participant as the rule reads it: names folded into tokens, prepared once for many comparisons.

use uuid::Uuid;

use super::door;
use crate::pb::{ExternalId, Participant};

/// A participant, prepared for comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// `participant::Kind` as a number.
    pub kind: i32,
    /// ISO 3166-1 alpha-2, or empty if unknown.
    pub region: String,
    /// The external ids, sorted.
    pub external_ids: Vec<ExternalId>,
    /// The door keys of all names, sorted.
    pub door_keys: Vec<String>,
}

impl Profile {
    /// The profile of a participant: of its kind, names, region and external ids.
    pub fn of(participant: &Participant) -> Self {
        Self {
            kind: participant.kind,
            region: participant.region_code.clone(),
            external_ids: participant.external_ids.clone(),
            door_keys: door::door_keys(participant).into_iter().collect(),
        }
    }
}

/// An appearance of a participant in a meeting: the office there, the day and who else took part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Appearance {
    /// The title of the office, as `Office.title`. May be empty.
    pub title: String,
    /// The body of the office, as `Office.organization`. May be empty.
    pub organization: String,
    /// The seniority of the office, 0 to 6, as `Office.seniority`.
    pub seniority: i32,
    /// The first day, in days since 1 January 1970. None if the date is unknown.
    pub first_day: Option<i32>,
    /// The last day, likewise; not before the first.
    pub last_day: Option<i32>,
    /// The other participants, sorted.
    pub co_participants: Vec<Uuid>,
}

/// Appearances of the two participants of a comparison. The default knows none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Of the first participant.
    pub a: &'a [Appearance],
    /// Of the second participant.
    pub b: &'a [Appearance],
}
