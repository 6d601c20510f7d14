//! Name keys, by which stories match participants. A name has a version, so that a concurrent write that relied on its
//! absence is noticed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::{
        identity::door_keys,
        query::filter::PersonKey,
        resource::{Collection, Deletable},
    },
    pb::Participant,
    store::{
        Doc, StoreError, Tx,
        query::question::Question,
        write::{Claim, PutParticipant, provenance::Attributed},
    },
};

/// The participants that have a name key and agree with one of its descriptions.
#[derive(Debug, Clone, Default)]
pub struct Namesakes {
    /// Increases whenever a participant with the name is written; 0 if there never was one.
    pub version: i64,
    /// The participants. For each description of the name the oldest, at most [`MAX_NAMESAKES`].
    pub docs: Vec<Doc>,
}

/// Maximum number of participants that are read for one name, kind and region. A match takes the oldest, so a common
/// name costs no more than a rare one.
pub const MAX_NAMESAKES: i64 = 20;

/// The description of a participant that is sought by a name key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Description {
    /// The name key.
    pub key: String,
    /// The kind, which must be equal.
    pub kind: i16,
    /// The region, which must be equal; empty if unknown.
    pub region: String,
}

/// The participants that agree with these descriptions, by name key. A name without participants has an entry only if
/// one once had it.
///
/// # Errors
/// The database fails.
pub async fn find_by_names(
    pool: &PgPool,
    sought: &HashSet<Description>,
) -> Result<HashMap<String, Namesakes>, StoreError> {
    type NameRow = (String, i64, Option<Uuid>, Option<i16>, Option<Vec<u8>>);
    // The inner query orders without fetching any TOASTed doc. `offset 0` keeps the planner from reading participants in
    // another order than that of the names: without statistics it scans those of a region.
    let rows: Vec<NameRow> = sqlx::query_as(
        "select participant_key.key, participant_key.version, participant.id, participant.contract, participant.doc
         from unnest($1::text[], $2::smallint[], $3::text[]) as input (key, kind, region)
         join participant_key on participant_key.key = input.key
         left join lateral (
             select namesake.id
             from participant_name
             cross join lateral (
                 select id, create_time
                 from participant
                 where participant.id = participant_name.participant
                   and participant.kind = input.kind
                   and coalesce(participant.region_code, '') = input.region
                 offset 0
             ) as namesake
             where participant_name.key = input.key
             order by namesake.create_time, namesake.id
             limit $4
         ) as found on true
         left join participant on participant.id = found.id",
    )
    .bind(sought.iter().map(|description| description.key.as_str()).collect::<Vec<_>>())
    .bind(sought.iter().map(|description| description.kind).collect::<Vec<_>>())
    .bind(sought.iter().map(|description| description.region.as_str()).collect::<Vec<_>>())
    .bind(MAX_NAMESAKES)
    .fetch_all(pool)
    .await?;
    let mut names: HashMap<String, Namesakes> = HashMap::new();
    for (key, version, id, contract, bytes) in rows {
        let namesakes = names.entry(key).or_default();
        namesakes.version = version;
        // Two descriptions of one name can find the same participant.
        if let (Some(id), Some(contract), Some(bytes)) = (id, contract, bytes)
            && namesakes.docs.iter().all(|doc| doc.id != id)
        {
            namesakes.docs.push(Doc { id, contract, bytes });
        }
    }
    Ok(names)
}

/// The live participants with one of these name keys, aliases included: at most `limit`, in the order of ids.
///
/// # Errors
/// The database fails.
pub async fn find_named(pool: &PgPool, keys: &[String], limit: i64) -> Result<Vec<Uuid>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let ids = sqlx::query_scalar(
        "select distinct participant
         from participant_name
         where key = any($1)
         order by participant
         limit $2",
    );
    Ok(ids.bind(keys).bind(limit).fetch_all(pool).await?)
}

/// The names and the external ids of keys.
fn split(keys: &BTreeSet<PersonKey>) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    let (mut names, mut schemes, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        match key {
            PersonKey::Name(name) => names.push(name.as_str()),
            PersonKey::ExternalId(scheme, value) => {
                schemes.push(scheme.as_str());
                values.push(value.as_str());
            }
            PersonKey::AnyExternalId => {}
        }
    }
    (names, schemes, values)
}

/// The live participants with one of these names or external ids, aliases included: at most `limit`, in the order of
/// ids. Of those with any external id only the ones that are aliases, or have changed after a position of the feed and may
/// have been aliases then: other participants tell it themselves.
///
/// # Errors
/// The database fails.
pub async fn find_by_keys(
    pool: &PgPool,
    keys: &BTreeSet<PersonKey>,
    position: i64,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (names, schemes, values) = split(keys);
    let ids = sqlx::query_scalar(
        "select participant
         from participant_name
         where key = any($1)
         union
         select held.participant
         from unnest($2::text[], $3::text[]) as input (scheme, value)
         join participant_external_id as held
             on held.scheme = input.scheme
            and held.value = input.value
         union
         select alias.id
         from participant as alias
         where $5
           and alias.merged_into is not null
           and exists (select from participant_external_id as held where held.participant = alias.id)
         union
         select held.participant
         from change
         join participant_external_id as held on held.participant = change.id
         where $5
           and change.position > $6
           and change.collection = 1
         order by participant
         limit $4",
    );
    let any = keys.contains(&PersonKey::AnyExternalId);
    Ok(ids.bind(names).bind(schemes).bind(values).bind(limit).bind(any).bind(position).fetch_all(pool).await?)
}

/// The persons of the participants with one of these names or external ids that have not changed since a time, each with
/// the key: at most `limit`, and the external ids. Of those with any external id only the aliases, at most `limit` too.
///
/// # Errors
/// The database fails.
pub async fn unchanged_persons_named(
    pool: &PgPool,
    keys: &BTreeSet<PersonKey>,
    time: DateTime<Utc>,
    limit: usize,
) -> Result<BTreeSet<(PersonKey, Uuid)>, StoreError> {
    let (names, schemes, values) = split(keys);
    let persons: Vec<(String, Uuid)> = sqlx::query_as(
        "select distinct name.key, name.person
         from participant_name as name
         join participant on participant.id = name.participant
         where name.key = any($1)
           and participant.update_time <= $2
         limit $3",
    )
    .bind(names)
    .bind(time)
    .bind(limit as i64) // a small constant: no overflow
    .fetch_all(pool)
    .await?;
    // One participant holds each id.
    let holders: Vec<(String, String, Uuid)> = sqlx::query_as(
        "select held.scheme, held.value, coalesce(participant.merged_into, participant.id)
         from unnest($1::text[], $2::text[]) as input (scheme, value)
         join participant_external_id as held
             on held.scheme = input.scheme
            and held.value = input.value
         join participant on participant.id = held.participant
         where participant.update_time <= $3",
    )
    .bind(schemes)
    .bind(values)
    .bind(time)
    .fetch_all(pool)
    .await?;
    let mut of_aliases: Vec<Uuid> = Vec::new();
    if keys.contains(&PersonKey::AnyExternalId) {
        of_aliases = sqlx::query_scalar(
            "select distinct alias.merged_into
             from participant as alias
             where alias.merged_into is not null
               and alias.update_time <= $1
               and exists (select from participant_external_id as held where held.participant = alias.id)
             limit $2",
        )
        .bind(time)
        .bind(limit as i64) // a small constant: no overflow
        .fetch_all(pool)
        .await?;
    }
    let named = persons.into_iter().map(|(name, person)| (PersonKey::Name(name), person));
    let held = holders.into_iter().map(|(scheme, value, person)| (PersonKey::ExternalId(scheme, value), person));
    let any = of_aliases.into_iter().map(|person| (PersonKey::AnyExternalId, person));
    Ok(named.chain(held).chain(any).collect())
}

/// The participants that a search finds by their own names and that have not changed since a time, and the persons of
/// those that are live aliases: at most `limit` participants.
///
/// # Errors
/// The database fails.
pub async fn unchanged_with_words(
    pool: &PgPool,
    question: &Question,
    time: DateTime<Utc>,
    limit: usize,
) -> Result<BTreeSet<Uuid>, StoreError> {
    let found: Vec<(Uuid, Option<Uuid>)> = sqlx::query_as(
        "select id, case when delete_time is null then merged_into end
         from participant
         where search @@ $1::tsquery
           and update_time <= $2
         limit $3",
    )
    .bind(question.tsquery())
    .bind(time)
    .bind(limit as i64) // a small constant: no overflow
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().flat_map(|(id, person)| [Some(id), person]).flatten().collect())
}

/// The name keys that a participant has or had. A concurrent write that relied on the absence of one must look
/// it up again, even if only the kind or the region has changed.
pub(in crate::store) fn touched_names(participant: &PutParticipant) -> BTreeSet<String> {
    let mut names = door_keys(&participant.put.record);
    names.extend(participant.former.iter().flat_map(door_keys));
    names
}

/// Claims names. A name that was free must still have the version that was read. The version of every name that a
/// participant has or had is increased.
pub(in crate::store) async fn claim_names(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let absent: BTreeMap<&str, i64> = participants
        .iter()
        .flat_map(|participant| &participant.absent)
        .map(|(key, version)| (key.as_str(), *version))
        .collect();
    if !absent.is_empty() {
        let claimed: HashSet<String> = sqlx::query_scalar(
            "insert into participant_key (key, version)
             select input.key, input.version + 1
             from unnest($1::text[], $2::bigint[]) as input (key, version)
             on conflict on constraint participant_key_pkey do update
             set version = excluded.version
             where participant_key.version = excluded.version - 1
             returning key",
        )
        .bind(absent.keys().copied().collect::<Vec<_>>())
        .bind(absent.values().copied().collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        let taken = absent.keys().filter(|key| !claimed.contains(**key));
        lost.extend(taken.map(|key| Claim::Name((*key).to_owned())));
    }

    let touched: BTreeSet<String> = participants
        .iter()
        .flat_map(|participant| touched_names(participant))
        .filter(|key| !absent.contains_key(key.as_str()))
        .collect();
    if !touched.is_empty() {
        sqlx::query(
            "insert into participant_key (key, version)
             select input.key, 1
             from unnest($1::text[]) as input (key)
             on conflict on constraint participant_key_pkey do update
             set version = participant_key.version + 1",
        )
        .bind(touched.into_iter().collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Writes the name keys of the live participants.
pub(in crate::store) async fn index(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
) -> Result<(), StoreError> {
    let records: Vec<_> =
        participants.iter().map(|participant| (participant.put.id, &participant.put.record)).collect();
    index_names(tx, &records).await
}

async fn index_names(tx: Tx<'_>, participants: &[(Uuid, &Participant)]) -> Result<(), StoreError> {
    let (mut names, mut ids, mut persons) = (Vec::new(), Vec::new(), Vec::new());
    for (id, participant) in participants.iter().filter(|(_, participant)| !participant.is_deleted()) {
        for key in door_keys(participant) {
            names.push(key);
            ids.push(*id);
            persons.push(Collection::Participants.id(&participant.merged_into).unwrap_or(*id));
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into participant_name (key, participant, person)
         select input.*
         from unnest($1::text[], $2::uuid[], $3::uuid[]) as input (key, participant, person)",
    )
    .bind(names)
    .bind(ids)
    .bind(persons)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Rebuilds the name keys of these participants.
pub(in crate::store) async fn reindex_names(
    tx: Tx<'_>,
    participants: &[(Uuid, &Participant)],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = participants.iter().map(|(id, _)| *id).collect();
    sqlx::query("delete from participant_name where participant = any($1)").bind(ids).execute(&mut *tx).await?;
    let names: BTreeSet<String> = participants.iter().flat_map(|(_, participant)| door_keys(participant)).collect();
    sqlx::query(
        "insert into participant_key (key, version)
         select input.key, 1
         from unnest($1::text[]) as input (key)
         on conflict on constraint participant_key_pkey do nothing",
    )
    .bind(names.into_iter().collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    index_names(tx, participants).await
}
