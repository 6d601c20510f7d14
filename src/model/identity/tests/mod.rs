//! Tests of the rule: the traps, properties, and the labelled pairs.

mod pairs;
mod properties;
mod traps;

use super::{Comparison, Context, Level, Profile, compare};
use crate::pb::{ExternalId, Participant, ParticipantName, participant::Kind};

/// A person of a region.
pub fn person(name: &str, region: &str) -> Participant {
    let mut person = Participant { display_name: name.into(), region_code: region.into(), ..Default::default() };
    person.set_kind(Kind::Person);
    person
}

/// The profile of a person.
pub fn profile(name: &str, region: &str) -> Profile {
    Profile::of(&person(name, region))
}

/// A person with other names and an id in Wikidata.
pub fn person_with(name: &str, region: &str, others: &[&str], id: &str) -> Participant {
    let others = others.iter().map(|text| ParticipantName { text: (*text).into(), ..Default::default() });
    let ids = Some(id).filter(|id| !id.is_empty());
    Participant {
        names: others.collect(),
        external_ids: ids.map(|id| ExternalId { scheme: "wikidata".into(), value: id.into() }).into_iter().collect(),
        ..person(name, region)
    }
}

/// The comparison of two persons of one region, without context.
pub fn compared(a: &str, b: &str, region: &str) -> Comparison {
    compare(&profile(a, region), &profile(b, region), &Context::default())
}

/// The level of the comparison of two persons of one region.
pub fn level(a: &str, b: &str, region: &str) -> Level {
    compared(a, b, region).level
}
