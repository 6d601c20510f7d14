//! Participants: docs, the columns that filters read, name keys for matching, and external ids, which are unique
//! among live participants.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx, docs, time,
    write::{
        Claim, PutParticipant,
        columns::Columns,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        participant::keys,
        resource::{CONTRACT_VERSION, Collection, Deletable},
    },
    pb::Participant,
};

/// The participants with these ids, in no order. Unknown ids are left out.
///
/// # Errors
/// The database fails.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Participants, ids).await
}

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
    /// The region, which must not contradict; empty if unknown.
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
    // The inner query orders without fetching any TOASTed doc.
    let rows: Vec<NameRow> = sqlx::query_as(
        "select participant_key.key, participant_key.version, participant.id, participant.contract, participant.doc
         from unnest($1::text[], $2::smallint[], $3::text[]) as input (key, kind, region)
         join participant_key on participant_key.key = input.key
         left join lateral (
             select participant.id
             from participant_name
             join participant on participant.id = participant_name.participant
             where participant_name.key = input.key
               and participant.kind = input.kind
               and (input.region = '' or coalesce(participant.region_code, '') in ('', input.region))
             order by participant.create_time, participant.id
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

/// The live participants with these external ids, by scheme and value.
///
/// # Errors
/// The database fails.
pub async fn find_by_external_ids(
    pool: &PgPool,
    ids: &[(&str, &str)],
) -> Result<HashMap<(String, String), Doc>, StoreError> {
    let (schemes, values): (Vec<&str>, Vec<&str>) = ids.iter().copied().unzip();
    let rows: Vec<(String, String, Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select input.scheme, input.value, participant.id, participant.contract, participant.doc
         from unnest($1::text[], $2::text[]) as input (scheme, value)
         cross join lateral (
             select participant
             from participant_external_id
             where participant_external_id.scheme = input.scheme
               and participant_external_id.value = input.value
             limit 1
         ) as owner
         join participant on participant.id = owner.participant",
    )
    .bind(schemes)
    .bind(values)
    .fetch_all(pool)
    .await?;
    let entry = |(scheme, value, id, contract, bytes)| ((scheme, value), Doc { id, contract, bytes });
    Ok(rows.into_iter().map(entry).collect())
}

/// The external ids that a participant holds exclusively: all of them while it is live.
fn held_ids(participant: &Participant) -> BTreeSet<(&str, &str)> {
    let ids = participant.external_ids.iter().filter(|_| !participant.is_deleted());
    ids.map(|id| (id.scheme.as_str(), id.value.as_str())).collect()
}

fn former_ids(participant: &PutParticipant) -> BTreeSet<(&str, &str)> {
    participant.former.as_ref().map(held_ids).unwrap_or_default()
}

/// The external ids that a participant gets and did not hold before.
pub(super) fn new_ids(participant: &PutParticipant) -> impl Iterator<Item = (&str, &str)> {
    let former = former_ids(participant);
    held_ids(&participant.put.record).into_iter().filter(move |id| !former.contains(id))
}

/// The name keys that a participant has or had. A concurrent write that relied on the absence of one must look
/// it up again, even if only the kind or the region has changed.
pub(super) fn touched_names(participant: &PutParticipant) -> BTreeSet<String> {
    let mut names = keys(&participant.put.record);
    names.extend(participant.former.iter().flat_map(keys));
    names
}

/// Frees the external ids that revisions no longer have, then claims the new ones.
pub(super) async fn claim_external_ids(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let freed = participants.iter().flat_map(|participant| {
        let kept = held_ids(&participant.put.record);
        former_ids(participant).into_iter().filter(move |id| !kept.contains(id)).map(|id| (id, participant.put.id))
    });
    let freed: BTreeMap<(&str, &str), Uuid> = freed.collect();
    if !freed.is_empty() {
        let (ids, owners): (Vec<_>, Vec<Uuid>) = freed.into_iter().unzip();
        let (schemes, values): (Vec<&str>, Vec<&str>) = ids.into_iter().unzip();
        sqlx::query(
            "delete from participant_external_id
             using unnest($1::text[], $2::text[], $3::uuid[]) as freed (scheme, value, participant)
             where participant_external_id.scheme = freed.scheme
               and participant_external_id.value = freed.value
               and participant_external_id.participant = freed.participant",
        )
        .bind(schemes)
        .bind(values)
        .bind(owners)
        .execute(&mut *tx)
        .await?;
    }

    let claims: BTreeMap<(&str, &str), Uuid> =
        participants.iter().flat_map(|participant| new_ids(participant).map(|id| (id, participant.put.id))).collect();
    if claims.is_empty() {
        return Ok(());
    }
    let claimed: HashSet<(String, String)> = sqlx::query_as(
        "insert into participant_external_id (scheme, value, participant)
         select input.scheme, input.value, input.participant
         from unnest($1::text[], $2::text[], $3::uuid[]) as input (scheme, value, participant)
         on conflict on constraint participant_external_id_pkey do nothing
         returning scheme, value",
    )
    .bind(claims.keys().map(|(scheme, _)| *scheme).collect::<Vec<_>>())
    .bind(claims.keys().map(|(_, value)| *value).collect::<Vec<_>>())
    .bind(claims.values().copied().collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();
    for (scheme, value) in claims.keys() {
        let claim = ((*scheme).to_owned(), (*value).to_owned());
        if !claimed.contains(&claim) {
            lost.insert(Claim::ExternalId(claim.0, claim.1));
        }
    }
    Ok(())
}

/// Claims names. A name that was free must still have the version that was read. The version of every name that a
/// participant has or had is increased.
pub(super) async fn claim_names(
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

/// Inserts the new participants, and locks those that are to be replaced.
pub(super) async fn claim(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let new: Vec<_> = participants.iter().copied().filter(|participant| participant.put.replaces.is_none()).collect();
    if !new.is_empty() {
        let inserted: HashSet<Uuid> = columns(&new)?.insert(&mut *tx).await?.into_iter().collect();
        let taken = new.iter().map(|participant| participant.put.id).filter(|id| !inserted.contains(id));
        lost.extend(taken.map(|id| Claim::Record(Collection::Participants, id)));
    }

    let replaced =
        participants.iter().filter_map(|participant| Some((participant.put.id, participant.put.replaces?))).collect();
    revision::claim(tx, Collection::Participants, &replaced, lost).await
}

/// Replaces the locked revisions by the next ones, and keeps the former ones as superseded.
pub(super) async fn update(tx: Tx<'_>, participants: &[Attributed<'_, PutParticipant>]) -> Result<(), StoreError> {
    let next: Vec<_> = participants.iter().copied().filter(|participant| participant.put.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let ids = ids(&next);
    revision::supersede(tx, Collection::Participants, &ids).await?;
    columns(&next)?.update(&mut *tx).await?;
    sqlx::query("delete from participant_name where participant = any($1)").bind(ids).execute(&mut *tx).await?;
    Ok(())
}

/// Writes the name keys of the live participants.
pub(super) async fn index(tx: Tx<'_>, participants: &[Attributed<'_, PutParticipant>]) -> Result<(), StoreError> {
    let live = participants.iter().filter(|participant| !participant.put.record.is_deleted());
    let names =
        live.flat_map(|participant| keys(&participant.put.record).into_iter().map(|key| (key, participant.put.id)));
    let (keys, ids): (Vec<String>, Vec<Uuid>) = names.unzip();
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into participant_name (key, participant)
         select input.key, input.participant
         from unnest($1::text[], $2::uuid[]) as input (key, participant)",
    )
    .bind(keys)
    .bind(ids)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

fn columns(participants: &[Attributed<'_, PutParticipant>]) -> Result<Columns, StoreError> {
    fn column<'a, T>(participants: &'a [Attributed<'_, PutParticipant>], of: impl Fn(&'a Participant) -> T) -> Vec<T> {
        participants.iter().map(|participant| of(&participant.put.record)).collect()
    }
    fn region(participant: &Participant) -> Option<&str> {
        Some(participant.region_code.as_str()).filter(|code| !code.is_empty())
    }
    let create_time = |participant: &Participant| time(participant.create_time.as_ref()).unwrap_or_default();
    let rows = Columns::of("participant", &ids(participants))?
        .with("revision", "bigint", column(participants, |participant| participant.revision))?
        .with("contract", "smallint", vec![CONTRACT_VERSION; participants.len()])?
        .with("doc", "bytea", participants.iter().map(|participant| participant.put.doc.as_slice()).collect())?
        // The contract has few kinds: the cast cannot overflow.
        .with("kind", "smallint", column(participants, |participant| participant.kind as i16))?
        .with("region_code", "text", column(participants, region))?
        .with("parent", "uuid", column(participants, |participant| Collection::Participants.id(&participant.parent)))?
        .with("create_time", "timestamptz", column(participants, create_time))?
        .with(
            "delete_time",
            "timestamptz",
            column(participants, |participant| time(participant.delete_time.as_ref())),
        )?;
    Attributions::of(participants).columns(rows)
}

fn ids(participants: &[Attributed<'_, PutParticipant>]) -> Vec<Uuid> {
    participants.iter().map(|participant| participant.put.id).collect()
}
