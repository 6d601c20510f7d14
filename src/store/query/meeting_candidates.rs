//! Finds the meetings that may describe the same event as an account: those that share a participant with it, around its
//! days. The index `participation_day_idx` has the first day of each meeting.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{Datelike, NaiveDate, TimeDelta};
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

/// Longest span of days, less one, of a meeting that is found by a day other than its first. A month has as many.
const LOOK_BACK: i64 = 31;

/// The meetings of each row are read from the index, the latest first. The inner `limit 1` keeps the planner from joining
/// all meetings at once: a row of a meeting is read by its id.
const STATEMENT: &str = "select input.number as search, found.meeting, dated.bytes
     from unnest($1::integer[], $2::uuid[], $3::date[], $4::date[], $5::date[], $6::date[])
              as input (number, participant, first_start, last_start, first_day, last_day)
     cross join lateral (
         select participation.meeting
         from participation
         where participation.participant = input.participant
           and participation.day between input.first_start and input.last_start
         order by participation.day desc
         limit $7
     ) as found
     cross join lateral (
         select octet_length(meeting.doc) as bytes
         from meeting
         where meeting.id = found.meeting
           and meeting.listed
           and meeting.days && daterange(input.first_day, input.last_day, '[]')
         limit 1
     ) as dated";

fn statement<O>(explain: &str, searches: &[CandidateSearch]) -> QueryAs<'static, Postgres, O, PgArguments>
where
    O: for<'r> FromRow<'r, PgRow>,
{
    let rows: Vec<Row> = (0..).zip(searches).flat_map(|(number, search)| rows(number, search)).collect();
    sqlx::query_as(AssertSqlSafe(format!("{explain}{STATEMENT}")))
        .bind(rows.iter().map(|row| row.number).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.participant).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.starts.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.starts.1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.days.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.days.1).collect::<Vec<_>>())
        .bind(MAX_OF_PARTICIPANT)
}

/// A participant of a search, and the first days of the meetings that are read.
struct Row {
    number: i32,
    participant: Uuid,
    starts: (NaiveDate, NaiveDate),
    days: (NaiveDate, NaiveDate),
}

/// The rows of a search. A meeting that is dated by a month or a year begins with its first day. A year is longer than
/// the look-back, so meetings that begin with the year are read on their own.
fn rows(number: i32, search: &CandidateSearch) -> Vec<Row> {
    let days = (search.first, search.last);
    let from = search.first.checked_sub_signed(TimeDelta::days(LOOK_BACK)).unwrap_or(search.first);
    let new_year = NaiveDate::from_ymd_opt(search.first.year(), 1, 1).filter(|new_year| *new_year < from);
    let participants: BTreeSet<Uuid> = search.participants.iter().take(MAX_PARTICIPANTS).copied().collect();
    let starts = [Some((from, search.last)), new_year.map(|day| (day, day))];
    let row = |(participant, starts)| Row { number, participant, starts, days };
    let each = |participant| starts.into_iter().flatten().map(move |starts| (participant, starts));
    participants.into_iter().flat_map(each).map(row).collect()
}

/// Keeps at most `limit` meetings of each search, those that share most participants first, then by id.
fn strongest(found: Vec<Candidate>, limit: usize) -> Vec<Candidate> {
    let mut shared: BTreeMap<(i32, Uuid), (i32, usize)> = BTreeMap::new();
    for Candidate { search, meeting, bytes } in found {
        shared.entry((search, meeting)).or_insert((bytes, 0)).1 += 1;
    }
    let mut all: Vec<(Candidate, usize)> = shared
        .into_iter()
        .map(|((search, meeting), (bytes, count))| (Candidate { search, meeting, bytes }, count))
        .collect();
    all.sort_by_key(|(candidate, count)| (candidate.search, Reverse(*count)));
    let of_search = all.chunk_by(|(a, _), (b, _)| a.search == b.search);
    of_search.flat_map(|found| found.iter().take(limit)).map(|(candidate, _)| candidate.clone()).collect()
}

/// Finds at most `limit` meetings for each search, those that share most participants first.
///
/// # Errors
/// The database fails.
pub async fn find(pool: &PgPool, searches: &[CandidateSearch], limit: usize) -> Result<Vec<Candidate>, StoreError> {
    Ok(strongest(statement("", searches).fetch_all(pool).await?, limit))
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
    Ok(strongest(bounded.fetch_all(statement("", searches)).await?, limit))
}

/// The plan of [`find`]: the output of PostgreSQL's `explain (format json)`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn plan(bounded: &mut BoundedQuery, searches: &[CandidateSearch]) -> Result<String, StoreError> {
    let query = statement("explain (format json) ", searches);
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
