//! Rules on participants: what a stored participant learns from a story that means it.

use std::{collections::HashMap, sync::LazyLock};

use uuid::Uuid;

use super::{canonical::Canonical, text::names};
use crate::pb::{ExternalId, Participant, ParticipantName, Participation, participant::Kind, participant_name};

/// Maximum number of `Participant.names`.
pub const MAX_NAMES: usize = 100;
/// Maximum number of `Participant.external_ids`.
pub const MAX_EXTERNAL_IDS: usize = 50;

/// The facts about a participant that settling reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonFacts {
    /// Empty if it is unknown.
    pub region_code: String,
    pub kind: Kind,
}

impl PersonFacts {
    /// Those of a participant.
    pub fn of(participant: &Participant) -> Self {
        Self { region_code: participant.region_code.clone(), kind: participant.kind() }
    }
}

/// The facts about participants that stand for themselves, by id.
pub type Persons = HashMap<Uuid, PersonFacts>;

/// No persons, where settling reads none.
pub static NO_PERSONS: LazyLock<Persons> = LazyLock::new(Persons::new);

/// The identity of a participation that only an office describes: of its title and organization, and the region of the
/// office or the participation. `None` without a title and an organization. The parts of the text are separated by a
/// character that they do not have.
pub fn office_key(participation: &Participation) -> Option<String> {
    let office = participation.office.as_ref()?;
    let [title, organization] = [&office.title, &office.organization].map(|text| names::key(text).replace(';', ","));
    let region = [&office.region_code, &participation.region_code].into_iter().find(|code| !code.is_empty());
    let region = region.map_or("", String::as_str);
    (!title.is_empty() || !organization.is_empty()).then(|| format!("{title};{organization};{region}"))
}

/// The names of `sent` that `known` lacks, as they are written: spellings differ in meaning to readers, and the set of
/// all of them does not depend on their order.
pub fn unknown_names(known: &Participant, sent: &Participant) -> Vec<ParticipantName> {
    let mut unknown: Vec<ParticipantName> = Vec::new();
    let mut display_name = ParticipantName { text: sent.display_name.clone(), ..Default::default() };
    display_name.set_kind(participant_name::Kind::Alias);
    for name in sent.names.iter().chain([&display_name]) {
        let mut others = known.names.iter().chain(&unknown).map(|name| name.text.as_str());
        if known.display_name != name.text && others.all(|text| text != name.text) {
            unknown.push(name.clone());
        }
    }
    unknown
}

/// The external ids of `sent` that `known` lacks.
pub fn unknown_ids<'a>(known: &Participant, sent: &'a Participant) -> Vec<&'a ExternalId> {
    sent.external_ids.iter().filter(|id| !known.external_ids.contains(id)).collect()
}

/// Adds names and external ids to a participant, as many as fit. Returns `false` if some do not.
pub fn learn(known: &mut Participant, names: Vec<ParticipantName>, ids: Vec<ExternalId>) -> bool {
    let fits = known.names.len() + names.len() <= MAX_NAMES && known.external_ids.len() + ids.len() <= MAX_EXTERNAL_IDS;
    known.names.extend(names);
    known.names.truncate(MAX_NAMES);
    known.external_ids.extend(ids);
    known.external_ids.truncate(MAX_EXTERNAL_IDS);
    known.canonicalize();
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(display_name: &str, names: &[&str]) -> Participant {
        let name = |text: &&str| ParticipantName { text: (*text).into(), ..Default::default() };
        Participant { display_name: display_name.into(), names: names.iter().map(name).collect(), ..Default::default() }
    }

    fn texts(names: &[ParticipantName]) -> Vec<&str> {
        names.iter().map(|name| name.text.as_str()).collect()
    }

    #[test]
    fn unknown_names_are_those_that_are_written_differently() {
        let known = named("Ban Ki-moon", &["BAN Ki Moon"]);
        let sent = named("Ban Ki Moon", &["Ban Ki-moon", "BAN Ki Moon", "B. Ki-moon", "Ban Ki Moon"]);
        assert_eq!(texts(&unknown_names(&known, &sent)), ["B. Ki-moon", "Ban Ki Moon"]);
    }

    #[test]
    fn learn_adds_as_many_names_as_fit() {
        let name = |number: usize| ParticipantName { text: format!("N {number}"), ..Default::default() };
        let mut known = Participant { names: (0..98).map(name).collect(), ..Default::default() };
        assert!(learn(&mut known, (98..100).map(name).collect(), Vec::new()));
        assert_eq!(known.names.len(), MAX_NAMES);
        assert!(!learn(&mut known, vec![name(100)], Vec::new()));
        assert_eq!(known.names.len(), MAX_NAMES);
    }
}
