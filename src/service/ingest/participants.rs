//! Matches the participants of a story: each is named by the story, matched with a stored participant, or created.

use std::{
    collections::{BTreeSet, HashMap},
    time::SystemTime,
};

use uuid::Uuid;

use super::{lookup::ChunkLookup, validated::ValidatedStory};
use crate::{
    model::{
        article_copies::CopyCandidate,
        identity::may_match,
        participant::keys,
        resource::{Collection, Resource},
    },
    pb::{
        Account, Participant, ParticipantMatching,
        ingest_story_response::{Outcome, ParticipantResult},
    },
    service::error::ServiceError,
    store::write::{Put, PutParticipant, Write},
};

/// The matched participants of a story, in its order.
#[derive(Debug)]
pub struct StoryParticipants<'a> {
    members: Vec<StoryParticipant<'a>>,
    /// Ambiguous matches, for the answer.
    pub warnings: Vec<String>,
}

/// A participant of a story, matched or to be created. `new` is set if it is created.
#[derive(Debug)]
struct StoryParticipant<'a> {
    key: &'a str,
    id: Uuid,
    outcome: Outcome,
    new: Option<NewParticipant<'a>>,
}

/// A participant to create.
#[derive(Debug)]
struct NewParticipant<'a> {
    participant: &'a Participant,
    /// The participant's name keys.
    names: BTreeSet<String>,
    /// The names under which no match was found, with their versions. The commit checks that these are unchanged.
    absent: Vec<(String, i64)>,
}

impl<'a> StoryParticipants<'a> {
    /// Matches all participants of a story. If `article`, the story's article, has the same report already, that report
    /// decides which participants the keys stand for.
    ///
    /// # Errors
    /// `NotFound` or `Deleted` for a named participant, `DuplicateExternalId`.
    pub fn resolve(story: &'a ValidatedStory, lookup: &ChunkLookup, article: Uuid) -> Result<Self, ServiceError> {
        let before = stored_matches(story, lookup, article);
        let mut resolved = Self { members: Vec::with_capacity(story.participants.len()), warnings: Vec::new() };
        for (key, participant) in &story.participants {
            let member = match (participant.id(), before.get(key.as_str())) {
                (Some(id), _) => {
                    lookup.require_live(id)?;
                    StoryParticipant { key, id, outcome: Outcome::Given, new: None }
                }
                (None, Some(&id)) => StoryParticipant { key, id, outcome: Outcome::Matched, new: None },
                (None, None) => resolved.match_or_create(key, participant, story.matching, lookup)?,
            };
            resolved.members.push(member);
        }
        let accounts = story.reports.iter().filter_map(|sent| sent.report.account.as_ref());
        accounts.flat_map(crate::model::report::participants).try_for_each(|id| lookup.require_live(id))?;
        Ok(resolved)
    }

    /// Matches a participant that the story describes, or plans its creation.
    fn match_or_create(
        &mut self,
        key: &'a str,
        sent: &'a Participant,
        matching: ParticipantMatching,
        lookup: &ChunkLookup,
    ) -> Result<StoryParticipant<'a>, ServiceError> {
        if let Some(parent) = Collection::Participants.id(&sent.parent) {
            lookup.require_live(parent)?;
        }
        if matching != ParticipantMatching::None
            && let Some(id) = self.find_match(key, sent, lookup)
        {
            return Ok(StoryParticipant { key, id, outcome: Outcome::Matched, new: None });
        }
        if let Some((id, owner)) = self.find_external_id_owner(sent, lookup) {
            return Err(ServiceError::DuplicateExternalId {
                name: Collection::Participants.name(owner),
                scheme: id.0,
                value: id.1,
            });
        }
        let names = keys(sent);
        let absent = match matching {
            ParticipantMatching::None => Vec::new(),
            _ => names.iter().map(|name| (name.clone(), lookup.version(name))).collect(),
        };
        let new = NewParticipant { participant: sent, names, absent };
        Ok(StoryParticipant { key, id: Uuid::now_v7(), outcome: Outcome::Created, new: Some(new) })
    }

    /// Finds the matching participant: by an external id, else the oldest with a name key in common. A match
    /// must agree with the description.
    fn find_match(&mut self, key: &str, sent: &Participant, lookup: &ChunkLookup) -> Option<Uuid> {
        let mut of_story = self.members.iter().filter_map(|member| Some((member.id, member.new.as_ref()?)));
        let by_id = sent.external_ids.iter().find_map(|id| {
            let stored = lookup.external_ids.get(&(id.scheme.clone(), id.value.clone()));
            let stored = stored.and_then(|participant| Some((participant.id()?, participant)));
            let new = || of_story.clone().map(|(id, new)| (id, new.participant));
            stored.or_else(|| new().find(|(_, participant)| participant.external_ids.contains(id)))
        });
        if let Some((id, _)) = by_id.filter(|(_, participant)| may_match(participant, sent)) {
            return Some(id);
        }

        let names = keys(sent);
        let stored = names.iter().filter_map(|name| lookup.names.get(name)).flat_map(|(_, namesakes)| namesakes);
        let mut stored: Vec<&Participant> = stored.filter(|participant| may_match(participant, sent)).collect();
        stored.sort_by_key(|participant| {
            let time = participant.create_time.unwrap_or_default();
            (time.seconds, time.nanos, participant.id())
        });
        stored.dedup_by_key(|participant| participant.id());
        if stored.len() > 1 {
            let others: Vec<&str> = stored[1..].iter().take(10).map(|participant| participant.name.as_str()).collect();
            let taken = &stored[0].name;
            self.warnings
                .push(format!("participant {key:?}: {taken} was taken; {} could be meant, too", others.join(", ")));
        }
        let oldest = stored.first().and_then(|participant| participant.id());
        let is_namesake = |new: &NewParticipant<'_>| !new.names.is_disjoint(&names) && may_match(new.participant, sent);
        oldest.or_else(|| of_story.find(|(_, new)| is_namesake(new)).map(|(id, _)| id))
    }

    /// Finds an external id that another participant has already, and that participant.
    fn find_external_id_owner(&self, sent: &Participant, lookup: &ChunkLookup) -> Option<((String, String), Uuid)> {
        sent.external_ids.iter().find_map(|id| {
            let scheme_and_value = (id.scheme.clone(), id.value.clone());
            let stored = lookup.external_ids.get(&scheme_and_value).and_then(Resource::id);
            let of_story = self
                .members
                .iter()
                .find(|member| member.new.as_ref().is_some_and(|new| new.participant.external_ids.contains(id)));
            Some((scheme_and_value, stored.or(of_story.map(|member| member.id))?))
        })
    }

    /// Replaces the `#keys` of participants with their resource names.
    pub fn replace_keys(&self, account: &mut Account) {
        for participation in &mut account.participations {
            let Some(key) = participation.participant.strip_prefix('#') else { continue };
            if let Some(member) = self.members.iter().find(|member| member.key == key) {
                participation.participant = Collection::Participants.name(member.id);
            }
        }
    }

    /// The participants as the answer to the story lists them.
    pub fn results(&self) -> Vec<ParticipantResult> {
        self.members.iter().map(|member| result(member.key, member.id, member.outcome)).collect()
    }

    /// The writes of the participants to create.
    pub fn created(self, now: SystemTime) -> Vec<PutParticipant> {
        let new = self.members.into_iter().filter_map(|member| Some((member.id, member.new?)));
        new.map(|(id, new)| {
            let mut participant = new.participant.clone();
            participant.make_first_revision(id, now);
            PutParticipant { put: Put::new(id, participant), absent: new.absent, former: None }
        })
        .collect()
    }
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
    /// The version of a name at which its participants were read.
    fn version(&self, name: &str) -> i64 {
        self.names.get(name).map_or(0, |(version, _)| *version)
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
            for name in keys(&put.record) {
                self.names.entry(name).or_default().1.push(put.record.clone());
            }
            for id in &put.record.external_ids {
                self.external_ids.insert((id.scheme.clone(), id.value.clone()), put.record.clone());
            }
            self.participants.insert(put.id, true);
        }
    }
}

fn result(key: &str, id: Uuid, outcome: Outcome) -> ParticipantResult {
    ParticipantResult { key: key.to_owned(), name: Collection::Participants.name(id), outcome: outcome.into() }
}
