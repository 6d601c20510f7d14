//! Stories on their way in: what a story makes of what is there. `sent` checks a story by itself, `known` looks up what
//! it speaks of, `cast` says who its participants are; here it becomes a write.
//!
//! A chunk of stories is prepared at once: each sees what the ones before it make, and all commit together.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::SystemTime,
};

use uuid::Uuid;

use super::{
    lookup::{ChunkLookup, answered},
    participants::StoryParticipants,
    validated::ValidatedStory,
};
use crate::{
    model::{
        article::{carry_withheld_text, keeps_text, same_content, uris},
        copies::{Copy, regroups},
        resource::{Collection, Deletable, Resource},
        rules::{Check, Path, Violations},
    },
    pb::{
        Account, Article, IngestStoryResponse, Meeting,
        ingest_story_response::{MeetingResult, Outcome},
        report::State,
    },
    service::{
        Api, WritePlan,
        article::{put_new, put_next},
        error::{ServiceError, require_live},
        meeting::settle_inputs::{ReportInput, SettleInputs, require_room},
        write::{revise::require_no_cycle, stale_evidence::compare},
    },
    store::{
        change,
        write::{Put, Write},
    },
};

/// What became of one story: its answer, and which of the chunk's writes is its own.
pub type PlannedStory = (Result<IngestStoryResponse, ServiceError>, Option<usize>);

/// Prepares a chunk of stories. No two of them have a uri in common, and one that adds to a meeting is alone.
///
/// `ServiceError::Contention` if two stories find the same article by different uris, and the first one writes. The caller then
/// prepares the stories one by one.
pub async fn prepare(api: &Api, stories: &[ValidatedStory]) -> Result<WritePlan<Vec<PlannedStory>>, ServiceError> {
    let mut known = ChunkLookup::of(api, stories).await?;
    let now = SystemTime::now();
    let mut writes = Vec::new();
    let mut ingested = Vec::with_capacity(stories.len());
    // Stored articles that a story of the chunk writes to.
    let mut touched: HashSet<Uuid> = HashSet::new();
    for (story, answer) in stories.iter().zip(std::mem::take(&mut known.answers)) {
        if let Some(answer) = answer {
            ingested.push((answer, None));
            continue;
        }
        let found = known.article(story);
        if found.is_some_and(|article| touched.contains(&article)) {
            // It must see what the earlier story writes.
            return Err(ServiceError::Contention);
        }
        let told = tell(story, &known, now);
        // What it found, or what was in its way, may be what its own twin has written meanwhile.
        let has_written = told.as_ref().is_ok_and(|(_, write)| !write.is_empty());
        if !has_written && let Some(answer) = answered(api, story).await? {
            ingested.push((answer, None));
            continue;
        }
        match told {
            Ok((answer, mut write)) => {
                known.remember(&write);
                // The answer is remembered, also where there was nothing to write.
                write.answer = story.call.remember(&answer);
                let own = (!write.is_empty()).then_some(writes.len());
                touched.extend(found.filter(|_| own.is_some()));
                writes.extend(own.map(|_| write));
                ingested.push((Ok(answer), own));
            }
            Err(refusal) => ingested.push((Err(refusal), None)),
        }
    }
    Ok(if writes.is_empty() { WritePlan::Unchanged(ingested) } else { WritePlan::Write(ingested, writes) })
}

/// What a story makes of what is known, and its answer; the write is empty if all was there, or if it is only checked.
fn tell(
    story: &ValidatedStory,
    known: &ChunkLookup,
    now: SystemTime,
) -> Result<(IngestStoryResponse, Write), ServiceError> {
    let article = find_article(story, known)?;
    let article_id = article.id();
    let mut cast = StoryParticipants::of(story, known, article_id)?;

    // Where each report belongs: links name the meetings of other reports by their keys.
    let mut places = Vec::with_capacity(story.reports.len());
    for sent in &story.reports {
        let before = known.reports.get(&(article_id, sent.report.content_hash.clone()));
        let meeting = match (before, sent.meeting) {
            (Some(report), _) => Collection::Meetings.id(&report.meeting),
            (None, Some(meeting)) => {
                let live = known.meetings.get(&meeting).map(|(meeting, _)| !meeting.is_deleted());
                require_live(Collection::Meetings, meeting, live)?;
                if let Some(survivor) = known.survivors.get(&meeting).cloned() {
                    return Err(ServiceError::MergedAway { name: Collection::Meetings.name(meeting), survivor });
                }
                Some(meeting)
            }
            (None, None) => None,
        };
        places.push((before, meeting.unwrap_or_else(Uuid::now_v7)));
    }
    let meeting_names: HashMap<&str, String> = story
        .reports
        .iter()
        .zip(&places)
        .map(|(sent, (_, meeting))| (sent.key.as_str(), Collection::Meetings.name(*meeting)))
        .collect();

    let mut write = story.call.nothing();
    let mut answer = IngestStoryResponse { article: Collection::Articles.name(article_id), ..Default::default() };
    answer.set_article_outcome(article.outcome());
    let (record, origin) = article.put(story, known, now, &mut write);

    let mut added: BTreeMap<Uuid, Vec<ReportInput>> = BTreeMap::new();
    for (sent, (before, meeting)) in story.reports.iter().zip(&places) {
        let mut result = MeetingResult { key: sent.key.clone(), ..Default::default() };
        result.meeting = Collection::Meetings.name(*meeting);
        if let Some(report) = before {
            result.report.clone_from(&report.name);
            result.set_outcome(Outcome::Matched);
            answer.meetings.push(result);
            continue;
        }
        let mut report = sent.report.clone();
        report.article.clone_from(&answer.article);
        report.article_revision = record.revision;
        report.set_state(State::Active);
        report.meeting.clone_from(&result.meeting);
        let account = report.account.get_or_insert_default();
        cast.name(account);
        name_links(account, &meeting_names);
        let id = Uuid::now_v7();
        report.begin(id, now);
        result.report.clone_from(&report.name);
        result.set_outcome(if sent.meeting.is_some() { Outcome::Given } else { Outcome::Created });
        answer.meetings.push(result);
        write.reports.push(Put::new(id, report.clone()));
        added.entry(*meeting).or_default().push(ReportInput::new(report, &record, origin));
    }
    for (meeting, tellings) in added {
        write.meetings.push(put_meeting(meeting, tellings, known, now)?);
    }
    answer.participants = cast.results();
    answer.warnings = std::mem::take(&mut cast.warnings);
    write.participants = cast.created(now);

    if story.validate_only {
        unname(&mut answer);
        return Ok((answer, story.call.nothing()));
    }
    Ok((answer, write))
}

/// The article of a story, as it is found.
enum ArticleMatch<'a> {
    New(Uuid),
    Same(Uuid, &'a Article),
    /// The next revision, without its marks, and the one before it.
    Changed(Uuid, Box<(Article, Article)>),
}

fn find_article<'a>(story: &ValidatedStory, known: &'a ChunkLookup) -> Result<ArticleMatch<'a>, ServiceError> {
    let source = Collection::Articles.id(&story.article.syndicated_from);
    if let Some(source) = source {
        let live = known.articles.get(&source).map(|(article, _)| !article.is_deleted());
        require_live(Collection::Articles, source, live)?;
    }
    let mut owners = uris(&story.article).filter_map(|uri| Some((uri, *known.uris.get(uri)?)));
    let Some((uri, id)) = owners.next() else { return Ok(ArticleMatch::New(Uuid::now_v7())) };
    if let Some((uri, other)) = owners.find(|(_, other)| *other != id) {
        let name = Collection::Articles.name(other);
        return Err(ServiceError::DuplicateArticle { name, uri: uri.to_owned() });
    }
    let missing = || ServiceError::NotFound(Collection::Articles.name(id));
    let (stored, doc) = known.found(story).ok_or_else(missing)?;
    let article = known.article_of(story);
    if same_content(&article, stored) {
        return Ok(ArticleMatch::Same(id, stored));
    }
    if !story.allow_update {
        return Err(ServiceError::ArticleDiffers { name: stored.name.clone(), uri: uri.to_owned() });
    }
    let at = Path::ROOT.field("story");
    let at = at.field("article");
    if let Some(source) = source {
        require_no_cycle(&known.sources, source, id, &at.field("syndicated_from"))?;
    }
    // The stored and the new uris or external ids together may be too many.
    let mut violations = Violations::default();
    article.check(&at, &mut violations);
    violations.into_result()?;
    Ok(ArticleMatch::Changed(id, Box::new((article.into_owned(), doc.decode_to_rewrite()?))))
}

impl ArticleMatch<'_> {
    fn id(&self) -> Uuid {
        match *self {
            Self::New(id) | Self::Same(id, _) | Self::Changed(id, _) => id,
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::New(_) => Outcome::Created,
            Self::Same(..) => Outcome::Matched,
            Self::Changed(..) => Outcome::Updated,
        }
    }

    /// The article as it will be, and the first of its group of copies.
    fn put(self, story: &ValidatedStory, known: &ChunkLookup, now: SystemTime, write: &mut Write) -> (Article, Uuid) {
        let id = self.id();
        let stored_origin = known.origins.get(&id).copied().unwrap_or(id);
        let text = (story.text.as_str(), story.text_key);
        match self {
            Self::Same(_, stored) => (stored.clone(), stored_origin),
            Self::New(_) => {
                let mut article = story.article.clone();
                let origin = known.first(&Copy::of(id, &article, story.text_key)).id;
                article.origin = Collection::Articles.name(origin);
                article.begin(id, now);
                write.articles.push(put_new(id, article.clone(), text));
                (article, origin)
            }
            Self::Changed(_, revisions) => {
                let (mut article, former) = *revisions;
                if !keeps_text(&article) && story.text.is_empty() {
                    carry_withheld_text(&mut article, &former);
                }
                let origin = match regroups(&former, &article) {
                    true => known.first(&Copy::of(id, &article, known.text_key(story))).id,
                    false => stored_origin,
                };
                article.origin = Collection::Articles.name(origin);
                article.succeed(&former, now);
                write.articles.push(put_next((article.clone(), former), text, change::Kind::Updated));
                known.cited.get(&id).into_iter().for_each(|reports| compare(write, reports, &story.text, now));
                (article, origin)
            }
        }
    }
}

/// A meeting with the reports that a story adds to it.
fn put_meeting(
    id: Uuid,
    added: Vec<ReportInput>,
    known: &ChunkLookup,
    now: SystemTime,
) -> Result<Put<Meeting>, ServiceError> {
    let Some((_, doc)) = known.meetings.get(&id) else {
        let mut meeting = Meeting::default();
        SettleInputs { reports: added, ..Default::default() }.settle(&mut meeting);
        meeting.begin(id, now);
        return Ok(Put::new(id, meeting));
    };
    let former: Meeting = doc.decode_to_rewrite()?;
    let mut tellings = known.tellings.get(&id).cloned().unwrap_or_default();
    require_room(&former.name, &tellings, added.len())?;
    tellings.reports.extend(added);
    Ok(tellings.put(tellings.settled(&former, now), change::Kind::Reported))
}

fn name_links(account: &mut Account, meetings: &HashMap<&str, String>) {
    for link in &mut account.links {
        if let Some(name) = link.meeting.strip_prefix('#').and_then(|key| meetings.get(key)) {
            link.meeting.clone_from(name);
        }
    }
}

/// What is only checked has no name yet.
fn unname(answer: &mut IngestStoryResponse) {
    if answer.article_outcome() == Outcome::Created {
        answer.article.clear();
    }
    for one in &mut answer.participants {
        if one.outcome() == Outcome::Created {
            one.name.clear();
        }
    }
    for one in &mut answer.meetings {
        match one.outcome() {
            Outcome::Created => (one.meeting, one.report) = Default::default(),
            Outcome::Given => one.report.clear(),
            _ => {}
        }
    }
}
