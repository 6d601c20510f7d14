//! MeetingService.ListMeetings and StreamMeetings: pages of meetings.

use std::{collections::HashMap, time::Duration};

use prost::Message;
use uuid::Uuid;

use super::view::with_reports;
use crate::{
    model::{
        meeting::{basic, within},
        query::{filter, order},
        resource::Collection,
    },
    pb::{ListMeetingsRequest, ListMeetingsResponse, Meeting, View},
    service::{Api, error::ServiceError, participant::persons::parse_filter, read::pagination::Cursor},
    store::{
        query::list::{Keyset, ListQuery, list},
        report,
    },
};

/// Parses a request into the start of its page, the query and the view.
pub(super) async fn parse_query(
    api: &Api,
    request: &ListMeetingsRequest,
) -> Result<(Cursor, ListQuery, View), ServiceError> {
    let filter = parse_filter(api, filter::MEETINGS, &request.filter).await?;
    let order = order::parse(order::MEETINGS, &request.order_by).map_err(ServiceError::Order)?;
    let query = ListQuery { filter, question: None, show_deleted: request.show_deleted, order };
    Ok((Cursor::of(request, api.token_key, api.feed.head())?, query, request.view()))
}

/// The FULL views of meetings, except for those that are only named.
async fn full_views_of(
    api: &Api,
    meetings: Vec<Meeting>,
    max_bytes: usize,
    report_bytes: usize,
) -> Result<Vec<Meeting>, ServiceError> {
    let is_named = |meeting: &Meeting| meeting.omission.is_some();
    if meetings.iter().any(is_named) {
        // Such a meeting is the only one of its page.
        return Ok(meetings);
    }
    with_reports(api, meetings, max_bytes, report_bytes).await
}

/// Reads a page, and returns it with the keyset of its last record if there are more.
pub(super) async fn page(
    api: Api,
    budget: Duration,
    cursor: Cursor,
    query: ListQuery,
    view: View,
) -> Result<(ListMeetingsResponse, Option<Keyset>), ServiceError> {
    let mut page = list(
        &mut api.store.bounded_query(cursor.class, budget).await?,
        Collection::Meetings,
        &query,
        cursor.after,
        cursor.size,
    )
    .await?;
    let max_bytes = api.message_bound.wrapped();
    let mut sizes = HashMap::new();
    if view == View::Full {
        let ids: Vec<Uuid> = page.docs.iter().map(|doc| doc.id).collect();
        sizes = report::sizes(api.store.reads(), &ids).await?;
        page.cut(|doc| sizes.get(&doc.id).copied().unwrap_or(0));
    }
    let meetings: Vec<Meeting> = page.docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    let meetings: Vec<Meeting> = match view {
        View::Full => {
            let report_bytes = page.docs.iter().filter_map(|doc| sizes.get(&doc.id)).sum();
            // A meeting that does not fit without its reports is named, so the others can be listed.
            let meetings = meetings.into_iter().map(|meeting| within(meeting, max_bytes)).collect();
            let mut meetings = full_views_of(&api, meetings, max_bytes, report_bytes).await?;
            // The views can be larger than what they were made of: they repeat the names of reports.
            page.cut_to_sizes(meetings.iter().map(Message::encoded_len));
            meetings.truncate(page.docs.len());
            meetings
        }
        _ => meetings.into_iter().map(|meeting| within(basic(meeting), max_bytes)).collect(),
    };
    let next = page.next();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let as_of = cursor.as_of.to_string();
    Ok((ListMeetingsResponse { meetings, next_page_token, as_of }, next))
}
