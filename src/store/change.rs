//! The change log: changes at dense positions in commit order, the advisory lock that orders commits, and the
//! notification channel.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, PgExecutor, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    StoreError, Tx,
    pool::{batch_loader::BatchResult, kept_connections::KeptConnection, server_watch::DatabaseServer},
};
use crate::model::resource::Collection;
pub use crate::pb::change::Kind;

/// The advisory lock that serialises the end of all write transactions: its holder assigns the next positions.
/// Arbitrary, but the same in every instance.
const FEED_LOCK: i64 = 0x5245_4144_4f55_5401;

/// SQL: true if the feed's last positions were given in this server's history, or if the server does not report its own.
/// A server's history is constant once it is out of recovery, so that a session asks for it once. The last part of
/// `server_history()` is the table, which a restore can replace meanwhile.
pub const IS_JUDGED: &str = "case
        when current_setting('readout.history', true) <> '' then
            left(current_setting('readout.history'), -1) || feed.tableoid = coalesce(feed.history, 'not recorded')
        when set_config('readout.history', coalesce(server_history(0), ''), false) <> '' then
            server_history(feed.tableoid) = coalesce(feed.history, 'not recorded')
        else true
    end";

/// SQL: true if a commit of this session waits until a standby has written it to disk, and the feed may be marked so.
pub const IS_SYNCHRONOUS: &str = "(current_setting('synchronous_commit') in ('on', 'remote_apply')
                 and current_setting('synchronous_standby_names') <> ''
                 and (feed.synchronous or clock_timestamp() >= feed.synchronous_from))";

/// A position in the feed. The epoch is part of it: after a restore the same numbers are assigned again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The name of the history that the number belongs to.
    pub epoch: Arc<str>,
    /// The number of the change, from 1; 0 is before the first.
    pub number: i64,
}

impl Position {
    /// Parses `<epoch>.<number>`.
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

/// Takes the feed's lock until the transaction ends. Later statements see all changes at earlier positions.
///
/// # Errors
/// `Contention` if the lock is not obtained in time, or the database fails.
pub async fn lock(tx: Tx<'_>) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(FEED_LOCK).execute(tx).await?;
    Ok(())
}

/// The time up to which no revision is written any more; `None` if records were never read as of a time.
///
/// # Errors
/// The database fails.
pub async fn read_time(pool: &PgPool) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar("select read_time from feed").fetch_one(pool).await?)
}

/// Makes sure that no revision is written any more with an update time up to `time`. Later reads see all that have one.
///
/// The lock is held until the statement has committed. So the transactions that had it before have committed, and those
/// that get it later read the time.
///
/// # Errors
/// `ReadOnly` on a standby, `Contention` if the lock is not obtained in time, or the database fails.
pub async fn close_past(pool: &PgPool, time: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query(
        "update feed
         set read_time = greatest(read_time, $1)
         from pg_advisory_xact_lock($2) as locked",
    )
    .bind(time)
    .bind(FEED_LOCK)
    .execute(pool)
    .await?;
    Ok(())
}

/// The result of the last statement of a write transaction, which appends its changes.
#[derive(Debug)]
pub struct Appended {
    /// The epoch before the transaction.
    pub epoch: Arc<str>,
    /// The newest position before the transaction.
    pub head: i64,
    /// The last number of each write; for a write without changes the number before it.
    pub numbers: Vec<i64>,
    /// True if the feed belongs to this server's history, and commits wait for a standby if it says so. Otherwise the
    /// epoch must be judged before the transaction commits.
    pub is_judged: bool,
    /// True if the feed is marked as synchronous, and the commit waits for a standby.
    pub is_synchronous: bool,
    /// Records were read as of this time: the transaction must not commit a revision that is not later.
    pub read_time: Option<DateTime<Utc>>,
}

/// A change as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChange {
    /// Its position in the epoch.
    pub position: i64,
    /// The collection of the record.
    pub collection: Collection,
    /// The id of the record.
    pub id: Uuid,
    pub kind: Kind,
    /// The revision that the record got.
    pub revision: i64,
    /// The time of the commit; never decreases.
    pub time: DateTime<Utc>,
    /// The caller.
    pub actor: String,
    /// The caller's id for the request.
    pub request_id: String,
    /// True for the last change of its write.
    pub last: bool,
}

impl StoredChange {
    /// A fingerprint that distinguishes this change from one at the same position in another history.
    pub fn mark(&self) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.id.as_bytes()).update(&self.revision.to_be_bytes());
        hasher.update(&self.time.timestamp_micros().to_be_bytes()).update(&[self.kind as u8]);
        let mut mark = [0; 8];
        hasher.finalize_xof().fill(&mut mark);
        mark
    }
}

impl<'r> FromRow<'r, PgRow> for StoredChange {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let unknown = |kind: &str| sqlx::Error::Decode(format!("a {kind} that this release does not know").into());
        Ok(Self {
            position: row.try_get("position")?,
            collection: Collection::try_from(row.try_get::<i16, _>("collection")?)
                .map_err(|()| unknown("collection"))?,
            id: row.try_get("id")?,
            // A kind of a newer release is reported as unspecified, so that its change is not lost.
            kind: Kind::try_from(i32::from(row.try_get::<i16, _>("kind")?)).unwrap_or(Kind::Unspecified),
            revision: row.try_get("revision")?,
            time: row.try_get("time")?,
            actor: row.try_get("actor")?,
            request_id: row.try_get("request_id")?,
            last: row.try_get("last")?,
        })
    }
}

/// The epoch of the feed, and its first and last kept positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedBounds {
    /// The name of this history.
    pub epoch: Arc<str>,
    /// Counts the epochs. Of two epochs the newer one has the higher number.
    pub epoch_number: i64,
    /// Changes up to this position have been deleted.
    pub floor: i64,
    /// The newest position; the floor if there is no change after it.
    pub head: i64,
}

/// The server that answered a read of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub server: DatabaseServer,
    /// False if the feed does not belong to this server's history: its epoch must be judged. True on a server in
    /// recovery, which cannot judge.
    pub is_judged: bool,
}

/// The columns of [`FeedBounds`] and [`Source`].
const STATE: &str = "feed.epoch, feed.epoch_number, feed.floor,
                greatest(feed.floor, (select max(position) from change)) as head";

/// A row with the columns of [`STATE`], `DatabaseServer::COLUMNS` and `is_judged`.
fn state_of(row: &PgRow) -> sqlx::Result<(FeedBounds, Source)> {
    let bounds = FeedBounds {
        epoch: row.try_get::<String, _>("epoch")?.into(),
        epoch_number: row.try_get("epoch_number")?,
        floor: row.try_get("floor")?,
        head: row.try_get("head")?,
    };
    Ok((bounds, Source { server: DatabaseServer::from_row(row)?, is_judged: row.try_get("is_judged")? }))
}

/// A page of changes in the order of positions, and the state of the feed in the same snapshot.
#[derive(Debug, Clone)]
pub struct ChangePage {
    pub bounds: FeedBounds,
    pub source: Source,
    /// The change at the start position, if it has not been deleted.
    pub before: Option<StoredChange>,
    /// The changes after the start position.
    pub changes: Vec<StoredChange>,
}

impl ChangePage {
    /// True if this page continues the history in which the change at the start position has this mark. A mark of zeros
    /// matches any history.
    pub fn continues(&self, mark: [u8; 8]) -> bool {
        mark == [0; 8] || self.before.as_ref().is_none_or(|before| before.mark() == mark)
    }
}

/// Reads at most `limit` changes after a position.
///
/// # Errors
/// `Damaged` if the feed has no state, or the database fails.
pub async fn after(pool: &PgPool, position: i64, limit: i64) -> Result<ChangePage, StoreError> {
    // One statement, and so one snapshot: the bounds match the changes. The state is computed once, not for each change.
    let rows = sqlx::query(AssertSqlSafe(format!(
        "with state as materialized (select {STATE}, {}, {IS_JUDGED} as is_judged from feed)
         select state.*, next.position, next.collection, next.id, next.kind, next.revision, next.time, next.actor,
                next.request_id, next.last
         from state
         left join lateral (
             select *
             from change
             where position >= $1
             order by position
             limit $2 + 1
         ) as next on true
         order by next.position",
        DatabaseServer::COLUMNS
    )))
    .bind(position)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let (bounds, source) = state_of(rows.first().ok_or_else(|| StoreError::Damaged("feed".to_owned()))?)?;
    let is_change = |row: &&PgRow| row.try_get::<Option<i64>, _>("position").is_ok_and(|position| position.is_some());
    let mut changes: Vec<_> = rows.iter().filter(is_change).map(StoredChange::from_row).collect::<Result<_, _>>()?;
    let is_start = |change: &StoredChange| change.position == position;
    let before = changes.first().is_some_and(is_start).then(|| changes.remove(0));
    // A page is bounded: the cast cannot overflow.
    changes.truncate(limit as usize);
    Ok(ChangePage { bounds, source, before, changes })
}

/// The change at a position, if it has not been deleted.
///
/// # Errors
/// The database fails.
pub async fn at(executor: impl PgExecutor<'_>, position: i64) -> Result<Option<StoredChange>, StoreError> {
    let change = sqlx::query_as("select * from change where position = $1").bind(position).fetch_optional(executor);
    Ok(change.await?)
}

/// The position before the write to which the change at a position belongs; the position itself if that change is the
/// last one of its write.
///
/// # Errors
/// The database fails.
pub async fn before_write(pool: &PgPool, position: i64) -> Result<i64, StoreError> {
    let last: Option<i64> = sqlx::query_scalar(
        "select position
         from change
         where position <= $1
           and last
         order by position desc
         limit 1",
    )
    .bind(position)
    .fetch_optional(pool)
    .await?;
    Ok(last.unwrap_or(position))
}

/// The changes at these positions that have not been deleted.
///
/// # Errors
/// The database fails.
pub(super) async fn all_at(
    mut connection: KeptConnection,
    positions: Vec<i64>,
) -> Result<BatchResult<i64, StoredChange>, StoreError> {
    let statement = "select * from change where position = any($1)";
    let changes: Vec<StoredChange> = sqlx::query_as(statement).bind(positions).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(changes.into_iter().map(|change| (change.position, Some(change))).collect())
}

/// The state of the feed, and the newest change if it has not been deleted, in one snapshot.
///
/// # Errors
/// The database fails.
pub async fn newest(pool: &PgPool) -> Result<(FeedBounds, Source, Option<StoredChange>), StoreError> {
    let row = sqlx::query(AssertSqlSafe(format!(
        "select {STATE}, {}, {IS_JUDGED} as is_judged,
                newest.position, newest.collection, newest.id, newest.kind, newest.revision, newest.time, newest.actor,
                newest.request_id, newest.last
         from feed
         left join lateral (
             select *
             from change
             order by position desc
             limit 1
         ) as newest on true",
        DatabaseServer::COLUMNS
    )))
    .fetch_one(pool)
    .await?;
    let (bounds, source) = state_of(&row)?;
    let has_change = row.try_get::<Option<i64>, _>("position")? == Some(bounds.head);
    let newest = has_change.then(|| StoredChange::from_row(&row)).transpose()?;
    Ok((bounds, source, newest))
}

/// The state of the feed.
///
/// # Errors
/// The database fails.
pub async fn state(executor: impl PgExecutor<'_>) -> Result<(FeedBounds, Source), StoreError> {
    let statement = format!("select {STATE}, {}, {IS_JUDGED} as is_judged from feed", DatabaseServer::COLUMNS);
    let row = sqlx::query(AssertSqlSafe(statement)).fetch_one(executor).await?;
    Ok(state_of(&row)?)
}

/// The position of the newest change. A later read sees that change and all before it.
///
/// # Errors
/// The database fails.
pub async fn head(pool: &PgPool) -> Result<Position, StoreError> {
    let (FeedBounds { epoch, head, .. }, _) = state(pool).await?;
    Ok(Position { epoch, number: head })
}

/// Notifies the listening instances, with this instance's name as payload. Never call this in a write transaction: the
/// COMMIT of a transaction that has notified takes a lock that is global to the server.
///
/// # Errors
/// The database fails.
pub async fn notify(pool: &PgPool, instance: &str) -> Result<(), StoreError> {
    sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(instance).execute(pool).await?;
    Ok(())
}

/// The channel on which the instances of one database notify each other.
pub const CHANNEL: &str = "readout_change";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_parses_its_display_form_and_nothing_else() {
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
