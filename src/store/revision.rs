//! Revisions: a write that replaces a record holds on to the one that it was prepared on, and keeps it as superseded.

use std::collections::{HashMap, HashSet};

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{StoreError, Tx, table, write::Claim};
use crate::model::resource::Collection;

/// Locks records, in the order of their ids, that must still have these revisions; the others are lost.
pub(super) async fn claim(
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
pub(super) async fn supersede(tx: Tx<'_>, of: Collection, ids: &[Uuid]) -> Result<(), StoreError> {
    let statement = format!(
        "insert into superseded (collection, id, revision, contract, doc)
         select $1, id, revision, contract, doc
         from {}
         where id = any($2)",
        table(of)
    );
    sqlx::query(AssertSqlSafe(statement)).bind(of as i16).bind(ids).execute(&mut *tx).await?;
    Ok(())
}
