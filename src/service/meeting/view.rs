//! Meetings in the requested view: with or without the parts that only their reports have, current or as of a time.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;

use super::{
    links::find_links,
    settle_inputs::{SettleInputs, load_inputs_to_view},
};
use crate::{
    fairness::{Call, Permit, heavy},
    model::{
        meeting::{MAX_REPORT_BYTES, basic},
        message_bound::Oversize,
        resource::{Collection, Resource},
    },
    pb::{Meeting, Report, View, report::State},
    service::{Api, error::ServiceError, in_order, read::history::records, status::MESSAGE_BYTES},
    store::{meeting, query::history, report},
};

/// Bytes of reports up to which their memory does not matter.
const SMALL_READ_BYTES: usize = MESSAGE_BYTES;

/// Reads a meeting in the FULL view.
pub async fn read_full(api: &Api, id: Uuid) -> Result<Option<Meeting>, ServiceError> {
    let Some(found) = api.store.by_id().meetings_with_reports.get(id).await? else { return Ok(None) };
    api.require_fits(found.doc.bytes.len(), || Collection::Meetings.name(id))?;
    heavy::begin(found.doc.bytes.len() + found.report_bytes).await;
    let meeting: Meeting = found.doc.decode()?;
    // The loader leaves out reports that are too large for a batch.
    if found.reports.is_empty() && found.report_bytes > 0 {
        return Ok(with_reports(api, vec![meeting], api.message_bound.message(), found.report_bytes).await?.pop());
    }
    let mut inputs = SettleInputs::to_view(&found.reports)?;
    find_links(api, [&mut inputs].into_iter()).await?;
    let meeting = inputs.full(meeting, api.message_bound.message());
    api.require_fits(meeting.encoded_len(), || Collection::Meetings.name(id))?;
    Ok(Some(meeting))
}

/// Reads meetings in the order of the ids. None is left out and none is cut: if they do not fit together, the call
/// fails (AIP-231).
pub async fn read(api: &Api, ids: &[Uuid], view: View) -> Result<Vec<Meeting>, ServiceError> {
    let docs = meeting::get(api.store.reads(), ids).await?;
    let meetings: Vec<Meeting> = in_order(ids, &docs)?;
    let meetings = match view {
        View::Basic => meetings.into_iter().map(basic).collect(),
        _ => {
            api.require_docs_fit(Collection::Meetings, ids, &docs)?;
            let report_bytes = report::sizes(api.store.reads(), ids).await?.values().sum();
            with_reports(api, meetings, api.message_bound.message(), report_bytes).await?
        }
    };
    api.require_records_fit(&meetings)?;
    Ok(meetings)
}

/// Puts meetings into the FULL view, each without the parts that exceed `max_bytes`. Their reports have `report_bytes`
/// together.
///
/// # Errors
/// `SourcesTooLarge` for several meetings whose reports are larger than those of one can be.
pub async fn with_reports(
    api: &Api,
    meetings: Vec<Meeting>,
    max_bytes: usize,
    report_bytes: usize,
) -> Result<Vec<Meeting>, ServiceError> {
    if report_bytes > MAX_REPORT_BYTES && meetings.len() > 1 {
        let over = Oversize { name: String::new(), bytes: report_bytes, max_bytes: MAX_REPORT_BYTES };
        return Err(ServiceError::SourcesTooLarge(over));
    }
    let _permit = large_read(api, report_bytes).await;
    let ids: BTreeSet<Uuid> = meetings.iter().filter_map(Resource::id).collect();
    let mut inputs = load_inputs_to_view(api, &ids.into_iter().collect::<Vec<_>>()).await?;
    find_links(api, inputs.values_mut()).await?;
    Ok(full_views(meetings, &inputs, max_bytes))
}

/// Waits for a permit, if reports of this size take much memory. The deadline of the call bounds the wait.
async fn large_read(api: &Api, report_bytes: usize) -> Option<Permit> {
    match report_bytes > SMALL_READ_BYTES {
        true => Some(api.large_reads.acquire_patiently(Call::current().caller(), 1).await),
        false => None,
    }
}

fn full_views(meetings: Vec<Meeting>, inputs: &HashMap<Uuid, SettleInputs>, max_bytes: usize) -> Vec<Meeting> {
    let none = SettleInputs::default();
    let full = |meeting: Meeting| meeting.id().and_then(|id| inputs.get(&id)).unwrap_or(&none).full(meeting, max_bytes);
    meetings.into_iter().map(full).collect()
}

/// Reads meetings as of a time, in the order of the ids; the FULL view has their reports as of that time.
pub async fn as_of(api: &Api, ids: &[Uuid], view: View, time: DateTime<Utc>) -> Result<Vec<Meeting>, ServiceError> {
    let meetings: Vec<Meeting> = records(api, ids, time).await?;
    if view == View::Basic {
        return Ok(meetings.into_iter().map(basic).collect());
    }
    let meetings = with_reports_at(api, meetings, time, api.message_bound.message()).await?;
    api.require_records_fit(&meetings)?;
    Ok(meetings)
}

/// Puts meetings as of a time into the FULL view, each without the parts that exceed `max_bytes`.
///
/// # Errors
/// `SourcesTooLarge` if the reports that they had are larger together than one call may read.
pub async fn with_reports_at(
    api: &Api,
    meetings: Vec<Meeting>,
    time: DateTime<Utc>,
    max_bytes: usize,
) -> Result<Vec<Meeting>, ServiceError> {
    // Retracted reports are read and dropped, so they count too.
    const MAX_READ_BYTES: i64 = MAX_REPORT_BYTES as i64;
    let distinct: BTreeSet<Uuid> = meetings.iter().filter_map(Resource::id).collect();
    let distinct: Vec<Uuid> = distinct.into_iter().collect();
    // The size is known only afterwards.
    let _permit = large_read(api, MAX_REPORT_BYTES).await;
    let rows = history::reports_of(api.store.reads(), &distinct, time, MAX_READ_BYTES).await?.map_err(|bytes| {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        ServiceError::SourcesTooLarge(Oversize { name: String::new(), bytes, max_bytes: MAX_REPORT_BYTES })
    })?;
    let mut inputs: HashMap<Uuid, SettleInputs> = HashMap::new();
    for row in rows {
        let report: Report = row.doc.decode()?;
        if report.state() != State::Retracted {
            inputs.entry(row.meeting).or_default().push_as_of(report, &row)?;
        }
    }
    let named: BTreeSet<Uuid> = inputs.values().flat_map(SettleInputs::referenced_participants).collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    let aliases = api.aliases_at(&named, time).await?;
    inputs.values_mut().for_each(|inputs| inputs.aliases.clone_from(&aliases));
    Ok(full_views(meetings, &inputs, max_bytes))
}
