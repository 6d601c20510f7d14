//! Revisions: a write that replaces a record locks the revision on which it was prepared, and copies it to
//! `superseded`.

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
    pub collection: Collection,
    pub id: Uuid,
    pub revision: i64,
}

/// The docs of these versions, in their order; `None` for one that does not exist. The list ends before it exceeds
/// `most_bytes`, but has at least the first two.
///
/// # Errors
/// The database fails.
pub async fn docs(pool: &PgPool, versions: &[Version], most_bytes: i64) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    // The subquery counts bytes without fetching any TOASTed doc. The scalar subqueries look each version up by its
    // key, independently of the planner's estimates.
    let docs = sqlx::query_scalar(
        "select doc
         from (
             select number, doc, sum(coalesce(octet_length(doc), 0)) over (order by number) as bytes
             from (
                 select number,
                        coalesce(
                            case collection
                                when 1 then (select doc
                                             from participant
                                             where participant.id = input.id
                                               and participant.revision = input.revision)
                                when 2 then (select doc
                                             from article
                                             where article.id = input.id
                                               and article.revision = input.revision)
                                when 3 then (select doc
                                             from report
                                             where report.id = input.id
                                               and report.revision = input.revision)
                                when 4 then (select doc
                                             from meeting
                                             where meeting.id = input.id
                                               and meeting.revision = input.revision)
                            end,
                            (select doc
                             from superseded
                             where superseded.collection = input.collection
                               and superseded.id = input.id
                               and superseded.revision = input.revision)
                        ) as doc
                 from unnest($1::smallint[], $2::uuid[], $3::bigint[])
                          with ordinality as input (collection, id, revision, number)
             ) as version
         ) as counted
         where bytes <= $4 or number <= 2
         order by number",
    )
    .bind(versions.iter().map(|version| version.collection as i16).collect::<Vec<_>>())
    .bind(versions.iter().map(|version| version.id).collect::<Vec<_>>())
    .bind(versions.iter().map(|version| version.revision).collect::<Vec<_>>())
    .bind(most_bytes)
    .fetch_all(pool)
    .await?;
    Ok(docs)
}

/// Locks records in the order of their ids. A record that no longer has the expected revision is lost.
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

/// Copies the current revisions of records to `superseded`, before they are replaced.
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
