//! MeetingService.ListMeetings and StreamMeetings: pages of meetings.

use std::time::Duration;

use uuid::Uuid;

use super::view::with_reports;
use crate::{
    model::{
        meeting::basic,
        query::{filter, order},
        resource::Collection,
    },
    pb::{ListMeetingsRequest, ListMeetingsResponse, Meeting, View},
    service::{Api, error::ServiceError, read::pagination::Cursor},
    store::{
        query::list::{Keyset, ListQuery, list},
        report,
    },
};

/// Parses a request into the start of its page, the query and the view.
pub(super) fn parse_query(api: &Api, request: &ListMeetingsRequest) -> Result<(Cursor, ListQuery, View), ServiceError> {
    let filter = filter::parse(filter::MEETINGS, &request.filter).map_err(ServiceError::Filter)?;
    let order = order::parse(order::MEETINGS, &request.order_by).map_err(ServiceError::Order)?;
    let query = ListQuery { filter, question: None, show_deleted: request.show_deleted, order };
    Ok((Cursor::of(request, api.token_key, api.feed.head())?, query, request.view()))
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
    if view == View::Full {
        let ids: Vec<Uuid> = page.docs.iter().map(|doc| doc.id).collect();
        let sizes = report::sizes(api.store.reads(), &ids).await?;
        page.cut(|doc| sizes.get(&doc.id).copied().unwrap_or(0));
    }
    let next = page.next();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let as_of = cursor.as_of.to_string();
    let meetings: Vec<Meeting> = page.docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    let meetings = match view {
        View::Full => with_reports(&api, meetings).await?,
        _ => meetings.into_iter().map(basic).collect(),
    };
    Ok((ListMeetingsResponse { meetings, next_page_token, as_of }, next))
}
