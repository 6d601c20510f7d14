//! Revisions: a write that replaces a record holds on to the one that it was prepared on, and keeps it as superseded.

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::Claim;
use crate::{
    model::resource::Collection,
    store::{StoreError, Tx, table},
};

/// One revision of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// Its collection.
    pub collection: Collection,
    /// Its id.
    pub id: Uuid,
    /// Which revision.
    pub revision: i64,
}

/// The docs of these versions, in their order; `None` for one that is not there. Ends before it passes `most_bytes`, but
/// not before the first two.
pub async fn docs(pool: &PgPool, versions: &[Version], most_bytes: i64) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    // As in a list, bytes are counted before any doc is fetched from where large ones are kept apart. Each version is
    // looked up by its key, whatever the planner thinks of the sizes of tables.
    let docs = sqlx::query_scalar(
        "select doc
         from (
             select number, doc, sum(coalesce(octet_length(doc), 0)) over (order by number) as bytes
             from (
                 select number,
                        coalesce(
                            case collection
                                when 1 then (select doc from participant as one
                                             where one.id = asked.id and one.revision = asked.revision)
                                when 2 then (select doc from article as one
                                             where one.id = asked.id and one.revision = asked.revision)
                                when 3 then (select doc from report as one
                                             where one.id = asked.id and one.revision = asked.revision)
                                when 4 then (select doc from meeting as one
                                             where one.id = asked.id and one.revision = asked.revision)
                            end,
                            (select doc from superseded as one
                             where one.collection = asked.collection and one.id = asked.id
                               and one.revision = asked.revision)
                        ) as doc
                 from unnest($1::smallint[], $2::uuid[], $3::bigint[])
                          with ordinality as asked (collection, id, revision, number)
             ) as version
         ) as version
         where bytes <= $4 or number <= 2
         order by number",
    )
    .bind(versions.iter().map(|one| one.collection as i16).collect::<Vec<_>>())
    .bind(versions.iter().map(|one| one.id).collect::<Vec<_>>())
    .bind(versions.iter().map(|one| one.revision).collect::<Vec<_>>())
    .bind(most_bytes)
    .fetch_all(pool)
    .await?;
    Ok(docs)
}

/// Locks records, in the order of their ids, that must still have these revisions; the others are lost.
pub(in crate::store) async fn claim(
    tx: Tx<'_>,
    of: Collection,
    expected: &HashMap<Uuid, i64>,
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    if expected.is_empty() {
        return Ok(());
    }
    let statement = format!("select id, revision from {} where id = any($1) order by id for update", table(of));
    let ids: Vec<Uuid> = expected.keys().copied().collect();
    let locked: HashMap<Uuid, i64> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(&ids).fetch_all(&mut *tx).await?.into_iter().collect();
    let changed = ids.into_iter().filter(|id| locked.get(id) != expected.get(id));
    lost.extend(changed.map(|id| Claim::Record(of, id)));
    Ok(())
}

/// Keeps the current docs of records that are about to be replaced.
pub(in crate::store) async fn supersede(tx: Tx<'_>, of: Collection, ids: &[Uuid]) -> Result<(), StoreError> {
    let meeting = if of == Collection::Reports { "meeting" } else { "null" };
    let statement = format!(
        "insert into superseded (collection, id, revision, contract, doc, update_time, change_kind, actor, request_id,
                                 reason, meeting)
         select $1, id, revision, contract, doc, update_time, change_kind, actor, request_id, reason, {meeting}
         from {}
         where id = any($2)",
        table(of)
    );
    sqlx::query(AssertSqlSafe(statement)).bind(of as i16).bind(ids).execute(&mut *tx).await?;
    Ok(())
}
