//! Puts the records of a dry run in the place of the stored ones, for each read of a lookup.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{Days, NaiveDate};
use uuid::Uuid;

use super::PlannedRecords;
use crate::{
    model::{
        article::TextHash,
        article_copies::{CopyCandidate, FirstCopy},
        meeting::matching::{EventFacts, MAX_DAYS},
        participant::PersonFacts,
        report::Aliases,
        resource::{Collection, Resource},
        time::dates,
    },
    pb::{Article, Meeting, Participant, Report, report::Prominence},
    service::{
        Api,
        error::ServiceError,
        meeting::{
            match_meetings::event_of,
            settle_inputs::{ReportInput, SettleInputs},
        },
    },
    store::{
        Doc, RecordState, StoreError, article, meeting::LinkedMeetings, participant::Description,
        query::meeting_candidates::CandidateSearch, write::meeting_search::SearchKey,
    },
};

impl PlannedRecords {
    /// Adds the articles of these uris.
    pub fn add_uris(&self, uris: &[&str], found: &mut HashMap<String, Uuid>) {
        let planned = uris.iter().filter_map(|uri| Some(((*uri).to_owned(), *self.uris.get(*uri)?)));
        found.extend(planned);
    }

    /// Replaces articles and the first articles of their groups of copies.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded.
    pub fn add_articles(
        &self,
        ids: &[Uuid],
        articles: &mut HashMap<Uuid, (Article, Doc)>,
        origins: &mut HashMap<Uuid, Uuid>,
    ) -> Result<(), StoreError> {
        for doc in ids.iter().filter_map(|id| self.articles.get(id)) {
            let article: Article = doc.decode()?;
            origins.extend(Collection::Articles.id(&article.origin).map(|origin| (doc.id, origin)));
            articles.insert(doc.id, (article, doc.clone()));
        }
        Ok(())
    }

    /// Adds those of the articles that got a text with this hash.
    pub fn add_texts(&self, sought: &[(Uuid, TextHash)], found: &mut HashSet<Uuid>) {
        found.extend(sought.iter().filter(|text| self.texts.contains(text)).map(|(id, _)| *id));
    }

    /// Replaces the keys of texts.
    pub fn add_text_keys(&self, articles: &[Uuid], keys: &mut HashMap<Uuid, TextHash>) {
        for (id, key) in articles.iter().filter_map(|id| self.text_keys.get_key_value(id)) {
            match key {
                Some(key) => keys.insert(*id, *key),
                None => keys.remove(id),
            };
        }
    }

    /// The articles with the text of one of these, each with the first article of its group of copies.
    pub fn copies_of(&self, articles: &[CopyCandidate]) -> Vec<(CopyCandidate, FirstCopy)> {
        let keys: HashSet<TextHash> = articles.iter().filter_map(|article| article.text_key).collect();
        keys.iter().filter_map(|key| self.copies.get(key)).flatten().cloned().collect()
    }

    /// The sources that articles got. Their ancestors must be read too.
    pub fn sources(&self) -> impl Iterator<Item = Uuid> {
        self.sources.values().flatten().copied()
    }

    /// Replaces the sources of articles.
    pub fn add_sources(&self, sources: &mut HashMap<Uuid, Uuid>) {
        for (id, source) in &self.sources {
            match source {
                Some(source) => sources.insert(*id, *source),
                None => sources.remove(id),
            };
        }
    }

    /// Replaces reports of an article, and adds the new ones.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded.
    pub fn add_cited(&self, article: Uuid, reports: &mut Vec<Report>) -> Result<(), StoreError> {
        self.replace_reports(reports.iter_mut())?;
        for doc in self.of_articles.get(&article).into_iter().flatten().filter_map(|id| self.reports.get(id)) {
            reports.push(doc.decode()?);
        }
        Ok(())
    }

    fn replace_reports<'r>(&self, reports: impl Iterator<Item = &'r mut Report>) -> Result<(), StoreError> {
        for report in reports {
            if let Some(doc) = report.id().and_then(|id| self.reports.get(&id)) {
                *report = doc.decode()?;
            }
        }
        Ok(())
    }

    /// Adds the reports with these hashes.
    pub fn add_same_reports<'h>(
        &self,
        sought: impl Iterator<Item = (Uuid, &'h str)>,
        found: &mut HashMap<(Uuid, String), Doc>,
    ) {
        for (article, hash) in sought {
            let key = (article, hash.to_owned());
            if let Some(doc) = self.contents.get(&key).and_then(|id| self.reports.get(id)) {
                found.insert(key, doc.clone());
            }
        }
    }

    /// The participants that agree with a description.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded.
    pub fn described(&self, sought: &Description) -> Result<Vec<Doc>, StoreError> {
        let mut docs = Vec::new();
        for doc in self.names.get(&sought.key).into_iter().flatten().filter_map(|id| self.participants.get(id)) {
            let participant: Participant = doc.decode()?;
            if participant.kind == i32::from(sought.kind) && participant.region_code == sought.region {
                docs.push(doc.clone());
            }
        }
        Ok(docs)
    }

    /// The participant with an external id.
    pub fn with_external_id(&self, id: &(String, String)) -> Option<&Doc> {
        self.participant(*self.external_ids.get(id)?)
    }

    /// A participant.
    pub fn participant(&self, id: Uuid) -> Option<&Doc> {
        self.participants.get(&id)
    }

    /// Adds the states of participants. A stored one keeps its state: a story deletes and merges none, and changes no facts.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded.
    pub fn add_states(&self, ids: &[Uuid], states: &mut HashMap<Uuid, RecordState>) -> Result<(), StoreError> {
        for doc in ids
            .iter()
            .filter(|id| !states.contains_key(*id))
            .filter_map(|id| self.participants.get(id))
            .collect::<Vec<_>>()
        {
            let person = Some(PersonFacts::of(&doc.decode::<Participant>()?));
            states.insert(doc.id, RecordState { is_live: true, alias_of: None, person });
        }
        Ok(())
    }

    /// Adds the meetings that got one of these external ids.
    pub fn add_meetings_with_ids(&self, ids: &BTreeSet<(&str, &str)>, found: &mut LinkedMeetings) {
        for (scheme, value) in ids {
            let key = ((*scheme).to_owned(), (*value).to_owned());
            if let Some(meeting) = self.meeting_ids.get(&key) {
                found.insert(key, *meeting);
            }
        }
    }

    /// Replaces meetings.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded.
    pub fn add_meetings(&self, ids: &[Uuid], meetings: &mut HashMap<Uuid, (Meeting, Doc)>) -> Result<(), StoreError> {
        for meeting in ids.iter().filter_map(|id| self.meetings.get(id)) {
            meetings.insert(meeting.doc.id, (meeting.doc.decode()?, meeting.doc.clone()));
        }
        Ok(())
    }

    /// Adds the reports of meetings, and replaces those that were changed, and what is known of their articles.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded, or the database fails.
    pub async fn add_inputs(
        &self,
        api: &Api,
        ids: &[Uuid],
        inputs: &mut HashMap<Uuid, SettleInputs>,
    ) -> Result<(), ServiceError> {
        for meeting in ids.iter().filter_map(|id| self.meetings.get(id)) {
            let inputs = inputs.entry(meeting.doc.id).or_default();
            self.replace_reports(inputs.reports.iter_mut().map(|input| &mut input.report))?;
            let mut missing = Vec::new();
            for doc in meeting.reports.iter().filter_map(|id| self.reports.get(id)) {
                let report: Report = doc.decode()?;
                let article = Collection::Articles.id(&report.article);
                missing.extend(article.filter(|id| !self.articles.contains_key(id)));
                inputs.bytes += doc.bytes.len();
                // The facts of the article follow.
                inputs.reports.push(ReportInput::new(report, &Article::default(), Uuid::nil()));
            }
            let mut articles: HashMap<Uuid, Article> = HashMap::new();
            let stored = article::get(api.store.reads(), &missing).await?;
            let named = inputs.reports.iter().filter_map(|input| Collection::Articles.id(&input.report.article));
            let planned = named.filter_map(|id| self.articles.get(&id));
            for doc in stored.iter().chain(planned) {
                articles.insert(doc.id, doc.decode()?);
            }
            let named: Vec<Uuid> = inputs.referenced_participants().collect();
            inputs.replace_facts(&articles, &Aliases::new());
            inputs.aliases.extend(named.iter().filter_map(|id| self.aliases.get_key_value(id)));
            let settled: Vec<Uuid> = inputs.settled_participants().collect();
            for (id, facts) in settled.iter().filter_map(|id| self.persons.get_key_value(id)) {
                inputs.persons.entry(*id).or_insert_with(|| facts.clone());
            }
        }
        Ok(())
    }

    /// Replaces the meetings that a search found, and adds those that it would have found. The docs are left out if
    /// there are more than `limit`.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded.
    pub fn add_found(
        &self,
        key: &SearchKey,
        (found, docs): (&mut BTreeMap<Uuid, i64>, &mut Vec<Doc>),
        limit: usize,
    ) -> Result<(), StoreError> {
        found.retain(|id, _| !self.meetings.contains_key(id));
        docs.retain(|doc| !self.meetings.contains_key(&doc.id));
        for (id, _) in self.meetings_of(key.participant, (key.first, key.last))? {
            if let Some(meeting) = self.meetings.get(&id) {
                found.insert(id, meeting.revision);
                docs.push(meeting.doc.clone());
            }
        }
        if found.len() > limit {
            docs.clear();
        }
        Ok(())
    }

    /// Replaces the meetings that may be the events of reports, and adds further ones: at most `limit` for a search.
    ///
    /// # Errors
    /// `Damaged` for a doc that cannot be decoded.
    pub fn add_candidates(
        &self,
        searches: &[CandidateSearch],
        limit: usize,
        candidates: &mut HashMap<Uuid, EventFacts>,
    ) -> Result<(), StoreError> {
        candidates.retain(|id, _| !self.meetings.contains_key(id));
        for search in searches {
            let mut found = BTreeMap::new();
            for participant in &search.participants {
                found.extend(self.meetings_of(*participant, (search.first, search.last))?);
            }
            candidates.extend(found.into_iter().take(limit).map(|(id, meeting)| (id, self.facts(id, &meeting))));
        }
        Ok(())
    }

    /// The facts of a meeting. One of which articles tell only in the background is marked.
    fn facts(&self, id: Uuid, meeting: &Meeting) -> EventFacts {
        let mut facts = event_of(meeting);
        let planned = self.meetings.get(&id).filter(|planned| planned.is_new);
        let docs = planned.into_iter().flat_map(|planned| &planned.reports).filter_map(|id| self.reports.get(id));
        let mut reports = docs.filter_map(|doc| doc.decode::<Report>().ok()).peekable();
        facts.is_background =
            reports.peek().is_some() && reports.all(|report| report.prominence() == Prominence::Background);
        facts
    }

    /// The meetings of a participant that have one of these days. As in the store, a meeting that began more than a month
    /// before is not found.
    fn meetings_of(
        &self,
        participant: Uuid,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<Vec<(Uuid, Meeting)>, StoreError> {
        let Some(meetings) = self.of_participants.get(&participant) else { return Ok(Vec::new()) };
        let look_back = Days::new(MAX_DAYS.unsigned_abs());
        let from = first.checked_sub_days(look_back).unwrap_or(first);
        let mut found = Vec::new();
        for (_, id) in meetings.range((from, Uuid::nil())..=(last, Uuid::max())) {
            let Some(planned) = self.meetings.get(id) else { continue };
            let meeting: Meeting = planned.doc.decode()?;
            let days = meeting.account.as_ref().and_then(|account| dates::span(account.date.as_ref()?));
            if days.is_some_and(|(begin, end)| begin <= last && first <= end) {
                found.push((*id, meeting));
            }
        }
        Ok(found)
    }
}
