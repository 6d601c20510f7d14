//! Participants: docs, the columns that filters ask about, normalised names for matching, and external ids.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx, docs,
    write::{Claim, PutParticipant},
};
use crate::{
    model::{
        participant::keys,
        resource::{CONTRACT, Collection},
    },
    pb::Participant,
};

/// The participants of these ids, in no order; those that are not there are left out.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Participants, ids).await
}

/// Who has a normalised name.
#[derive(Debug, Clone, Default)]
pub struct Namesakes {
    /// Grows whenever a participant gets the name; 0 while nobody ever had it.
    pub version: i64,
    /// The participants, oldest first.
    pub docs: Vec<Doc>,
}

/// The participants that have these normalised names. A name that nobody has has an entry only if somebody had it.
pub async fn find_by_names(pool: &PgPool, keys: &[&str]) -> Result<HashMap<String, Namesakes>, StoreError> {
    type Row = (String, i64, Option<Uuid>, Option<i16>, Option<Vec<u8>>);
    let rows: Vec<Row> = sqlx::query_as(
        "select participant_key.key, participant_key.version, participant.id, participant.contract, participant.doc
         from participant_key
         left join participant_name on participant_name.key = participant_key.key
         left join participant on participant.id = participant_name.participant
         where participant_key.key = any($1)
         order by participant.create_time, participant.id",
    )
    .bind(keys)
    .fetch_all(pool)
    .await?;
    let mut found: HashMap<String, Namesakes> = HashMap::new();
    for (key, version, id, contract, bytes) in rows {
        let namesakes = found.entry(key).or_default();
        namesakes.version = version;
        if let (Some(id), Some(contract), Some(bytes)) = (id, contract, bytes) {
            namesakes.docs.push(Doc { id, contract, bytes });
        }
    }
    Ok(found)
}

/// The participants that have these external ids, by scheme and value.
pub async fn find_by_external_ids(
    pool: &PgPool,
    ids: &[(&str, &str)],
) -> Result<HashMap<(String, String), Doc>, StoreError> {
    let (schemes, values): (Vec<&str>, Vec<&str>) = ids.iter().copied().unzip();
    let rows: Vec<(String, String, Uuid, i16, Vec<u8>)> = sqlx::query_as(
        "select known.scheme, known.value, participant.id, participant.contract, participant.doc
         from unnest($1::text[], $2::text[]) as asked (scheme, value)
         join participant_external_id as known on known.scheme = asked.scheme and known.value = asked.value
         join participant on participant.id = known.participant",
    )
    .bind(schemes)
    .bind(values)
    .fetch_all(pool)
    .await?;
    let entry = |(scheme, value, id, contract, bytes)| ((scheme, value), Doc { id, contract, bytes });
    Ok(rows.into_iter().map(entry).collect())
}

/// Claims the external ids of new participants.
pub(super) async fn claim_external_ids(
    tx: Tx<'_>,
    participants: &[&PutParticipant],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let claims: BTreeMap<(&str, &str), Uuid> = participants
        .iter()
        .flat_map(|one| {
            let ids = one.put.record.external_ids.iter();
            ids.map(|id| ((id.scheme.as_str(), id.value.as_str()), one.put.id))
        })
        .collect();
    if claims.is_empty() {
        return Ok(());
    }
    let claimed: HashSet<(String, String)> = sqlx::query_as(
        "insert into participant_external_id (scheme, value, participant)
         select one.scheme, one.value, one.participant
         from unnest($1::text[], $2::text[], $3::uuid[]) as one (scheme, value, participant)
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

/// Claims the names of new participants. A name that was found free must still have the version at which it was; the
/// version of every name grows.
pub(super) async fn claim_names(
    tx: Tx<'_>,
    participants: &[&PutParticipant],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let absent: BTreeMap<&str, i64> =
        participants.iter().flat_map(|one| one.absent.iter().map(|(key, version)| (key.as_str(), *version))).collect();
    if !absent.is_empty() {
        let claimed: HashSet<String> = sqlx::query_scalar(
            "insert into participant_key (key, version)
             select one.key, one.version + 1
             from unnest($1::text[], $2::bigint[]) as one (key, version)
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

    let given: BTreeSet<String> = participants
        .iter()
        .filter(|one| one.put.replaces.is_none())
        .flat_map(|one| keys(&one.put.record))
        .filter(|key| !absent.contains_key(key.as_str()))
        .collect();
    if !given.is_empty() {
        sqlx::query(
            "insert into participant_key (key, version)
             select one.key, 1
             from unnest($1::text[]) as one (key)
             on conflict on constraint participant_key_pkey do update
             set version = participant_key.version + 1",
        )
        .bind(given.into_iter().collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Inserts the new participants.
pub(super) async fn claim(
    tx: Tx<'_>,
    participants: &[&PutParticipant],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    if participants.is_empty() {
        return Ok(());
    }
    fn column<'a, T>(participants: &[&'a PutParticipant], of: impl Fn(&'a PutParticipant) -> T) -> Vec<T> {
        participants.iter().copied().map(of).collect()
    }
    let ids = column(participants, |one| one.put.id);
    let claimed: HashSet<Uuid> = sqlx::query_scalar(
        "insert into participant (id, revision, contract, doc, kind, region_code, create_time)
         select one.*
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::text[],
                     $7::timestamptz[])
                  as one (id, revision, contract, doc, kind, region_code, create_time)
         on conflict on constraint participant_pkey do nothing
         returning id",
    )
    .bind(&ids)
    .bind(column(participants, |one| one.put.record.revision))
    .bind(vec![CONTRACT; participants.len()])
    .bind(column(participants, |one| one.put.doc.as_slice()))
    // The kinds of the contract are few: the number fits.
    .bind(column(participants, |one| one.put.record.kind as i16))
    .bind(column(participants, |one| Some(one.put.record.region_code.as_str()).filter(|code| !code.is_empty())))
    .bind(column(participants, |one| create_time(&one.put.record)))
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();
    let taken = ids.iter().filter(|id| !claimed.contains(id));
    lost.extend(taken.map(|id| Claim::Record(Collection::Participants, *id)));
    Ok(())
}

fn create_time(participant: &Participant) -> DateTime<Utc> {
    let time = participant.create_time.unwrap_or_default();
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).unwrap_or(0)).unwrap_or_default()
}

/// Writes the normalised names.
pub(super) async fn index(tx: Tx<'_>, participants: &[&PutParticipant]) -> Result<(), StoreError> {
    let names = participants.iter().flat_map(|one| keys(&one.put.record).into_iter().map(|key| (key, one.put.id)));
    let (keys, ids): (Vec<String>, Vec<Uuid>) = names.unzip();
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into participant_name (key, participant)
         select one.key, one.participant
         from unnest($1::text[], $2::uuid[]) as one (key, participant)",
    )
    .bind(keys)
    .bind(ids)
    .execute(&mut *tx)
    .await?;
    Ok(())
}
