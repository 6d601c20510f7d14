//! Meetings in the view of a request: with or without what only their reports have, now or as of a time.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::settle_inputs::{SettleInputs, tellings};
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

/// Reads one meeting with its reports.
pub async fn whole(api: &Api, id: Uuid) -> Result<Option<Meeting>, ServiceError> {
    let Some(whole) = api.store.by_id().whole_meetings.get(id).await? else { return Ok(None) };
    // Where it does not, its reports were not even read.
    require_fits(whole.doc.bytes.len() + 16 + whole.report_bytes)?;
    Ok(Some(SettleInputs::of(&whole.reports)?.full(whole.doc.decode()?)))
}

/// Reads meetings by id, in this order.
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

pub async fn with_reports(api: &Api, meetings: Vec<Meeting>) -> Result<Vec<Meeting>, ServiceError> {
    let ids: Vec<Uuid> = meetings.iter().filter_map(Resource::id).collect();
    Ok(united(meetings, &tellings(api, &ids).await?))
}

/// Meetings with what these reports of them say.
fn united(meetings: Vec<Meeting>, tellings: &HashMap<Uuid, SettleInputs>) -> Vec<Meeting> {
    let none = SettleInputs::default();
    let full = |meeting: Meeting| meeting.id().and_then(|id| tellings.get(&id)).unwrap_or(&none).full(meeting);
    meetings.into_iter().map(full).collect()
}

/// Meetings as of a time, in this order, with what their reports said then.
pub async fn as_of(api: &Api, ids: &[Uuid], view: View, time: DateTime<Utc>) -> Result<Vec<Meeting>, ServiceError> {
    // Retracted reports are read and left out, so that there may be more than fit.
    const MOST_READ: i64 = 4 * MESSAGE_BYTES as i64;
    let meetings: Vec<Meeting> = records(api, ids, time).await?;
    if view == View::Basic {
        return Ok(meetings.into_iter().map(basic).collect());
    }
    let each: Vec<Uuid> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let told = history::reports_of(api.store.reads(), &each, time, MOST_READ).await?.ok_or(ServiceError::TooLarge)?;
    let mut tellings: HashMap<Uuid, SettleInputs> = HashMap::new();
    let mut sizes: HashMap<Uuid, usize> = HashMap::new();
    for row in told {
        let report: Report = row.doc.decode()?;
        if report.state() != State::Retracted {
            tellings.entry(row.meeting).or_default().push_as_of(report, &row)?;
            *sizes.entry(row.meeting).or_default() += row.doc.bytes.len();
        }
    }
    // A meeting that is asked for twice is answered twice.
    require_fits(bytes(&meetings) + ids.iter().filter_map(|id| sizes.get(id)).sum::<usize>())?;
    Ok(united(meetings, &tellings))
}
