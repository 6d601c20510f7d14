//! Meetings in the requested view: with or without the parts that only their reports have, current or as of a time.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::settle_inputs::{SettleInputs, load_inputs};
use crate::{
    model::{meeting::basic, resource::Resource},
    pb::{Meeting, Report, View, report::State},
    service::{
        Api,
        error::ServiceError,
        in_order,
        read::history::{bytes, records},
        require_fits,
        status::MESSAGE_BYTES,
    },
    store::{meeting, query::history, report},
};

/// Reads a meeting in the FULL view.
pub async fn read_full(api: &Api, id: Uuid) -> Result<Option<Meeting>, ServiceError> {
    let Some(meeting) = api.store.by_id().meetings_with_reports.get(id).await? else { return Ok(None) };
    // The store leaves out reports that are too large to fit.
    require_fits(meeting.doc.bytes.len() + 16 + meeting.report_bytes)?;
    Ok(Some(SettleInputs::of(&meeting.reports)?.full(meeting.doc.decode()?)))
}

/// Reads meetings in the order of the ids.
pub async fn read(api: &Api, ids: &[Uuid], view: View) -> Result<Vec<Meeting>, ServiceError> {
    let docs = meeting::get(api.store.reads(), ids).await?;
    let mut bytes: usize = docs.iter().map(|doc| doc.bytes.len() + 16).sum();
    let meetings = in_order(ids, &docs)?;
    if view != View::Basic {
        bytes += report::sizes(api.store.reads(), ids).await?.values().sum::<usize>();
    }
    require_fits(bytes)?;
    match view {
        View::Basic => Ok(meetings.into_iter().map(basic).collect()),
        _ => with_reports(api, meetings).await,
    }
}

/// Puts meetings into the FULL view.
pub async fn with_reports(api: &Api, meetings: Vec<Meeting>) -> Result<Vec<Meeting>, ServiceError> {
    let ids: Vec<Uuid> = meetings.iter().filter_map(Resource::id).collect();
    Ok(full_views(meetings, &load_inputs(api, &ids).await?))
}

fn full_views(meetings: Vec<Meeting>, inputs: &HashMap<Uuid, SettleInputs>) -> Vec<Meeting> {
    let none = SettleInputs::default();
    let full = |meeting: Meeting| meeting.id().and_then(|id| inputs.get(&id)).unwrap_or(&none).full(meeting);
    meetings.into_iter().map(full).collect()
}

/// Reads meetings as of a time, in the order of the ids; the FULL view has their reports as of that time.
pub async fn as_of(api: &Api, ids: &[Uuid], view: View, time: DateTime<Utc>) -> Result<Vec<Meeting>, ServiceError> {
    // Retracted reports are read and dropped, so reading stops at more than one message's worth.
    const MAX_READ_BYTES: i64 = 4 * MESSAGE_BYTES as i64;
    let meetings: Vec<Meeting> = records(api, ids, time).await?;
    if view == View::Basic {
        return Ok(meetings.into_iter().map(basic).collect());
    }
    let distinct: Vec<Uuid> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let rows =
        history::reports_of(api.store.reads(), &distinct, time, MAX_READ_BYTES).await?.ok_or(ServiceError::TooLarge)?;
    let mut inputs: HashMap<Uuid, SettleInputs> = HashMap::new();
    let mut sizes: HashMap<Uuid, usize> = HashMap::new();
    for row in rows {
        let report: Report = row.doc.decode()?;
        if report.state() != State::Retracted {
            inputs.entry(row.meeting).or_default().push_as_of(report, &row)?;
            *sizes.entry(row.meeting).or_default() += row.doc.bytes.len();
        }
    }
    // A repeated id is answered each time, and counts each time.
    require_fits(bytes(&meetings) + ids.iter().filter_map(|id| sizes.get(id)).sum::<usize>())?;
    Ok(full_views(meetings, &inputs))
}
