//! What the store knows of the things that stories speak of, read for a whole chunk of them at once.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use uuid::Uuid;

use super::validated::{ValidatedReport, ValidatedStory};
use crate::{
    model::{
        article::{TextHash, found_by, keeps_text, same_content, uris},
        copies::{Copy, Precedence},
        evidence,
        participant::keys as participant_keys,
        report::{content, has_content, participants},
        resource::{Collection, Resource},
    },
    pb::{Article, IngestStoryResponse, Meeting, Participant, Report},
    service::{
        Api,
        error::{ServiceError, require_live},
        live,
        meeting::settle_inputs::{SettleInputs, to_settle},
        write::{
            revise::survivor,
            stale_evidence::{cited_in, is_another_text},
        },
    },
    store::{Doc, StoreError, article, copies, meeting, participant, report, write::reference},
};

/// What is there.
#[derive(Debug, Default)]
pub struct ChunkLookup {
    /// What the same request was answered before.
    pub answers: Vec<Option<Result<IngestStoryResponse, ServiceError>>>,
    /// Articles by uri.
    pub uris: HashMap<String, Uuid>,
    /// Articles, with their docs.
    pub articles: HashMap<Uuid, (Article, Doc)>,
    /// First articles of groups of copies, by article.
    pub origins: HashMap<Uuid, Uuid>,
    /// Keys of the texts of known articles.
    pub text_keys: HashMap<Uuid, TextHash>,
    /// The first articles of the groups of copies that stories join, by the uri of the story's article.
    pub firsts: HashMap<String, Vec<Precedence>>,
    /// The copies that earlier stories of the chunk bring, with the first article of their group.
    pub copies: Vec<(Copy, Precedence)>,
    /// What articles are copies of, for those that stories may make copies of others.
    pub sources: HashMap<Uuid, Uuid>,
    /// The reports that count of articles that stories give another text.
    pub cited: HashMap<Uuid, Vec<Report>>,
    /// Reports by article and content hash.
    pub reports: HashMap<(Uuid, String), Report>,
    /// Who has a normalised name, with the version at which that is so; the oldest first.
    pub names: HashMap<String, (i64, Vec<Participant>)>,
    /// Who has an external id.
    pub external_ids: HashMap<(String, String), Participant>,
    /// The participants named who are there, and whether they are live.
    pub participants: HashMap<Uuid, bool>,
    /// Meetings that reports are to be added to.
    pub meetings: HashMap<Uuid, (Meeting, Doc)>,
    /// Of those that were merged into others, the ones to write to instead.
    pub survivors: HashMap<Uuid, String>,
    /// Their reports.
    pub tellings: HashMap<Uuid, SettleInputs>,
}

impl ChunkLookup {
    /// Reads all that these stories may find.
    pub async fn of(api: &Api, stories: &[ValidatedStory]) -> Result<Self, ServiceError> {
        let pool = api.store.reads();
        let mut known = Self::default();
        for story in stories {
            known.answers.push(answered(api, story).await?);
        }

        let asked: Vec<&str> = stories.iter().flat_map(|story| uris(&story.article)).collect();
        known.uris = article::find(pool, &asked).await?;
        let sources = stories.iter().filter_map(|story| Collection::Articles.id(&story.article.syndicated_from));
        let ids: Vec<Uuid> = known.uris.values().copied().chain(sources).collect();
        if !ids.is_empty() {
            known.origins = article::origins(pool, &ids).await?;
            known.articles = decoded(article::get(pool, &ids).await?)?;
        }
        known.find_copies(api, stories).await?;
        known.find_cited(api, stories).await?;
        let updates = stories.iter().filter(|story| story.allow_update && known.article(story).is_some());
        let sources: Vec<Uuid> =
            updates.filter_map(|story| Collection::Articles.id(&story.article.syndicated_from)).collect();
        if !sources.is_empty() {
            known.sources = reference::line(pool, Collection::Articles, &sources).await?;
        }
        known.find_participants(api, stories).await?;
        known.reports = known.given_before(api, stories).await?;

        let asked: Vec<Uuid> = stories.iter().flat_map(ValidatedStory::meetings).collect();
        if !asked.is_empty() {
            known.meetings = decoded(meeting::get(pool, &asked).await?)?;
            for (id, (meeting, _)) in known.meetings.iter().filter(|(_, (one, _))| !one.merged_into.is_empty()) {
                known.survivors.insert(*id, survivor::<Meeting>(api, &meeting.merged_into).await?);
            }
            known.tellings = to_settle(api, &asked).await?;
        }
        Ok(known)
    }

    /// The article that has a story's first known uri.
    pub fn article(&self, story: &ValidatedStory) -> Option<Uuid> {
        uris(&story.article).find_map(|uri| self.uris.get(uri).copied())
    }

    /// The stored article that a story finds, with its doc.
    pub fn found(&self, story: &ValidatedStory) -> Option<&(Article, Doc)> {
        self.articles.get(&self.article(story)?)
    }

    /// The article of a story, with the uris and external ids of the stored article that it finds.
    pub fn article_of<'a>(&self, story: &'a ValidatedStory) -> Cow<'a, Article> {
        match self.found(story) {
            Some((stored, _)) => Cow::Owned(found_by(&story.article, stored)),
            None => Cow::Borrowed(&story.article),
        }
    }

    /// The key of the text of a story's article, also where that is known and its text was not sent again.
    pub fn text_key(&self, story: &ValidatedStory) -> Option<TextHash> {
        story.text_key.or_else(|| {
            let id = self.article(story)?;
            let (stored, _) = self.found(story)?;
            let is_withheld = story.text.is_empty() && !keeps_text(&story.article);
            let is_same = is_withheld || story.article.text_sha256 == stored.text_sha256;
            self.text_keys.get(&id).copied().filter(|_| is_same)
        })
    }

    /// The place of the first article of the group of copies that this one joins, among those that were looked for and
    /// those of earlier stories.
    pub fn first(&self, article: &Copy) -> Precedence {
        let found = self.firsts.get(article.place.uri()).into_iter().flatten();
        let earlier = self.copies.iter().filter(|(copy, _)| copy.is_next_to(article)).map(|(_, first)| first);
        found.chain(earlier).chain([&article.place]).min().unwrap_or(&article.place).clone()
    }

    /// Looks for what the articles of these stories are copies of, where they are new or changed.
    async fn find_copies(&mut self, api: &Api, stories: &[ValidatedStory]) -> Result<(), ServiceError> {
        let pool = api.store.reads();
        let known: Vec<Uuid> = stories.iter().filter_map(|story| self.article(story)).collect();
        if !known.is_empty() {
            self.text_keys = copies::text_keys(pool, &known).await?.into_iter().collect();
        }
        let mut asked = Vec::new();
        for story in stories {
            let article = self.article_of(story);
            let copy = Copy::of(self.article(story).unwrap_or_default(), &article, self.text_key(story));
            match self.found(story) {
                Some((stored, _)) if !same_content(&article, stored) => asked.push(copy),
                None if copy.has_neighbours() => asked.push(copy),
                _ => {}
            }
        }
        if !asked.is_empty() {
            for (at, place) in copies::firsts(pool, &asked).await? {
                self.firsts.entry(asked[at].place.uri().to_owned()).or_default().push(place);
            }
        }
        Ok(())
    }

    /// Reads the reports whose evidence is to be compared with another text.
    async fn find_cited(&mut self, api: &Api, stories: &[ValidatedStory]) -> Result<(), ServiceError> {
        for story in stories.iter().filter(|story| story.allow_update) {
            let stored = self.article(story).and_then(|id| Some((id, &self.articles.get(&id)?.0)));
            if let Some((id, stored)) = stored
                && is_another_text(stored, &story.article, &story.text)
            {
                self.cited.insert(id, cited_in(api, id).await?);
            }
        }
        Ok(())
    }

    /// Refuses to name a participant who is not there, or is not live.
    pub fn require_live(&self, participant: Uuid) -> Result<(), ServiceError> {
        require_live(Collection::Participants, participant, self.participants.get(&participant).copied())
    }

    /// The stored reports with the content of these stories' reports, by article and the `content_hash` of the latter.
    async fn given_before(
        &self,
        api: &Api,
        stories: &[ValidatedStory],
    ) -> Result<HashMap<(Uuid, String), Report>, ServiceError> {
        let mut asked: Vec<(&ValidatedStory, Uuid, &ValidatedReport)> = Vec::new();
        for story in stories {
            let article = self.article(story);
            asked.extend(article.iter().flat_map(|id| story.reports.iter().map(|sent| (story, *id, sent))));
        }
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let hashes = asked.iter().flat_map(|(_, article, sent)| {
            [&sent.report.content_hash, &sent.former_hash].map(|hash| (*article, hash.as_str()))
        });
        let docs = report::find(api.store.reads(), &hashes.collect::<Vec<_>>()).await?;
        let mut given = HashMap::new();
        let mut others = Vec::new();
        for (story, article, sent) in asked {
            let of = |hash: &String| docs.get(&(article, hash.clone()));
            match of(&sent.report.content_hash).or_else(|| of(&sent.former_hash)) {
                Some(doc) => drop(given.insert((article, sent.report.content_hash.clone()), doc.decode()?)),
                None => others.push((story, article, sent)),
            }
        }
        if others.is_empty() {
            return Ok(given);
        }
        // Hashes of release 0.1.0 depend on the spelling, so its reports are compared by content.
        let articles: Vec<Uuid> = others.iter().map(|(_, article, _)| *article).collect();
        let former = report::hashed_before(api.store.reads(), &articles).await?;
        for (story, article, sent) in others {
            let text = Some(evidence::IndexedText::new(&story.text)).filter(|_| !story.text.is_empty());
            let content = content(&sent.report, text.as_ref());
            for (_, doc) in former.iter().filter(|(of, _)| *of == article) {
                let stored: Report = doc.decode()?;
                if has_content(&stored, &content, |key, name| self.can_mean(story, key, name)) {
                    given.insert((article, sent.report.content_hash.clone()), stored);
                    break;
                }
            }
        }
        Ok(given)
    }

    /// True if a participant of a story can be the stored one with this name: the story gives the name, or both have a name
    /// or an external id in common.
    fn can_mean(&self, story: &ValidatedStory, key: &str, name: &str) -> bool {
        let Some((_, sent)) = story.participants.iter().find(|(of, _)| of == key) else { return false };
        let by_name = participant_keys(sent).into_iter().filter_map(|key| self.names.get(&key));
        let by_id =
            sent.external_ids.iter().filter_map(|id| self.external_ids.get(&(id.scheme.clone(), id.value.clone())));
        let mut known = by_name.flat_map(|(_, namesakes)| namesakes).chain(by_id);
        sent.name == name || known.any(|known| known.name == name)
    }

    async fn find_participants(&mut self, api: &Api, stories: &[ValidatedStory]) -> Result<(), ServiceError> {
        let pool = api.store.reads();
        let new = || stories.iter().flat_map(ValidatedStory::new_participants);

        let keys: HashSet<String> = new().flat_map(participant_keys).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        if !keys.is_empty() {
            for (key, namesakes) in participant::find_by_names(pool, &keys).await? {
                let docs: Vec<Participant> = namesakes.docs.iter().map(canonical).collect::<Result<_, _>>()?;
                self.names.insert(key, (namesakes.version, docs));
            }
        }
        let ids: Vec<(&str, &str)> =
            new().flat_map(|one| one.external_ids.iter().map(|id| (id.scheme.as_str(), id.value.as_str()))).collect();
        if !ids.is_empty() {
            for (id, doc) in participant::find_by_external_ids(pool, &ids).await? {
                self.external_ids.insert(id, canonical(&doc)?);
            }
        }

        let in_accounts = stories
            .iter()
            .flat_map(|story| story.reports.iter().filter_map(|one| one.report.account.as_ref()))
            .flat_map(participants);
        let given = stories.iter().flat_map(|story| &story.participants);
        let given = given.filter_map(|(_, participant)| participant.id());
        let parents = new().filter_map(|one| Collection::Participants.id(&one.parent));
        let named: Vec<Uuid> = in_accounts.chain(given).chain(parents).collect();
        if !named.is_empty() {
            self.participants = live::<Participant>(&api.store, &named).await?;
        }
        Ok(())
    }
}

fn decoded<R: Resource>(docs: Vec<Doc>) -> Result<HashMap<Uuid, (R, Doc)>, ServiceError> {
    docs.into_iter().map(|doc| Ok((doc.id, (canonical(&doc)?, doc)))).collect()
}

/// Reads a record, and makes it canonical.
fn canonical<R: Resource>(doc: &Doc) -> Result<R, StoreError> {
    let mut record: R = doc.decode()?;
    record.canonicalize();
    Ok(record)
}

/// What the same request was answered before.
pub async fn answered(
    api: &Api,
    story: &ValidatedStory,
) -> Result<Option<Result<IngestStoryResponse, ServiceError>>, ServiceError> {
    match story.call.answered(&api.store).await {
        Err(refusal @ ServiceError::RequestIdReused(_)) => Ok(Some(Err(refusal))),
        answered => Ok(answered?.map(Ok)),
    }
}
