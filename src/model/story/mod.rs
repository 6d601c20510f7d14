//! The parts of a story that a caller may leave out: the keys of reports, the ids in accounts, and the participants of
//! names with a kind. They depend on the story alone, so that the same story is the same records, however it is sent.

pub mod account_ids;

use std::collections::HashMap;

use self::account_ids::{TakenIds, complete_ids, usable};
use super::{
    rules::{Path, Violations, codes::is_region},
    text::names,
};
use crate::pb::{Participant, Participation, Story, StoryParticipant, participant::Kind};

/// Maximum number of participants of a story. The contract declares it for those that the story lists.
const MAX_PARTICIPANTS: usize = 1000;

/// Maximum number of characters of a key. The contract declares it.
const MAX_KEY_CHARS: usize = 128;

/// Adds the keys, ids and participants that a canonical story leaves out. `at` is its path in the request.
///
/// A participation with a `participant_kind` that breaks a rule keeps it. Those that no declared rule covers are added
/// to `out`; the check of the story finds the others.
pub fn complete(story: &mut Story, at: &Path<'_>, out: &mut Violations) {
    complete_keys(story);
    let mut people = NamedParticipants::of(story);
    let at = at.field("reports");
    for (index, report) in story.reports.iter_mut().enumerate() {
        let Some(account) = &mut report.account else { continue };
        let at = at.index(index);
        let at = at.field("account");
        let at = at.field("participations");
        // The ids come first: a name without an id is its own id, also once it is resolved.
        complete_ids(account);
        for (index, participation) in account.participations.iter_mut().enumerate() {
            people.resolve(participation, &at.index(index), out);
        }
    }
    story.participants.extend(people.added);
}

fn complete_keys(story: &mut Story) {
    let mut taken: TakenIds = story.reports.iter().map(|report| report.key.as_str()).collect();
    for (index, report) in story.reports.iter_mut().enumerate().filter(|(_, report)| report.key.is_empty()) {
        report.key = taken.free(&format!("report-{}", index + 1));
    }
}

/// The participants that participations describe by their name and kind.
struct NamedParticipants {
    taken: TakenIds,
    /// The key of each participant, by kind, region and name key.
    keys: HashMap<(Kind, String, String), String>,
    added: Vec<StoryParticipant>,
    /// The number of participants that the story lists.
    listed: usize,
}

impl NamedParticipants {
    fn of(story: &Story) -> Self {
        let taken = story.participants.iter().map(|entry| entry.key.as_str()).collect();
        Self { taken, keys: HashMap::new(), added: Vec::new(), listed: story.participants.len() }
    }

    /// Replaces the kind of a participation by the key of its participant.
    fn resolve(&mut self, participation: &mut Participation, at: &Path<'_>, out: &mut Violations) {
        let at = at.field("participant_kind");
        let Ok(kind) = Kind::try_from(participation.participant_kind) else { return };
        let name = participation.name_as_written.clone();
        let name_key = names::key(&name);
        if kind == Kind::Unspecified {
            return;
        }
        if !participation.participant.is_empty() {
            return out.add(&at, "must not be set with a participant, which has a kind of its own");
        }
        if name_key.is_empty() {
            return out.add(&at, "needs a name_as_written, which becomes the name of the participant");
        }
        let region = participation.region_code.clone();
        let has_region = region.is_empty() || is_region(&region);
        if usable(&name).is_none() || !has_region || self.listed > MAX_PARTICIPANTS {
            // The check of the story refuses the name, the region or the list.
            return;
        }
        let identity = (kind, region.clone(), name_key);
        let key = match self.keys.get(&identity) {
            Some(key) => key.clone(),
            None if self.listed + self.added.len() >= MAX_PARTICIPANTS => {
                return out.add(&at, format!("adds a participant to the {MAX_PARTICIPANTS} that a story has at most"));
            }
            None => {
                let key = self.free_key(&name);
                let mut participant = Participant { display_name: name, region_code: region, ..Default::default() };
                participant.set_kind(kind);
                self.added.push(StoryParticipant { key: key.clone(), participant: Some(participant) });
                self.keys.insert(identity, key.clone());
                key
            }
        };
        participation.participant = format!("#{key}");
        participation.participant_kind = Kind::Unspecified.into();
    }

    fn free_key(&mut self, name: &str) -> String {
        // The longest suffix is that of the last participant.
        let longest = MAX_KEY_CHARS - format!("-{}", 2 * MAX_PARTICIPANTS).len();
        match usable(name).filter(|name| name.chars().count() <= longest) {
            Some(name) => self.taken.free(name),
            None => self.taken.free(&format!("participant-{}", self.listed + self.added.len() + 1)),
        }
    }
}

#[cfg(test)]
mod tests;
