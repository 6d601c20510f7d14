//! Plans the writes of stories from the stored records in `lookup`: a story's article is created, matched or updated,
//! its participants are matched or created, and its reports are added to meetings.
//!
//! A chunk of stories is planned together. Each story sees the planned writes of those before it, and all commit
//! together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::SystemTime,
};

use prost::Message;
use uuid::Uuid;

use super::{
    articles::find_article,
    external_ids::{ById, Target},
    lookup::{ChunkLookup, stored_answer},
    meetings::{Assignment, Missing, StoryEvents},
    participants::StoryParticipants,
    planned::PlannedRecords,
    repeats::RepeatedReport,
    validated::ValidatedStory,
};
use crate::{
    model::{
        message_bound::MessageBound,
        report::participants as named_participants,
        resource::{Collection, Deletable, Resource},
    },
    pb::{
        Account, IngestStoryResponse, Meeting, Report,
        ingest_story_response::{MeetingResult, Outcome},
        report::State,
    },
    service::{
        Api,
        error::{ServiceError, require_live},
        meeting::{
            settle_inputs::{ReportInput, SettleInputs},
            size_limits::{check_report_size, check_settled_size},
        },
        write::{
            WritePlan,
            effects::{self, WriteAnswer},
        },
    },
    store::{
        change,
        write::{Put, Write, clock},
    },
};

/// The planned outcome of a story: its answer, and the index of its write among those of the chunk.
pub type PlannedStory = (Result<IngestStoryResponse, ServiceError>, Option<usize>);

/// Plans a chunk of stories. No two of them may share a uri, and a story that names a meeting must be alone. The result
/// covers at least the first story. It ends before a story that adds a report to a meeting of an earlier one: the caller
/// plans it and those after it once these are written. `earlier` are the records of a dry run: it writes nothing, so the
/// later chunks see them there.
///
/// # Errors
/// `Contention` if two stories find the same article by different uris, and the first of them writes. The caller then
/// writes the stories one by one.
pub async fn prepare(
    api: &Api,
    stories: &[ValidatedStory],
    earlier: &PlannedRecords,
) -> Result<WritePlan<Vec<PlannedStory>>, ServiceError> {
    let mut lookup = ChunkLookup::load(api, stories, earlier).await?;
    let now = clock::now();
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
            match plan_story(api, story, &lookup, now) {
                Ok(StoryPlan::Missing(missing)) => lookup.read_missing(api, missing, earlier).await?,
                Ok(StoryPlan::AfterEarlier) => break None,
                Ok(StoryPlan::Complete(answer, write)) => break Some(Ok((answer, write))),
                Err(error) => break Some(Err(error)),
            }
        };
        let Some(plan) = plan else { break };
        // If there is nothing to write, or an error, a concurrent retry of this request may be the cause: its stored
        // answer takes precedence.
        let has_write = plan.as_ref().is_ok_and(|(_, write)| !write.is_empty() && !story.validate_only);
        if !has_write && let Some(answer) = stored_answer(api, story).await? {
            planned.push((answer, None));
            continue;
        }
        match plan {
            Ok((mut answer, write)) if story.validate_only => {
                let room = api.message_bound.wrapped().saturating_sub(answer.encoded_len());
                answer.show(effects::of(api, &[&write], room).await?);
                planned.push((Ok(answer), None));
            }
            Ok((answer, mut write)) => {
                lookup.add_planned(&write);
                lookup.join_planned(&mut write, &mut writes);
                lookup.add_planned_meetings(&write);
                lookup.add_planned_ids(&write);
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
    /// Its answer and its write. The write is empty if all records exist already.
    Complete(IngestStoryResponse, Box<Write>),
    /// Further records must be read first.
    Missing(Missing),
    /// The writes of the earlier stories must be committed first.
    AfterEarlier,
}

/// Plans one story.
fn plan_story(
    api: &Api,
    story: &ValidatedStory,
    lookup: &ChunkLookup,
    now: SystemTime,
) -> Result<StoryPlan, ServiceError> {
    let article = find_article(story, lookup)?;
    let article_id = article.id();
    let mut participants = StoryParticipants::resolve(story, lookup, article_id)?;

    let mut targets = find_targets(story, lookup, article_id)?;
    match lookup.complete_by_ids(story, &mut targets)? {
        ById::Found => {}
        ById::Missing(ids) => return Ok(StoryPlan::Missing(Missing::of_meetings(ids))),
        ById::AfterEarlier => return Ok(StoryPlan::AfterEarlier),
    }
    let unstored = story.reports.iter().zip(&targets).filter(|(_, target)| target.existing.is_none());
    let unstored = unstored.map(|(sent, _)| (sent.position, sent.key.as_str(), &sent.report));
    let evidence_warnings = api.evidence_policy.check_story(&story.call, &story.required_evidence, unstored)?;
    let results = participants.results();
    let accounts = story.reports.iter().filter_map(|sent| sent.report.account.as_ref());
    let of_keys = results.iter().filter_map(|result| Collection::Participants.id(&result.name));
    let persons = participants.persons(of_keys.chain(accounts.flat_map(named_participants)), lookup);
    let events = StoryEvents::of(story, &results, &persons, lookup);
    let (meetings, searches) = match events.assign(story, lookup, &targets) {
        Assignment::Meetings(meetings, searches) => (meetings, searches),
        Assignment::Missing(missing) => return Ok(StoryPlan::Missing(missing)),
        Assignment::AfterEarlier => return Ok(StoryPlan::AfterEarlier),
    };
    // Links name the meetings of other reports by their keys.
    let repeated = stored_repeats(story, lookup, article_id);
    let named = story.reports.iter().zip(&meetings).map(|(sent, (meeting, _))| (sent.key.as_str(), *meeting));
    let of_repeated = story.repeated.iter().zip(&repeated).map(|(repeat, stored)| {
        let meeting = stored.and_then(|report| Collection::Meetings.id(&report.meeting));
        (repeat.key.as_str(), meeting.unwrap_or(meetings[repeat.of].0))
    });
    let meeting_names: HashMap<&str, String> =
        named.chain(of_repeated).map(|(key, meeting)| (key, Collection::Meetings.name(meeting))).collect();

    let mut write = story.call.empty_write();
    let mut answer = IngestStoryResponse { article: Collection::Articles.name(article_id), ..Default::default() };
    answer.set_article_outcome(article.outcome());
    let (record, origin) = article.put(story, lookup, now, &mut write);
    write.read_articles = story.call.scope.require(&record)?;

    let mut added: BTreeMap<Uuid, Vec<ReportInput>> = BTreeMap::new();
    for ((sent, target), (meeting, outcome)) in story.reports.iter().zip(&targets).zip(&meetings) {
        let mut result = MeetingResult { key: sent.key.clone(), ..Default::default() };
        result.meeting = Collection::Meetings.name(*meeting);
        if let Some(report) = target.existing {
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
        check_report_size(api.message_bound, &report)?;
        let id = Uuid::now_v7();
        report.make_first_revision(id, now);
        result.report.clone_from(&report.name);
        result.set_outcome(*outcome);
        answer.meetings.push(result);
        write.reports.push(Put::new(id, report.clone()));
        added.entry(*meeting).or_default().push(ReportInput::new(report, &record, origin));
    }
    for (meeting, reports) in added {
        let named = || reports.iter().filter_map(|input| input.report.account.as_ref()).flat_map(named_participants);
        let (aliases, persons) = (lookup.aliases(named()), participants.persons(named(), lookup));
        write.aliases.extend(&aliases);
        write.persons.extend(persons.clone());
        let added = SettleInputs { reports, aliases, persons, ..Default::default() };
        write.meetings.push(put_meeting(meeting, added, lookup, (now, api.message_bound))?);
    }
    answer.participants = participants.results();
    answer.warnings = std::mem::take(&mut participants.warnings);
    answer.warnings.extend(story.repeat_warnings());
    answer.warnings.extend(story.markup.clone());
    answer.warnings.extend(evidence_warnings);
    answer.warnings.extend(events.warnings(story, lookup, &meetings));
    write.meeting_searches = searches;
    write.participants = participants.writes(story.matching, lookup, now)?;

    story.call.scope.check(&write)?;
    if story.validate_only {
        clear_new_names(&mut answer);
    }
    add_repeated(&mut answer, story, &repeated);
    Ok(StoryPlan::Complete(answer, Box::new(write)))
}

/// Finds, for each report of a story, the stored report with the same content, if any, and the id of its meeting: that
/// of the stored report, or the one that the story names.
fn find_targets<'a>(
    story: &ValidatedStory,
    lookup: &'a ChunkLookup,
    article: Uuid,
) -> Result<Vec<Target<'a>>, ServiceError> {
    let mut targets = Vec::with_capacity(story.reports.len());
    for (index, sent) in story.reports.iter().enumerate() {
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
        let is_given = existing.is_none() && meeting.is_some();
        targets.push(Target { existing, meeting, is_given, first: index });
    }
    Ok(targets)
}

/// The stored report of each repeated report of a story, if an older release stored it as a report of its own.
fn stored_repeats<'a>(story: &ValidatedStory, lookup: &'a ChunkLookup, article: Uuid) -> Vec<Option<&'a Report>> {
    let stored = |repeat: &RepeatedReport| lookup.reports.get(&(article, repeat.content_hash.clone()));
    story.repeated.iter().map(stored).collect()
}

/// Adds the results of the repeated reports, in the order of the story: those of the reports that they are stored as.
fn add_repeated(answer: &mut IngestStoryResponse, story: &ValidatedStory, stored: &[Option<&Report>]) {
    let distinct = answer.meetings.clone();
    for (repeat, stored) in story.repeated.iter().zip(stored) {
        let mut result = MeetingResult { key: repeat.key.clone(), ..distinct[repeat.of].clone() };
        if let Some(report) = stored {
            (result.meeting, result.report) = (report.meeting.clone(), report.name.clone());
        }
        result.set_outcome(Outcome::Matched);
        answer.meetings.insert(repeat.position, result);
    }
}

/// Plans the creation or next revision of a meeting that a story adds reports to.
fn put_meeting(
    id: Uuid,
    added: SettleInputs,
    lookup: &ChunkLookup,
    (now, bound): (SystemTime, MessageBound),
) -> Result<Put<Meeting>, ServiceError> {
    let Some((_, doc)) = lookup.meetings.get(&id) else {
        let mut meeting = Meeting::default();
        added.settle(&mut meeting);
        check_settled_size(bound, &meeting, None)?;
        meeting.make_first_revision(id, now);
        return Ok(added.put(meeting, change::Kind::Created));
    };
    let former: Meeting = doc.decode_to_rewrite()?;
    let mut inputs = lookup.inputs.get(&id).cloned().unwrap_or_default();
    inputs.check_limits(&former.name, added.reports.iter().map(|input| &input.report))?;
    inputs.reports.extend(added.reports);
    inputs.aliases.extend(added.aliases);
    inputs.persons.extend(added.persons);
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
