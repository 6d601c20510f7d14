//! Finds the meetings that may describe the same event as an account: those that share a participant with it, around its
//! days. The index `participation_day_idx` has the first day of each meeting.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use sqlx::{
    AssertSqlSafe, FromRow, PgPool, Postgres, QueryBuilder,
    postgres::{PgArguments, PgRow},
    query::QueryAs,
};
use uuid::Uuid;

use super::{BoundedQuery, filter};
use crate::{
    model::query::filter::Filter,
    store::{StoreError, from_row::from_row},
};

/// Maximum number of meetings that are read for one participant of a search: the latest around the days.
const MAX_OF_PARTICIPANT: i64 = 200;

/// Maximum number of participants of a search.
pub const MAX_PARTICIPANTS: usize = 16;

/// Participants and days that a meeting must share.
#[derive(Debug, Clone)]
pub struct CandidateSearch {
    /// The meeting must have one of these. At most [`MAX_PARTICIPANTS`] count.
    pub participants: Vec<Uuid>,
    /// The meeting must have a day from this one …
    pub first: NaiveDate,
    /// … to this one.
    pub last: NaiveDate,
}

/// A meeting that a search found.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The index of the search.
    pub search: i32,
    pub meeting: Uuid,
    /// The size of its doc.
    pub bytes: i32,
}

from_row!(Candidate { search, meeting, bytes });

/// A meeting of a year has the first of January as its first day; one of a month has its first day, as others do. Of
/// each participant the latest meetings are read from the index, those that have none of the days are dropped, and those
/// that share most participants are kept.
const STATEMENT: &str = "select found.number as search, found.meeting, octet_length(meeting.doc) as bytes
     from (
         select shared.number, shared.meeting,
                row_number() over (partition by shared.number order by shared.count desc, shared.meeting) as rank
         from (
             select input.number, near.meeting, count(*) as count
             from unnest($1::integer[], $2::uuid[], $3::date[], $4::date[])
                      as input (number, participant, first_day, last_day)
             cross join lateral (
                 (select participation.meeting
                  from participation
                  where participation.participant = input.participant
                    and participation.day between input.first_day - 31 and input.last_day
                  order by participation.day desc
                  limit $6)
                 union
                 (select participation.meeting
                  from participation
                  where participation.participant = input.participant
                    and participation.day = date_trunc('year', input.first_day)::date
                  limit $6)
             ) as near
             join meeting as dated
                 on dated.id = near.meeting
                and dated.listed
                and dated.days && daterange(input.first_day, input.last_day, '[]')
             group by input.number, near.meeting
         ) as shared
     ) as found
     join meeting on meeting.id = found.meeting
     where found.rank <= $5
     order by found.number, found.rank";

fn statement<O>(explain: &str, searches: &[CandidateSearch], limit: usize) -> QueryAs<'static, Postgres, O, PgArguments>
where
    O: for<'r> FromRow<'r, PgRow>,
{
    let (numbers, participants, firsts, lasts) = rows(searches);
    sqlx::query_as(AssertSqlSafe(format!("{explain}{STATEMENT}")))
        .bind(numbers)
        .bind(participants)
        .bind(firsts)
        .bind(lasts)
        .bind(limit as i64) // a small constant: no overflow
        .bind(MAX_OF_PARTICIPANT)
}

type Rows = (Vec<i32>, Vec<Uuid>, Vec<NaiveDate>, Vec<NaiveDate>);

/// A row for each participant of each search.
fn rows(searches: &[CandidateSearch]) -> Rows {
    let mut rows = Rows::default();
    for (number, search) in (0..).zip(searches) {
        let participants: BTreeSet<Uuid> = search.participants.iter().take(MAX_PARTICIPANTS).copied().collect();
        for participant in participants {
            rows.0.push(number);
            rows.1.push(participant);
            rows.2.push(search.first);
            rows.3.push(search.last);
        }
    }
    rows
}

/// Finds at most `limit` meetings for each search, those that share most participants first.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, searches: &[CandidateSearch], limit: usize) -> Result<Vec<Candidate>, StoreError> {
    Ok(statement("", searches, limit).fetch_all(pool).await?)
}

/// As [`find`], within the deadline of a query.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn find_bounded(
    bounded: &mut BoundedQuery,
    searches: &[CandidateSearch],
    limit: usize,
) -> Result<Vec<Candidate>, StoreError> {
    bounded.fetch_all(statement("", searches, limit)).await
}

/// The plan of [`find`]: the output of PostgreSQL's `explain (format json)`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn plan(
    bounded: &mut BoundedQuery,
    searches: &[CandidateSearch],
    limit: usize,
) -> Result<String, StoreError> {
    let query = statement("explain (format json) ", searches, limit);
    let plans: Vec<(sqlx::types::JsonValue,)> = bounded.fetch_all(query).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

/// Those of the meetings that match a filter.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn matching(
    bounded: &mut BoundedQuery,
    meetings: &[Uuid],
    condition: &Filter,
) -> Result<BTreeSet<Uuid>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select meeting.id from meeting where meeting.id = any(");
    query.push_bind(meetings.to_vec()).push(") and ");
    filter::push(&mut query, condition);
    let ids: Vec<(Uuid,)> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}
