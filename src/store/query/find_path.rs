//! Queries for one level of a breadth-first search for a chain of meetings between two participants.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{BoundedQuery, counterpart::push_meetings};
use crate::{model::query::filter::Filter, store::StoreError};

/// The `participants` with more than `limit` meetings, and the total number of meetings of all others.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn busy(
    bounded: &mut BoundedQuery,
    participants: &[Uuid],
    limit: i64,
) -> Result<(Vec<Uuid>, i64), StoreError> {
    let counted = sqlx::query_as(
        "select coalesce(array_agg(who) filter (where meetings > $2), '{}'),
                coalesce(sum(meetings) filter (where meetings <= $2), 0)::bigint
         from unnest($1::uuid[]) as input (who)
         cross join lateral (
             select count(*) as meetings
             from (
                 select
                 from participation
                 where together
                   and participant = input.who
                 limit $2 + 1
             ) as bounded
         ) as counted",
    )
    .bind(participants)
    .bind(limit);
    Ok(bounded.fetch_all(counted).await?.into_iter().next().unwrap_or_default())
}

/// The participants that met any of `participants`, in the order of ids, at most `limit`. They may include some of
/// `participants`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn met_by(
    bounded: &mut BoundedQuery,
    participants: &[Uuid],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select distinct counterpart.participant from participation as own");
    push_meetings(&mut query, filter);
    query.push(
        " join participation as counterpart on counterpart.meeting = own.meeting
               and counterpart.together
               and counterpart.participant is not null
          where own.together and own.participant = any(",
    );
    // The search is bounded: the cast cannot overflow.
    query.push_bind(participants).push(") order by 1 limit ").push_bind(limit as i64);
    ids(bounded, query).await
}

/// The `participants` that met any of `counterparts`, in no order.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn participants_who_met(
    bounded: &mut BoundedQuery,
    participants: &[Uuid],
    counterparts: &[Uuid],
    filter: &Filter,
) -> Result<Vec<Uuid>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select distinct own.participant");
    push_pairs(&mut query, participants, counterparts, filter);
    ids(bounded, query).await
}

/// The first of `counterparts`, in the order of ids, that a participant met, and the first of their common meetings.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn first_met(
    bounded: &mut BoundedQuery,
    participant: Uuid,
    counterparts: &[Uuid],
    filter: &Filter,
) -> Result<Option<(Uuid, Uuid)>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select counterpart.participant, counterpart.meeting");
    push_pairs(&mut query, &[participant], counterparts, filter);
    query.push(" order by counterpart.participant, counterpart.meeting limit 1");
    Ok(bounded.fetch_all(query.build_query_as()).await?.into_iter().next())
}

async fn ids(bounded: &mut BoundedQuery, mut query: QueryBuilder<Postgres>) -> Result<Vec<Uuid>, StoreError> {
    let rows: Vec<(Uuid,)> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Appends the pairs of `participants` and `counterparts` at their common meetings.
fn push_pairs(query: &mut QueryBuilder<Postgres>, participants: &[Uuid], counterparts: &[Uuid], filter: &Filter) {
    query.push(" from participation as own");
    push_meetings(query, filter);
    query.push(" join participation as counterpart on counterpart.meeting = own.meeting and counterpart.together");
    query.push(" and counterpart.participant = any(").push_bind(counterparts);
    query.push(") where own.together and own.participant = any(").push_bind(participants).push(")");
}
