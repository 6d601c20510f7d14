//! Participants: docs, the columns that filters ask about, normalised names for matching, and external ids.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Doc, StoreError, Tx, docs, time,
    write::{
        Claim, PutParticipant,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        participant::keys,
        resource::{CONTRACT, Collection, Deletable},
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
    type NameRow = (String, i64, Option<Uuid>, Option<i16>, Option<Vec<u8>>);
    let rows: Vec<NameRow> = sqlx::query_as(
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
        "select asked.scheme, asked.value, participant.id, participant.contract, participant.doc
         from unnest($1::text[], $2::text[]) as asked (scheme, value)
         cross join lateral (
             select participant
             from participant_external_id as known
             where known.scheme = asked.scheme
               and known.value = asked.value
             limit 1
         ) as known
         join participant on participant.id = known.participant",
    )
    .bind(schemes)
    .bind(values)
    .fetch_all(pool)
    .await?;
    let entry = |(scheme, value, id, contract, bytes)| ((scheme, value), Doc { id, contract, bytes });
    Ok(rows.into_iter().map(entry).collect())
}

/// The external ids that a participant has for itself: all of them while it is live.
fn held_ids(participant: &Participant) -> BTreeSet<(&str, &str)> {
    let ids = participant.external_ids.iter().filter(|_| !participant.is_deleted());
    ids.map(|id| (id.scheme.as_str(), id.value.as_str())).collect()
}

fn former_ids(one: &PutParticipant) -> BTreeSet<(&str, &str)> {
    one.former.as_ref().map(held_ids).unwrap_or_default()
}

/// The external ids that a participant gets and did not have.
pub(super) fn new_ids(one: &PutParticipant) -> impl Iterator<Item = (&str, &str)> {
    let former = former_ids(one);
    held_ids(&one.put.record).into_iter().filter(move |id| !former.contains(id))
}

/// The normalised names that a participant has or had: whoever relied on finding nobody must look again, also where
/// only its kind or region has changed.
pub(super) fn touched_names(one: &PutParticipant) -> BTreeSet<String> {
    let mut names = keys(&one.put.record);
    names.extend(one.former.iter().flat_map(keys));
    names
}

/// Claims external ids; those that a revision no longer has become free first.
pub(super) async fn claim_external_ids(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let freed = participants.iter().flat_map(|one| {
        let kept = held_ids(&one.put.record);
        former_ids(one).into_iter().filter(move |id| !kept.contains(id)).map(|id| (id, one.put.id))
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
        participants.iter().flat_map(|one| new_ids(one).map(|id| (id, one.put.id))).collect();
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

/// Claims names. One that was found free must still have the version at which it was; the version of every name that a
/// participant has or had grows.
pub(super) async fn claim_names(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
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
        .flat_map(|one| touched_names(one))
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

/// Inserts the new participants and locks those that are to be replaced.
pub(super) async fn claim(
    tx: Tx<'_>,
    participants: &[Attributed<'_, PutParticipant>],
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    let new: Vec<_> = participants.iter().copied().filter(|one| one.put.replaces.is_none()).collect();
    if !new.is_empty() {
        let (rows, by) = (ParticipantColumns::of(&new), Attributions::of(&new));
        let claimed: HashSet<Uuid> = sqlx::query_scalar(
            "insert into participant (id, revision, contract, doc, kind, region_code, parent, create_time, update_time,
                                      change_kind, actor, request_id, reason)
             select one.*
             from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::text[], $7::uuid[],
                         $8::timestamptz[], $9::timestamptz[], $10::smallint[], $11::text[], $12::text[], $13::text[])
                      as one (id, revision, contract, doc, kind, region_code, parent, create_time, update_time,
                              change_kind, actor, request_id, reason)
             on conflict on constraint participant_pkey do nothing
             returning id",
        )
        .bind(&rows.ids)
        .bind(rows.revisions)
        .bind(rows.contracts)
        .bind(rows.docs)
        .bind(rows.kinds)
        .bind(rows.regions)
        .bind(rows.parents)
        .bind(rows.create_times)
        .bind(by.update_times)
        .bind(by.kinds)
        .bind(by.actors)
        .bind(by.request_ids)
        .bind(by.reasons)
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        let taken = rows.ids.iter().filter(|id| !claimed.contains(id));
        lost.extend(taken.map(|id| Claim::Record(Collection::Participants, *id)));
    }

    let old = participants.iter().filter_map(|one| Some((one.put.id, one.put.replaces?))).collect();
    revision::claim(tx, Collection::Participants, &old, lost).await
}

/// Puts the next revisions in the place of those that were locked, which are kept as superseded.
pub(super) async fn update(tx: Tx<'_>, participants: &[Attributed<'_, PutParticipant>]) -> Result<(), StoreError> {
    let next: Vec<_> = participants.iter().copied().filter(|one| one.put.replaces.is_some()).collect();
    if next.is_empty() {
        return Ok(());
    }
    let (rows, by) = (ParticipantColumns::of(&next), Attributions::of(&next));
    revision::supersede(tx, Collection::Participants, &rows.ids).await?;
    sqlx::query(
        "update participant
         set revision = one.revision,
             contract = one.contract,
             doc = one.doc,
             kind = one.kind,
             region_code = one.region_code,
             parent = one.parent,
             delete_time = one.delete_time,
             update_time = one.update_time,
             change_kind = one.change_kind,
             actor = one.actor,
             request_id = one.request_id,
             reason = one.reason
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::text[], $7::uuid[],
                     $8::timestamptz[], $9::timestamptz[], $10::smallint[], $11::text[], $12::text[], $13::text[])
                  as one (id, revision, contract, doc, kind, region_code, parent, delete_time, update_time,
                          change_kind, actor, request_id, reason)
         where participant.id = one.id",
    )
    .bind(&rows.ids)
    .bind(rows.revisions)
    .bind(rows.contracts)
    .bind(rows.docs)
    .bind(rows.kinds)
    .bind(rows.regions)
    .bind(rows.parents)
    .bind(rows.delete_times)
    .bind(by.update_times)
    .bind(by.kinds)
    .bind(by.actors)
    .bind(by.request_ids)
    .bind(by.reasons)
    .execute(&mut *tx)
    .await?;
    sqlx::query("delete from participant_name where participant = any($1)").bind(rows.ids).execute(&mut *tx).await?;
    Ok(())
}

/// Writes the normalised names of those who are live.
pub(super) async fn index(tx: Tx<'_>, participants: &[Attributed<'_, PutParticipant>]) -> Result<(), StoreError> {
    let live = participants.iter().filter(|one| !one.put.record.is_deleted());
    let names = live.flat_map(|one| keys(&one.put.record).into_iter().map(|key| (key, one.put.id)));
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

/// Columns of `participant`, one entry a participant.
struct ParticipantColumns<'a> {
    ids: Vec<Uuid>,
    revisions: Vec<i64>,
    contracts: Vec<i16>,
    docs: Vec<&'a [u8]>,
    kinds: Vec<i16>,
    regions: Vec<Option<&'a str>>,
    parents: Vec<Option<Uuid>>,
    create_times: Vec<DateTime<Utc>>,
    delete_times: Vec<Option<DateTime<Utc>>>,
}

impl<'a> ParticipantColumns<'a> {
    fn of(participants: &'a [Attributed<'a, PutParticipant>]) -> Self {
        fn column<'a, T>(
            participants: &'a [Attributed<'a, PutParticipant>],
            of: impl Fn(&'a Participant) -> T,
        ) -> Vec<T> {
            participants.iter().map(|one| of(&one.put.record)).collect()
        }
        Self {
            ids: participants.iter().map(|one| one.put.id).collect(),
            revisions: column(participants, |one| one.revision),
            contracts: vec![CONTRACT; participants.len()],
            docs: participants.iter().map(|one| one.put.doc.as_slice()).collect(),
            // The kinds of the contract are few: the number fits.
            kinds: column(participants, |one| one.kind as i16),
            regions: column(participants, |one| Some(one.region_code.as_str()).filter(|code| !code.is_empty())),
            parents: column(participants, |one| Collection::Participants.id(&one.parent)),
            create_times: column(participants, |one| time(one.create_time.as_ref()).unwrap_or_default()),
            delete_times: column(participants, |one| time(one.delete_time.as_ref())),
        }
    }
}
