//! Pairs of participants: those that a curator should judge, and those that one has judged.

use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    model::{query::filter::Filter, resource::Collection},
    pb::Participant,
    store::{
        StoreError, Tx,
        from_row::from_row,
        query::{BoundedQuery, filter},
        write::{PutParticipant, provenance::Attributed},
    },
};

/// A pair of persons that a curator should judge.
#[derive(Debug, Clone, PartialEq)]
pub struct DuplicatePair {
    /// The smaller id.
    pub participant: Uuid,
    /// The other one.
    pub other: Uuid,
    /// `readout.v1` level: 2 POSSIBLE, 3 CONFIDENT and not unique.
    pub level: i16,
    /// From 0 to 1.
    pub score: f32,
}

from_row!(DuplicatePair { participant, other, level, score });

/// The place of a pair in the list of pairs: by level and score, the highest first, then by ids.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DuplicateKey {
    /// The level.
    pub level: i16,
    /// The score.
    pub score: f32,
    /// The smaller id.
    pub participant: Uuid,
    /// The other one.
    pub other: Uuid,
}

impl DuplicatePair {
    /// Its place in the list.
    pub fn key(&self) -> DuplicateKey {
        let Self { participant, other, level, score } = *self;
        DuplicateKey { level, score, participant, other }
    }
}

/// Lists at most `limit` pairs after `after`, of which one participant satisfies the filter.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn list_duplicates(
    bounded: &mut BoundedQuery,
    condition: &Filter,
    after: Option<DuplicateKey>,
    limit: usize,
) -> Result<Vec<DuplicatePair>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(
        "select pair.participant, pair.other, pair.level, pair.score
         from participant_duplicate as pair
         where true",
    );
    if let Some(DuplicateKey { level, score, participant, other }) = after {
        query.push(" and (-pair.level, -pair.score, pair.participant, pair.other) > (");
        query.push_bind(-level).push("::smallint, ").push_bind(-score).push("::real, ");
        query.push_bind(participant).push(", ").push_bind(other).push(")");
    }
    if *condition != Filter::EVERYTHING {
        query.push(
            " and exists (
                 select from participant
                 where participant.id in (pair.participant, pair.other)
                   and ",
        );
        filter::push(&mut query, condition);
        query.push(")");
    }
    // A page is bounded: the cast cannot overflow.
    query.push(" order by -pair.level, -pair.score, pair.participant, pair.other limit ").push_bind(limit as i64);
    bounded.fetch_all(query.build_query_as()).await
}

/// Lists at most `limit` judged pairs after `after`, in the order of ids: all, or those of one participant.
///
/// # Errors
/// The database fails.
pub async fn judged_pairs(
    pool: &PgPool,
    of: Option<Uuid>,
    after: Option<(Uuid, Uuid)>,
    limit: usize,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let (participant, other) = after.unwrap_or_default();
    let pairs = sqlx::query_as(
        "select participant, other
         from participant_judgement
         where (participant, other) > ($1, $2)
           and ($3::uuid is null or participant = $3 or other = $3)
         order by participant, other
         limit $4",
    );
    let pairs = pairs.bind(participant).bind(other).bind(of).bind(limit as i64); // a page is bounded: no overflow
    Ok(pairs.fetch_all(pool).await?)
}

/// Writes the pairs that curators have judged, of participants whose judgements have changed.
pub(in crate::store) async fn index_judgements(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
) -> Result<(), StoreError> {
    let of = |participant: &Participant| participant.judgements.clone();
    let changed = participants.iter().filter(|participant| {
        let former = participant.former.as_ref().map(of).unwrap_or_default();
        former != participant.put.record.judgements
    });
    let changed: Vec<_> = changed.collect();
    if changed.is_empty() {
        return Ok(());
    }
    let pairs = changed.iter().flat_map(|participant| {
        let own = participant.put.record.judgements.iter();
        let own = own.filter(|judgement| judgement.participant == participant.put.record.name);
        own.filter_map(|judgement| Some((participant.put.id, Collection::Participants.id(&judgement.other)?)))
    });
    let (judged, others): (Vec<Uuid>, Vec<Uuid>) = pairs.unzip();
    sqlx::query("delete from participant_judgement where participant = any($1)")
        .bind(changed.iter().map(|participant| participant.put.id).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into participant_judgement (participant, other)
         select input.*
         from unnest($1::uuid[], $2::uuid[]) as input (participant, other)",
    )
    .bind(judged)
    .bind(others)
    .execute(tx)
    .await?;
    Ok(())
}

/// Replaces the pairs of these participants.
///
/// # Errors
/// The database fails.
pub async fn replace_duplicates(pool: &PgPool, of: &[Uuid], pairs: &[DuplicatePair]) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    sqlx::query("delete from participant_duplicate where participant = any($1) or other = any($1)")
        .bind(of)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into participant_duplicate (participant, other, level, score)
         select input.*
         from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::real[]) as input (participant, other, level, score)
         on conflict on constraint participant_duplicate_pkey do update
         set level = excluded.level,
             score = excluded.score",
    )
    .bind(pairs.iter().map(|pair| pair.participant).collect::<Vec<_>>())
    .bind(pairs.iter().map(|pair| pair.other).collect::<Vec<_>>())
    .bind(pairs.iter().map(|pair| pair.level).collect::<Vec<_>>())
    .bind(pairs.iter().map(|pair| pair.score).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}
