//! Finds the meeting of each report of a story: the one that already has the report, the one that the story names, the
//! one that has its external ids (`external_ids`), the one that describes the same event (`model/meeting/matching`), or a
//! new one. Also names other candidates in warnings.
//!
//! With `meeting_matching` SAME, `store/write/meeting_search` guards the result: the write is prepared again if another
//! meeting of the participants and days was written since the search. So the outcome is that of some order of the
//! stories, with any number of streams and instances.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    external_ids::Target, known_events::FoundMeetings, lookup::ChunkLookup, planned::PlannedRecords,
    validated::ValidatedStory,
};
use crate::{
    model::{
        meeting::matching::{EventFacts, Level, Principal, compare},
        participant::Persons,
        resource::Collection,
        settle::complete,
    },
    pb::{
        Report,
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
    store::write::{
        Write,
        meeting_search::{self, MeetingSearch, SearchKey},
    },
};

/// Maximum number of meetings of a principal on the days of a report. With more, the report gets a new meeting.
const MAX_OF_PRINCIPAL: usize = 256;
/// Maximum number of reports of a story, of equal principals and with a common day, that a report is compared with.
const MAX_LIKE: usize = 64;

/// Records that the plan of a story needs and that the lookup does not have: for all its reports, so that the plan is
/// made only a few times.
#[derive(Debug, Default)]
pub struct Missing {
    /// The meetings of a participant on some days.
    searches: BTreeSet<SearchKey>,
    /// Meetings that have external ids of the story, with their reports.
    meetings: Vec<Uuid>,
    /// The reports of meetings that a search found.
    reports: BTreeMap<SearchKey, BTreeSet<Uuid>>,
}

impl Missing {
    /// Meetings that have external ids of the story.
    pub(super) fn of_meetings(meetings: Vec<Uuid>) -> Self {
        Self { meetings, ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.searches.is_empty() && self.meetings.is_empty() && self.reports.is_empty()
    }
}

/// The reason why the meeting of a report is not known yet.
enum Unknown {
    Search,
    Reports(Vec<Uuid>),
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
    /// The events of a story whose participants are matched, with the facts about those that they are settled as.
    pub fn of(
        story: &ValidatedStory,
        participants: &[ParticipantResult],
        persons: &Persons,
        lookup: &ChunkLookup,
    ) -> Self {
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
            // The account is compared as it would be settled.
            let mut account = report.account.clone().unwrap_or_default();
            complete(&mut account, |participation| persons.get(&resolve(&participation.participant)?));
            let mut facts = EventFacts::of(&account, resolve);
            facts.is_background = report.prominence() == Prominence::Background;
            facts
        };
        Self { events: story.reports.iter().map(|sent| event(&sent.report)).collect(), created: created.collect() }
    }

    /// Finds the meeting of each report. `targets` are the meetings that have the report already, that the story
    /// names, or that have its external ids.
    pub fn assign(&self, story: &ValidatedStory, lookup: &ChunkLookup, targets: &[Target<'_>]) -> Assignment {
        let mut taken: BTreeSet<Uuid> = targets.iter().filter_map(|target| target.meeting).collect();
        let (mut meetings, mut searches) = (Vec::<(Uuid, Outcome)>::with_capacity(targets.len()), Vec::new());
        let mut missing = Missing::default();
        let repeated = match story.meeting_matching {
            MeetingMatching::Same => self.repeated(targets),
            _ => BTreeSet::new(),
        };
        for (index, target) in targets.iter().enumerate() {
            let known = match (target.existing, target.meeting) {
                (Some(_), Some(meeting)) => Some((meeting, Outcome::Matched)),
                (_, Some(meeting)) if target.is_given => Some((meeting, Outcome::Given)),
                (_, Some(meeting)) => Some((meeting, Outcome::Updated)),
                // The meeting of an earlier report of the story, with which it shares external ids.
                (_, None) => meetings.get(target.first).copied(),
            };
            let is_sought = story.meeting_matching == MeetingMatching::Same && !repeated.contains(&index);
            let key = self.search_key(index).filter(|_| is_sought);
            let found = match (known, key) {
                (Some(known), _) => known,
                (None, None) => (Uuid::now_v7(), Outcome::Created),
                (None, Some(key)) => match lookup.same_event(&self.events[index], &key, &taken) {
                    Ok(Some(found)) if lookup.events.planned.contains_key(&found) => return Assignment::AfterEarlier,
                    Ok(found) => {
                        searches.extend(lookup.events.searches.get(&key).map(|found| found.search.clone()));
                        found.map_or_else(|| (Uuid::now_v7(), Outcome::Created), |found| (found, Outcome::Updated))
                    }
                    Err(unknown) => {
                        match unknown {
                            Unknown::Search => drop(missing.searches.insert(key)),
                            Unknown::Reports(ids) => missing.reports.entry(key).or_default().extend(ids),
                        }
                        // Not used: the story is planned again with what is missing.
                        (Uuid::nil(), Outcome::Created)
                    }
                },
            };
            taken.insert(found.0);
            meetings.push(found);
        }
        match missing.is_empty() {
            true => Assignment::Meetings(meetings, searches),
            false => Assignment::Missing(missing),
        }
    }

    /// The search for the meetings that a report can be added to. `None` if it can be added to none: its facts are too
    /// vague, or one of its principals is new.
    fn search_key(&self, index: usize) -> Option<SearchKey> {
        let event = &self.events[index];
        let (first, last, participant) = event.same_key()?;
        let is_new = event.resolved().any(|id| self.created.contains(&id));
        (!is_new).then_some(SearchKey { participant, first, last })
    }

    /// The reports that describe the same event as another report of the story. Only events of equal principals are
    /// compared. Reports that share external ids are not others. One with more than [`MAX_LIKE`] others that share a day
    /// counts as repeated, to bound the time.
    fn repeated(&self, targets: &[Target<'_>]) -> BTreeSet<usize> {
        let mut by_principals: BTreeMap<&BTreeSet<Principal>, Vec<usize>> = BTreeMap::new();
        for (index, event) in self.events.iter().enumerate().filter(|(_, event)| event.same_key().is_some()) {
            by_principals.entry(&event.principals).or_default().push(index);
        }
        let is_repeated = |index: &usize, like: &[usize]| {
            let event = &self.events[*index];
            let is_other = |other: &&usize| targets[**other].first != targets[*index].first;
            let others = like.iter().filter(is_other).map(|other| &self.events[*other]);
            let mut others = others.filter(|other| event.shares_a_day(other));
            others.by_ref().take(MAX_LIKE).any(|other| compare(event, other).level == Level::Same)
                || others.next().is_some()
        };
        let likes = by_principals.values();
        likes.flat_map(|like| like.iter().copied().filter(|index| is_repeated(index, like))).collect()
    }

    /// Warnings that name the meetings that may be the same event as a report's new meeting.
    pub fn warnings(&self, story: &ValidatedStory, lookup: &ChunkLookup, meetings: &[(Uuid, Outcome)]) -> Vec<String> {
        if !story.names_candidates {
            return Vec::new();
        }
        let own: BTreeSet<Uuid> = meetings.iter().map(|(id, _)| *id).collect();
        let reports = story.reports.iter().zip(&self.events).zip(meetings);
        let new = reports.filter(|(_, (_, outcome))| *outcome == Outcome::Created);
        let known = lookup.events.by_principal(&own);
        new.filter_map(|((sent, event), _)| known.warning(&sent.key, event)).collect()
    }
}

impl ChunkLookup {
    /// The meeting that describes the same event, if there is exactly one, that reports can still be added to.
    fn same_event(&self, event: &EventFacts, key: &SearchKey, taken: &BTreeSet<Uuid>) -> Result<Option<Uuid>, Unknown> {
        let found = self.events.searches.get(key).ok_or(Unknown::Search)?;
        let planned = &self.events.planned;
        let stored = found.meetings.iter().map(|(id, (facts, _))| (id, facts));
        let known = stored.filter(|(id, _)| !planned.contains_key(id)).chain(planned);
        let same = known.filter(|(id, facts)| !taken.contains(id) && compare(event, facts).level == Level::Same);
        let same: Vec<Uuid> = same.map(|(id, _)| *id).collect();
        let unread: Vec<Uuid> =
            same.iter().filter(|id| !planned.contains_key(id) && !self.inputs.contains_key(id)).copied().collect();
        if !unread.is_empty() {
            return Err(Unknown::Reports(unread));
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
    pub async fn read_missing(
        &mut self,
        api: &Api,
        missing: Missing,
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        for key in missing.searches {
            let (mut found, mut docs) = meeting_search::search(api.store.reads(), &key, MAX_OF_PRINCIPAL).await?;
            planned.add_found(&key, (&mut found, &mut docs), MAX_OF_PRINCIPAL)?;
            let mut meetings = HashMap::with_capacity(docs.len());
            for doc in docs {
                meetings.insert(doc.id, (event_of(&doc.decode()?), doc));
            }
            let search = MeetingSearch { key: key.clone(), found, own: BTreeSet::new() };
            self.events.searches.insert(key, FoundMeetings { search, meetings });
        }
        self.read_meetings(api, &missing.meetings, planned).await?;
        // The meetings were read before their reports: every change of the reports makes a revision, so a race becomes a
        // conflict.
        for (key, ids) in missing.reports {
            let ids: Vec<Uuid> = ids.into_iter().filter(|id| !self.inputs.contains_key(id)).collect();
            let mut inputs = load_inputs_to_settle(api, &ids).await?;
            planned.add_inputs(api, &ids, &mut inputs).await?;
            let found = self.events.searches.get(&key);
            for id in ids {
                self.inputs.insert(id, inputs.remove(&id).unwrap_or_default());
                if let Some((_, doc)) = found.and_then(|found| found.meetings.get(&id)) {
                    self.meetings.insert(id, (doc.decode()?, doc.clone()));
                }
            }
        }
        Ok(())
    }

    /// Adds the meetings of a planned write, so that later stories of the chunk see them.
    pub fn add_planned_meetings(&mut self, write: &Write) {
        let more_than_background: BTreeSet<&str> = write
            .reports
            .iter()
            .map(|report| &report.record)
            .filter(|report| report.prominence() != Prominence::Background)
            .map(|report| report.meeting.as_str())
            .collect();
        for put in &write.meetings {
            let mut facts = event_of(&put.record);
            facts.is_background = put.replaces.is_none() && !more_than_background.contains(put.record.name.as_str());
            self.events.planned.insert(put.id, facts);
        }
    }
}

/// True if an article reports the meeting as more than background.
fn is_more_than_background(inputs: &SettleInputs) -> bool {
    inputs.reports.iter().any(|input| input.report.prominence() != Prominence::Background)
}
