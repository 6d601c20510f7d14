//! The participants that a filter names, and their replacement by those that they are settled as.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Comparison, Filter};
use crate::{
    model::{identity::door_keys, resource::Collection},
    pb::Participant,
};

/// A key by which a condition on participants finds a person: its own, or that of one of its aliases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PersonKey {
    /// The key of a name.
    Name(String),
    /// An external id: scheme and value.
    ExternalId(String, String),
    /// Any external id.
    AnyExternalId,
}

impl PersonKey {
    /// The keys of a participant.
    pub fn of(participant: &Participant) -> BTreeSet<Self> {
        let ids = participant.external_ids.iter().map(|id| Self::ExternalId(id.scheme.clone(), id.value.clone()));
        let any = participant.external_ids.first().map(|_| Self::AnyExternalId);
        door_keys(participant).into_iter().map(Self::Name).chain(ids).chain(any).collect()
    }

    /// The key in a comparison.
    pub fn in_comparison(comparison: &Comparison) -> Option<Self> {
        match comparison {
            Comparison::Name(key) => Some(Self::Name(key.clone())),
            Comparison::ParticipantExternalId(scheme, value) => Some(Self::ExternalId(scheme.clone(), value.clone())),
            Comparison::IsSet(field) if matches!(**field, Comparison::ParticipantExternalId(..)) => {
                Some(Self::AnyExternalId)
            }
            _ => None,
        }
    }
}

/// The participants that a filter on changes is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Those that conditions on meetings name.
    pub participants: BTreeSet<Uuid>,
    /// The keys of names and the external ids that conditions on participants name.
    pub keys: BTreeSet<PersonKey>,
}

impl Filter {
    /// The participants that the filter is about.
    pub fn named(&self) -> Named {
        let mut named = Named::default();
        self.clone().for_each_participant(&mut |id| {
            named.participants.insert(*id);
        });
        self.add_keys(&mut named.keys);
        named
    }

    fn add_keys(&self, keys: &mut BTreeSet<PersonKey>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.add_keys(keys)),
            Self::Not(part) => part.add_keys(keys),
            Self::Compare(comparison) => keys.extend(PersonKey::in_comparison(comparison)),
        }
    }

    /// The filter with each participant replaced by the person that it is settled as. A condition on a name or
    /// an external id of a participant is also true for each person that has an alias with it.
    pub fn with_persons(
        &self,
        person: &impl Fn(Uuid) -> Uuid,
        persons_with: &impl Fn(&PersonKey) -> BTreeSet<Uuid>,
    ) -> Self {
        let mut filter = self.clone();
        filter.for_each_participant(&mut |id| *id = person(*id));
        filter.add_persons(persons_with);
        filter
    }

    fn add_persons(&mut self, persons_with: &impl Fn(&PersonKey) -> BTreeSet<Uuid>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter_mut().for_each(|part| part.add_persons(persons_with)),
            Self::Not(part) => part.add_persons(persons_with),
            Self::Compare(comparison) => {
                let persons = PersonKey::in_comparison(comparison).map(|key| persons_with(&key)).unwrap_or_default();
                if !persons.is_empty() {
                    let own = Self::Compare(comparison.clone());
                    let others = Comparison::OneOf(Collection::Participants, persons.into_iter().collect());
                    *self = Self::Or(vec![own, Self::Compare(others)]);
                }
            }
        }
    }
}
