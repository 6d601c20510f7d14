//! A participant as the rule reads it, prepared once for many comparisons.

use uuid::Uuid;

use super::{name::Name, region::Family};
use crate::pb::{ExternalId, Participant};

/// A participant, prepared for comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// `participant::Kind` as a number.
    pub kind: i32,
    /// ISO 3166 alpha-2, or empty if unknown.
    pub region: String,
    /// The external ids, sorted.
    pub external_ids: Vec<ExternalId>,
    /// The door keys of all names, sorted.
    pub door_keys: Vec<String>,
    /// The names, by door key.
    pub(super) names: Vec<Name>,
    pub(super) family: Family,
}

impl Profile {
    /// The profile of a participant: of its kind, names, region and external ids.
    pub fn of(participant: &Participant) -> Self {
        let others = participant.names.iter().map(|name| name.text.as_str());
        let texts = std::iter::once(participant.display_name.as_str()).chain(others);
        let mut names: Vec<Name> =
            texts.map(|text| Name::of(text, &participant.region_code)).filter(|name| !name.door.is_empty()).collect();
        names.sort_by(|a, b| (&a.door, a.tokens.len()).cmp(&(&b.door, b.tokens.len())));
        names.dedup();
        let mut external_ids = participant.external_ids.clone();
        external_ids.sort_by(|a, b| (&a.scheme, &a.value).cmp(&(&b.scheme, &b.value)));
        let mut door_keys: Vec<String> = names.iter().map(|name| name.door.clone()).collect();
        door_keys.dedup();
        Self {
            kind: participant.kind,
            region: participant.region_code.clone(),
            external_ids,
            door_keys,
            names,
            family: Family::of(&participant.region_code),
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
