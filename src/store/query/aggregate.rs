//! Counts of meetings in groups.
//!
//! Meetings are counted by the columns that a group is made of, which indexes have, and these counts then by what they
//! show: a million meetings began on some thousand days, and only of those it is said in which month they are.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};

use super::{BoundedQuery, filter};
use crate::{
    model::{
        query::{
            aggregate::{Group, Order},
            filter::Filter,
        },
        resource::Collection,
    },
    pb::account::{Kind, Status},
    store::{StoreError, row::from_row},
};

/// What is counted.
#[derive(Debug, Clone)]
pub struct AggregateQuery {
    /// Which meetings.
    pub filter: Filter,
    /// What they are grouped by, two at most; none: all are one group.
    pub groups: Vec<Group>,
    /// Which groups come first.
    pub order: Order,
    /// Whether participants are counted, too.
    pub count_participants: bool,
}

/// A group and its counts.
#[derive(Debug, Clone)]
pub struct GroupCounts {
    /// What its meetings have in common, for each of the groups asked for.
    pub keys: Vec<String>,
    /// How many they are.
    pub meetings: i64,
    /// How many participants were at one of them at least; 0 where these were not counted.
    pub participants: i64,
}

/// The first groups in the order that is wanted, at most `limit`.
pub async fn count(
    ask: &mut BoundedQuery,
    wanted: &AggregateQuery,
    limit: usize,
) -> Result<Vec<GroupCounts>, StoreError> {
    let limit = limit as i64; // at most 1,001: it fits
    let order = match wanted.order {
        Order::MeetingCount => " order by meetings desc, one, other limit ",
        Order::ParticipantCount => " order by participants desc, one, other limit ",
        Order::Key => " order by one, other limit ",
    };
    let by_participants = wanted.order == Order::ParticipantCount;
    let mut query = QueryBuilder::<Postgres>::new("with chosen as (");
    push_meetings(&mut query, wanted);
    if !by_participants {
        query.push(order).push_bind(limit);
    }
    query.push(")");
    if by_participants || wanted.count_participants {
        query.push(", present as (");
        push_participants(&mut query, wanted);
        query.push(
            ")
             select one::text, other::text, meetings, coalesce(participants, 0) as participants
             from chosen
             left join present using (one, other)",
        );
    } else {
        query.push(" select one::text, other::text, meetings, 0::bigint as participants from chosen");
    }
    query.push(order).push_bind(limit);
    let rows: Vec<GroupRow> = ask.all(query.build_query_as()).await?;
    Ok(rows.into_iter().map(|row| row.counted(&wanted.groups)).collect())
}

struct GroupRow {
    one: String,
    other: String,
    meetings: i64,
    participants: i64,
}

from_row!(GroupRow { one, other, meetings, participants });

impl GroupRow {
    fn counted(self, groups: &[Group]) -> GroupCounts {
        let keys = groups.iter().zip([self.one, self.other]).map(|(group, value)| key(*group, value)).collect();
        GroupCounts { keys, meetings: self.meetings, participants: self.participants }
    }
}

/// What clients read.
fn key(group: Group, value: String) -> String {
    let name = |id: &str| format!("{}/{id}", Collection::Participants.as_str());
    match group {
        Group::Participant => name(&value),
        // An array, as PostgreSQL writes it.
        Group::ParticipantPair => value.trim_matches(['{', '}']).split(',').map(name).collect::<Vec<_>>().join(","),
        _ => value,
    }
}

/// The groups with their counts of meetings: `one`, `other`, `meetings`.
fn push_meetings(query: &mut QueryBuilder<Postgres>, wanted: &AggregateQuery) {
    push_values(query, wanted);
    query.push(", sum(found)::bigint as meetings from (select ");
    let columns = columns(wanted);
    columns.iter().for_each(|column| {
        query.push(column).push(", ");
    });
    query.push("count(*) as found");
    match source_of_participants(wanted) {
        Some(source) => query.push(source),
        None => push_source(query, wanted, ""),
    };
    if !columns.is_empty() {
        let places: Vec<String> = (1..=columns.len()).map(|place| place.to_string()).collect();
        query.push(" group by ").push(places.join(", "));
    }
    query.push(") as part group by 1, 2");
}

/// The groups with their counts of participants: `one`, `other`, `participants`. Those of all meetings are counted
/// without a look at the meetings.
fn push_participants(query: &mut QueryBuilder<Postgres>, wanted: &AggregateQuery) {
    if wanted.groups.is_empty() && wanted.filter == Filter::EVERYTHING {
        query.push(
            "select '' as one, '' as other, count(*) as participants
             from (
                 select distinct participant
                 from participation
                 where together
                   and participant is not null
             ) as met",
        );
        return;
    }
    query.push("select one, other, count(*) as participants from (select distinct one, other, who from (");
    push_values(query, wanted);
    query.push(", who from (select ");
    columns(wanted).iter().for_each(|column| {
        query.push(column).push(", ");
    });
    query.push("met.participant as who");
    let those_who_were_there =
        " join participation as met on met.meeting = meeting.id and met.together and met.participant is not null";
    push_source(query, wanted, those_who_were_there);
    query.push(") as part) as met where (one, other) in (select one, other from chosen)) as met group by 1, 2");
}

/// The values of the groups.
fn push_values(query: &mut QueryBuilder<Postgres>, wanted: &AggregateQuery) {
    for (at, name) in ["one", "other"].into_iter().enumerate() {
        query.push(if at == 0 { "select " } else { ", " });
        match wanted.groups.get(at) {
            Some(group) => push_value(query, *group),
            None => {
                query.push("''");
            }
        }
        query.push(" as ").push(name);
    }
}

/// What the groups are made of.
fn columns(wanted: &AggregateQuery) -> BTreeSet<&'static str> {
    wanted.groups.iter().flat_map(|group| source(*group).columns).copied().collect()
}

/// From where, and of which meetings; `joins` are those of further tables.
fn push_source<'q>(
    query: &'q mut QueryBuilder<Postgres>,
    wanted: &AggregateQuery,
    joins: &'static str,
) -> &'q mut QueryBuilder<Postgres> {
    query.push(" from meeting").push(joins);
    wanted.groups.iter().for_each(|group| {
        query.push(source(*group).joins);
    });
    query.push(" where meeting.listed and ");
    filter::push(query, &wanted.filter);
    query
}

/// Those who were at any meetings are counted without a look at these: `together` says whether lists have them.
fn source_of_participants(wanted: &AggregateQuery) -> Option<&'static str> {
    match *wanted.groups {
        _ if wanted.filter != Filter::EVERYTHING => None,
        [Group::Participant] => {
            Some(" from participation as of_one where of_one.together and of_one.participant is not null")
        }
        [Group::ParticipantPair] => Some(
            " from participation as one_of_two
              join participation as other_of_two on other_of_two.meeting = one_of_two.meeting and other_of_two.together
                   and one_of_two.participant < other_of_two.participant
              where one_of_two.together",
        ),
        _ => None,
    }
}

/// What a group takes of a meeting.
struct GroupColumns {
    /// Further tables.
    joins: &'static str,
    /// What it is made of, as columns.
    columns: &'static [&'static str],
}

fn source(group: Group) -> GroupColumns {
    let (joins, columns): (_, &[_]) = match group {
        Group::Kind => ("", &["meeting.kind"]),
        Group::Status => ("", &["meeting.status"]),
        Group::PlaceRegion => ("", &["meeting.place_region"]),
        Group::Year | Group::Quarter | Group::Month => ("", &["meeting.sort_date", "meeting.date_precision"]),
        Group::Region => (
            " join meeting_region as of_region on of_region.meeting = meeting.id and of_region.takes_part",
            &["of_region.region_code"],
        ),
        Group::RegionPair => (
            " join meeting_region as one_region on one_region.meeting = meeting.id and one_region.takes_part
              join meeting_region as other_region on other_region.meeting = meeting.id and other_region.takes_part
                   and one_region.region_code < other_region.region_code",
            &["one_region.region_code as one_region", "other_region.region_code as other_region"],
        ),
        Group::Topic => (" join meeting_topic as of_topic on of_topic.meeting = meeting.id", &["of_topic.topic"]),
        Group::Seniority => (
            // Traits from 201 to 206: see `participation::SENIORITY`.
            " join meeting_trait as of_office on of_office.meeting = meeting.id and of_office.trait between 201 and 206",
            &["of_office.trait"],
        ),
        Group::Participant => (
            " join participation as of_one on of_one.meeting = meeting.id and of_one.together
                   and of_one.participant is not null",
            &["of_one.participant"],
        ),
        Group::ParticipantPair => (
            " join participation as one_of_two on one_of_two.meeting = meeting.id and one_of_two.together
              join participation as other_of_two on other_of_two.meeting = meeting.id and other_of_two.together
                   and one_of_two.participant < other_of_two.participant",
            &["one_of_two.participant as one_of_two", "other_of_two.participant as other_of_two"],
        ),
    };
    GroupColumns { joins, columns }
}

/// What a group shows of its columns: it sorts as its text does.
fn push_value(query: &mut QueryBuilder<Postgres>, group: Group) {
    match group {
        Group::Kind => push_name(query, "kind", |number| Some(Kind::try_from(number).ok()?.as_str_name())),
        Group::Status => push_name(query, "status", |number| Some(Status::try_from(number).ok()?.as_str_name())),
        _ => {
            query.push(match group {
                Group::PlaceRegion => "coalesce(place_region, '') collate \"C\"",
                Group::Year => "case when date_precision >= 1 then to_char(sort_date::timestamp, 'YYYY') else '' end collate \"C\"",
                Group::Quarter => {
                    "case when date_precision >= 2 then to_char(sort_date::timestamp, 'YYYY-\"Q\"Q') else '' end collate \"C\""
                }
                Group::Month => {
                    "case when date_precision >= 2 then to_char(sort_date::timestamp, 'YYYY-MM') else '' end collate \"C\""
                }
                Group::Region => "region_code collate \"C\"",
                Group::RegionPair => "(one_region || '-' || other_region) collate \"C\"",
                Group::Topic => "topic collate \"C\"",
                Group::Seniority => "trait - 200",
                Group::Participant => "participant",
                Group::ParticipantPair => "array[one_of_two, other_of_two]",
                Group::Kind | Group::Status => "",
            });
        }
    }
}

/// The name of an enum's value; of an unset one, or one that this release does not know, the empty text.
fn push_name(query: &mut QueryBuilder<Postgres>, column: &str, name: fn(i32) -> Option<&'static str>) {
    // Far more than any enum of the contract has, from 1.
    let names: Vec<&str> = (1..256).map(|number| name(number).unwrap_or_default()).collect();
    query.push("coalesce((").push_bind(names).push("::text[])[").push(column).push("], '') collate \"C\"");
}
