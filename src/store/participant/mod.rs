//! Participants: docs, and the columns that filters read. `names` has the keys by which stories match them,
//! `external_ids` their ids elsewhere, `identity` what settles who is one person, `review` the pairs that curators judge.

mod external_ids;
pub mod identity;
mod names;
pub mod review;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

pub use self::{
    external_ids::find_by_external_ids,
    names::{Description, find_by_keys, find_by_names, find_named, unchanged_persons_named, unchanged_with_words},
};
pub(super) use self::{
    external_ids::{claim_external_ids, new_ids},
    names::{claim_names, reindex_names, touched_names},
};
use super::{
    Doc, StoreError, Tx, docs,
    query::search::WordColumns,
    time,
    write::{
        Claim, PutParticipant,
        columns::Columns,
        provenance::{Attributed, Attributions},
        revision,
    },
};
use crate::{
    model::{
        participant::{PersonFacts, Persons},
        query::filter::Term,
        resource::{CONTRACT_VERSION, Collection},
    },
    pb::{Participant, participant::Kind},
};

/// The participants with these ids, in no order. Unknown ids are left out.
///
/// # Errors
/// The database fails.
pub async fn get(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Doc>, StoreError> {
    docs(pool, Collection::Participants, ids).await
}

/// The facts about these participants that settling reads. Unknown ids are left out.
///
/// # Errors
/// The database fails.
pub async fn persons(pool: &PgPool, ids: &[Uuid]) -> Result<Persons, StoreError> {
    let rows: Vec<(Uuid, i16, Option<String>)> = sqlx::query_as(
        "select id, kind, region_code
         from participant
         where id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(id, kind, region)| (id, facts(kind, region))).collect())
}

/// The facts in these columns.
pub(super) fn facts(kind: i16, region: Option<String>) -> PersonFacts {
    PersonFacts { region_code: region.unwrap_or_default(), kind: Kind::try_from(i32::from(kind)).unwrap_or_default() }
}

/// The participants that are settled as the same person as each of these: with the person itself, in the order of ids.
///
/// # Errors
/// The database fails.
pub async fn members(pool: &PgPool, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Uuid>>, StoreError> {
    let rows: Vec<(Uuid, Vec<Uuid>)> = sqlx::query_as(
        "select named.id,
                array(
                    select person.id
                    union
                    select alias.id
                    from participant as alias
                    where alias.merged_into = person.id
                    order by 1
                )
         from participant as named
         cross join lateral (select coalesce(named.merged_into, named.id) as id) as person
         where named.id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The aliases of these persons that have not changed since a time, each after its person.
///
/// # Errors
/// The database fails.
pub async fn unchanged_aliases(
    pool: &PgPool,
    persons: &[Uuid],
    time: DateTime<Utc>,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let aliases = sqlx::query_as(
        "select merged_into, id
         from participant
         where merged_into = any($1)
           and update_time <= $2",
    );
    Ok(aliases.bind(persons).bind(time).fetch_all(pool).await?)
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

/// Writes the index rows of participants.
pub(super) async fn index(tx: Tx<'_>, participants: &[Attributed<'_, PutParticipant>]) -> Result<(), StoreError> {
    names::index(&mut *tx, participants).await?;
    review::index_judgements(tx, participants).await
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
        .with_arrays("terms", "bigint", participants.iter().map(|participant| Some(terms(&participant.put.record))))?
        .with("parent", "uuid", column(participants, |participant| Collection::Participants.id(&participant.parent)))?
        .with(
            "merged_into",
            "uuid",
            column(participants, |participant| Collection::Participants.id(&participant.merged_into)),
        )?
        .with("create_time", "timestamptz", column(participants, create_time))?
        .with(
            "delete_time",
            "timestamptz",
            column(participants, |participant| time(participant.delete_time.as_ref())),
        )?;
    let mut words = WordColumns::default();
    participants.iter().for_each(|participant| words.push_participant(&participant.put.record));
    let rows = rows.input("literal", "text", words.literals)?.expression("search", "input.literal::tsvector");
    Attributions::of(participants).columns(rows)
}

/// Rebuilds the column `terms` and the names of these participants.
pub(super) async fn reindex(tx: Tx<'_>, participants: &[(Uuid, &Participant)]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = participants.iter().map(|(id, _)| *id).collect();
    let terms = participants.iter().map(|(_, participant)| Some(terms(participant)));
    Columns::of("participant", &ids)?.with_arrays("terms", "bigint", terms)?.update(&mut *tx).await?;
    reindex_names(tx, participants).await
}

/// The column `terms`.
fn terms(participant: &Participant) -> Vec<i64> {
    Term::of_participant(participant).iter().flat_map(|term| [term.hash(), term.field_hash()]).collect()
}

fn ids(participants: &[Attributed<'_, PutParticipant>]) -> Vec<Uuid> {
    participants.iter().map(|participant| participant.put.id).collect()
}
