//! MeetingService.ListMeetings and StreamMeetings: pages of meetings.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;

use super::{
    meeting_search::{meeting_snippets, with_former},
    view::{with_reports, with_reports_at},
};
use crate::{
    model::{
        meeting::{basic, within},
        query::{filter, order, search::SearchQuery},
        resource::Collection,
    },
    pb::{ListMeetingsRequest, ListMeetingsResponse, Meeting, View},
    service::{Api, error::ServiceError, participant::persons::parse_filter, read::pagination::Cursor},
    store::{
        query::{
            QueryClass, history,
            list::{Keyset, ListQuery, list},
        },
        report,
    },
};

/// Parses a request into the start of its page, the query and the view.
pub(super) async fn parse_query(
    api: &Api,
    request: &ListMeetingsRequest,
    budget: Duration,
    time: Option<DateTime<Utc>>,
) -> Result<(Cursor, ListQuery, View), ServiceError> {
    let filter = parse_filter(api, filter::MEETINGS, &request.filter, (time, budget)).await?;
    let question = SearchQuery::read(&request.query, &request.query_language);
    let order = order::parse_with_query(order::MEETINGS, &request.order_by, question.is_some());
    let order = order.map_err(ServiceError::Order)?;
    let cursor = Cursor::of(request, api.token_key, api.feed.head())?;
    let mut query = ListQuery { filter, question, show_deleted: request.show_deleted, order, former: None };
    if let Some(time) = time {
        let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
        let _permit = api.begin_former().await;
        query = with_former(api, &mut db, query, time).await?;
    }
    Ok((cursor, query, request.view()))
}

/// The FULL views of meetings, except for those that are only named.
async fn full_views_of(
    api: &Api,
    meetings: Vec<Meeting>,
    time: Option<DateTime<Utc>>,
    max_bytes: usize,
    report_bytes: usize,
) -> Result<Vec<Meeting>, ServiceError> {
    let is_named = |meeting: &Meeting| meeting.omission.is_some();
    if meetings.iter().any(is_named) {
        // Such a meeting is the only one of its page.
        return Ok(meetings);
    }
    match time {
        Some(time) => with_reports_at(api, meetings, time, max_bytes).await,
        None => with_reports(api, meetings, max_bytes, report_bytes).await,
    }
}

/// Reads a page, and returns it with the keyset of its last record if there are more.
pub(super) async fn page(
    api: Api,
    budget: Duration,
    cursor: Cursor,
    query: ListQuery,
    view: View,
) -> Result<(ListMeetingsResponse, Option<Keyset>), ServiceError> {
    let mut db = api.store.bounded_query(cursor.class, budget).await?;
    let mut page = list(&mut db, Collection::Meetings, &query, cursor.after, cursor.size).await?;
    let time = query.former.as_ref().map(|former| former.time);
    let max_bytes = api.message_bound.wrapped();
    let mut sizes = HashMap::new();
    if view == View::Full {
        let ids: Vec<Uuid> = page.docs.iter().map(|doc| doc.id).collect();
        sizes = match time {
            Some(time) => history::report_sizes(api.store.reads(), &ids, time).await?,
            None => report::sizes(api.store.reads(), &ids).await?,
        };
        page.cut(|doc| sizes.get(&doc.id).copied().unwrap_or(0));
    }
    let meetings: Vec<Meeting> = page.docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    let mut snippets = match &query.question {
        Some(question) => meeting_snippets(&mut db, question, &meetings, time).await?,
        None => Vec::new(),
    };
    // The connection is not needed for the reports.
    drop(db);
    let meetings: Vec<Meeting> = match view {
        View::Full => {
            let report_bytes = page.docs.iter().filter_map(|doc| sizes.get(&doc.id)).sum();
            // A meeting that does not fit without its reports is named, so the others can be listed.
            let meetings = meetings.into_iter().map(|meeting| within(meeting, max_bytes)).collect();
            let mut meetings = full_views_of(&api, meetings, time, max_bytes, report_bytes).await?;
            // The views can be larger than what they were made of: they repeat the names of reports.
            page.cut_to_sizes(meetings.iter().map(Message::encoded_len));
            meetings.truncate(page.docs.len());
            meetings
        }
        _ => meetings.into_iter().map(|meeting| within(basic(meeting), max_bytes)).collect(),
    };
    snippets.truncate(meetings.len());
    let next = page.next();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let as_of = cursor.as_of.to_string();
    Ok((ListMeetingsResponse { meetings, next_page_token, as_of, snippets }, next))
}
