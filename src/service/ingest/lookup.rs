//! The stored records that stories refer to, read with a few queries for a whole chunk of stories.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use uuid::Uuid;

use super::{
    known_events::{KnownEvents, KnownIds},
    planned::PlannedRecords,
    repeats::ValidatedReport,
    validated::ValidatedStory,
};
use crate::{
    model::{
        article::{
            TextHash, carry_withheld_text, may_store_text, parse_text_hash, same_content, shows_again,
            update_from_story, uris as article_uris,
        },
        article_copies::{CopyCandidate, FirstCopy},
        evidence,
        identity::door_keys,
        report::{content, has_content, participants},
        resource::{Collection, Resource},
    },
    pb::{Article, IngestStoryResponse, Meeting, Participant, Report, article::TextRights},
    service::{
        Api,
        error::{ServiceError, require_live},
        meeting::settle_inputs::{SettleInputs, load_inputs_to_settle},
        states,
        write::{
            revise::find_survivor,
            stale_evidence::{load_cited_reports, replaces_text},
        },
    },
    store::{Doc, RecordState, StoreError, article, article_copies, meeting, report, write::reference},
};

/// The stored records that the stories of a chunk may match or refer to.
#[derive(Debug, Default)]
pub struct ChunkLookup {
    /// The stored answer of each story, if the same request was answered before.
    pub answers: Vec<Option<Result<IngestStoryResponse, ServiceError>>>,
    /// Ids of articles, by uri.
    pub uris: HashMap<String, Uuid>,
    /// Articles with their docs, by id.
    pub articles: HashMap<Uuid, (Article, Doc)>,
    /// The first article of the group of copies of each article.
    pub origins: HashMap<Uuid, Uuid>,
    /// Stored articles whose hidden text is stored, among those that a story shows again without sending the text.
    pub kept_texts: HashSet<Uuid>,
    /// Text keys of stored articles.
    pub text_keys: HashMap<Uuid, TextHash>,
    /// The first articles of the groups of copies that a story's article joins, by that article's uri.
    pub firsts: HashMap<String, Vec<FirstCopy>>,
    /// Articles of earlier stories of the chunk, each with the first article of its group of copies.
    pub copies: Vec<(CopyCandidate, FirstCopy)>,
    /// Source articles by copy, upwards from the articles that stories name as sources. Used to reject cycles.
    pub sources: HashMap<Uuid, Uuid>,
    /// Active reports of articles whose text a story replaces.
    pub cited: HashMap<Uuid, Vec<Report>>,
    /// Stored reports with the same content as a report of a story, by article and the content hash of the story's
    /// report.
    pub reports: HashMap<(Uuid, String), Report>,
    /// Ids of participants by name key, in no order, with the version of the name at which they were read.
    pub names: HashMap<String, (i64, Vec<Uuid>)>,
    /// Ids of participants by external id.
    pub external_ids: HashMap<(String, String), Uuid>,
    /// The participants that these keys and ids lead to, stored or planned.
    pub candidates: HashMap<Uuid, KnownParticipant>,
    /// The states of the participants that stories and stored reports name.
    pub participants: HashMap<Uuid, RecordState>,
    /// Meetings that stories add reports to, by id.
    pub meetings: HashMap<Uuid, (Meeting, Doc)>,
    /// Names of the survivors of merged meetings.
    pub survivors: HashMap<Uuid, String>,
    /// Active reports of the meetings.
    pub inputs: HashMap<Uuid, SettleInputs>,
    /// The meetings that have external ids of reports.
    pub ids: KnownIds,
    /// The meetings that reports may describe.
    pub events: KnownEvents,
}

/// A participant that stories may match.
#[derive(Debug, Clone)]
pub struct KnownParticipant {
    /// The participant as the chunk leaves it.
    pub record: Participant,
    /// The stored revision; `None` for a planned participant.
    pub doc: Option<Doc>,
}

impl ChunkLookup {
    /// Reads the records for a chunk of stories. Those that the earlier stories of a dry run have planned replace the
    /// stored ones.
    ///
    /// # Errors
    /// `Damaged` for a stored record that cannot be decoded, `NewerContract` for a report that cites a replaced text
    /// and was written by a newer release, or the database fails.
    pub async fn load(api: &Api, stories: &[ValidatedStory], planned: &PlannedRecords) -> Result<Self, ServiceError> {
        let pool = api.store.reads();
        let mut lookup = Self::default();
        for story in stories {
            lookup.answers.push(stored_answer(api, story).await?);
        }

        let uris: Vec<&str> = stories.iter().flat_map(|story| article_uris(&story.article)).collect();
        lookup.uris = article::find(pool, &uris).await?;
        planned.add_uris(&uris, &mut lookup.uris);
        let sources = stories.iter().filter_map(|story| Collection::Articles.id(&story.article.syndicated_from));
        let ids: Vec<Uuid> = lookup.uris.values().copied().chain(sources).collect();
        if !ids.is_empty() {
            lookup.origins = article::origins(pool, &ids).await?;
            lookup.articles = decoded(article::get(pool, &ids).await?)?;
            planned.add_articles(&ids, &mut lookup.articles, &mut lookup.origins)?;
        }
        lookup.find_kept_texts(api, stories, planned).await?;
        lookup.find_copies(api, stories, planned).await?;
        lookup.find_cited(api, stories, planned).await?;
        let updates = stories.iter().filter(|story| story.allow_update && lookup.article(story).is_some());
        let sources: Vec<Uuid> =
            updates.filter_map(|story| Collection::Articles.id(&story.article.syndicated_from)).collect();
        if !sources.is_empty() {
            let sources: Vec<Uuid> = sources.into_iter().chain(planned.sources()).collect();
            lookup.sources = reference::ancestors(pool, Collection::Articles, &sources).await?;
            planned.add_sources(&mut lookup.sources);
        }
        lookup.find_participants(api, stories, planned).await?;
        lookup.reports = lookup.find_same_reports(api, stories, planned).await?;
        let before: Vec<Uuid> =
            lookup.reports.values().filter_map(|report| report.account.as_ref()).flat_map(participants).collect();
        lookup.participants.extend(states::<Participant>(&api.store, &before).await?);
        planned.add_states(&before, &mut lookup.participants)?;

        let meetings: Vec<Uuid> = stories.iter().flat_map(ValidatedStory::meetings).collect();
        if !meetings.is_empty() {
            lookup.meetings = decoded(meeting::get(pool, &meetings).await?)?;
            planned.add_meetings(&meetings, &mut lookup.meetings)?;
            let merged = lookup.meetings.iter().filter(|(_, (meeting, _))| !meeting.merged_into.is_empty());
            for (id, (meeting, _)) in merged {
                lookup.survivors.insert(*id, find_survivor::<Meeting>(api, &meeting.merged_into).await?);
            }
            lookup.inputs = load_inputs_to_settle(api, &meetings).await?;
            planned.add_inputs(api, &meetings, &mut lookup.inputs).await?;
        }
        lookup.find_external_ids(api, stories, planned).await?;
        lookup.find_candidates(api, stories, planned).await?;
        Ok(lookup)
    }

    /// The stored article that has one of a story's uris; the first such uri counts.
    pub fn article(&self, story: &ValidatedStory) -> Option<Uuid> {
        article_uris(&story.article).find_map(|uri| self.uris.get(uri).copied())
    }

    /// The stored article of a story, with its doc.
    pub fn stored(&self, story: &ValidatedStory) -> Option<&(Article, Doc)> {
        self.articles.get(&self.article(story)?)
    }

    /// The article of a story, merged with the uris and external ids of the stored article.
    pub fn merged_article<'a>(&self, story: &'a ValidatedStory) -> Cow<'a, Article> {
        match self.stored(story) {
            Some((stored, _)) => {
                let mut article = update_from_story(&story.article, stored);
                if self.shows_kept_text(story) {
                    carry_withheld_text(&mut article, stored);
                }
                Cow::Owned(article)
            }
            None => Cow::Borrowed(&story.article),
        }
    }

    /// True if the story shows the stored, hidden text of its article again.
    fn shows_kept_text(&self, story: &ValidatedStory) -> bool {
        self.article(story).is_some_and(|id| shows_again_unsent(story, self) && self.kept_texts.contains(&id))
    }

    /// Finds the hidden texts that stories show again.
    async fn find_kept_texts(
        &mut self,
        api: &Api,
        stories: &[ValidatedStory],
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        let shown = stories.iter().filter(|story| shows_again_unsent(story, self));
        let key = |story| Some((self.article(story)?, parse_text_hash(&self.stored(story)?.0.text_sha256)?));
        let keys: Vec<_> = shown.filter_map(key).collect();
        if !keys.is_empty() {
            self.kept_texts = article::with_kept_text(api.store.reads(), &keys).await?;
            planned.add_texts(&keys, &mut self.kept_texts);
        }
        Ok(())
    }

    /// The text key of a story's article. If the story did not repeat the text of a stored article, it is the stored
    /// key.
    pub fn text_key(&self, story: &ValidatedStory) -> Option<TextHash> {
        story.text_key.or_else(|| {
            let id = self.article(story)?;
            let (stored, _) = self.stored(story)?;
            let is_withheld = story.text.is_empty() && !may_store_text(&story.article);
            let is_same = is_withheld || self.shows_kept_text(story) || story.article.text_sha256 == stored.text_sha256;
            self.text_keys.get(&id).copied().filter(|_| is_same)
        })
    }

    /// The earliest article of the group of copies that this article would join, among stored articles and earlier
    /// stories of the chunk.
    pub fn first(&self, article: &CopyCandidate) -> FirstCopy {
        let found = self.firsts.get(article.place.uri()).into_iter().flatten().cloned();
        let earlier = self.copies.iter().filter(|(copy, _)| copy.is_direct_copy_of(article));
        article.first_of(found.chain(earlier.map(|(copy, first)| first.seen_by(article, copy))))
    }

    /// Finds the groups of copies that the new and changed articles of these stories join.
    async fn find_copies(
        &mut self,
        api: &Api,
        stories: &[ValidatedStory],
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        let pool = api.store.reads();
        let stored: Vec<Uuid> = stories.iter().filter_map(|story| self.article(story)).collect();
        if !stored.is_empty() {
            self.text_keys = article_copies::text_keys(pool, &stored).await?.into_iter().collect();
            planned.add_text_keys(&stored, &mut self.text_keys);
        }
        let mut candidates = Vec::new();
        for story in stories {
            let article = self.merged_article(story);
            let copy = CopyCandidate::of(self.article(story).unwrap_or_default(), &article, self.text_key(story));
            match self.stored(story) {
                Some((stored, _)) if !same_content(&article, stored) => candidates.push(copy),
                None if copy.may_be_copy() => candidates.push(copy),
                _ => {}
            }
        }
        if !candidates.is_empty() {
            self.copies = planned.copies_of(&candidates);
            for (index, first) in article_copies::firsts(pool, &candidates).await? {
                self.firsts.entry(candidates[index].place.uri().to_owned()).or_default().push(first);
            }
        }
        Ok(())
    }

    /// Loads the reports whose evidence is to be compared with a replaced text.
    async fn find_cited(
        &mut self,
        api: &Api,
        stories: &[ValidatedStory],
        planned: &PlannedRecords,
    ) -> Result<(), ServiceError> {
        for story in stories.iter().filter(|story| story.allow_update) {
            let stored = self.article(story).and_then(|id| Some((id, &self.articles.get(&id)?.0)));
            if let Some((id, stored)) = stored
                && replaces_text(stored, &story.article, &story.text)
            {
                let mut reports = load_cited_reports(api, id).await?;
                planned.add_cited(id, &mut reports)?;
                self.cited.insert(id, reports);
            }
        }
        Ok(())
    }

    /// Rejects a participant that does not exist or is deleted.
    ///
    /// # Errors
    /// `NotFound` and `Deleted`.
    pub fn require_live(&self, participant: Uuid) -> Result<(), ServiceError> {
        require_live(
            Collection::Participants,
            participant,
            self.participants.get(&participant).map(|state| state.is_live),
        )
    }

    /// Finds stored reports with the same content as reports of these stories, by article and the content hash of the
    /// story's report.
    async fn find_same_reports(
        &self,
        api: &Api,
        stories: &[ValidatedStory],
        planned: &PlannedRecords,
    ) -> Result<HashMap<(Uuid, String), Report>, ServiceError> {
        let mut sought: Vec<(&ValidatedStory, Uuid, &ValidatedReport)> = Vec::new();
        for story in stories {
            let article = self.article(story);
            sought.extend(article.iter().flat_map(|id| story.reports.iter().map(|sent| (story, *id, sent))));
        }
        if sought.is_empty() {
            return Ok(HashMap::new());
        }
        let hashes = sought.iter().flat_map(|(_, article, sent)| sent.hashes().map(|hash| (*article, hash.as_str())));
        let hashes: Vec<(Uuid, &str)> = hashes.collect();
        let mut docs = report::find(api.store.reads(), &hashes).await?;
        planned.add_same_reports(hashes.into_iter(), &mut docs);
        let mut same = HashMap::new();
        let mut not_found = Vec::new();
        for (story, article, sent) in sought {
            // Release 0.2.0 stored equal accounts with other evidence as reports of their own.
            for hash in &sent.other_hashes {
                if let Some(doc) = docs.get(&(article, hash.clone())) {
                    same.insert((article, hash.clone()), doc.decode()?);
                }
            }
            match sent.hashes().find_map(|hash| docs.get(&(article, hash.clone()))) {
                Some(doc) => drop(same.insert((article, sent.report.content_hash.clone()), doc.decode()?)),
                None => not_found.push((story, article, sent)),
            }
        }
        if not_found.is_empty() {
            return Ok(same);
        }
        // Hashes of release 0.1.0 depend on the spelling, so its reports are compared by content.
        let articles: Vec<Uuid> = not_found.iter().map(|(_, article, _)| *article).collect();
        let former = report::hashed_before(api.store.reads(), &articles).await?;
        for (story, article, sent) in not_found {
            let text = Some(evidence::IndexedText::new(&story.text)).filter(|_| !story.text.is_empty());
            let content = content(&sent.report, text.as_ref());
            for (_, doc) in former.iter().filter(|(of, _)| *of == article) {
                let stored: Report = doc.decode()?;
                if has_content(&stored, &content, |key, name| self.can_mean(story, key, name)) {
                    same.insert((article, sent.report.content_hash.clone()), stored);
                    break;
                }
            }
        }
        Ok(same)
    }

    /// True if the participant with this key can be the stored one with this resource name: the story gives that name,
    /// or the two share a name key or an external id.
    fn can_mean(&self, story: &ValidatedStory, key: &str, name: &str) -> bool {
        let Some((_, sent)) = story.participants.iter().find(|(of, _)| of == key) else { return false };
        let by_name = door_keys(sent).into_iter().filter_map(|key| self.names.get(&key));
        let by_id =
            sent.external_ids.iter().filter_map(|id| self.external_ids.get(&(id.scheme.clone(), id.value.clone())));
        let mut candidates = by_name.flat_map(|(_, namesakes)| namesakes).chain(by_id);
        sent.name == name || candidates.any(|id| Collection::Participants.name(*id) == name)
    }
}

/// True if a story gives a hidden text the rights to be shown, without sending it.
fn shows_again_unsent(story: &ValidatedStory, lookup: &ChunkLookup) -> bool {
    let is_stated = story.article.text_rights() != TextRights::Unspecified;
    is_stated
        && story.text.is_empty()
        && lookup.stored(story).is_some_and(|(stored, _)| shows_again(stored, &story.article))
}

fn decoded<R: Resource>(docs: Vec<Doc>) -> Result<HashMap<Uuid, (R, Doc)>, ServiceError> {
    docs.into_iter().map(|doc| Ok((doc.id, (canonical(&doc)?, doc)))).collect()
}

/// Decodes a record and makes it canonical: release 0.1.0 stored records as they were sent.
pub fn canonical<R: Resource>(doc: &Doc) -> Result<R, StoreError> {
    let mut record: R = doc.decode()?;
    record.canonicalize();
    Ok(record)
}

/// The stored answer to a story. Its inner error is the rejection of a reused request id.
///
/// # Errors
/// The database fails.
pub async fn stored_answer(
    api: &Api,
    story: &ValidatedStory,
) -> Result<Option<Result<IngestStoryResponse, ServiceError>>, ServiceError> {
    match story.call.stored_answer(&api.store).await {
        Err(error @ ServiceError::RequestIdReused(_)) => Ok(Some(Err(error))),
        answer => Ok(answer?.map(Ok)),
    }
}
