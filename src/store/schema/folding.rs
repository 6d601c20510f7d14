//! The version of letter folding ([`letters::VERSION`]) that made the stored search words, per collection. `reindex`
//! rebuilds the words of an older version.
//!
//! Version 1 changes the words of articles and statements. Version 2 changes these again, and adds those of participants
//! and meetings. Name keys (`model/text/names.rs`) are the same in all versions. A version that changes them must also
//! rebuild those of participants, meetings and texts.

use std::cmp::Ordering;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{resource::Collection, text::letters},
    store::StoreError,
};

/// A collection whose words have an older version.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct OutdatedCollection {
    pub of: Collection,
    /// The last record whose words already have this binary's version; nil if there is none.
    pub done: Uuid,
}

/// Compares the database's version with this binary's, and returns the database's version. A version to which a rebuild
/// is in progress counts: some records have it.
///
/// # Errors
/// The database fails.
pub async fn compare(connection: &mut PgConnection) -> Result<(Ordering, i32), StoreError> {
    let (oldest, newest): (Option<i32>, Option<i32>) =
        sqlx::query_as("select min(version), max(coalesce(next, version)) from folding").fetch_one(connection).await?;
    let (oldest, newest) = (oldest.unwrap_or(letters::VERSION), newest.unwrap_or(letters::VERSION));
    Ok(match newest.cmp(&letters::VERSION) {
        Ordering::Greater => (Ordering::Greater, newest),
        _ => (oldest.cmp(&letters::VERSION), oldest),
    })
}

/// Marks the collections whose words have an older version as being rebuilt, and returns them.
pub(in crate::store) async fn begin(connection: &mut PgConnection) -> Result<Vec<OutdatedCollection>, StoreError> {
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
        Some(OutdatedCollection { of: Collection::try_from(number).ok()?, done: done.unwrap_or_default() })
    };
    Ok(rows.into_iter().filter_map(stale).collect())
}

/// Stores the progress of a rebuild.
pub(in crate::store) async fn advance(
    connection: &mut PgConnection,
    of: Collection,
    done: Uuid,
) -> Result<(), StoreError> {
    sqlx::query(
        "update folding
         set done = $3
         where collection = $1
           and next = $2",
    )
    .bind(of as i16)
    .bind(letters::VERSION)
    .bind(done)
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that all words of a collection have this binary's version, unless a newer binary has started its own
/// rebuild.
pub(in crate::store) async fn finish(connection: &mut PgConnection, of: Collection) -> Result<(), StoreError> {
    sqlx::query(
        "update folding
         set version = $2,
             next = null,
             done = null
         where collection = $1
           and next = $2",
    )
    .bind(of as i16)
    .bind(letters::VERSION)
    .execute(connection)
    .await?;
    Ok(())
}
