//! MeetingService.AggregateMeetings: numbers of meetings, by groups.

use std::time::Duration;

use crate::{
    model::query::{
        aggregate::{AggregateOrder, Group, groups},
        filter,
    },
    pb::{AggregateMeetingsRequest, AggregateMeetingsResponse, aggregate_meetings_response},
    service::{Api, error::ServiceError, participant::persons::parse_filter, read::pagination},
    store::query::{
        QueryClass,
        aggregate::{AggregateQuery, GroupCounts, count},
    },
};

/// Counts meetings for a checked request.
///
/// # Errors
/// `Filter`, `Invalid` for unknown groups or an unknown order, `Overloaded` without a permit, `OutOfTime` after
/// `budget`.
pub async fn aggregate(
    api: &Api,
    request: &AggregateMeetingsRequest,
    budget: Duration,
) -> Result<AggregateMeetingsResponse, ServiceError> {
    let query = AggregateQuery {
        filter: parse_filter(api, filter::MEETINGS, &request.filter).await?,
        groups: groups(&request.group_by)?,
        order: AggregateOrder::parse(&request.order_by)?,
        count_participants: request.count_participants,
    };
    let size = pagination::size(request.page_size);
    let as_of = api.feed.head().to_string();
    // One group more than the response holds shows that there are more.
    let mut counts = count(&mut api.store.bounded_query(QueryClass::Question, budget).await?, &query, size + 1).await?;
    let truncated = counts.len() > size;
    counts.truncate(size);
    let groups = counts.into_iter().map(|counts| group(&query.groups, counts)).collect();
    Ok(AggregateMeetingsResponse { groups, truncated, as_of })
}

fn group(
    groups: &[Group],
    GroupCounts { keys, meetings, participants }: GroupCounts,
) -> aggregate_meetings_response::Group {
    aggregate_meetings_response::Group {
        keys: groups.iter().map(|group| group.as_str().to_owned()).zip(keys).collect(),
        // Counts stay far below the limit of i32.
        meeting_count: i32::try_from(meetings).unwrap_or(i32::MAX),
        participant_count: i32::try_from(participants).unwrap_or(i32::MAX),
    }
}
