//! The judgement that ends an epoch. A position must name one change for as long as its epoch lasts. A server that takes
//! over may lack the last changes, and would give their positions to other changes. So its first commit judges the
//! epoch, in the same transaction:
//!
//! - The server has the history in which the last positions were given: the epoch continues.
//! - The history is another timeline of the same cluster: the epoch continues if it is known that nothing was lost, that
//!   is, if the feed is marked as synchronous, and this server was a standby when it was promoted.
//! - Otherwise, as after a restore of a backup or a dump, a new epoch begins.
//! - An instance that remembers a change which the server does not have ends the epoch, too.
//!
//! **The mark** (`feed.synchronous`). A commit waits for the standby to write it to disk if `synchronous_standby_names`
//! is set, and `synchronous_commit` is `on` or `remote_apply`. (`remote_write` waits only until the standby's operating
//! system has the data: it is lost if that machine fails as well.) The log arrives in order, so that a standby that has
//! the mark has everything before it. Of what comes after it, all commits that were acknowledged have waited. The first
//! commit that does not wait any more begins a new epoch: its own transaction might not reach the standby, which would
//! then find the mark, and continue the epoch without it. After that the mark is not set for a while.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction};

use super::{
    StoreError, Tx,
    change::{self, Appended, IS_SYNCHRONOUS},
};

/// The time for which the feed is not marked as synchronous after a commit that did not wait. It bounds the number of
/// epochs if sessions have different settings.
const MARK_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The newest change that an instance has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHead {
    /// The epoch of both positions; empty if the instance has seen nothing.
    pub epoch: Arc<str>,
    /// The highest position that the instance has seen or acknowledged.
    pub number: i64,
    /// A position, and the `StoredChange::mark` of the change there. Zeros match any change.
    pub marked: (i64, [u8; 8]),
}

impl KnownHead {
    /// True if a database with this newest position lacks changes that the instance has seen.
    fn is_after(&self, epoch: &str, head: i64) -> bool {
        *self.epoch == *epoch && self.number > head
    }
}

/// The state on which a judgement is based.
struct EpochState {
    epoch: String,
    history: Option<String>,
    server_history: String,
    was_synchronous: bool,
    is_synchronous: bool,
    was_standby: bool,
}

impl EpochState {
    /// True if the feed does not record the server's history, or its mark is out of date.
    fn is_news(&self) -> bool {
        let is_same_history = self.server_history.is_empty() || self.history.as_ref() == Some(&self.server_history);
        !is_same_history || self.was_synchronous != self.is_synchronous
    }
}

/// Judges the epoch on the server that the pool reaches, and returns the epoch from then on. `None` if the server is in
/// recovery: it cannot judge.
///
/// # Errors
/// `ReadOnly` if the database does not accept writes, or the database fails.
pub async fn judge(pool: &PgPool, known: &KnownHead) -> Result<Option<Arc<str>>, StoreError> {
    let mut connection = pool.acquire().await?;
    let judged = judge_with(&mut connection, known).await;
    if matches!(judged, Ok(None) | Err(StoreError::ReadOnly(_))) {
        // Perhaps a new connection reaches the primary.
        connection.close_on_drop();
    }
    judged
}

async fn judge_with(connection: &mut PgConnection, known: &KnownHead) -> Result<Option<Arc<str>>, StoreError> {
    let in_recovery: bool = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut *connection).await?;
    if in_recovery {
        return Ok(None);
    }
    let mut tx = connection.begin().await?;
    change::lock(&mut tx).await?;
    let head = sqlx::query_scalar("select greatest(floor, (select max(position) from change)) from feed")
        .fetch_one(&mut *tx)
        .await?;
    let epoch = judge_at(&mut tx, known, head).await?;
    commit_locally(tx).await?;
    Ok(Some(epoch))
}

/// Judges the epoch in the transaction that has appended changes, and returns the epoch of their positions. Only on the
/// first commit on a server does this run a statement.
///
/// # Errors
/// The database fails.
pub(super) async fn judge_appended(tx: Tx<'_>, known: &KnownHead, appended: &Appended) -> Result<Arc<str>, StoreError> {
    if appended.is_judged && !known.is_after(&appended.epoch, appended.head) {
        return Ok(Arc::clone(&appended.epoch));
    }
    judge_at(tx, known, appended.head).await
}

/// Judges a commit that has returned after a long wait: it waited in vain if nobody waits for standbys any more. True if
/// the epoch continues.
///
/// # Errors
/// The database fails.
pub(super) async fn judge_waited(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let statement = AssertSqlSafe(format!("select {IS_SYNCHRONOUS} from feed"));
    let is_synchronous: bool = sqlx::query_scalar(statement).fetch_one(&mut *connection).await?;
    if !is_synchronous {
        judge_with(connection, &KnownHead::default()).await?;
    }
    Ok(is_synchronous)
}

/// Judges the epoch, under the feed's lock. `head` is the newest position before this transaction.
async fn judge_at(tx: Tx<'_>, known: &KnownHead, head: i64) -> Result<Arc<str>, StoreError> {
    let state = state(&mut *tx).await?;
    let reason = match end_of(&state) {
        Some(reason) => Some(reason),
        None if known.is_after(&state.epoch, head) => Some("the database has lost changes"),
        None if *known.epoch == state.epoch && !has_marked(&mut *tx, known).await? => {
            Some("the database has other changes at known positions")
        }
        None => None,
    };
    let Some(reason) = reason else {
        if state.is_news() {
            record(tx, &state, false).await?;
        }
        return Ok(state.epoch.into());
    };
    let epoch = record(tx, &state, true).await?;
    tracing::error!(
        ended = state.epoch,
        %epoch,
        known = known.number,
        found = head,
        history = state.history,
        server_history = state.server_history,
        "{reason}: a new epoch begins"
    );
    Ok(epoch)
}

async fn state(tx: Tx<'_>) -> Result<EpochState, StoreError> {
    let (epoch, history, server_history, was_synchronous, is_synchronous, was_standby) =
        sqlx::query_as(AssertSqlSafe(format!(
            "select epoch, history, coalesce(server_history(feed.tableoid), ''), synchronous, {IS_SYNCHRONOUS},
                    pg_last_wal_receive_lsn() is not null
             from feed"
        )))
        .fetch_one(tx)
        .await?;
    Ok(EpochState { epoch, history, server_history, was_synchronous, is_synchronous, was_standby })
}

/// The reason why the epoch ends, as far as the database itself shows.
fn end_of(state: &EpochState) -> Option<&'static str> {
    // A server that does not report its history is judged only by what instances have seen. A database that an older
    // release has written does not record it.
    let history = state.history.as_deref().filter(|_| !state.server_history.is_empty())?;
    if history == state.server_history {
        let is_mark_void = state.was_synchronous && !state.is_synchronous;
        return is_mark_void.then_some("commits no longer wait for a standby");
    }
    if without_timeline(history) != without_timeline(&state.server_history) {
        return Some("the feed comes from another database, as a restored dump does");
    }
    match (state.was_synchronous, state.was_standby) {
        (true, true) => None,
        (true, false) => Some("the server has another timeline, and was not promoted as a standby"),
        (false, _) => Some("a server has taken over that may lack the last changes"),
    }
}

/// The parts of `server_history()` but for the timeline: the cluster, and the feed's table.
fn without_timeline(history: &str) -> Option<(&str, &str)> {
    let (cluster, rest) = history.split_once('/')?;
    Some((cluster, rest.split_once('/')?.1))
}

/// True if the change at the marked position is the one that the instance has seen, or has been deleted since.
async fn has_marked(tx: Tx<'_>, known: &KnownHead) -> Result<bool, StoreError> {
    let (position, mark) = known.marked;
    if mark == [0; 8] {
        return Ok(true);
    }
    Ok(change::at(tx, position).await?.is_none_or(|change| change.mark() == mark))
}

/// Records the history to which the next positions belong, with a new epoch if required. Returns the epoch.
async fn record(tx: Tx<'_>, state: &EpochState, is_new: bool) -> Result<Arc<str>, StoreError> {
    let epoch: String = sqlx::query_scalar(
        "update feed
         set epoch = case when $1 then substr(md5(gen_random_uuid()::text), 1, 8) else epoch end,
             epoch_number = epoch_number + $1::int,
             history = coalesce(nullif($2, ''), history),
             synchronous = $3,
             synchronous_from = case
                 when synchronous and not $3 then clock_timestamp() + make_interval(secs => $4)
                 else synchronous_from
             end
         returning epoch",
    )
    .bind(is_new)
    .bind(&state.server_history)
    .bind(state.is_synchronous)
    .bind(MARK_PAUSE.as_secs_f64())
    .fetch_one(tx)
    .await?;
    Ok(epoch.into())
}

/// Begins a new epoch, and returns it.
///
/// # Errors
/// `ReadOnly` if the database does not accept writes, or the database fails.
pub async fn renew(pool: &PgPool) -> Result<Arc<str>, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    change::lock(&mut tx).await?;
    let state = state(&mut tx).await?;
    let epoch = record(&mut tx, &state, true).await?;
    commit_locally(tx).await?;
    Ok(epoch)
}

/// Commits a judgement without changes. It does not wait for a standby, which may be away: a standby that does not have
/// the judgement has no change that was acknowledged after it either.
async fn commit_locally(mut tx: Transaction<'_, Postgres>) -> Result<(), StoreError> {
    sqlx::query("set local synchronous_commit = local").execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(history: Option<&str>, server_history: &str, [was, is, standby]: [bool; 3]) -> EpochState {
        EpochState {
            epoch: "5c9e71d0".into(),
            history: history.map(str::to_owned),
            server_history: server_history.into(),
            was_synchronous: was,
            is_synchronous: is,
            was_standby: standby,
        }
    }

    #[test]
    fn epoch_continues_in_the_same_history_unless_commits_stop_to_wait() {
        for (was, is, ends) in [(false, false, false), (false, true, false), (true, true, false), (true, false, true)] {
            let state = state(Some("7/00000001/16384"), "7/00000001/16384", [was, is, false]);
            assert_eq!(end_of(&state).is_some(), ends, "{was} {is}");
        }
    }

    #[test]
    fn epoch_continues_on_another_timeline_only_if_nothing_was_lost() {
        for (was, is, standby) in [(true, false, true), (true, true, true)] {
            assert_eq!(end_of(&state(Some("7/00000001/16384"), "7/00000002/16384", [was, is, standby])), None);
        }
        for (was, is, standby) in [(false, false, true), (false, true, true), (true, true, false)] {
            let state = state(Some("7/00000001/16384"), "7/00000002/16384", [was, is, standby]);
            assert!(end_of(&state).is_some(), "{was} {is} {standby}");
        }
    }

    #[test]
    fn epoch_ends_in_another_cluster_or_table() {
        for other in ["8/00000001/16384", "7/00000001/16385", "8/00000002/16385", "7", ""] {
            let found = state(Some(other), "7/00000001/16384", [true, true, true]);
            assert!(end_of(&found).is_some(), "{other:?}");
        }
    }

    #[test]
    fn epoch_continues_if_a_history_is_not_known() {
        assert_eq!(end_of(&state(None, "7/00000001/16384", [false, false, true])), None);
        assert_eq!(end_of(&state(Some("7/00000001/16384"), "", [false, false, true])), None);
    }
}
