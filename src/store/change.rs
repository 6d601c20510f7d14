//! The change log: dense positions in commit order, and who reads them.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::model::resource::Collection;
pub use crate::pb::change::Kind;

/// Serialises the end of all transactions that write: whoever holds it gives out the next positions. Arbitrary, but
/// the same in every instance.
const FEED_LOCK: i64 = 0x5245_4144_4f55_5401;

/// A place in the feed. Only meaningful together with the epoch: after a restore numbers are given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Names the line of history.
    pub epoch: Arc<str>,
    /// Counts the changes, from 1; 0 is before the first.
    pub number: i64,
}

impl Position {
    /// Reads `<epoch>.<number>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.split_once('.')?;
        let is_epoch = (1..=32).contains(&epoch.len()) && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_epoch && is_number)?;
        Some(Self { epoch: epoch.into(), number })
    }
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
            // The kinds of the contract are few: the number fits.
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

/// A change as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Its number in the epoch.
    pub position: i64,
    /// What it is of, and what happened.
    pub collection: Collection,
    /// The resource's id.
    pub id: Uuid,
    /// What happened.
    pub kind: Kind,
    /// The revision that the resource got.
    pub revision: i64,
    /// When it was committed; never decreases.
    pub time: DateTime<Utc>,
    /// Who asked for it.
    pub actor: String,
    /// The caller's id for the request.
    pub request_id: String,
    /// Whether it is the last of its write.
    pub last: bool,
}

impl Logged {
    /// Tells this change from another one that has its position in another line of history.
    pub fn mark(&self) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.id.as_bytes()).update(&self.revision.to_be_bytes());
        hasher.update(&self.time.timestamp_micros().to_be_bytes()).update(&[self.kind as u8]);
        let mut mark = [0; 8];
        hasher.finalize_xof().fill(&mut mark);
        mark
    }
}

impl<'r> FromRow<'r, PgRow> for Logged {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let unknown = |what: &str| sqlx::Error::Decode(format!("a {what} that this release does not know").into());
        Ok(Self {
            position: row.try_get("position")?,
            collection: Collection::try_from(row.try_get::<i16, _>("collection")?)
                .map_err(|()| unknown("collection"))?,
            id: row.try_get("id")?,
            // A kind of a newer release is told as unspecified rather than not at all.
            kind: Kind::try_from(i32::from(row.try_get::<i16, _>("kind")?)).unwrap_or(Kind::Unspecified),
            revision: row.try_get("revision")?,
            time: row.try_get("time")?,
            actor: row.try_get("actor")?,
            request_id: row.try_get("request_id")?,
            last: row.try_get("last")?,
        })
    }
}

/// Where the feed begins and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Names this line of history.
    pub epoch: Arc<str>,
    /// Positions up to it are gone.
    pub floor: i64,
    /// The newest position; the floor where there is none after it.
    pub head: i64,
}

/// Some changes in their order, and where the feed began and ended when they were read.
#[derive(Debug, Clone)]
pub struct ChangePage {
    /// As of the same snapshot.
    pub extent: Extent,
    /// The change at the position that was asked for, if it is kept.
    pub before: Option<Logged>,
    /// The changes after the position that was asked for.
    pub changes: Vec<Logged>,
}

impl ChangePage {
    /// Whether these changes go on from the one that has this mark; zeros are any. If not, they are of another line of
    /// history.
    pub fn goes_on_from(&self, mark: [u8; 8]) -> bool {
        mark == [0; 8] || self.before.as_ref().is_none_or(|before| before.mark() == mark)
    }
}

/// At most `limit` changes after a position.
pub async fn after(pool: &PgPool, position: i64, limit: i64) -> Result<ChangePage, StoreError> {
    // One statement, and so one snapshot: what is told of the whole holds for the changes.
    let rows = sqlx::query(
        "select feed.epoch, feed.floor,
                greatest(feed.floor, (select max(position) from change)) as head,
                next.position, next.collection, next.id, next.kind, next.revision, next.time, next.actor,
                next.request_id, next.last
         from feed
         left join lateral (
             select *
             from change
             where position >= $1
             order by position
             limit $2 + 1
         ) as next on true
         order by next.position",
    )
    .bind(position)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let first = rows.first().ok_or_else(|| StoreError::Damaged("feed".to_owned()))?;
    let extent = Extent {
        epoch: first.try_get::<String, _>("epoch")?.into(),
        floor: first.try_get("floor")?,
        head: first.try_get("head")?,
    };
    let is_there = |row: &&PgRow| row.try_get::<Option<i64>, _>("position").is_ok_and(|position| position.is_some());
    let mut changes: Vec<_> = rows.iter().filter(is_there).map(Logged::from_row).collect::<Result<_, _>>()?;
    let is_asked = |change: &Logged| change.position == position;
    let before = changes.first().is_some_and(is_asked).then(|| changes.remove(0));
    // A page is bounded: the limit fits.
    changes.truncate(limit as usize);
    Ok(ChangePage { extent, before, changes })
}

/// The change at a position, if it is kept.
pub async fn at(pool: &PgPool, position: i64) -> Result<Option<Logged>, StoreError> {
    let found = sqlx::query_as("select * from change where position = $1").bind(position).fetch_optional(pool).await?;
    Ok(found)
}

/// Where the feed begins and ends.
pub async fn extent(pool: &PgPool) -> Result<Extent, StoreError> {
    let (epoch, floor, head): (String, i64, i64) =
        sqlx::query_as("select epoch, floor, greatest(floor, (select max(position) from change)) from feed")
            .fetch_one(pool)
            .await?;
    Ok(Extent { epoch: epoch.into(), floor, head })
}

/// The position of the newest change; a read that follows sees it and all before.
pub async fn head(pool: &PgPool) -> Result<Position, StoreError> {
    let Extent { epoch, head, .. } = extent(pool).await?;
    Ok(Position { epoch, number: head })
}

/// Ends the epoch, if it still is this one, and answers the one that holds then.
pub async fn renew_epoch(pool: &PgPool, ended: &str) -> Result<Arc<str>, StoreError> {
    sqlx::query("update feed set epoch = substr(md5(gen_random_uuid()::text), 1, 8) where epoch = $1")
        .bind(ended)
        .execute(pool)
        .await?;
    let epoch: String = sqlx::query_scalar("select epoch from feed").fetch_one(pool).await?;
    Ok(epoch.into())
}

/// Wakes the instances that listen, in the name of this one. Sent for itself, never within a write: it takes a lock that
/// all who notify share.
pub async fn notify(pool: &PgPool, instance: &str) -> Result<(), StoreError> {
    sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(instance).execute(pool).await?;
    Ok(())
}

/// What the instances of one database notify each other on.
pub const CHANNEL: &str = "readout_change";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let position = Position { epoch: "5c9e71d0".into(), number: 1207 };
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        let long = format!("{}.1", "a".repeat(33));
        for wrong in
            ["", "7", ".7", "5c9e71d0", "5c9e71d0.", "a.-1", "a.+1", "a.1.2", "é.1", "a.9223372036854775808", &long]
        {
            assert_eq!(Position::parse(wrong), None, "{wrong:?}");
        }
    }
}
