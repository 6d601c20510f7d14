//! Plans the writes of stories from the stored records in `lookup`: a story's article is created, matched or updated,
//! its participants are matched or created, and its reports are added to meetings.
//!
//! A chunk of stories is planned together. Each story sees the planned writes of those before it, and all commit
//! together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::SystemTime,
};

use uuid::Uuid;

use super::{
    lookup::{ChunkLookup, stored_answer},
    meetings::{Assignment, Missing, StoryEvents},
    participants::StoryParticipants,
    validated::ValidatedStory,
};
use crate::{
    model::{
        article::{carry_withheld_text, may_store_text, same_content, uris},
        article_copies::{CopyCandidate, affects_copy_group},
        message_bound::MessageBound,
        report::{Aliases, participants as named_participants},
        resource::{Collection, Deletable, Resource},
        rules::{Check, Path, Violations},
    },
    pb::{
        Account, Article, IngestStoryResponse, Meeting, Report,
        ingest_story_response::{MeetingResult, Outcome},
        report::State,
    },
    service::{
        Api,
        article::{put_new, put_next, text::require_may_show},
        error::{ServiceError, require_live},
        meeting::{
            settle_inputs::{ReportInput, SettleInputs},
            size_limits::{check_report_size, check_settled_size},
        },
        write::{WritePlan, revise::require_no_cycle, stale_evidence::mark_stale_evidence},
    },
    store::{
        change,
        write::{Put, Write},
    },
};

/// The planned outcome of a story: its answer, and the index of its write among those of the chunk.
pub type PlannedStory = (Result<IngestStoryResponse, ServiceError>, Option<usize>);

/// Plans a chunk of stories. No two of them may share a uri, and a story that names a meeting must be alone. The result
/// covers at least the first story. It ends before a story that adds a report to a meeting of an earlier one: the caller
/// plans it and those after it once these are written.
///
/// # Errors
/// `Contention` if two stories find the same article by different uris, and the first of them writes. The caller then
/// writes the stories one by one.
pub async fn prepare(api: &Api, stories: &[ValidatedStory]) -> Result<WritePlan<Vec<PlannedStory>>, ServiceError> {
    let mut lookup = ChunkLookup::load(api, stories).await?;
    let now = SystemTime::now();
    let mut writes = Vec::new();
    let mut planned = Vec::with_capacity(stories.len());
    // Stored articles that a story of the chunk updates or adds reports to.
    let mut written: HashSet<Uuid> = HashSet::new();
    for (story, answer) in stories.iter().zip(std::mem::take(&mut lookup.answers)) {
        // The stored article counts, or the sent one if there is none.
        let known = lookup.stored(story).map_or(&story.article, |(stored, _)| stored);
        if let Err(error) = story.call.scope.require(known) {
            planned.push((Err(error), None));
            continue;
        }
        if let Some(answer) = answer {
            planned.push((answer, None));
            continue;
        }
        let article = lookup.article(story);
        if article.is_some_and(|article| written.contains(&article)) {
            // This story must see the write of the earlier one.
            return Err(ServiceError::Contention);
        }
        let plan = loop {
            match plan_story(story, &lookup, now, api.message_bound) {
                Ok(StoryPlan::Missing(missing)) => lookup.read_missing(api, missing).await?,
                Ok(StoryPlan::AfterEarlier) => break None,
                Ok(StoryPlan::Complete(answer, write)) => break Some(Ok((answer, write))),
                Err(error) => break Some(Err(error)),
            }
        };
        let Some(plan) = plan else { break };
        // If there is nothing to write, or an error, a concurrent retry of this request may be the cause: its stored
        // answer takes precedence.
        let has_write = plan.as_ref().is_ok_and(|(_, write)| !write.is_empty());
        if !has_write && let Some(answer) = stored_answer(api, story).await? {
            planned.push((answer, None));
            continue;
        }
        match plan {
            Ok((answer, mut write)) => {
                lookup.add_planned(&write);
                lookup.join_planned(&mut write, &mut writes);
                lookup.add_planned_meetings(&write);
                // The answer to a request with an id is stored even if there are no records to write.
                write.answer = story.call.answer_to_store(&answer);
                let index = (!write.is_empty()).then_some(writes.len());
                written.extend(article.filter(|_| index.is_some()));
                writes.extend(index.map(|_| *write));
                planned.push((Ok(answer), index));
            }
            Err(error) => planned.push((Err(error), None)),
        }
    }
    let own: BTreeSet<Uuid> =
        writes.iter().flat_map(|write: &Write| &write.meetings).map(|meeting| meeting.id).collect();
    let searches = writes.iter_mut().flat_map(|write| &mut write.meeting_searches);
    searches.for_each(|search| search.own.clone_from(&own));
    Ok(if writes.is_empty() { WritePlan::Unchanged(planned) } else { WritePlan::Write(planned, writes) })
}

/// The plan of a story.
enum StoryPlan {
    /// Its answer and its write. The write is empty if all records exist already or the story is only validated.
    Complete(IngestStoryResponse, Box<Write>),
    /// Further records must be read first.
    Missing(Missing),
    /// The writes of the earlier stories must be committed first.
    AfterEarlier,
}

/// Plans one story.
fn plan_story(
    story: &ValidatedStory,
    lookup: &ChunkLookup,
    now: SystemTime,
    bound: MessageBound,
) -> Result<StoryPlan, ServiceError> {
    let article = find_article(story, lookup)?;
    let article_id = article.id();
    let mut participants = StoryParticipants::resolve(story, lookup, article_id)?;

    let targets = find_targets(story, lookup, article_id)?;
    let events = StoryEvents::of(story, &participants.results(), lookup);
    let (meetings, searches) = match events.assign(story, lookup, &targets) {
        Assignment::Meetings(meetings, searches) => (meetings, searches),
        Assignment::Missing(missing) => return Ok(StoryPlan::Missing(missing)),
        Assignment::AfterEarlier => return Ok(StoryPlan::AfterEarlier),
    };
    // Links name the meetings of other reports by their keys.
    let meeting_names: HashMap<&str, String> = story
        .reports
        .iter()
        .zip(&meetings)
        .map(|(sent, (meeting, _))| (sent.key.as_str(), Collection::Meetings.name(*meeting)))
        .collect();

    let mut write = story.call.empty_write();
    let mut answer = IngestStoryResponse { article: Collection::Articles.name(article_id), ..Default::default() };
    answer.set_article_outcome(article.outcome());
    let (record, origin) = article.put(story, lookup, now, &mut write);
    write.read_articles = story.call.scope.require(&record)?;

    let mut added: BTreeMap<Uuid, Vec<ReportInput>> = BTreeMap::new();
    for ((sent, (existing, _)), (meeting, outcome)) in story.reports.iter().zip(&targets).zip(&meetings) {
        let mut result = MeetingResult { key: sent.key.clone(), ..Default::default() };
        result.meeting = Collection::Meetings.name(*meeting);
        if let Some(report) = existing {
            result.report.clone_from(&report.name);
            result.set_outcome(*outcome);
            answer.meetings.push(result);
            continue;
        }
        let mut report = sent.report.clone();
        report.article.clone_from(&answer.article);
        report.article_revision = record.revision;
        report.set_state(State::Active);
        report.meeting.clone_from(&result.meeting);
        let account = report.account.get_or_insert_default();
        participants.replace_keys(account);
        replace_link_keys(account, &meeting_names);
        check_report_size(bound, &report)?;
        let id = Uuid::now_v7();
        report.make_first_revision(id, now);
        result.report.clone_from(&report.name);
        result.set_outcome(*outcome);
        answer.meetings.push(result);
        write.reports.push(Put::new(id, report.clone()));
        added.entry(*meeting).or_default().push(ReportInput::new(report, &record, origin));
    }
    for (meeting, reports) in added {
        let named = reports.iter().filter_map(|input| input.report.account.as_ref()).flat_map(named_participants);
        let aliases = lookup.aliases(named);
        write.aliases.extend(&aliases);
        write.meetings.push(put_meeting(meeting, (reports, aliases), lookup, (now, bound))?);
    }
    answer.participants = participants.results();
    answer.warnings = std::mem::take(&mut participants.warnings);
    answer.warnings.extend(events.warnings(story, lookup, &meetings));
    write.meeting_searches = searches;
    write.participants = participants.writes(story.matching, lookup, now)?;

    story.call.scope.check(&write)?;
    if story.validate_only {
        clear_new_names(&mut answer);
        return Ok(StoryPlan::Complete(answer, Box::new(story.call.empty_write())));
    }
    Ok(StoryPlan::Complete(answer, Box::new(write)))
}

/// The stored report with the same content as a report of a story, if any, and its meeting, if it is known.
type Target<'a> = (Option<&'a Report>, Option<Uuid>);

/// Finds, for each report of a story, the stored report with the same content, if any, and the id of its meeting: that
/// of the stored report, or the one that the story names.
fn find_targets<'a>(
    story: &ValidatedStory,
    lookup: &'a ChunkLookup,
    article: Uuid,
) -> Result<Vec<Target<'a>>, ServiceError> {
    let mut targets = Vec::with_capacity(story.reports.len());
    for sent in &story.reports {
        let existing = lookup.reports.get(&(article, sent.report.content_hash.clone()));
        let meeting = match (existing, sent.meeting) {
            (Some(report), _) => Collection::Meetings.id(&report.meeting),
            (None, Some(meeting)) => {
                let live = lookup.meetings.get(&meeting).map(|(meeting, _)| !meeting.is_deleted());
                require_live(Collection::Meetings, meeting, live)?;
                if let Some(survivor) = lookup.survivors.get(&meeting).cloned() {
                    return Err(ServiceError::MergedAway { name: Collection::Meetings.name(meeting), survivor });
                }
                Some(meeting)
            }
            (None, None) => None,
        };
        targets.push((existing, meeting));
    }
    Ok(targets)
}

/// The article of a story, compared with the stored article that has its uri.
enum ArticleMatch<'a> {
    New(Uuid),
    Same(Uuid, &'a Article),
    /// The next revision, not yet numbered and sealed, and the current one.
    Changed(Uuid, Box<(Article, Article)>),
}

/// Finds the stored article with one of a story's uris, and compares it.
///
/// # Errors
/// `DuplicateArticle` if the uris belong to several articles, `ArticleDiffers` if an update is needed and not allowed,
/// `TextHidden` if the update shows a hidden text and the caller may not, and those of the source that the article is syndicated from.
fn find_article<'a>(story: &ValidatedStory, lookup: &'a ChunkLookup) -> Result<ArticleMatch<'a>, ServiceError> {
    let source = Collection::Articles.id(&story.article.syndicated_from);
    if let Some(source) = source {
        let live = lookup.articles.get(&source).map(|(article, _)| !article.is_deleted());
        require_live(Collection::Articles, source, live)?;
    }
    let mut owners = uris(&story.article).filter_map(|uri| Some((uri, *lookup.uris.get(uri)?)));
    let Some((uri, id)) = owners.next() else { return Ok(ArticleMatch::New(Uuid::now_v7())) };
    if let Some((uri, other)) = owners.find(|(_, other)| *other != id) {
        let name = Collection::Articles.name(other);
        return Err(ServiceError::DuplicateArticle { name, uri: uri.to_owned() });
    }
    let missing = || ServiceError::NotFound(Collection::Articles.name(id));
    let (stored, doc) = lookup.stored(story).ok_or_else(missing)?;
    let article = lookup.merged_article(story);
    if same_content(&article, stored) {
        return Ok(ArticleMatch::Same(id, stored));
    }
    if !story.allow_update {
        return Err(ServiceError::ArticleDiffers { name: stored.name.clone(), uri: uri.to_owned() });
    }
    require_may_show(story.call.scope.role, stored, &article)?;
    let at = Path::ROOT.field("story");
    let at = at.field("article");
    if let Some(source) = source {
        require_no_cycle(&lookup.sources, source, id, &at.field("syndicated_from"))?;
    }
    // The merged uris or external ids may be more than the rules allow.
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

    /// Adds the article to the write if it is new or changed. Returns it as it will be stored, and the first article
    /// of its group of copies.
    fn put(self, story: &ValidatedStory, lookup: &ChunkLookup, now: SystemTime, write: &mut Write) -> (Article, Uuid) {
        let id = self.id();
        let stored_origin = lookup.origins.get(&id).copied().unwrap_or(id);
        let text = (story.text.as_str(), story.text_key);
        match self {
            Self::Same(_, stored) => (stored.clone(), stored_origin),
            Self::New(_) => {
                let mut article = story.article.clone();
                let origin = lookup.first(&CopyCandidate::of(id, &article, story.text_key)).id;
                article.origin = Collection::Articles.name(origin);
                article.make_first_revision(id, now);
                write.articles.push(put_new(id, article.clone(), text));
                (article, origin)
            }
            Self::Changed(_, revisions) => {
                let (mut article, former) = *revisions;
                if !may_store_text(&article) && story.text.is_empty() {
                    carry_withheld_text(&mut article, &former);
                }
                let origin = match affects_copy_group(&former, &article) {
                    true => lookup.first(&CopyCandidate::of(id, &article, lookup.text_key(story))).id,
                    false => stored_origin,
                };
                article.origin = Collection::Articles.name(origin);
                article.make_next_revision(&former, now);
                write.articles.push(put_next((article.clone(), former), text, change::Kind::Updated));
                lookup
                    .cited
                    .get(&id)
                    .into_iter()
                    .for_each(|reports| mark_stale_evidence(write, reports, &story.text, now));
                (article, origin)
            }
        }
    }
}

/// Plans the creation or next revision of a meeting that a story adds reports to.
fn put_meeting(
    id: Uuid,
    (added, aliases): (Vec<ReportInput>, Aliases),
    lookup: &ChunkLookup,
    (now, bound): (SystemTime, MessageBound),
) -> Result<Put<Meeting>, ServiceError> {
    let Some((_, doc)) = lookup.meetings.get(&id) else {
        let mut meeting = Meeting::default();
        let inputs = SettleInputs { reports: added, aliases, ..Default::default() };
        inputs.settle(&mut meeting);
        check_settled_size(bound, &meeting, None)?;
        meeting.make_first_revision(id, now);
        return Ok(inputs.put(meeting, change::Kind::Created));
    };
    let former: Meeting = doc.decode_to_rewrite()?;
    let mut inputs = lookup.inputs.get(&id).cloned().unwrap_or_default();
    inputs.check_limits(&former.name, added.iter().map(|input| &input.report))?;
    inputs.reports.extend(added);
    inputs.aliases.extend(aliases);
    let next = inputs.settled(&former, now);
    check_settled_size(bound, &next, Some(&former))?;
    Ok(inputs.put(next, change::Kind::Reported))
}

/// Replaces the `#keys` of meetings in links with their resource names.
fn replace_link_keys(account: &mut Account, meetings: &HashMap<&str, String>) {
    for link in &mut account.links {
        if let Some(name) = link.meeting.strip_prefix('#').and_then(|key| meetings.get(key)) {
            link.meeting.clone_from(name);
        }
    }
}

/// Clears the names of records that a validated story would create.
fn clear_new_names(answer: &mut IngestStoryResponse) {
    if answer.article_outcome() == Outcome::Created {
        answer.article.clear();
    }
    for participant in &mut answer.participants {
        if participant.outcome() == Outcome::Created {
            participant.name.clear();
        }
    }
    for result in &mut answer.meetings {
        match result.outcome() {
            Outcome::Created => (result.meeting, result.report) = Default::default(),
            Outcome::Given | Outcome::Updated => result.report.clear(),
            _ => {}
        }
    }
}
