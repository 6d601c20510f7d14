//! MeetingService.MergeMeetings and SplitMeeting. Both move reports, which keep their names, between meetings, and
//! settle each of these meetings on the reports that it then has.

use std::{collections::BTreeSet, time::SystemTime};

use uuid::Uuid;

use super::{
    links::find_links,
    settle_inputs::{SettleInputs, load_inputs},
    size_limits::{check_settled_size, reports_too_large},
};
use crate::{
    model::{
        meeting::merge::{mark_merged, unmark_merged},
        resource::{Collection, Resource},
        rules::{Path, Violations},
        text::quoted::quoted,
    },
    pb::{Meeting, MergeMeetingsRequest, Report, SplitMeetingRequest},
    service::{
        Api,
        error::ServiceError,
        id, ids,
        write::{
            WritePlan,
            idempotency::WriteCall,
            revise::{load_active, load_current, plan_revision, require_active, with_etag},
        },
    },
    store::{
        Doc, change,
        report::{self, TooMany},
        write::{Put, Write, clock},
    },
};

/// Prepares a merge: all reports of the sources move to the surviving meeting.
///
/// # Errors
/// `NotFound`, `Deleted` or `MergedAway` for one of the meetings, `EtagMismatch`, `NewerContract`, `TooManyReports`,
/// `ReportsTooLarge`, `MeetingTooLarge`.
pub async fn prepare_merge(
    api: &Api,
    call: &WriteCall,
    request: &MergeMeetingsRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let source_ids = ids::<Meeting>(&request.sources);
    let all: Vec<Uuid> = [id::<Meeting>(&request.name)?].into_iter().chain(source_ids.iter().copied()).collect();
    // Load the meetings before their reports: every change of the reports makes a revision, so a race becomes a
    // conflict.
    let mut meetings = load_active(api, &all).await?;
    let sources = meetings.split_off(1);
    let former = with_etag(meetings.remove(0), &request.etag)?;
    let moved = load_all_reports(api, &source_ids, &former).await?;
    let mut by_meeting = load_inputs(api, &all).await?;
    let mut inputs = all.iter().filter_map(|id| by_meeting.remove(id)).fold(SettleInputs::default(), SettleInputs::and);
    find_links(api, [&mut inputs].into_iter()).await?;
    inputs.check_limits(&former.name, [])?;

    let now = clock::now();
    let next = inputs.settled(&former, now);
    check_settled_size(api.message_bound, &next, Some(&former))?;
    // The sources have no reports left. They count as settled at the same state of the groups of copies as the
    // survivor.
    let no_reports = SettleInputs { groups: inputs.groups, ..Default::default() };
    let merged = sources.iter().map(|source| {
        let own = moved.iter().filter(|report| report.meeting == source.name).map(|report| report.name.clone());
        let mut next = source.clone();
        mark_merged(&mut next, &former.name, own.collect());
        next.make_next_revision(source, now);
        no_reports.put(next, change::Kind::Merged)
    });
    let meetings = [inputs.put(next.clone(), change::Kind::Merged)].into_iter().chain(merged).collect();
    let reports = moved.iter().map(|report| moved_to(report, &former.name, now)).collect();
    let answer = inputs.answer(next, api.message_bound);
    Ok(plan_revision(call, request.validate_only, answer, |write| {
        (write.reports, write.meetings) = (reports, meetings);
        write.reason.clone_from(&request.reason);
    }))
}

/// Prepares a split: the named reports move to another meeting. Without names it undoes a merge.
///
/// # Errors
/// `NotFound`, `Deleted` or `MergedAway` for one of the meetings, `NotMerged`, `EtagMismatch`, `NewerContract`,
/// `TooManyReports`, `ReportsTooLarge`, `MeetingTooLarge`, `Invalid` for a report of another meeting, `LeavesNothing`.
pub async fn prepare_split(
    api: &Api,
    call: &WriteCall,
    request: &SplitMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let split = match request.reports.is_empty() {
        true => undo_merge(api, request).await?,
        false => requested_split(api, request).await?,
    };
    prepare(api, call, request, split).await
}

/// Finds the reports that a merge moved; they move back to the merged meeting.
async fn undo_merge(api: &Api, request: &SplitMeetingRequest) -> Result<Split, ServiceError> {
    let former = load_to_split(api, request).await?;
    let merged: Meeting = load_current(api, &request.into).await?;
    if merged.merged_into != former.name {
        return Err(ServiceError::NotMerged(merged.name));
    }
    let mut back = merged.clone();
    let names = unmark_merged(&mut back);
    let moved = load_reports(api, &former, &names).await?;
    Ok(Split { former, into: Some((merged, back)), moved })
}

/// Finds the reports that the request names, which must be reports of the meeting.
async fn requested_split(api: &Api, request: &SplitMeetingRequest) -> Result<Split, ServiceError> {
    let former = load_to_split(api, request).await?;
    let into: Vec<Uuid> = Collection::Meetings.id(&request.into).into_iter().collect();
    let into = load_active::<Meeting>(api, &into).await?.pop();
    let moved = load_reports(api, &former, &request.reports.iter().cloned().collect()).await?;
    let found: BTreeSet<&str> = moved.iter().map(|report| report.name.as_str()).collect();
    let mut violations = Violations::default();
    for (index, name) in request.reports.iter().enumerate() {
        if !found.contains(name.as_str()) {
            let description = format!("is not a report of this meeting: {}", quoted(name));
            violations.add(&Path::ROOT.field("reports").index(index), description);
        }
    }
    violations.into_result()?;
    Ok(Split { former, into: into.map(|into| (into.clone(), into)), moved })
}

/// Loads the meeting to split.
async fn load_to_split(api: &Api, request: &SplitMeetingRequest) -> Result<Meeting, ServiceError> {
    let former: Meeting = load_current(api, &request.name).await?;
    require_active(api, &former).await?;
    with_etag(former, &request.etag)
}

/// The reports that move, and the meetings that they move between.
struct Split {
    /// The meeting that has the reports.
    former: Meeting,
    /// The meeting that receives them, in its current revision and as the base of the next; `None` for a new meeting.
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
    let into_id = into.as_ref().and_then(|(meeting, _)| meeting.id()).unwrap_or_else(Uuid::now_v7);
    let former_id = id::<Meeting>(&former.name)?;
    let mut by_meeting = load_inputs(api, &[former_id, into_id]).await?;
    let names: BTreeSet<&str> = moved.iter().map(|report| report.name.as_str()).collect();
    let (leaving, remaining) = by_meeting.remove(&former_id).unwrap_or_default().partition(&names);
    let mut inputs = by_meeting.remove(&into_id).unwrap_or_default().and(leaving);
    find_links(api, [&mut inputs].into_iter()).await?;
    let into_name = Collection::Meetings.name(into_id);
    inputs.check_limits(&into_name, [])?;
    if !is_undone {
        let leaves_nothing = |name: &String| Err(ServiceError::LeavesNothing(name.clone()));
        match (remaining.reports.is_empty(), inputs.reports.is_empty()) {
            (true, _) => return leaves_nothing(&former.name),
            (_, true) => return leaves_nothing(into.as_ref().map_or(&former.name, |(meeting, _)| &meeting.name)),
            _ => {}
        }
    }

    let now = clock::now();
    let rest = remaining.settled(&former, now);
    let mut next = into.as_ref().map(|(_, next)| next.clone()).unwrap_or_default();
    inputs.settle(&mut next);
    check_settled_size(api.message_bound, &next, into.as_ref().map(|(former, _)| former))?;
    let to = match &into {
        Some((former, _)) => {
            next.make_next_revision(former, now);
            inputs.put(next.clone(), change::Kind::Split)
        }
        None => {
            next.make_first_revision(into_id, now);
            inputs.put(next.clone(), change::Kind::Created)
        }
    };
    let reports = moved.iter().map(|report| moved_to(report, &into_name, now)).collect();
    let mut answer = inputs.answer(next, api.message_bound);
    if request.validate_only && into.is_none() {
        answer.name.clear();
    }
    Ok(plan_revision(call, request.validate_only, answer, |write: &mut Write| {
        (write.reports, write.meetings) = (reports, vec![remaining.put(rest, change::Kind::Split), to]);
        write.reason.clone_from(&request.reason);
    }))
}

fn moved_to(report: &Report, meeting: &str, now: SystemTime) -> Put<Report> {
    let mut next = report.clone();
    meeting.clone_into(&mut next.meeting);
    next.make_next_revision(report, now);
    Put::next(report.id().unwrap_or_default(), next, change::Kind::Moved)
}

/// Loads all reports of the sources of a merge.
///
/// # Errors
/// `TooManyReports` or `ReportsTooLarge` if there are more than the survivor could have.
async fn load_all_reports(api: &Api, meetings: &[Uuid], survivor: &Meeting) -> Result<Vec<Report>, ServiceError> {
    let docs = report::all_of(api.store.reads(), meetings).await?;
    let docs = docs.map_err(|too_many| match too_many {
        TooMany::Reports => ServiceError::TooManyReports(survivor.name.clone()),
        TooMany::Bytes(bytes) => reports_too_large(&survivor.name, bytes),
    })?;
    Ok(docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?)
}

/// Loads the reports with these names, without those that are not reports of the meeting.
async fn load_reports(api: &Api, meeting: &Meeting, names: &BTreeSet<String>) -> Result<Vec<Report>, ServiceError> {
    let ids: Vec<Uuid> = names.iter().filter_map(|name| Collection::Reports.id(name)).collect();
    let docs = report::some_of(api.store.reads(), id::<Meeting>(&meeting.name)?, &ids).await?;
    Ok(docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?)
}
