//! Finds the stored meetings that the new reports of a chunk may describe, for warnings that name them.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::{lookup::ChunkLookup, planned::PlannedRecords, validated::ValidatedStory};
use crate::{
    model::{
        identity::door_keys,
        meeting::matching::principals,
        participant::PersonFacts,
        resource::{Collection, Resource},
        settle::complete,
        time::dates,
    },
    pb::{Account, Participant},
    service::{Api, error::ServiceError, meeting::match_meetings::event_of},
    store::{
        meeting,
        query::meeting_candidates::{self, CandidateSearch},
    },
};

/// Maximum number of stored meetings that a report is compared with for its warning, and of their bytes for a chunk.
const MAX_COMPARED: usize = 16;
const MAX_COMPARED_BYTES: usize = 2 * 1024 * 1024;
/// Maximum number of stored participants that one participant of a story may be, for the search.
const MAX_NAMESAKES: usize = 4;

/// The participants of a story by key, and what is known of those that its reports name before they are matched.
struct StoryKeys<'a> {
    participants: HashMap<&'a str, (&'a Participant, PersonFacts)>,
    /// Of participants that reports name by their resource name.
    named: HashMap<Uuid, PersonFacts>,
}

impl<'a> StoryKeys<'a> {
    fn of(story: &'a ValidatedStory, lookup: &ChunkLookup) -> Self {
        let facts = |id: Uuid| lookup.persons(std::iter::once(id)).remove(&lookup.person(id));
        let participants = story.participants.iter().map(|(key, sent)| {
            let known = sent.id().and_then(facts).unwrap_or_else(|| PersonFacts::of(sent));
            (key.as_str(), (sent, known))
        });
        let accounts = story.reports.iter().filter_map(|sent| sent.report.account.as_ref());
        let named = accounts.flat_map(crate::model::report::participants);
        Self { participants: participants.collect(), named: named.filter_map(|id| Some((id, facts(id)?))).collect() }
    }

    fn facts(&self, name: &str) -> Option<&PersonFacts> {
        match name.strip_prefix('#') {
            Some(key) => self.participants.get(key).map(|(_, facts)| facts),
            None => self.named.get(&Collection::Participants.id(name)?),
        }
    }
}

impl ChunkLookup {
    /// Finds the stored meetings that reports of these stories may describe, for warnings: one search for the chunk.
    ///
    /// # Errors
    /// `Damaged` for a record that cannot be decoded, or the database fails.
    pub async fn find_candidates(
        &mut self,
        api: &Api,
        stories: &[ValidatedStory],
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        let mut searches = Vec::new();
        for story in stories.iter().filter(|story| story.names_candidates) {
            let article = self.article(story);
            let is_stored =
                |hash: &String| article.is_some_and(|article| self.reports.contains_key(&(article, hash.clone())));
            let new = story.reports.iter().filter(|sent| sent.meeting.is_none());
            let new = new.filter(|sent| !is_stored(&sent.report.content_hash));
            let accounts = new.filter_map(|sent| sent.report.account.as_ref());
            let of_story = StoryKeys::of(story, self);
            searches.extend(accounts.filter_map(|account| self.candidate_search(&of_story, account)));
        }
        if searches.is_empty() {
            return Ok(());
        }
        let found = meeting_candidates::find(api.store.reads(), &searches, MAX_COMPARED).await?;
        let (mut ids, mut bytes) = (BTreeSet::new(), 0);
        for candidate in found {
            bytes += usize::try_from(candidate.bytes).unwrap_or(0);
            if bytes <= MAX_COMPARED_BYTES {
                ids.insert(candidate.meeting);
            }
        }
        if !ids.is_empty() {
            for doc in meeting::get(api.store.reads(), &ids.into_iter().collect::<Vec<_>>()).await? {
                self.events.candidates.insert(doc.id, event_of(&doc.decode()?));
            }
        }
        planned.add_candidates(&searches, MAX_COMPARED, &mut self.events.candidates)?;
        Ok(())
    }

    /// The search for the meetings of a report whose participants are not matched yet: with all stored participants that
    /// they may be. Two common principals are needed if there are several, so one of these can be left out: the one who
    /// has been stored for the longest time, and is in most meetings.
    fn candidate_search(&self, of_story: &StoryKeys<'_>, account: &Account) -> Option<CandidateSearch> {
        let (first, last) = dates::span(account.date.as_ref()?)?;
        let mut account = account.clone();
        complete(&mut account, |participation| of_story.facts(&participation.participant));
        let principals = principals(&account);
        let mut stored: Vec<Vec<Uuid>> = principals
            .iter()
            .map(|principal| self.possible_participants(of_story, &principal.participant))
            .filter(|ids| !ids.is_empty())
            .collect();
        if principals.len() > 1 {
            let unresolved = principals.iter().filter(|principal| principal.participant.is_empty()).count();
            if stored.len() + unresolved < 2 {
                return None;
            }
            if unresolved == 0 {
                let oldest = (0..stored.len()).min_by_key(|index| stored[*index].iter().min().copied())?;
                stored.remove(oldest);
            }
        }
        let participants: Vec<Uuid> = stored.into_iter().flatten().collect();
        // A single principal says nothing on another day.
        let (first, last) = match principals.len() {
            1 => (first, last),
            _ => (first.pred_opt().unwrap_or(first), last.succ_opt().unwrap_or(last)),
        };
        Some(CandidateSearch { participants, first, last }).filter(|search| !search.participants.is_empty())
    }

    /// The stored participants that a participation of a story may name.
    fn possible_participants(&self, of_story: &StoryKeys<'_>, name: &str) -> Vec<Uuid> {
        let Some(key) = name.strip_prefix('#') else {
            return Collection::Participants.id(name).into_iter().collect();
        };
        let Some((sent, _)) = of_story.participants.get(key) else { return Vec::new() };
        if let Some(id) = sent.id() {
            return vec![id];
        }
        let names = door_keys(sent);
        let namesakes = names.iter().filter_map(|name| self.names.get(name)).flat_map(|(_, namesakes)| namesakes);
        let of_id = |id: &crate::pb::ExternalId| self.external_ids.get(&(id.scheme.clone(), id.value.clone()));
        let by_id = sent.external_ids.iter().filter_map(of_id);
        by_id.chain(namesakes).map(|id| self.person(*id)).take(MAX_NAMESAKES).collect()
    }
}
