//! The change log: dense positions in commit order.

use std::{fmt, sync::Arc};

use sqlx::PgPool;
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::model::resource::Collection;

/// Serialises the end of all transactions that write: whoever holds it gives out the next positions. Arbitrary, but
/// the same in every instance.
const FEED_LOCK: i64 = 0x5245_4144_4f55_5401;

/// What happened to a resource. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Kind {
    /// It is new.
    Created = 1,
    /// It has a new revision.
    Updated = 2,
    /// A meeting has one more report.
    Reported = 3,
    /// It was deleted.
    Deleted = 4,
    /// It is no longer deleted.
    Undeleted = 5,
}

/// A place in the feed. Only meaningful together with the epoch: after a restore numbers are given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Names the line of history.
    pub epoch: Arc<str>,
    /// Counts the changes, from 1; 0 is before the first.
    pub number: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

/// One resource that a write created or altered.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its collection.
    pub collection: Collection,
    /// Its id.
    pub id: Uuid,
    /// What happened to it.
    pub kind: Kind,
    /// The revision that it has now.
    pub revision: i64,
}

/// The changes of one write, in the order in which they are told.
#[derive(Debug)]
pub struct OfWrite<'a> {
    /// Who asked for it.
    pub actor: &'a str,
    /// The caller's id for the request.
    pub request_id: &'a str,
    /// The changes; none where the write only remembers what it answered.
    pub entries: Vec<Entry>,
}

/// Takes the feed's lock, until the transaction ends. A statement that follows sees all that earlier positions did.
pub async fn lock(tx: Tx<'_>) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(FEED_LOCK).execute(tx).await?;
    Ok(())
}

/// Gives the changes the next positions, and answers the last position of each write (of one without changes, the
/// position before it). The transaction holds the feed's lock, and must do nothing after it but commit.
///
/// The lock is taken by a statement of its own: under READ COMMITTED each takes its snapshot when it begins, and the
/// highest position has to be read after the lock was obtained.
pub async fn append(tx: Tx<'_>, writes: &[OfWrite<'_>]) -> Result<Vec<Position>, StoreError> {
    let count = writes.iter().map(|write| write.entries.len()).sum();
    let (mut collections, mut ids, mut kinds) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut revisions, mut actors, mut request_ids, mut lasts) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    for write in writes {
        for (index, entry) in write.entries.iter().enumerate() {
            collections.push(entry.collection as i16);
            ids.push(entry.id);
            kinds.push(entry.kind as i16);
            revisions.push(entry.revision);
            actors.push(write.actor);
            request_ids.push(write.request_id);
            lasts.push(index + 1 == write.entries.len());
        }
    }

    let (epoch, mut number): (String, i64) = sqlx::query_as(
        "with head as (
             select greatest(coalesce(max(position), 0), (select floor from feed)) as position,
                    greatest(clock_timestamp(), (select time from change order by position desc limit 1)) as time
             from change
         ),
         appended as (
             insert into change (position, collection, id, kind, revision, time, actor, request_id, last)
             select head.position + entry.number, entry.collection, entry.id, entry.kind, entry.revision, head.time,
                    entry.actor, entry.request_id, entry.last
             from head,
                  unnest($1::smallint[], $2::uuid[], $3::smallint[], $4::bigint[], $5::text[], $6::text[], $7::boolean[])
                      with ordinality as entry (collection, id, kind, revision, actor, request_id, last, number)
         )
         select feed.epoch, head.position
         from feed, head",
    )
    .bind(collections)
    .bind(ids)
    .bind(kinds)
    .bind(revisions)
    .bind(actors)
    .bind(request_ids)
    .bind(lasts)
    .fetch_one(&mut *tx)
    .await?;

    let epoch: Arc<str> = epoch.into();
    let positions = writes.iter().map(|write| {
        // A batch is bounded: the count fits.
        number += write.entries.len() as i64;
        Position { epoch: Arc::clone(&epoch), number }
    });
    Ok(positions.collect())
}

/// The position of the newest change; a read that follows sees it and all before.
pub async fn head(pool: &PgPool) -> Result<Position, StoreError> {
    let (epoch, number): (String, i64) =
        sqlx::query_as("select epoch, greatest(floor, coalesce((select max(position) from change), 0)) from feed")
            .fetch_one(pool)
            .await?;
    Ok(Position { epoch: epoch.into(), number })
}
