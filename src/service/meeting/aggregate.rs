//! MeetingService.AggregateMeetings: numbers of meetings, by groups.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    model::{
        meeting::is_listed,
        query::{
            aggregate::{AggregateOrder, Group, groups},
            filter,
            group_values::{attendees, group_values},
        },
        resource::{Collection, Record},
    },
    pb::{AggregateMeetingsRequest, AggregateMeetingsResponse, Participant, aggregate_meetings_response},
    service::{
        Api,
        error::ServiceError,
        participant::persons::parse_filter,
        read::{
            as_of::{MAX_FORMER_ROWS, for_each_former, holds, records_at},
            pagination,
        },
    },
    store::query::{
        BoundedQuery, QueryClass,
        aggregate::{AggregateQuery, FormerCounts, GroupCounts, count},
        former::TooMuchChanged,
    },
};

/// Counts meetings for a checked request.
///
/// # Errors
/// `Filter`, `Invalid` for unknown groups or an unknown order, `Overloaded` without a permit, `OutOfTime` after
/// `budget`, `TooMuchChanged` since `time`.
pub async fn aggregate(
    api: &Api,
    request: &AggregateMeetingsRequest,
    budget: Duration,
    time: Option<DateTime<Utc>>,
) -> Result<AggregateMeetingsResponse, ServiceError> {
    let mut query = AggregateQuery {
        filter: parse_filter(api, filter::MEETINGS, &request.filter, (time, budget)).await?,
        groups: groups(&request.group_by)?,
        order: AggregateOrder::parse(&request.order_by)?,
        count_participants: request.count_participants,
        former: None,
    };
    let size = pagination::size(request.page_size);
    let as_of = api.feed.head().to_string();
    // One group more than the response holds shows that there are more.
    let mut db = api.store.bounded_query(QueryClass::Question, budget).await?;
    if let Some(time) = time {
        let _permit = api.begin_former().await;
        query.former = Some(former_counts(&mut db, &query, time).await?);
    }
    let mut counts = count(&mut db, &query, size + 1).await?;
    drop(db);
    let truncated = counts.len() > size;
    counts.truncate(size);
    let mut groups: Vec<_> = counts.into_iter().map(|counts| group(&query.groups, counts)).collect();
    add_names(api, &mut groups, time).await?;
    Ok(AggregateMeetingsResponse { groups, truncated, as_of })
}

/// Counts the meetings that have changed since a time, as they were then.
async fn former_counts(
    db: &mut BoundedQuery,
    query: &AggregateQuery,
    time: DateTime<Utc>,
) -> Result<FormerCounts, ServiceError> {
    let counts_participants = query.count_participants || query.order == AggregateOrder::ParticipantCount;
    let mut counts = FormerCounts { time, meetings: HashMap::new(), participants: HashSet::new() };
    for_each_former(db, Collection::Meetings, time, |doc, record| {
        if !holds(&query.filter, Collection::Meetings, doc.id, &record) {
            return Ok(());
        }
        let Record::Meeting(meeting) = record else { return Ok(()) };
        if !is_listed(&meeting) {
            return Ok(());
        }
        let values = |level: usize| match query.groups.get(level) {
            Some(group) => group_values(*group, &meeting),
            None => vec![String::new()],
        };
        let (first, second) = (values(0), values(1));
        let attendees = if counts_participants { attendees(&meeting) } else { BTreeSet::new() };
        for (first, second) in first.iter().flat_map(|first| second.iter().map(move |second| (first, second))) {
            *counts.meetings.entry((first.clone(), second.clone())).or_default() += 1;
            counts.participants.extend(attendees.iter().map(|id| (first.clone(), second.clone(), *id)));
            if counts.meetings.len() + counts.participants.len() > MAX_FORMER_ROWS {
                return Err(ServiceError::TooMuchChanged(TooMuchChanged::Rows(MAX_FORMER_ROWS)));
            }
        }
        Ok(())
    })
    .await?;
    Ok(counts)
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
        display_names: BTreeMap::new(),
    }
}

/// Adds the display names of the participants that the groups are named after.
async fn add_names(
    api: &Api,
    groups: &mut [aggregate_meetings_response::Group],
    time: Option<DateTime<Utc>>,
) -> Result<(), ServiceError> {
    let named = |keys: &BTreeMap<String, String>| -> Vec<(Uuid, String)> {
        let names = keys.iter().filter(|(group, _)| is_of_participants(group)).flat_map(|(_, names)| names.split(','));
        names.filter_map(|name| Some((Collection::Participants.id(name)?, name.to_owned()))).collect()
    };
    let ids: BTreeSet<Uuid> = groups.iter().flat_map(|group| named(&group.keys)).map(|(id, _)| id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let participants: HashMap<Uuid, Participant> = records_at(api, &ids, time).await?;
    for group in groups {
        let names = named(&group.keys).into_iter();
        group.display_names =
            names.filter_map(|(id, name)| Some((name, participants.get(&id)?.display_name.clone()))).collect();
    }
    Ok(())
}

fn is_of_participants(group: &str) -> bool {
    [Group::Participant, Group::ParticipantPair].map(Group::as_str).contains(&group)
}
