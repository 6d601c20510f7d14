//! Who was together with whom, level by level of a search for a chain of meetings.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{BoundedQuery, counterpart::push_meetings};
use crate::{model::query::filter::Filter, store::StoreError};

/// Those of `some` who were at more than `most` meetings, and at how many all others were together.
pub async fn busy(ask: &mut BoundedQuery, some: &[Uuid], most: i64) -> Result<(Vec<Uuid>, i64), StoreError> {
    let counted = sqlx::query_as(
        "select coalesce(array_agg(who) filter (where meetings > $2), '{}'),
                coalesce(sum(meetings) filter (where meetings <= $2), 0)::bigint
         from unnest($1::uuid[]) as one (who)
         cross join lateral (
             select count(*) as meetings
             from (
                 select
                 from participation
                 where together
                   and participant = one.who
                 limit $2 + 1
             ) as theirs
         ) as counted",
    )
    .bind(some)
    .bind(most);
    Ok(ask.all(counted).await?.into_iter().next().unwrap_or_default())
}

/// Those whom one of `some` met, in the order of names, and perhaps of `some` too: the first of them, at most `limit`.
pub async fn met_by(
    ask: &mut BoundedQuery,
    some: &[Uuid],
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select distinct theirs.participant from participation as own");
    push_meetings(&mut query, filter);
    query.push(
        " join participation as theirs on theirs.meeting = own.meeting and theirs.together
               and theirs.participant is not null
          where own.together and own.participant = any(",
    );
    // Searches are bounded: the number fits.
    query.push_bind(some).push(") order by 1 limit ").push_bind(limit as i64);
    ids(ask, query).await
}

/// Those of `some` who met one of `others`, in no order.
pub async fn who_met(
    ask: &mut BoundedQuery,
    some: &[Uuid],
    others: &[Uuid],
    filter: &Filter,
) -> Result<Vec<Uuid>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select distinct own.participant");
    push_pairs(&mut query, some, others, filter);
    ids(ask, query).await
}

/// The smallest of `others` whom somebody met, and the smallest of the meetings at which they were together.
pub async fn first_met(
    ask: &mut BoundedQuery,
    who: Uuid,
    others: &[Uuid],
    filter: &Filter,
) -> Result<Option<(Uuid, Uuid)>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select theirs.participant, theirs.meeting");
    push_pairs(&mut query, &[who], others, filter);
    query.push(" order by theirs.participant, theirs.meeting limit 1");
    Ok(ask.all(query.build_query_as()).await?.into_iter().next())
}

async fn ids(ask: &mut BoundedQuery, mut query: QueryBuilder<Postgres>) -> Result<Vec<Uuid>, StoreError> {
    let rows: Vec<(Uuid,)> = ask.all(query.build_query_as()).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Those of `some` with those of `others` at the meetings where they were together.
fn push_pairs(query: &mut QueryBuilder<Postgres>, some: &[Uuid], others: &[Uuid], filter: &Filter) {
    query.push(" from participation as own");
    push_meetings(query, filter);
    query.push(" join participation as theirs on theirs.meeting = own.meeting and theirs.together");
    query.push(" and theirs.participant = any(").push_bind(others);
    query.push(") where own.together and own.participant = any(").push_bind(some).push(")");
}
