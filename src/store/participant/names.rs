//! Name keys, by which stories match participants. A name has a version, so that a concurrent write that relied on its
//! absence is noticed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::{
        identity::door_keys,
        resource::{Collection, Deletable},
    },
    pb::Participant,
    store::{
        Doc, StoreError, Tx,
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
               and coalesce(participant.region_code, '') = input.region
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
pub(in crate::store) async fn reindex(tx: Tx<'_>, participants: &[(Uuid, &Participant)]) -> Result<(), StoreError> {
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
