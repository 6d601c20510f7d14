//! Matches the participants of a story: each is named by the story, matched with a stored participant, or created. A
//! matched participant learns the names and external ids that it did not have.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use prost::Message;
use uuid::Uuid;

use super::{
    lookup::{ChunkLookup, KnownParticipant},
    validated::ValidatedStory,
};
use crate::{
    model::{
        article_copies::CopyCandidate,
        identity::{door_keys, may_match},
        participant::{MAX_EXTERNAL_IDS, MAX_NAMES, PersonFacts, Persons, learn, unknown_ids, unknown_names},
        report::Aliases,
        resource::{Collection, Resource},
    },
    pb::{
        Account, ExternalId, Participant, ParticipantMatching,
        ingest_story_response::{Outcome, ParticipantResult},
    },
    service::error::ServiceError,
    store::{
        RecordState, change,
        write::{Put, PutParticipant, Write},
    },
};

/// The matched participants of a story, in its order.
#[derive(Debug)]
pub struct StoryParticipants<'a> {
    members: Vec<StoryParticipant<'a>>,
    /// Their ids by key.
    by_key: HashMap<&'a str, Uuid>,
    /// The participants to create, by id.
    created: BTreeMap<Uuid, Participant>,
    /// The matched participants that learned something, by id, not yet as the next revision.
    taught: BTreeMap<Uuid, Participant>,
    /// Ambiguous matches and lost ids, for the answer.
    pub warnings: Vec<String>,
}

/// A participant of a story.
#[derive(Debug)]
struct StoryParticipant<'a> {
    key: &'a str,
    id: Uuid,
    outcome: Outcome,
}

impl<'a> StoryParticipants<'a> {
    /// Matches all participants of a story. If `article`, the story's article, has the same report already, that report
    /// decides which participants the keys stand for.
    ///
    /// # Errors
    /// `NotFound` or `Deleted` for a named participant, `DuplicateExternalId` without matching.
    pub fn resolve(story: &'a ValidatedStory, lookup: &ChunkLookup, article: Uuid) -> Result<Self, ServiceError> {
        let before = stored_matches(story, lookup, article);
        let mut resolved = Self {
            members: Vec::with_capacity(story.participants.len()),
            by_key: HashMap::with_capacity(story.participants.len()),
            created: BTreeMap::new(),
            taught: BTreeMap::new(),
            warnings: Vec::new(),
        };
        for (key, participant) in &story.participants {
            let (id, outcome) = match (participant.id(), before.get(key.as_str())) {
                (Some(id), _) => {
                    lookup.require_live(id)?;
                    (id, Outcome::Given)
                }
                (None, Some(&id)) => (id, Outcome::Matched),
                (None, None) => resolved.match_or_create(key, participant, story.matching, lookup)?,
            };
            resolved.members.push(StoryParticipant { key, id, outcome });
            resolved.by_key.insert(key, id);
        }
        let accounts = story.reports.iter().filter_map(|sent| sent.report.account.as_ref());
        accounts.flat_map(crate::model::report::participants).try_for_each(|id| lookup.require_live(id))?;
        Ok(resolved)
    }

    /// Matches a participant that the story describes, or plans its creation.
    fn match_or_create(
        &mut self,
        key: &str,
        sent: &Participant,
        matching: ParticipantMatching,
        lookup: &ChunkLookup,
    ) -> Result<(Uuid, Outcome), ServiceError> {
        if let Some(parent) = Collection::Participants.id(&sent.parent) {
            lookup.require_live(parent)?;
        }
        if matching == ParticipantMatching::None {
            if let Some((id, owner)) = sent.external_ids.iter().find_map(|id| Some((id, self.owner(id, lookup)?))) {
                let (name, ExternalId { scheme, value }) = (Collection::Participants.name(owner), id.clone());
                return Err(ServiceError::DuplicateExternalId { name, scheme, value });
            }
        } else if let Some(id) = self.find_match(key, sent, lookup) {
            let outcome =
                if self.teach(id, (key, sent), matching, lookup) { Outcome::Updated } else { Outcome::Matched };
            return Ok((id, outcome));
        }
        let id = Uuid::now_v7();
        let mut participant = sent.clone();
        participant.external_ids = self.free_ids((id, key), sent.external_ids.iter().collect(), lookup);
        participant.exact_only = !is_settled(matching);
        self.created.insert(id, participant);
        Ok((id, Outcome::Created))
    }

    /// Finds the matching participant: by an external id, else the oldest with a name key in common.
    fn find_match(&mut self, key: &str, sent: &Participant, lookup: &ChunkLookup) -> Option<Uuid> {
        let matches = |id: &Uuid| self.record(*id, lookup).is_some_and(|participant| may_match(participant, sent));
        let by_id = sent.external_ids.iter().filter_map(|id| self.owner(id, lookup)).find(matches);
        if by_id.is_some() {
            return by_id;
        }
        let names = door_keys(sent);
        let stored = names.iter().filter_map(|name| lookup.names.get(name)).flat_map(|(_, namesakes)| namesakes);
        let mut stored: Vec<&Participant> = stored
            .filter(|id| matches(id))
            .filter_map(|id| lookup.candidates.get(id).map(|candidate| &candidate.record))
            .collect();
        stored.sort_by_key(|participant| {
            let time = participant.create_time.unwrap_or_default();
            (time.seconds, time.nanos, participant.id())
        });
        stored.dedup_by_key(|participant| participant.id());
        let person = |participant: &Participant| match participant.merged_into.is_empty() {
            true => participant.name.clone(),
            false => participant.merged_into.clone(),
        };
        let oldest = stored.first().map(|oldest| person(oldest));
        let others = stored.iter().skip(1).filter(|other| Some(person(other)) != oldest);
        let others: Vec<&str> = others.take(10).map(|participant| participant.name.as_str()).collect();
        if !others.is_empty() {
            let taken = &stored[0].name;
            self.warnings
                .push(format!("participant {key:?}: {taken} was taken; {} could be meant, too", others.join(", ")));
        }
        let oldest = stored.first().and_then(|participant| participant.id());
        oldest.or_else(|| self.created.iter().find(|(_, new)| may_match(new, sent)).map(|(id, _)| *id))
    }

    /// Adds to a matched participant the names and external ids that it lacks. True if a stored one changes.
    fn teach(
        &mut self,
        id: Uuid,
        (key, sent): (&str, &Participant),
        matching: ParticipantMatching,
        lookup: &ChunkLookup,
    ) -> bool {
        let Some(known) = self.record(id, lookup) else { return false };
        let names = unknown_names(known, sent);
        let ids = unknown_ids(known, sent);
        let is_opened = known.exact_only && is_settled(matching);
        if names.is_empty() && ids.is_empty() && !is_opened {
            return false;
        }
        let mut next = known.clone();
        let ids = self.free_ids((id, key), ids, lookup);
        if is_opened {
            next.exact_only = false;
        }
        if !learn(&mut next, names, ids) {
            let name = Collection::Participants.name(id);
            self.warnings.push(format!(
                "participant {key:?}: {name} has {MAX_NAMES} names or {MAX_EXTERNAL_IDS} external ids, and learns no more"
            ));
        }
        let is_changed = self.record(id, lookup) != Some(&next);
        if let Some(new) = self.created.get_mut(&id) {
            *new = next;
            return false;
        }
        if is_changed {
            self.taught.insert(id, next);
        }
        is_changed
    }

    /// Those of the external ids that no other participant than `id` has. Warns of the others.
    fn free_ids(&mut self, (id, key): (Uuid, &str), sent: Vec<&ExternalId>, lookup: &ChunkLookup) -> Vec<ExternalId> {
        let mut free = Vec::with_capacity(sent.len());
        for external_id in sent {
            match self.owner(external_id, lookup) {
                Some(owner) if owner != id => {
                    let ExternalId { scheme, value } = external_id;
                    let owner = Collection::Participants.name(owner);
                    self.warnings.push(format!(
                        "participant {key:?}: the external id {scheme}:{value} is left out, because {owner} has it"
                    ));
                }
                _ => free.push(external_id.clone()),
            }
        }
        free
    }

    /// The participant that has an external id, stored or of this story.
    fn owner(&self, id: &ExternalId, lookup: &ChunkLookup) -> Option<Uuid> {
        let stored = lookup.external_ids.get(&(id.scheme.clone(), id.value.clone())).copied();
        let of_story = || self.created.iter().chain(&self.taught).find(|(_, new)| new.external_ids.contains(id));
        stored.or_else(|| of_story().map(|(id, _)| *id))
    }

    /// A participant as this story leaves it.
    fn record<'r>(&'r self, id: Uuid, lookup: &'r ChunkLookup) -> Option<&'r Participant> {
        let of_story = self.created.get(&id).or_else(|| self.taught.get(&id));
        of_story.or_else(|| lookup.candidates.get(&id).map(|candidate| &candidate.record))
    }

    /// Replaces the `#keys` of participants with their resource names.
    pub fn replace_keys(&self, account: &mut Account) {
        for participation in &mut account.participations {
            let Some(key) = participation.participant.strip_prefix('#') else { continue };
            if let Some(id) = self.by_key.get(key) {
                participation.participant = Collection::Participants.name(*id);
            }
        }
    }

    /// The facts about the participants that these are settled as.
    pub fn persons(&self, participants: impl Iterator<Item = Uuid>, lookup: &ChunkLookup) -> Persons {
        let participants: Vec<Uuid> = participants.collect();
        let new = participants.iter().filter_map(|id| Some((*id, PersonFacts::of(self.created.get(id)?))));
        let mut persons = lookup.persons(participants.iter().copied());
        persons.extend(new);
        persons
    }

    /// The participants as the answer to the story lists them.
    pub fn results(&self) -> Vec<ParticipantResult> {
        self.members.iter().map(|member| result(member.key, member.id, member.outcome)).collect()
    }

    /// The writes of the participants to create and of those that learned something.
    ///
    /// # Errors
    /// `NewerContract` for a participant that a newer release wrote.
    pub fn writes(
        self,
        matching: ParticipantMatching,
        lookup: &ChunkLookup,
        now: SystemTime,
    ) -> Result<Vec<PutParticipant>, ServiceError> {
        let mut writes = Vec::with_capacity(self.created.len() + self.taught.len());
        for (id, mut participant) in self.created {
            participant.make_first_revision(id, now);
            // The commit checks that no other participant got one of these names meanwhile.
            let absent = match matching {
                ParticipantMatching::None => Vec::new(),
                _ => absent_names(&participant, lookup),
            };
            writes.push(PutParticipant { put: Put::new(id, participant), absent, former: None });
        }
        for (id, mut next) in self.taught {
            let Some(candidate) = lookup.candidates.get(&id) else { continue };
            let former = match &candidate.doc {
                Some(doc) => doc.decode_to_rewrite()?,
                None => candidate.record.clone(),
            };
            next.make_next_revision(&former, now);
            let put = Put::next(id, next, change::Kind::Updated);
            writes.push(PutParticipant { put, absent: Vec::new(), former: Some(former) });
        }
        Ok(writes)
    }
}

fn is_settled(matching: ParticipantMatching) -> bool {
    matches!(matching, ParticipantMatching::Unspecified | ParticipantMatching::Settled)
}

/// The name keys of a new participant, with the version of each at which no match was found.
fn absent_names(participant: &Participant, lookup: &ChunkLookup) -> Vec<(String, i64)> {
    door_keys(participant).into_iter().map(|name| (name.clone(), lookup.version(&name))).collect()
}

/// The participants that the keys stood for when the article's same reports were stored.
fn stored_matches<'a>(story: &'a ValidatedStory, lookup: &ChunkLookup, article: Uuid) -> HashMap<&'a str, Uuid> {
    let mut named = HashMap::new();
    for sent in &story.reports {
        let before = lookup.reports.get(&(article, sent.report.content_hash.clone()));
        let (Some(before), Some(account)) = (before.and_then(|report| report.account.as_ref()), &sent.report.account)
        else {
            continue;
        };
        // Equal content has equal participations, in the same order.
        for (sent, stored) in account.participations.iter().zip(&before.participations) {
            if let (Some(key), Some(id)) =
                (sent.participant.strip_prefix('#'), Collection::Participants.id(&stored.participant))
            {
                named.insert(key, id);
            }
        }
    }
    named
}

impl ChunkLookup {
    /// The participant that one is settled as.
    pub fn person(&self, id: Uuid) -> Uuid {
        self.aliases(std::iter::once(id)).get(&id).copied().unwrap_or(id)
    }

    /// The aliases among these participants.
    pub fn aliases(&self, participants: impl Iterator<Item = Uuid>) -> Aliases {
        let alias_of = |id: Uuid| match self.candidates.get(&id) {
            Some(candidate) => Collection::Participants.id(&candidate.record.merged_into),
            None => self.participants.get(&id)?.alias_of,
        };
        participants.filter_map(|id| Some((id, alias_of(id)?))).collect()
    }

    /// The facts about the participants that these are settled as, without the new ones of a story.
    pub fn persons(&self, participants: impl Iterator<Item = Uuid>) -> Persons {
        let facts = |id: Uuid| {
            let person = self.person(id);
            let known = self.candidates.get(&person).map(|candidate| PersonFacts::of(&candidate.record));
            let is_of_person = |state: &&RecordState| state.alias_of.unwrap_or(id) == person;
            let of_alias = || self.participants.get(&id).filter(is_of_person);
            let of_state = || self.participants.get(&person).or_else(of_alias)?.person.clone();
            Some((person, known.or_else(of_state)?))
        };
        participants.filter_map(facts).collect()
    }

    /// The version of a name at which its participants were read.
    fn version(&self, name: &str) -> i64 {
        self.names.get(name).map_or(0, |(version, _)| *version)
    }

    /// Moves the revisions of participants that an earlier write of the chunk has into that write: a batch writes each
    /// record once.
    pub fn join_planned(&self, write: &mut Write, writes: &mut [Write]) {
        write.participants.retain(|later| {
            let earlier = writes.iter_mut().flat_map(|write| &mut write.participants);
            let Some(earlier) = earlier.into_iter().find(|earlier| earlier.put.id == later.put.id) else { return true };
            let record = &mut earlier.put.record;
            record.names.clone_from(&later.put.record.names);
            record.external_ids.clone_from(&later.put.record.external_ids);
            record.exact_only = later.put.record.exact_only;
            record.set_etag();
            earlier.put.doc = record.encode_to_vec();
            if !earlier.absent.is_empty() {
                earlier.absent = absent_names(&earlier.put.record, self);
            }
            false
        });
    }

    /// Adds the records of a planned write, so that later stories of the chunk see them.
    pub fn add_planned(&mut self, write: &Write) {
        for article in &write.articles {
            match Collection::Articles.id(&article.put.record.syndicated_from) {
                Some(source) => self.sources.insert(article.put.id, source),
                None => self.sources.remove(&article.put.id),
            };
            let copy = CopyCandidate::of(article.put.id, &article.put.record, article.text_key);
            if copy.may_be_copy() {
                let first = self.first(&copy);
                self.copies.push((copy, first));
            }
        }
        for PutParticipant { put, .. } in &write.participants {
            for name in door_keys(&put.record) {
                let ids = &mut self.names.entry(name).or_default().1;
                if !ids.contains(&put.id) {
                    ids.push(put.id);
                }
            }
            for id in &put.record.external_ids {
                self.external_ids.insert((id.scheme.clone(), id.value.clone()), put.id);
            }
            let doc = self.candidates.remove(&put.id).and_then(|candidate| candidate.doc);
            self.candidates.insert(put.id, KnownParticipant { record: put.record.clone(), doc });
            self.participants.insert(
                put.id,
                RecordState { is_live: true, alias_of: None, person: Some(PersonFacts::of(&put.record)) },
            );
        }
    }
}

fn result(key: &str, id: Uuid, outcome: Outcome) -> ParticipantResult {
    ParticipantResult { key: key.to_owned(), name: Collection::Participants.name(id), outcome: outcome.into() }
}
