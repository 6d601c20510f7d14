//! The data for settling the identity of participants: the keys by which similar names are found, appearances, and the
//! position of the feed up to which the service has settled.

use std::collections::HashMap;

use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::identity::CandidateKeys,
    store::{Doc, StoreError, from_row::from_row},
};

/// How far the service has settled who is one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The epoch of the feed; empty if all participants are to be read first.
    pub epoch: String,
    /// The last position that was read.
    pub position: i64,
    /// While all participants are read: the last of them, in the order of ids.
    pub done: Option<Uuid>,
    /// The version of the rule.
    pub version: i32,
}

from_row!(Progress { epoch, position, done, version });

/// Takes the lease of the work for some seconds, and returns the progress. `None` while another instance has the lease.
///
/// # Errors
/// The database fails.
pub async fn lease(pool: &PgPool, instance: Uuid, seconds: f64) -> Result<Option<Progress>, StoreError> {
    let progress = sqlx::query_as(
        "update identity_progress
         set holder = $1,
             expires = clock_timestamp() + make_interval(secs => $2)
         where holder = $1
            or expires < clock_timestamp()
         returning epoch, position, done, version",
    );
    Ok(progress.bind(instance).bind(seconds).fetch_optional(pool).await?)
}

/// Stores the next progress. `false` if another instance has stored one since `former` was read.
///
/// # Errors
/// The database fails.
pub async fn advance(pool: &PgPool, former: &Progress, next: &Progress) -> Result<bool, StoreError> {
    let updated = sqlx::query(
        "update identity_progress
         set epoch = $5,
             position = $6,
             done = $7,
             version = $8
         where epoch = $1
           and position = $2
           and done is not distinct from $3
           and version = $4",
    )
    .bind(&former.epoch)
    .bind(former.position)
    .bind(former.done)
    .bind(former.version)
    .bind(&next.epoch)
    .bind(next.position)
    .bind(next.done)
    .bind(next.version)
    .execute(pool)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// The records that the changes after a position concern, as far as they matter to identity.
#[derive(Debug, Default)]
pub struct ChangedRecords {
    /// The position of the last change that was read; `None` if there is none after the position.
    pub last: Option<i64>,
    /// The participants that have changed.
    pub participants: Vec<Uuid>,
    /// The participants that changed meetings refer to.
    pub appeared: Vec<Uuid>,
}

/// Reads at most `limit` changes after a position.
///
/// # Errors
/// The database fails.
pub async fn changed_after(pool: &PgPool, position: i64, limit: i64) -> Result<ChangedRecords, StoreError> {
    let (last, participants, appeared): (Option<i64>, Vec<Uuid>, Vec<Uuid>) = sqlx::query_as(
        "with next as materialized (
             select position, collection, id
             from change
             where position > $1
             order by position
             limit $2
         )
         select (select max(position) from next),
                array(select distinct id from next where collection = 1),
                array(
                    select distinct participant
                    from meeting_participant
                    where meeting in (select id from next where collection = 4)
                )",
    )
    .bind(position)
    .bind(limit)
    .fetch_one(pool)
    .await?;
    Ok(ChangedRecords { last, participants, appeared })
}

/// The number of changes after a position among which the next change of a participant is looked for.
const NEAR: i64 = 10_000;

/// Participants as of a position of the feed. Those that did not exist then are left out.
///
/// The log has no index of participants. The changes next to the position decide exactly; a participant without one
/// there is taken as of the time of the first of them, because its next change is later by far.
///
/// # Errors
/// The database fails.
pub async fn as_of(pool: &PgPool, ids: &[Uuid], position: i64) -> Result<Vec<Doc>, StoreError> {
    let docs = sqlx::query_as(
        "with near as materialized (
             select collection, id, revision, time
             from change
             where position > $2
               and position <= $2 + $3
         ),
         sought as (
             select input.id,
                    (select min(near.revision) from near where near.collection = 1 and near.id = input.id) as next,
                    coalesce((select min(near.time) from near), 'infinity') as time
             from unnest($1::uuid[]) as input (id)
         )
         select sought.id, version.contract, version.doc
         from sought
         cross join lateral (
             (select revision, contract, doc
              from participant
              where participant.id = sought.id
                and case when sought.next is null
                         then participant.update_time <= sought.time
                         else participant.revision < sought.next end)
             union all
             (select revision, contract, doc
              from superseded
              where superseded.collection = 1
                and superseded.id = sought.id
                and case when sought.next is null
                         then superseded.update_time <= sought.time
                         else superseded.revision < sought.next end
              order by superseded.revision desc
              limit 1)
             order by revision desc
             limit 1
         ) as version",
    );
    Ok(docs.bind(ids).bind(position).bind(NEAR).fetch_all(pool).await?)
}

/// The next participants in the order of ids.
///
/// # Errors
/// The database fails.
pub async fn next_participants(pool: &PgPool, after: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar(
        "select id
         from participant
         where id > $1
         order by id
         limit $2",
    );
    Ok(ids.bind(after).bind(limit).fetch_all(pool).await?)
}

/// The participants to settle because of [`replace_keys`].
///
/// # Errors
/// The database fails.
pub async fn seeds(pool: &PgPool) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar("select participant from identity_seed").fetch_all(pool).await?)
}

/// Removes participants from those to settle.
///
/// # Errors
/// The database fails.
pub async fn remove_seeds(pool: &PgPool, ids: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query("delete from identity_seed where participant = any($1)").bind(ids).execute(pool).await?;
    Ok(())
}

/// Replaces the keys of participants, and stores the participants to settle: those that share a pair key which one of
/// these has lost, or which has become too common. Returns the number of pair keys that have become too common.
///
/// # Errors
/// The database fails.
pub async fn replace_keys(pool: &PgPool, keys: &[(Uuid, CandidateKeys)]) -> Result<usize, StoreError> {
    let ids: Vec<Uuid> = keys.iter().map(|(id, _)| *id).collect();
    let (mut participants, mut numbers, mut are_pairs) = (Vec::new(), Vec::new(), Vec::new());
    for (id, CandidateKeys { pairs, singles }) in keys {
        for (key, is_pair) in pairs.iter().map(|key| (key, true)).chain(singles.iter().map(|key| (key, false))) {
            participants.push(*id);
            numbers.push(*key);
            are_pairs.push(is_pair);
        }
    }
    let mut tx = pool.begin().await?;
    let mut affected: Vec<Uuid> = sqlx::query_scalar(
        "with input as (
             select *
             from unnest($2::uuid[], $3::bigint[]) as input (participant, key)
         ),
         lost as (
             delete from participant_similar
             where participant = any($1)
               and (participant, key) not in (select participant, key from input)
             returning key, is_pair
         )
         select distinct other.participant
         from lost
         cross join lateral (
             select participant
             from participant_similar
             where participant_similar.key = lost.key
             limit $4
         ) as other
         where lost.is_pair",
    )
    .bind(ids)
    .bind(&participants)
    .bind(&numbers)
    .bind(MAX_SHARING + 1)
    .fetch_all(&mut *tx)
    .await?;
    // The outer query sees the rows before the insert.
    let common: Vec<Vec<Uuid>> = sqlx::query_scalar(
        "with added as (
             insert into participant_similar (participant, key, is_pair)
             select input.*
             from unnest($1::uuid[], $2::bigint[], $3::boolean[]) as input (participant, key, is_pair)
             on conflict on constraint participant_similar_pkey do nothing
             returning key, is_pair
         ),
         counted as (
             select key, count(*) as number
             from added
             where is_pair
             group by key
         )
         select before.participants
         from counted
         cross join lateral (
             select coalesce(array_agg(participant), '{}') as participants
             from (
                 select participant
                 from participant_similar
                 where participant_similar.key = counted.key
                 limit $4 + 1
             ) as bounded
         ) as before
         where cardinality(before.participants) <= $4
           and cardinality(before.participants) + counted.number > $4",
    )
    .bind(participants)
    .bind(numbers)
    .bind(are_pairs)
    .bind(MAX_SHARING)
    .fetch_all(&mut *tx)
    .await?;
    let number = common.len();
    affected.extend(common.into_iter().flatten());
    sqlx::query(
        "insert into identity_seed (participant)
         select distinct input.participant
         from unnest($1::uuid[]) as input (participant)
         order by input.participant
         on conflict on constraint identity_seed_pkey do nothing",
    )
    .bind(affected)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(number)
}

/// Maximum number of participants that are compared because they share one key. A key that more of them have is too
/// common to say something.
pub const MAX_SHARING: i64 = 200;

/// The participants that have these keys: for each key at most `MAX_SHARING`, and none for a more common one.
///
/// # Errors
/// The database fails.
pub async fn sharing(pool: &PgPool, keys: &[i64]) -> Result<HashMap<i64, Vec<Uuid>>, StoreError> {
    let rows: Vec<(i64, Vec<Uuid>)> = sqlx::query_as(
        "select input.key, found.participants
         from unnest($1::bigint[]) as input (key)
         cross join lateral (
             select array_agg(participant) as participants
             from (
                 select participant
                 from participant_similar
                 where participant_similar.key = input.key
                 limit $2 + 1
             ) as bounded
         ) as found
         where cardinality(found.participants) between 1 and $2",
    )
    .bind(keys)
    .bind(MAX_SHARING)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The number of meetings whose reports refer to each participant. Participants without any are left out.
///
/// # Errors
/// The database fails.
pub async fn meeting_counts(pool: &PgPool, ids: &[Uuid]) -> Result<HashMap<Uuid, u64>, StoreError> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "select input.id, counted.meetings
         from unnest($1::uuid[]) as input (id)
         cross join lateral (
             select count(*) as meetings
             from meeting_participant
             where participant = input.id
               and reported
         ) as counted
         where counted.meetings > 0",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(id, count)| (id, u64::try_from(count).unwrap_or(0))).collect())
}

/// Maximum number of reports from which the appearances of a participant are read.
const MAX_APPEARANCES: i64 = 200;

/// The active reports of the meetings of each participant, encoded: those with the smallest content hashes, so that the
/// choice does not depend on their order.
///
/// # Errors
/// The database fails.
pub async fn reports_of(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<(Uuid, Vec<u8>)>, StoreError> {
    let rows = sqlx::query_as(
        "select input.id, found.doc
         from unnest($1::uuid[]) as input (id)
         cross join lateral (
             select report.doc
             from meeting_participant
             join report on report.meeting = meeting_participant.meeting
             where meeting_participant.participant = input.id
               and meeting_participant.reported
               and report.article is not null
               and report.retract_time is null
             order by report.content_hash, report.id
             limit $2
         ) as found",
    );
    Ok(rows.bind(ids).bind(MAX_APPEARANCES).fetch_all(pool).await?)
}
