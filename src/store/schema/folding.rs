//! The version of folding ([`letters::VERSION`]) of the words that the database holds. It knows which words those are, and
//! leaves it to `reindex` to make them again.
//!
//! Version 1 changes the words of articles and statements. Keys of names (`model/names.rs`) are the same in versions 0 and
//! 1; a version that changes them has to make those of participants, meetings and texts again, too.

use std::cmp::Ordering;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{resource::Collection, text::letters},
    store::StoreError,
};

/// The words of a collection that are of an older version.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Stale {
    /// The collection.
    pub of: Collection,
    /// The last record whose words have the version of this binary already; nil if none has.
    pub done: Uuid,
}

/// How the version of the database compares with that of this binary; if it is another one, which it is. A version that is
/// being made counts: some records have it.
pub async fn compare(connection: &mut PgConnection) -> Result<(Ordering, i32), StoreError> {
    let (oldest, newest): (Option<i32>, Option<i32>) =
        sqlx::query_as("select min(version), max(coalesce(next, version)) from folding").fetch_one(connection).await?;
    let (oldest, newest) = (oldest.unwrap_or(letters::VERSION), newest.unwrap_or(letters::VERSION));
    Ok(match newest.cmp(&letters::VERSION) {
        Ordering::Greater => (Ordering::Greater, newest),
        _ => (oldest.cmp(&letters::VERSION), oldest),
    })
}

/// The collections that have words of an older version. They are marked as being made again.
pub(in crate::store) async fn begin(connection: &mut PgConnection) -> Result<Vec<Stale>, StoreError> {
    let rows: Vec<(i16, Option<Uuid>)> = sqlx::query_as(
        "update folding
         set next = $1,
             done = case when next = $1 then done end
         where version < $1
         returning collection, done",
    )
    .bind(letters::VERSION)
    .fetch_all(connection)
    .await?;
    let stale = |(number, done): (i16, Option<Uuid>)| {
        Some(Stale { of: Collection::try_from(number).ok()?, done: done.unwrap_or_default() })
    };
    Ok(rows.into_iter().filter_map(stale).collect())
}

/// Keeps how far a collection is.
pub(in crate::store) async fn advance(
    connection: &mut PgConnection,
    of: Collection,
    done: Uuid,
) -> Result<(), StoreError> {
    sqlx::query("update folding set done = $3 where collection = $1 and next = $2")
        .bind(of as i16)
        .bind(letters::VERSION)
        .bind(done)
        .execute(connection)
        .await?;
    Ok(())
}

/// Says that all words of a collection are of this version. A newer version that has begun meanwhile goes its way.
pub(in crate::store) async fn finish(connection: &mut PgConnection, of: Collection) -> Result<(), StoreError> {
    sqlx::query("update folding set version = $2, next = null, done = null where collection = $1 and next = $2")
        .bind(of as i16)
        .bind(letters::VERSION)
        .execute(connection)
        .await?;
    Ok(())
}
