//! Counts of meetings by group.
//!
//! A query first counts meetings by the stored columns of a group, which indexes cover, and then adds the counts up by
//! the group's displayed value: a million meetings began on some thousand days, and only those days are formatted as
//! months.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{BoundedQuery, filter};
use crate::{
    model::{
        query::{
            aggregate::{AggregateOrder, Group},
            filter::Filter,
        },
        resource::Collection,
    },
    pb::account::{Kind, Status, VisitType},
    store::{StoreError, from_row::from_row},
};

/// The selection, the grouping and the order of counts.
#[derive(Debug, Clone)]
pub struct AggregateQuery {
    /// A condition on the meetings.
    pub filter: Filter,
    /// The grouping, two levels at most; empty: all meetings are one group.
    pub groups: Vec<Group>,
    pub order: AggregateOrder,
    /// True to count participants, too.
    pub count_participants: bool,
    /// For counts as of a time: those of the meetings that have changed since. `None` for the current meetings.
    pub former: Option<FormerCounts>,
}

/// The groups of the meetings that have changed since a time and matched the filter then.
#[derive(Debug, Clone)]
pub struct FormerCounts {
    /// The time of the counts.
    pub time: DateTime<Utc>,
    /// The number of meetings of each group, by the values of `group_values` for both levels.
    pub meetings: HashMap<(String, String), i64>,
    /// The participants of each group.
    pub participants: HashSet<(String, String, Uuid)>,
}

/// A group and its counts.
#[derive(Debug, Clone)]
pub struct GroupCounts {
    /// The group's value for each level of the grouping.
    pub keys: Vec<String>,
    /// The number of meetings.
    pub meetings: i64,
    /// The number of distinct participants who attended any of the meetings; 0 if they were not counted.
    pub participants: i64,
}

/// The first groups in the order of the query, at most `limit`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn count(
    bounded: &mut BoundedQuery,
    aggregate: &AggregateQuery,
    limit: usize,
) -> Result<Vec<GroupCounts>, StoreError> {
    let limit = limit as i64; // at most 1,001: no overflow
    let order = match aggregate.order {
        AggregateOrder::MeetingCount => " order by meetings desc, first, second limit ",
        AggregateOrder::ParticipantCount => " order by participants desc, first, second limit ",
        AggregateOrder::Key => " order by first, second limit ",
    };
    let by_participants = aggregate.order == AggregateOrder::ParticipantCount;
    let mut query = QueryBuilder::<Postgres>::new("with chosen as (");
    push_meetings(&mut query, aggregate);
    if !by_participants {
        query.push(order).push_bind(limit);
    }
    query.push(")");
    if by_participants || aggregate.count_participants {
        query.push(", present as (");
        push_participants(&mut query, aggregate);
        query.push(
            ")
             select first::text, second::text, meetings, coalesce(participants, 0) as participants
             from chosen
             left join present using (first, second)",
        );
    } else {
        query.push(
            " select first::text, second::text, meetings, 0::bigint as participants
              from chosen",
        );
    }
    query.push(order).push_bind(limit);
    let rows: Vec<GroupRow> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(rows.into_iter().map(|row| row.counts(&aggregate.groups)).collect())
}

struct GroupRow {
    /// The value of the first level; empty without one.
    first: String,
    /// The value of the second level; empty without one.
    second: String,
    meetings: i64,
    participants: i64,
}

from_row!(GroupRow { first, second, meetings, participants });

impl GroupRow {
    fn counts(self, groups: &[Group]) -> GroupCounts {
        let keys = groups.iter().zip([self.first, self.second]).map(|(group, value)| key(*group, value)).collect();
        GroupCounts { keys, meetings: self.meetings, participants: self.participants }
    }
}

/// Converts a group's value to its form in the API.
fn key(group: Group, value: String) -> String {
    let name = |id: &str| format!("{}/{id}", Collection::Participants.as_str());
    match group {
        Group::Participant => name(&value),
        // An array in PostgreSQL's text format.
        Group::ParticipantPair => value.trim_matches(['{', '}']).split(',').map(name).collect::<Vec<_>>().join(","),
        _ => value,
    }
}

/// Appends the groups with their counts of meetings: `first`, `second`, `meetings`.
fn push_meetings(query: &mut QueryBuilder<Postgres>, aggregate: &AggregateQuery) {
    if aggregate.former.is_some() {
        query.push("select first, second, sum(found)::bigint as meetings from (");
        push_values(query, aggregate);
        query.push(", found from (select ");
    } else {
        push_values(query, aggregate);
        query.push(", sum(found)::bigint as meetings from (select ");
    }
    let columns = columns(aggregate);
    columns.iter().for_each(|column| {
        query.push(column).push(", ");
    });
    query.push("count(*) as found");
    match participation_source(aggregate) {
        Some(source) => query.push(source),
        None => push_source(query, aggregate, ""),
    };
    if !columns.is_empty() {
        let numbers: Vec<String> = (1..=columns.len()).map(|number| number.to_string()).collect();
        query.push(" group by ").push(numbers.join(", "));
    }
    query.push(") as part");
    if let Some(former) = &aggregate.former {
        let groups: Vec<(&(String, String), &i64)> = former.meetings.iter().collect();
        query.push(
            " union all select former.first collate \"C\", former.second collate \"C\", former.found from unnest(",
        );
        query.push_bind(groups.iter().map(|((first, _), _)| first.clone()).collect::<Vec<_>>()).push("::text[], ");
        query.push_bind(groups.iter().map(|((_, second), _)| second.clone()).collect::<Vec<_>>()).push("::text[], ");
        query.push_bind(groups.iter().map(|(_, found)| **found).collect::<Vec<_>>());
        query.push("::bigint[]) as former (first, second, found)) as both_parts");
    }
    query.push(" group by 1, 2");
}

/// Appends the groups with their counts of participants: `first`, `second`, `participants`. The count over all meetings
/// does not read the meetings.
fn push_participants(query: &mut QueryBuilder<Postgres>, aggregate: &AggregateQuery) {
    if aggregate.groups.is_empty() && aggregate.filter == Filter::EVERYTHING && aggregate.former.is_none() {
        query.push(
            "select '' as first, '' as second, count(*) as participants
             from (
                 select distinct participant
                 from participation
                 where together
                   and participant is not null
             ) as met",
        );
        return;
    }
    query.push(
        "select first, second, count(*) as participants
         from (
             select distinct first, second, who
             from (",
    );
    push_values(query, aggregate);
    query.push(", who from (select ");
    columns(aggregate).iter().for_each(|column| {
        query.push(column).push(", ");
    });
    query.push("met.participant as who");
    let attendance =
        " join participation as met on met.meeting = meeting.id and met.together and met.participant is not null";
    push_source(query, aggregate, attendance);
    query.push(") as part");
    if let Some(former) = &aggregate.former {
        let met: Vec<&(String, String, Uuid)> = former.participants.iter().collect();
        query
            .push(" union all select former.first collate \"C\", former.second collate \"C\", former.who from unnest(");
        query.push_bind(met.iter().map(|(first, ..)| first.clone()).collect::<Vec<_>>()).push("::text[], ");
        query.push_bind(met.iter().map(|(_, second, _)| second.clone()).collect::<Vec<_>>()).push("::text[], ");
        query.push_bind(met.iter().map(|(.., who)| *who).collect::<Vec<_>>());
        query.push("::uuid[]) as former (first, second, who)");
    }
    query.push(") as met");
    // In this order every group is chosen. The condition would then only mislead the planner, which without statistics
    // takes the groups for few and reads the participations group by group.
    if aggregate.order != AggregateOrder::ParticipantCount {
        query.push(" where (first, second) in (select first, second from chosen)");
    }
    query.push(") as met group by 1, 2");
}

/// Appends the values of the groups: `first`, `second`.
fn push_values(query: &mut QueryBuilder<Postgres>, aggregate: &AggregateQuery) {
    for (level, name) in ["first", "second"].into_iter().enumerate() {
        query.push(if level == 0 { "select " } else { ", " });
        // The counts of changed meetings have their values as text.
        query.push(if aggregate.former.is_some() { "(" } else { "" });
        match aggregate.groups.get(level) {
            Some(group) => push_value(query, *group),
            None => {
                query.push("''");
            }
        }
        query.push(if aggregate.former.is_some() { ")::text collate \"C\"" } else { "" });
        query.push(" as ").push(name);
    }
}

/// The stored columns of the groups.
fn columns(aggregate: &AggregateQuery) -> BTreeSet<&'static str> {
    aggregate.groups.iter().flat_map(|group| source(*group).columns).copied().collect()
}

/// Appends the tables and the filter. `joins` adds further tables.
fn push_source<'q>(
    query: &'q mut QueryBuilder<Postgres>,
    aggregate: &AggregateQuery,
    joins: &'static str,
) -> &'q mut QueryBuilder<Postgres> {
    query.push(" from meeting").push(joins);
    aggregate.groups.iter().for_each(|group| {
        query.push(source(*group).joins);
    });
    query.push(" where meeting.listed and ");
    filter::push(query, &aggregate.filter);
    if let Some(former) = &aggregate.former {
        query.push(" and meeting.update_time <= ").push_bind(former.time);
    }
    query
}

/// The source for counts of participants over all meetings, which does not read the meetings: `together` is only true
/// for listed ones.
fn participation_source(aggregate: &AggregateQuery) -> Option<&'static str> {
    match *aggregate.groups {
        _ if aggregate.filter != Filter::EVERYTHING || aggregate.former.is_some() => None,
        [Group::Participant] => {
            Some(" from participation as attendee where attendee.together and attendee.participant is not null")
        }
        [Group::ParticipantPair] => Some(
            " from participation as attendee_a
              join participation as attendee_b on attendee_b.meeting = attendee_a.meeting and attendee_b.together
                   and attendee_a.participant < attendee_b.participant
              where attendee_a.together",
        ),
        _ => None,
    }
}

/// The tables and columns that a group reads.
struct GroupColumns {
    /// Joins of tables other than `meeting`.
    joins: &'static str,
    columns: &'static [&'static str],
}

fn source(group: Group) -> GroupColumns {
    let (joins, columns): (_, &[_]) = match group {
        Group::Kind => ("", &["meeting.kind"]),
        Group::Status => ("", &["meeting.status"]),
        Group::VisitType => ("", &["meeting.visit_type"]),
        Group::PlaceRegion => ("", &["meeting.place_region"]),
        Group::Year | Group::Month => ("", &["meeting.sort_date", "meeting.date_precision"]),
        Group::Quarter => ("", &["meeting.sort_date", "meeting.date_precision", "meeting.date_to"]),
        Group::Region => (
            " join meeting_region as of_region on of_region.meeting = meeting.id and of_region.takes_part",
            &["of_region.region_code"],
        ),
        Group::RegionPair => (
            " join meeting_region as region_a on region_a.meeting = meeting.id and region_a.takes_part
              join meeting_region as region_b on region_b.meeting = meeting.id and region_b.takes_part
                   and region_a.region_code < region_b.region_code",
            &["region_a.region_code as region_a", "region_b.region_code as region_b"],
        ),
        Group::Topic => (" join meeting_topic as of_topic on of_topic.meeting = meeting.id", &["of_topic.topic"]),
        Group::Seniority => (
            // Traits from 201 to 206: see `participation::SENIORITY`.
            " join meeting_trait as of_office on of_office.meeting = meeting.id and of_office.trait between 201 and 206",
            &["of_office.trait"],
        ),
        Group::Participant => (
            " join participation as attendee on attendee.meeting = meeting.id and attendee.together
                   and attendee.participant is not null",
            &["attendee.participant"],
        ),
        Group::ParticipantPair => (
            " join participation as attendee_a on attendee_a.meeting = meeting.id and attendee_a.together
              join participation as attendee_b on attendee_b.meeting = meeting.id and attendee_b.together
                   and attendee_a.participant < attendee_b.participant",
            &["attendee_a.participant as participant_a", "attendee_b.participant as participant_b"],
        ),
    };
    GroupColumns { joins, columns }
}

/// Appends the displayed value of a group, which sorts as its text does.
fn push_value(query: &mut QueryBuilder<Postgres>, group: Group) {
    match group {
        Group::Kind => push_name(query, "kind", |number| Some(Kind::try_from(number).ok()?.as_str_name())),
        Group::Status => push_name(query, "status", |number| Some(Status::try_from(number).ok()?.as_str_name())),
        Group::VisitType => {
            push_name(query, "visit_type", |number| Some(VisitType::try_from(number).ok()?.as_str_name()))
        }
        _ => {
            query.push(match group {
                Group::PlaceRegion => "coalesce(place_region, '') collate \"C\"",
                Group::Year => "case when date_precision >= 1 then to_char(sort_date::timestamp, 'YYYY') else '' end collate \"C\"",
                Group::Quarter => {
                    "case when date_precision >= 2
                            or date_precision = 1
                           and date_trunc('quarter', sort_date::timestamp) = date_trunc('quarter', date_to::timestamp)
                     then to_char(sort_date::timestamp, 'YYYY-\"Q\"Q') else '' end collate \"C\""
                }
                Group::Month => {
                    "case when date_precision >= 2 then to_char(sort_date::timestamp, 'YYYY-MM') else '' end collate \"C\""
                }
                Group::Region => "region_code collate \"C\"",
                Group::RegionPair => "(region_a || '-' || region_b) collate \"C\"",
                Group::Topic => "topic collate \"C\"",
                Group::Seniority => "trait - 200",
                Group::Participant => "participant",
                Group::ParticipantPair => "array[participant_a, participant_b]",
                Group::Kind | Group::Status | Group::VisitType => "",
            });
        }
    }
}

/// Appends the name of an enum value, or the empty text if it is unset or unknown to this release.
pub(in crate::store) fn push_name(
    query: &mut QueryBuilder<Postgres>,
    column: &str,
    name: fn(i32) -> Option<&'static str>,
) {
    // The numbers start at 1. No enum of the contract has as many values as this.
    let names: Vec<&str> = (1..256).map(|number| name(number).unwrap_or_default()).collect();
    query.push("coalesce((").push_bind(names).push("::text[])[").push(column).push("], '') collate \"C\"");
}
