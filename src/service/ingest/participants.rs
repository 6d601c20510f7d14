//! Who the participants of a story are: those that it names, those that are found, and those who are new.

use std::{
    collections::{BTreeSet, HashMap},
    time::SystemTime,
};

use uuid::Uuid;

use super::{lookup::ChunkLookup, validated::ValidatedStory};
use crate::{
    model::{
        copies::Copy,
        matching::agrees,
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

/// The participants of a story, in its order.
#[derive(Debug)]
pub struct StoryParticipants<'a> {
    members: Vec<StoryParticipant<'a>>,
    /// What a careful reader should look at.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
struct StoryParticipant<'a> {
    key: &'a str,
    id: Uuid,
    outcome: Outcome,
    new: Option<New<'a>>,
}

/// A new participant.
#[derive(Debug)]
struct New<'a> {
    participant: &'a Participant,
    /// Its normalised names.
    names: BTreeSet<String>,
    /// Those of them that nobody had who could be meant, with the version at which that was so.
    absent: Vec<(String, i64)>,
}

impl<'a> StoryParticipants<'a> {
    /// Finds everybody. `article` is the story's: a report that it gave before says who was meant by its keys then.
    pub fn of(story: &'a ValidatedStory, known: &ChunkLookup, article: Uuid) -> Result<Self, ServiceError> {
        let before = named_before(story, known, article);
        let mut cast = Self { members: Vec::with_capacity(story.participants.len()), warnings: Vec::new() };
        for (key, participant) in &story.participants {
            let member = match (participant.id(), before.get(key.as_str())) {
                (Some(id), _) => {
                    known.require_live(id)?;
                    StoryParticipant { key, id, outcome: Outcome::Given, new: None }
                }
                (None, Some(&id)) => StoryParticipant { key, id, outcome: Outcome::Matched, new: None },
                (None, None) => cast.find(key, participant, story.matching, known)?,
            };
            cast.members.push(member);
        }
        let named = story.reports.iter().filter_map(|one| one.report.account.as_ref());
        named.flat_map(crate::model::report::participants).try_for_each(|id| known.require_live(id))?;
        Ok(cast)
    }

    fn find(
        &mut self,
        key: &'a str,
        sent: &'a Participant,
        matching: ParticipantMatching,
        known: &ChunkLookup,
    ) -> Result<StoryParticipant<'a>, ServiceError> {
        if let Some(parent) = Collection::Participants.id(&sent.parent) {
            known.require_live(parent)?;
        }
        if matching != ParticipantMatching::None
            && let Some(id) = self.find_known(key, sent, known)
        {
            return Ok(StoryParticipant { key, id, outcome: Outcome::Matched, new: None });
        }
        if let Some((id, owner)) = self.owner_of_an_id(sent, known) {
            return Err(ServiceError::DuplicateExternalId {
                name: Collection::Participants.name(owner),
                scheme: id.0,
                value: id.1,
            });
        }
        let names = keys(sent);
        let absent = match matching {
            ParticipantMatching::None => Vec::new(),
            _ => names.iter().map(|name| (name.clone(), known.version(name))).collect(),
        };
        let new = New { participant: sent, names, absent };
        Ok(StoryParticipant { key, id: Uuid::now_v7(), outcome: Outcome::Created, new: Some(new) })
    }

    /// The one who is meant, if somebody is there: by an external id, else the oldest of those who have a name of theirs.
    fn find_known(&mut self, key: &str, sent: &Participant, known: &ChunkLookup) -> Option<Uuid> {
        let mut of_story = self.members.iter().filter_map(|member| Some((member.id, member.new.as_ref()?)));
        let by_id = sent.external_ids.iter().find_map(|id| {
            let stored = known.external_ids.get(&(id.scheme.clone(), id.value.clone()));
            let stored = stored.and_then(|one| Some((one.id()?, one)));
            let new = || of_story.clone().map(|(id, new)| (id, new.participant));
            stored.or_else(|| new().find(|(_, one)| one.external_ids.contains(id)))
        });
        if let Some((id, _)) = by_id.filter(|(_, one)| agrees(one, sent)) {
            return Some(id);
        }

        let names = keys(sent);
        let stored = names.iter().filter_map(|name| known.names.get(name)).flat_map(|(_, namesakes)| namesakes);
        let mut stored: Vec<&Participant> = stored.filter(|one| agrees(one, sent)).collect();
        stored.sort_by_key(|one| {
            let time = one.create_time.unwrap_or_default();
            (time.seconds, time.nanos, one.id())
        });
        stored.dedup_by_key(|one| one.id());
        if stored.len() > 1 {
            let others: Vec<&str> = stored[1..].iter().take(10).map(|one| one.name.as_str()).collect();
            let taken = &stored[0].name;
            self.warnings
                .push(format!("participant {key:?}: {taken} was taken; {} could be meant, too", others.join(", ")));
        }
        let oldest = stored.first().and_then(|one| one.id());
        let is_namesake = |new: &New<'_>| !new.names.is_disjoint(&names) && agrees(new.participant, sent);
        oldest.or_else(|| of_story.find(|(_, new)| is_namesake(new)).map(|(id, _)| id))
    }

    /// An external id that somebody else has already, who is not the one meant.
    fn owner_of_an_id(&self, sent: &Participant, known: &ChunkLookup) -> Option<((String, String), Uuid)> {
        sent.external_ids.iter().find_map(|id| {
            let scheme_and_value = (id.scheme.clone(), id.value.clone());
            let stored = known.external_ids.get(&scheme_and_value).and_then(Resource::id);
            let of_story = self
                .members
                .iter()
                .find(|member| member.new.as_ref().is_some_and(|new| new.participant.external_ids.contains(id)));
            Some((scheme_and_value, stored.or(of_story.map(|member| member.id))?))
        })
    }

    /// Puts names in the place of `#keys`.
    pub fn name(&self, account: &mut Account) {
        for one in &mut account.participations {
            let Some(key) = one.participant.strip_prefix('#') else { continue };
            if let Some(member) = self.members.iter().find(|member| member.key == key) {
                one.participant = Collection::Participants.name(member.id);
            }
        }
    }

    /// As the story's answer tells of them.
    pub fn results(&self) -> Vec<ParticipantResult> {
        self.members.iter().map(|member| result(member.key, member.id, member.outcome)).collect()
    }

    /// Those who are new.
    pub fn created(self, now: SystemTime) -> Vec<PutParticipant> {
        let new = self.members.into_iter().filter_map(|member| Some((member.id, member.new?)));
        new.map(|(id, new)| {
            let mut participant = new.participant.clone();
            participant.begin(id, now);
            PutParticipant { put: Put::new(id, participant), absent: new.absent, former: None }
        })
        .collect()
    }
}

/// Who the keys stood for when the article gave the same reports before.
fn named_before<'a>(story: &'a ValidatedStory, known: &ChunkLookup, article: Uuid) -> HashMap<&'a str, Uuid> {
    let mut named = HashMap::new();
    for sent in &story.reports {
        let before = known.reports.get(&(article, sent.report.content_hash.clone()));
        let (Some(before), Some(account)) = (before.and_then(|one| one.account.as_ref()), &sent.report.account) else {
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
    /// At which version of a name its namesakes were read.
    fn version(&self, name: &str) -> i64 {
        self.names.get(name).map_or(0, |(version, _)| *version)
    }

    /// Lets the stories that come after see what a write makes.
    pub fn remember(&mut self, write: &Write) {
        for one in &write.articles {
            match Collection::Articles.id(&one.put.record.syndicated_from) {
                Some(source) => self.sources.insert(one.put.id, source),
                None => self.sources.remove(&one.put.id),
            };
            let copy = Copy::of(one.put.id, &one.put.record, one.text_key);
            if copy.has_neighbours() {
                let first = self.first(&copy);
                self.copies.push((copy, first));
            }
        }
        for one in &write.participants {
            for name in keys(&one.put.record) {
                self.names.entry(name).or_default().1.push(one.put.record.clone());
            }
            for id in &one.put.record.external_ids {
                self.external_ids.insert((id.scheme.clone(), id.value.clone()), one.put.record.clone());
            }
            self.participants.insert(one.put.id, true);
        }
    }
}

/// As an answer tells of a participant.
fn result(key: &str, id: Uuid, outcome: Outcome) -> ParticipantResult {
    ParticipantResult { key: key.to_owned(), name: Collection::Participants.name(id), outcome: outcome.into() }
}
