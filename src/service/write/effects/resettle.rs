//! The groups of copies and the meetings that the service settles again after a write. The rules are those of the
//! settler, applied to the records as they would be.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    model::{
        article_copies::{CopyCandidate, affects_copy_group, affects_settling},
        participant::{PersonFacts, Persons},
        report::Aliases,
        resource::{Collection, Deletable, Resource},
    },
    pb::{Article, Meeting, Report, report::State},
    service::{
        Api,
        article::copies::moved_members,
        error::ServiceError,
        meeting::settle_inputs::{ReportInput, SettleInputs, load_inputs_to_settle, load_persons},
    },
    store::{
        article, article_copies,
        article_copies::{Group, GroupMember},
        meeting, report,
        write::{PutArticle, Write, settle_queue},
    },
};

/// Maximum number of meetings that are settled to find effects, and the maximum bytes of their reports.
const MAX_MEETINGS: usize = 100;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The records that the service would settle again.
#[derive(Debug, Default)]
pub(super) struct Resettled {
    pub articles: Vec<Article>,
    pub meetings: Vec<Meeting>,
    /// The number of meetings beyond the bounds.
    pub omitted: i32,
}

/// Settles again what these writes would make uncertain.
pub(super) async fn resettle(api: &Api, writes: &[&Write]) -> Result<Resettled, ServiceError> {
    let articles = regrouped(api, writes).await?;
    let put_articles = || writes.iter().flat_map(|write| &write.articles);
    let is_settling =
        |put: &&PutArticle| put.former.as_ref().is_some_and(|former| affects_settling(former, &put.put.record));
    let mut facts: HashMap<Uuid, Article> =
        put_articles().filter(is_settling).map(|put| (put.put.id, put.put.record.clone())).collect();
    facts.extend(articles.iter().filter_map(|article| Some((article.id()?, article.clone()))));
    let persons: Aliases = writes
        .iter()
        .flat_map(|write| &write.participants)
        .filter(|participant| participant.changes_person())
        .map(|participant| {
            let id = participant.put.id;
            (id, Collection::Participants.id(&participant.put.record.merged_into).unwrap_or(id))
        })
        .collect();
    let changed_people = writes.iter().flat_map(|write| &write.participants);
    let changed_people: Persons = changed_people
        .filter(|participant| participant.affects_settling())
        .map(|participant| (participant.put.id, PersonFacts::of(&participant.put.record)))
        .collect();
    let mut resettled = Resettled { articles, ..Default::default() };
    if facts.is_empty() && changed_people.is_empty() {
        return Ok(resettled);
    }
    let ids: Vec<Uuid> = facts.keys().copied().collect();
    let people: Vec<Uuid> = changed_people.keys().copied().collect();
    let affected = settle_queue::affected_meetings(api.store.reads(), &ids, &people).await?;
    // Those of the write are already settled there, on what is known now.
    let planned: HashMap<Uuid, &Meeting> =
        writes.iter().flat_map(|write| &write.meetings).map(|put| (put.id, &put.record)).collect();
    let all: BTreeSet<Uuid> = affected.into_iter().chain(planned.keys().copied()).collect();
    let mut chosen: Vec<Uuid> = all.iter().copied().take(MAX_MEETINGS).collect();
    let sizes = report::sizes(api.store.reads(), &chosen).await?;
    let mut bytes = 0;
    chosen.retain(|id| {
        let size = sizes.get(id).copied().unwrap_or_default();
        let has_room = bytes + size <= MAX_BYTES;
        bytes += if has_room { size } else { 0 };
        has_room
    });
    resettled.omitted = i32::try_from(all.len() - chosen.len()).unwrap_or(i32::MAX);
    let mut inputs = load_inputs_to_settle(api, &chosen).await?;
    move_reports(api, writes, &mut inputs).await?;
    inputs.values_mut().for_each(|inputs| inputs.replace_facts(&facts, &persons));
    // Those that participants are settled as only after the write.
    load_persons(api, &mut inputs).await?;
    inputs.values_mut().for_each(|inputs| inputs.persons.extend(changed_people.clone()));
    for doc in meeting::get(api.store.reads(), &chosen).await? {
        let mut next = match planned.get(&doc.id) {
            Some(meeting) => (*meeting).clone(),
            None => doc.decode()?,
        };
        let inputs = inputs.remove(&doc.id).unwrap_or_default();
        // The reports of a merged meeting belong to its survivor.
        if next.merged_into.is_empty() {
            inputs.settle(&mut next);
        }
        resettled.meetings.push(next);
    }
    Ok(resettled)
}

/// Applies the reports of the writes to the inputs of their meetings.
async fn move_reports(
    api: &Api,
    writes: &[&Write],
    inputs: &mut HashMap<Uuid, SettleInputs>,
) -> Result<(), ServiceError> {
    let puts = || writes.iter().flat_map(|write| &write.reports).map(|put| &put.record);
    let names: BTreeSet<&str> = puts().map(|report| report.name.as_str()).collect();
    let mut known: HashMap<String, ReportInput> = HashMap::new();
    for of_meeting in inputs.values_mut() {
        let (written, others) = std::mem::take(of_meeting).partition(&names);
        known.extend(written.reports.into_iter().map(|input| (input.report.name.clone(), input)));
        *of_meeting = others;
    }
    for report in puts().filter(|report| report.state() == State::Active) {
        let Some(of_meeting) = Collection::Meetings.id(&report.meeting).and_then(|id| inputs.get_mut(&id)) else {
            continue;
        };
        let input = match known.remove(&report.name) {
            Some(input) => Some(ReportInput { report: report.clone(), ..input }),
            None => of_new(api, writes, report).await?,
        };
        match input {
            Some(input) => of_meeting.reports.push(input),
            None => of_meeting.rulings.push(report.clone()),
        }
    }
    for write in writes {
        inputs.values_mut().for_each(|of_meeting| of_meeting.aliases.extend(&write.aliases));
    }
    Ok(())
}

/// The input of a new report; `None` for a ruling.
async fn of_new(api: &Api, writes: &[&Write], report: &Report) -> Result<Option<ReportInput>, ServiceError> {
    let Some(id) = Collection::Articles.id(&report.article) else { return Ok(None) };
    let planned = writes.iter().flat_map(|write| &write.articles).find(|article| article.put.id == id);
    let article: Article = match planned {
        Some(planned) => planned.put.record.clone(),
        None => match article::get(api.store.reads(), &[id]).await?.first() {
            Some(doc) => doc.decode()?,
            None => return Ok(None),
        },
    };
    let origin = Collection::Articles.id(&article.origin).unwrap_or(id);
    Ok(Some(ReportInput::new(report.clone(), &article, origin)))
}

/// The articles whose origin would change in their groups of copies, as they would then be.
async fn regrouped(api: &Api, writes: &[&Write]) -> Result<Vec<Article>, ServiceError> {
    let mut regrouped: HashMap<Uuid, Article> = HashMap::new();
    for put in writes.iter().flat_map(|write| &write.articles) {
        let group = group_after(api, put).await?;
        let moved = moved_members(&group);
        let ids: Vec<Uuid> = moved.iter().map(|(id, ..)| *id).collect();
        let mut stored: HashMap<Uuid, Article> = HashMap::new();
        for doc in article::get(api.store.reads(), &ids).await? {
            stored.insert(doc.id, doc.decode()?);
        }
        stored.insert(put.put.id, put.put.record.clone());
        for (id, origin, overlap) in moved {
            let Some(mut article) = stored.remove(&id) else { continue };
            article.origin = Collection::Articles.name(origin);
            article.origin_overlap = overlap;
            regrouped.insert(id, article);
        }
    }
    // New articles are not among the existing ones.
    let new = writes.iter().flat_map(|write| &write.articles).filter(|put| put.former.is_none());
    new.for_each(|put| drop(regrouped.remove(&put.put.id)));
    Ok(regrouped.into_values().collect())
}

/// The articles of the groups that an article leaves and joins, with its next revision.
async fn group_after(api: &Api, put: &PutArticle) -> Result<Group, ServiceError> {
    let (pool, id, next) = (api.store.reads(), put.put.id, &put.put.record);
    let is_moved = put.former.as_ref().is_none_or(|former| affects_copy_group(former, next));
    if !is_moved {
        return Ok(Group { members: Vec::new(), near: Vec::new() });
    }
    let text_key = match (&put.text_key, &put.former) {
        (None, Some(former)) if former.text_sha256 == next.text_sha256 => {
            article_copies::text_keys(pool, &[id]).await?.pop().map(|(_, key)| key)
        }
        (sent, _) => *sent,
    };
    let candidate = (!next.is_deleted()).then(|| CopyCandidate::of(id, next, text_key));
    let mut seeds = vec![id];
    if let Some(candidate) = &candidate {
        let firsts = article_copies::firsts(pool, std::slice::from_ref(candidate)).await?;
        seeds.extend(firsts.iter().map(|(_, first)| first.place.id));
    }
    let mut members: HashMap<Uuid, GroupMember> = HashMap::new();
    for seed in seeds {
        if !members.contains_key(&seed) {
            members
                .extend(article_copies::group(pool, seed).await?.members.into_iter().map(|member| (member.id, member)));
        }
    }
    // The next revision has the origin that is expected at present.
    let origin = Collection::Articles.id(&next.origin).unwrap_or(id);
    members.insert(id, GroupMember { id, origin, overlap: next.origin_overlap, candidate });
    let members: Vec<GroupMember> = members.into_values().collect();
    let texts = members.iter().filter_map(|member| member.candidate.as_ref()?.text_key).collect();
    let near = article_copies::near::among(pool, &texts).await?;
    Ok(Group { members, near })
}
