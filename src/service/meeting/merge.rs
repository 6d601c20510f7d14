//! Merging meetings that are one, and splitting them again. Reports move, under their names; each meeting concerned is
//! settled on those that it has then.

use std::{collections::BTreeSet, time::SystemTime};

use uuid::Uuid;

use super::settle_inputs::{SettleInputs, require_room, tellings};
use crate::{
    model::{
        merge::{merge_away, take_back},
        resource::{Collection, Resource},
        rules::{Path, Violations},
        text::quoted::shown,
    },
    pb::{Meeting, MergeMeetingsRequest, Report, SplitMeetingRequest},
    service::{
        Api, WritePlan,
        error::ServiceError,
        id, ids,
        write::{
            idempotency::WriteCall,
            revise::{current, require_active, revised, standing, with_etag},
        },
    },
    store::{
        Doc, change, report,
        write::{Put, Write},
    },
};

/// Moves all reports of the sources to the meeting that stays.
pub async fn prepare_merge(
    api: &Api,
    call: &WriteCall,
    request: &MergeMeetingsRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let source_ids = ids::<Meeting>(&request.sources);
    let all: Vec<Uuid> = [id::<Meeting>(&request.name)?].into_iter().chain(source_ids.iter().copied()).collect();
    // The meetings first: whatever happens to their reports afterwards makes revisions of them.
    let mut meetings = standing(api, &all).await?;
    let sources = meetings.split_off(1);
    let former = with_etag(meetings.remove(0), &request.etag)?;
    let moved = reports_of(api, &source_ids, &former).await?;
    let mut of_meeting = tellings(api, &all).await?;
    let told = all.iter().filter_map(|id| of_meeting.remove(id)).fold(SettleInputs::default(), SettleInputs::and);
    require_room(&former.name, &told, 0)?;

    let now = SystemTime::now();
    let next = told.settled(&former, now);
    // What is uncertain of a source is settled with the survivor, or not at all.
    let nothing = SettleInputs { groups: told.groups, ..Default::default() };
    let gone = sources.iter().map(|source| {
        let own = moved.iter().filter(|report| report.meeting == source.name).map(|report| report.name.clone());
        let mut next = source.clone();
        merge_away(&mut next, &former.name, own.collect());
        next.succeed(source, now);
        nothing.put(next, change::Kind::Merged)
    });
    let meetings = [told.put(next.clone(), change::Kind::Merged)].into_iter().chain(gone).collect();
    let reports = moved.iter().map(|report| moved_to(report, &former.name, now)).collect();
    let answer = told.answer(next);
    Ok(revised(call, request.validate_only, answer, |write| {
        (write.reports, write.meetings) = (reports, meetings);
        write.reason.clone_from(&request.reason);
    }))
}

/// Moves reports to another meeting, or back to the one that was merged.
pub async fn prepare_split(
    api: &Api,
    call: &WriteCall,
    request: &SplitMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let split = match request.reports.is_empty() {
        true => undone(api, request).await?,
        false => asked(api, request).await?,
    };
    prepare(api, call, request, split).await
}

/// What moved in a merge moves back to the meeting that was merged.
async fn undone(api: &Api, request: &SplitMeetingRequest) -> Result<Split, ServiceError> {
    let former = to_split(api, request).await?;
    let merged: Meeting = current(api, &request.into).await?;
    if merged.merged_into != former.name {
        return Err(ServiceError::NotMerged(merged.name));
    }
    let mut back = merged.clone();
    let names = take_back(&mut back);
    let moved = reports_here(api, &former, &names).await?;
    Ok(Split { former, into: Some((merged, back)), moved })
}

/// The reports that are asked for move.
async fn asked(api: &Api, request: &SplitMeetingRequest) -> Result<Split, ServiceError> {
    let former = to_split(api, request).await?;
    let into: Vec<Uuid> = Collection::Meetings.id(&request.into).into_iter().collect();
    let into = standing::<Meeting>(api, &into).await?.pop();
    let moved = reports_here(api, &former, &request.reports.iter().cloned().collect()).await?;
    let here: BTreeSet<&str> = moved.iter().map(|report| report.name.as_str()).collect();
    let mut violations = Violations::default();
    for (index, name) in request.reports.iter().enumerate() {
        if !here.contains(name.as_str()) {
            let description = format!("is no report of this meeting: {}", shown(name));
            violations.add(&Path::ROOT.field("reports").index(index), description);
        }
    }
    violations.into_result()?;
    Ok(Split { former, into: into.map(|into| (into.clone(), into)), moved })
}

/// The meeting that is to be split, as it stands.
async fn to_split(api: &Api, request: &SplitMeetingRequest) -> Result<Meeting, ServiceError> {
    let former: Meeting = current(api, &request.name).await?;
    require_active(api, &former).await?;
    with_etag(former, &request.etag)
}

/// What moves where.
struct Split {
    /// The meeting that has the reports.
    former: Meeting,
    /// The one that gets them, as it stands and as it is to be settled; a new one where it is none.
    into: Option<(Meeting, Meeting)>,
    moved: Vec<Report>,
}

async fn prepare(
    api: &Api,
    call: &WriteCall,
    request: &SplitMeetingRequest,
    Split { former, into, moved }: Split,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let is_undone = request.reports.is_empty();
    let into_id = into.as_ref().and_then(|(one, _)| one.id()).unwrap_or_else(Uuid::now_v7);
    let former_id = id::<Meeting>(&former.name)?;
    let mut of_meeting = tellings(api, &[former_id, into_id]).await?;
    let names: BTreeSet<&str> = moved.iter().map(|report| report.name.as_str()).collect();
    let (leaving, left) = of_meeting.remove(&former_id).unwrap_or_default().partition(&names);
    let told = of_meeting.remove(&into_id).unwrap_or_default().and(leaving);
    let into_name = Collection::Meetings.name(into_id);
    require_room(&into_name, &told, 0)?;
    if !is_undone {
        let nothing = |name: &String| Err(ServiceError::LeavesNothing(name.clone()));
        match (left.reports.is_empty(), told.reports.is_empty()) {
            (true, _) => return nothing(&former.name),
            (_, true) => return nothing(into.as_ref().map_or(&former.name, |(one, _)| &one.name)),
            _ => {}
        }
    }

    let now = SystemTime::now();
    let rest = left.settled(&former, now);
    let mut next = into.as_ref().map(|(_, next)| next.clone()).unwrap_or_default();
    told.settle(&mut next);
    let to = match &into {
        Some((former, _)) => {
            next.succeed(former, now);
            told.put(next.clone(), change::Kind::Split)
        }
        None => {
            next.begin(into_id, now);
            told.put(next.clone(), change::Kind::Created)
        }
    };
    let reports = moved.iter().map(|report| moved_to(report, &into_name, now)).collect();
    let mut answer = told.answer(next);
    if request.validate_only && into.is_none() {
        answer.name.clear();
    }
    Ok(revised(call, request.validate_only, answer, |write: &mut Write| {
        (write.reports, write.meetings) = (reports, vec![left.put(rest, change::Kind::Split), to]);
        write.reason.clone_from(&request.reason);
    }))
}

fn moved_to(report: &Report, meeting: &str, now: SystemTime) -> Put<Report> {
    let mut next = report.clone();
    meeting.clone_into(&mut next.meeting);
    next.succeed(report, now);
    Put::next(report.id().unwrap_or_default(), next, change::Kind::Moved)
}

/// All reports of these meetings, which are to move to another: not more than it could have.
async fn reports_of(api: &Api, meetings: &[Uuid], survivor: &Meeting) -> Result<Vec<Report>, ServiceError> {
    let docs = report::all_of(api.store.reads(), meetings).await?;
    let docs = docs.ok_or_else(|| ServiceError::TooManyReports(survivor.name.clone()))?;
    Ok(docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?)
}

/// These reports, as far as the meeting has them.
async fn reports_here(api: &Api, meeting: &Meeting, names: &BTreeSet<String>) -> Result<Vec<Report>, ServiceError> {
    let ids: Vec<Uuid> = names.iter().filter_map(|name| Collection::Reports.id(name)).collect();
    let docs = report::some_of(api.store.reads(), id::<Meeting>(&meeting.name)?, &ids).await?;
    Ok(docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?)
}
