//! Finds the meeting of each report of a story: the one that already has the report, the one that the story names, the
//! one that describes the same event (`model/meeting/matching`), or a new one. Also names other candidates in warnings.
//!
//! With `meeting_matching` SAME, `store/write/meeting_search` guards the result: the write is prepared again if another
//! meeting of the participants and days was written since the search. So the outcome is that of some order of the
//! stories, with any number of streams and instances.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::{known_events::FoundMeetings, lookup::ChunkLookup, validated::ValidatedStory};
use crate::{
    model::{
        identity::door_keys,
        meeting::matching::{EventFacts, Level, compare, principals},
        resource::{Collection, Resource},
        time::dates,
    },
    pb::{
        Account, Report,
        ingest_story_request::MeetingMatching,
        ingest_story_response::{Outcome, ParticipantResult},
        report::Prominence,
    },
    service::{
        Api,
        error::ServiceError,
        meeting::{
            match_meetings::event_of,
            settle_inputs::{SettleInputs, load_inputs_to_settle},
        },
    },
    store::{
        meeting,
        query::meeting_candidates::{self, CandidateSearch},
        write::{
            Write,
            meeting_search::{self, MeetingSearch, SearchKey},
        },
    },
};

/// Maximum number of stored meetings that a report is compared with for its warning, and of their bytes for a chunk.
const MAX_COMPARED: usize = 16;
const MAX_COMPARED_BYTES: usize = 2 * 1024 * 1024;
/// Maximum number of stored participants that one participant of a story may be, for the search.
const MAX_NAMESAKES: usize = 4;
/// Maximum number of meetings of a principal on the days of a report. With more, the report gets a new meeting.
const MAX_OF_PRINCIPAL: usize = 256;

/// Records that the plan of a story needs and that the lookup does not have.
#[derive(Debug)]
pub enum Missing {
    /// The meetings of a participant on some days.
    Search(SearchKey),
    /// The reports of the meetings that a search found.
    Reports(SearchKey, Vec<Uuid>),
}

/// The meetings of the reports of a story.
pub enum Assignment {
    /// The meeting of each report, and the searches that the write relies on.
    Meetings(Vec<(Uuid, Outcome)>, Vec<MeetingSearch>),
    /// Further records must be read first.
    Missing(Missing),
    /// A report is to be added to a meeting that an earlier story of the chunk writes: that must be committed first.
    AfterEarlier,
}

/// The events that the reports of a story describe.
pub struct StoryEvents {
    events: Vec<EventFacts>,
    /// Participants that the story creates: no other meeting has them.
    created: BTreeSet<Uuid>,
}

impl StoryEvents {
    /// The events of a story whose participants are matched.
    pub fn of(story: &ValidatedStory, participants: &[ParticipantResult], lookup: &ChunkLookup) -> Self {
        let id = |result: &ParticipantResult| Collection::Participants.id(&result.name);
        let ids: HashMap<&str, Uuid> =
            participants.iter().filter_map(|result| Some((result.key.as_str(), id(result)?))).collect();
        let created = participants.iter().filter(|result| result.outcome() == Outcome::Created).filter_map(id);
        let resolve = |name: &str| {
            let id = match name.strip_prefix('#') {
                Some(key) => ids.get(key).copied(),
                None => crate::model::meeting::matching::canonical(name),
            };
            id.map(|id| lookup.person(id))
        };
        let event = |report: &Report| {
            let account = report.account.as_ref();
            let mut facts = account.map(|account| EventFacts::of(account, resolve)).unwrap_or_default();
            facts.is_background = report.prominence() == Prominence::Background;
            facts
        };
        Self { events: story.reports.iter().map(|sent| event(&sent.report)).collect(), created: created.collect() }
    }

    /// Finds the meeting of each report. `targets` are the meetings that have the report already or that the story
    /// names.
    pub fn assign(
        &self,
        story: &ValidatedStory,
        lookup: &ChunkLookup,
        targets: &[(Option<&Report>, Option<Uuid>)],
    ) -> Assignment {
        let mut taken: BTreeSet<Uuid> = targets.iter().filter_map(|(_, meeting)| *meeting).collect();
        let (mut meetings, mut searches) = (Vec::with_capacity(targets.len()), Vec::new());
        for (index, (existing, target)) in targets.iter().enumerate() {
            let known = match (existing, target) {
                (Some(_), Some(meeting)) => Some((*meeting, Outcome::Matched)),
                (_, Some(meeting)) => Some((*meeting, Outcome::Given)),
                (_, None) => None,
            };
            let key = self.search_key(index).filter(|_| story.meeting_matching == MeetingMatching::Same);
            let found = match (known, key) {
                (Some(known), _) => known,
                (None, None) => (Uuid::now_v7(), Outcome::Created),
                (None, Some(key)) => match lookup.same_event(&self.events[index], &key, &taken) {
                    Ok(Some(found)) if lookup.events.planned.contains_key(&found) => return Assignment::AfterEarlier,
                    Ok(found) => {
                        searches.extend(lookup.events.searches.get(&key).map(|found| found.search.clone()));
                        found.map_or_else(|| (Uuid::now_v7(), Outcome::Created), |found| (found, Outcome::Updated))
                    }
                    Err(missing) => return Assignment::Missing(missing),
                },
            };
            taken.insert(found.0);
            meetings.push(found);
        }
        Assignment::Meetings(meetings, searches)
    }

    /// The search for the meetings that a report can be added to. `None` if it can be added to none: its facts are too
    /// vague, one of its principals is new, or another report of the story describes the same event.
    fn search_key(&self, index: usize) -> Option<SearchKey> {
        let event = &self.events[index];
        let (first, last, participant) = event.same_key()?;
        let is_repeated = || {
            let others = self.events.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, other)| compare(event, other)).any(|result| result.level == Level::Same)
        };
        let is_new = event.resolved().any(|id| self.created.contains(&id)) || is_repeated();
        (!is_new).then_some(SearchKey { participant, first, last })
    }

    /// Warnings that name the meetings that may be the same event as a report's new meeting.
    pub fn warnings(&self, story: &ValidatedStory, lookup: &ChunkLookup, meetings: &[(Uuid, Outcome)]) -> Vec<String> {
        if !story.names_candidates {
            return Vec::new();
        }
        let own: BTreeSet<Uuid> = meetings.iter().map(|(id, _)| *id).collect();
        let reports = story.reports.iter().zip(&self.events).zip(meetings);
        let new = reports.filter(|(_, (_, outcome))| *outcome == Outcome::Created);
        new.filter_map(|((sent, event), _)| lookup.events.warning(&sent.key, event, &own)).collect()
    }
}

impl ChunkLookup {
    /// The meeting that describes the same event, if there is exactly one, that reports can still be added to.
    fn same_event(&self, event: &EventFacts, key: &SearchKey, taken: &BTreeSet<Uuid>) -> Result<Option<Uuid>, Missing> {
        let found = self.events.searches.get(key).ok_or_else(|| Missing::Search(key.clone()))?;
        let planned = &self.events.planned;
        let stored = found.meetings.iter().map(|(id, (facts, _))| (id, facts));
        let known = stored.filter(|(id, _)| !planned.contains_key(id)).chain(planned);
        let same = known.filter(|(id, facts)| !taken.contains(id) && compare(event, facts).level == Level::Same);
        let same: Vec<Uuid> = same.map(|(id, _)| *id).collect();
        let unread: Vec<Uuid> =
            same.iter().filter(|id| !planned.contains_key(id) && !self.inputs.contains_key(id)).copied().collect();
        if !unread.is_empty() {
            return Err(Missing::Reports(key.clone(), unread));
        }
        let is_more_than_background = |id: &Uuid| self.inputs.get(id).is_none_or(is_more_than_background);
        let mut same = same.into_iter().filter(is_more_than_background);
        let only = same.next().filter(|_| same.next().is_none());
        let has_room = |id: &Uuid| {
            let inputs = self.inputs.get(id);
            inputs.is_none_or(|inputs| inputs.check_limits("", [&Report::default()]).is_ok())
        };
        Ok(only.filter(has_room))
    }

    /// Reads the records that the plan of a story misses.
    ///
    /// # Errors
    /// `Damaged` for a record that cannot be decoded, or the database fails.
    pub async fn read_missing(&mut self, api: &Api, missing: Missing) -> Result<(), ServiceError> {
        match missing {
            Missing::Search(key) => {
                let (found, docs) = meeting_search::search(api.store.reads(), &key, MAX_OF_PRINCIPAL).await?;
                let mut meetings = HashMap::with_capacity(docs.len());
                for doc in docs {
                    meetings.insert(doc.id, (event_of(&doc.decode()?), doc));
                }
                let search = MeetingSearch { key: key.clone(), found, own: BTreeSet::new() };
                self.events.searches.insert(key, FoundMeetings { search, meetings });
            }
            // The meetings were read before their reports: every change of the reports makes a revision, so a race
            // becomes a conflict.
            Missing::Reports(key, ids) => {
                let mut inputs = load_inputs_to_settle(api, &ids).await?;
                let found = self.events.searches.get(&key);
                for id in ids {
                    self.inputs.insert(id, inputs.remove(&id).unwrap_or_default());
                    if let Some((_, doc)) = found.and_then(|found| found.meetings.get(&id)) {
                        self.meetings.insert(id, (doc.decode()?, doc.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Finds the stored meetings that reports of these stories may describe, for warnings: one search for the chunk.
    ///
    /// # Errors
    /// `Damaged` for a record that cannot be decoded, or the database fails.
    pub async fn find_candidates(&mut self, api: &Api, stories: &[ValidatedStory]) -> Result<(), ServiceError> {
        let mut searches = Vec::new();
        for story in stories.iter().filter(|story| story.names_candidates) {
            let article = self.article(story);
            let is_stored =
                |hash: &String| article.is_some_and(|article| self.reports.contains_key(&(article, hash.clone())));
            let new = story.reports.iter().filter(|sent| sent.meeting.is_none());
            let new = new.filter(|sent| !is_stored(&sent.report.content_hash));
            let accounts = new.filter_map(|sent| sent.report.account.as_ref());
            searches.extend(accounts.filter_map(|account| self.candidate_search(story, account)));
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
        Ok(())
    }

    /// The search for the meetings of a report whose participants are not matched yet: with all stored participants that
    /// they may be. Two common principals are needed if there are several, so one of these can be left out: the one who
    /// has been stored for the longest time, and is in most meetings.
    fn candidate_search(&self, story: &ValidatedStory, account: &Account) -> Option<CandidateSearch> {
        let (first, last) = dates::span(account.date.as_ref()?)?;
        let principals = principals(account);
        let mut stored: Vec<Vec<Uuid>> = principals
            .iter()
            .map(|principal| self.possible_participants(story, &principal.participant))
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
    fn possible_participants(&self, story: &ValidatedStory, name: &str) -> Vec<Uuid> {
        let Some(key) = name.strip_prefix('#') else {
            return Collection::Participants.id(name).into_iter().collect();
        };
        let Some((_, sent)) = story.participants.iter().find(|(of, _)| of == key) else { return Vec::new() };
        if let Some(id) = sent.id() {
            return vec![id];
        }
        let names = door_keys(sent);
        let namesakes = names.iter().filter_map(|name| self.names.get(name)).flat_map(|(_, namesakes)| namesakes);
        let of_id = |id: &crate::pb::ExternalId| self.external_ids.get(&(id.scheme.clone(), id.value.clone()));
        let by_id = sent.external_ids.iter().filter_map(of_id);
        by_id.chain(namesakes).map(|id| self.person(*id)).take(MAX_NAMESAKES).collect()
    }

    /// Adds the meetings of a planned write, so that later stories of the chunk see them.
    pub fn add_planned_meetings(&mut self, write: &Write) {
        for put in &write.meetings {
            let mut facts = event_of(&put.record);
            let mut reports = write.reports.iter().filter(|report| report.record.meeting == put.record.name);
            let is_background = |report: &Report| report.prominence() == Prominence::Background;
            facts.is_background = put.replaces.is_none() && reports.all(|report| is_background(&report.record));
            self.events.planned.insert(put.id, facts);
        }
    }
}

/// True if an article reports the meeting as more than background.
fn is_more_than_background(inputs: &SettleInputs) -> bool {
    inputs.reports.iter().any(|input| input.report.prominence() != Prominence::Background)
}
