//! MeetingService.AggregateMeetings: counts of meetings in groups.

use std::time::Duration;

use crate::{
    model::query::{
        aggregate::{Group, Order, groups},
        filter,
    },
    pb::{AggregateMeetingsRequest, AggregateMeetingsResponse, aggregate_meetings_response},
    service::{Api, error::ServiceError, read::pagination},
    store::query::{
        QueryClass,
        aggregate::{AggregateQuery, GroupCounts, count},
    },
};

/// Counts what a checked request asks for.
pub async fn aggregate(
    api: &Api,
    request: &AggregateMeetingsRequest,
    budget: Duration,
) -> Result<AggregateMeetingsResponse, ServiceError> {
    let wanted = AggregateQuery {
        filter: filter::parse(filter::MEETINGS, &request.filter).map_err(ServiceError::Filter)?,
        groups: groups(&request.group_by)?,
        order: Order::parse(&request.order_by)?,
        count_participants: request.count_participants,
    };
    let size = pagination::size(request.page_size);
    let as_of = api.feed.head().to_string();
    // One more tells whether there are more.
    let mut counted = count(&mut api.store.ask(QueryClass::Many, budget).await?, &wanted, size + 1).await?;
    let truncated = counted.len() > size;
    counted.truncate(size);
    let groups = counted.into_iter().map(|one| group(&wanted.groups, one)).collect();
    Ok(AggregateMeetingsResponse { groups, truncated, as_of })
}

fn group(
    groups: &[Group],
    GroupCounts { keys, meetings, participants }: GroupCounts,
) -> aggregate_meetings_response::Group {
    aggregate_meetings_response::Group {
        keys: groups.iter().map(|group| group.as_str().to_owned()).zip(keys).collect(),
        // Far fewer than would not fit.
        meeting_count: i32::try_from(meetings).unwrap_or(i32::MAX),
        participant_count: i32::try_from(participants).unwrap_or(i32::MAX),
    }
}
