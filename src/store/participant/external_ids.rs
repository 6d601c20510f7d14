//! External ids, which are unique among live participants.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::resource::Deletable,
    pb::Participant,
    store::{
        Doc, StoreError, Tx,
        write::{Claim, PutParticipant, provenance::Attributed},
    },
};

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
pub(in crate::store) fn new_ids(participant: &PutParticipant) -> impl Iterator<Item = (&str, &str)> {
    let former = former_ids(participant);
    held_ids(&participant.put.record).into_iter().filter(move |id| !former.contains(id))
}

/// Frees the external ids that revisions no longer have, then claims the new ones.
pub(in crate::store) async fn claim_external_ids(
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
