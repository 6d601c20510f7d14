//! The settler: settles anew, in the background, what a change of an article has made uncertain. Of an article, its group
//! of copies; of a meeting, its account. Whatever it writes is a write as any other, with a change of its own.
//!
//! It also settles meetings whose `settle_version` is older than the rule, in chunks. A meeting whose account stays the
//! same gets the new version without a revision: else an upgrade would put every meeting into the change feed.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use tokio::time::{self, Instant};
use uuid::Uuid;

use crate::{
    model::{
        canonical::is_same,
        copies::{Copy, origins},
        resource::{Collection, Deletable, Resource},
        settle::VERSION,
    },
    pb::{Article, Meeting},
    service::{Api, WritePlan, error::ServiceError, meeting::settle_inputs::to_settle, status::reason_of},
    store::{
        StoreError, change,
        copies::{self, GroupMember},
        meeting,
        write::{Put, PutArticle, SettleTask, Write, settle_queue},
    },
};

/// Who is said to have asked for what it writes.
const ACTOR: &str = "readout";
/// What other instances, or one that crashed, have left undone is found by looking.
const POLL: Duration = Duration::from_secs(1);
/// How much is taken up at once, and how many articles of one group are written at once.
const CHUNK: usize = 64;
/// Stands for the version of a meeting that has no row in `unsettled`.
const NEVER: i64 = -1;
/// After a failure, and at the most after many.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// Settles what is uncertain, for ever.
pub async fn run(api: Api) {
    let mut failed = Failed::default();
    let mut upgrade = Upgrade::default();
    loop {
        let is_idle = match next(&api, &failed, &mut upgrade).await {
            Ok(all) => {
                let is_done = settle_all(&api, &all, &mut failed).await;
                all.len() < CHUNK || !is_done
            }
            Err(error) => {
                tracing::warn!(%error, "what is to be settled anew could not be read");
                true
            }
        };
        if is_idle {
            // A wake-up from before is kept: nothing is overlooked.
            let _ = time::timeout(POLL, api.committer.unsettled()).await;
        }
    }
}

/// The next chunk: rows of `unsettled`, then meetings with an older `settle_version`.
async fn next(api: &Api, failed: &Failed, upgrade: &mut Upgrade) -> Result<Vec<SettleTask>, StoreError> {
    let waiting = failed.waiting();
    let mut all = settle_queue::oldest(api.store.reads(), &waiting, CHUNK).await?;
    if all.len() < CHUNK {
        let is_meeting = |key: &&(Collection, Uuid)| key.0 == Collection::Meetings;
        let but_for: Vec<Uuid> = waiting.iter().filter(is_meeting).map(|(_, id)| *id).collect();
        let former = meeting::settled_before(api.store.reads(), VERSION, &but_for, CHUNK - all.len()).await?;
        upgrade.log(former.len());
        let former = former.into_iter().filter(|id| all.iter().all(|known| known.id != *id)).collect::<Vec<_>>();
        all.extend(former.into_iter().map(|id| SettleTask { collection: Collection::Meetings, id, version: NEVER }));
    }
    Ok(all)
}

/// Logs the begin and the end of settling meetings by a newer rule.
#[derive(Debug, Default)]
struct Upgrade {
    meetings: usize,
}

impl Upgrade {
    fn log(&mut self, found: usize) {
        match (self.meetings, found) {
            (0, 1..) => tracing::info!(version = VERSION, "meetings are being settled by a newer rule"),
            (1.., 0) => {
                tracing::info!(version = VERSION, meetings = self.meetings, "meetings were settled by a newer rule")
            }
            _ => {}
        }
        self.meetings = if found == 0 { 0 } else { self.meetings + found };
    }
}

/// Settles a chunk. `false` if the database accepts no writes at present.
async fn settle_all(api: &Api, all: &[SettleTask], failed: &mut Failed) -> bool {
    for &one in all {
        let settled = match one.collection {
            Collection::Articles => settle_group(api, one).await,
            Collection::Meetings => settle_meeting(api, one).await,
            // Of the others, nothing depends on articles.
            Collection::Participants | Collection::Reports => Ok(()),
        };
        match settled {
            Ok(()) => failed.forget(one),
            Err(error) => {
                let wait = failed.again(one);
                let name = one.collection.name(one.id);
                let is_of_one = is_of_one(&error);
                let reason = reason_of(&error.into());
                tracing::warn!(reason, name, ?wait, "could not be settled anew");
                if !is_of_one {
                    return false;
                }
            }
        }
    }
    true
}

/// True if an error concerns one record, and not the database as a whole.
fn is_of_one(error: &ServiceError) -> bool {
    let ServiceError::Store(error) = error else { return true };
    !matches!(
        **error,
        StoreError::Unavailable(_) | StoreError::ReadOnly(_) | StoreError::Full(_) | StoreError::Overloaded
    )
}

/// What could not be settled, and when it is tried again.
#[derive(Debug, Default)]
struct Failed(HashMap<(Collection, Uuid), (Instant, Duration)>);

impl Failed {
    /// Those that it is too early for.
    fn waiting(&self) -> Vec<(Collection, Uuid)> {
        let now = Instant::now();
        self.0.iter().filter(|(_, (when, _))| *when > now).map(|(key, _)| *key).collect()
    }

    fn forget(&mut self, one: SettleTask) {
        self.0.remove(&(one.collection, one.id));
    }

    /// Puts one off, each time for longer.
    fn again(&mut self, one: SettleTask) -> Duration {
        let (when, wait) = self.0.entry((one.collection, one.id)).or_insert((Instant::now(), Duration::ZERO));
        *wait = LONGEST_WAIT.min(2 * *wait).max(SHORTEST_WAIT);
        *when = Instant::now() + *wait;
        *wait
    }
}

/// Gives the articles of a group the first one that they have as things stand, some at a time.
async fn settle_group(api: &Api, one: SettleTask) -> Result<(), ServiceError> {
    while let (true, _) = api.write(|| prepare_group(api, one)).await? {}
    Ok(())
}

/// The next of these articles, and whether there are more.
async fn prepare_group(api: &Api, one: SettleTask) -> Result<WritePlan<bool>, ServiceError> {
    // Read first: whatever changes a group meanwhile loses this write.
    let groups = copies::version(api.store.reads()).await?;
    let members = copies::group(api.store.reads(), one.id).await?;
    let mut moved = moved(&members)?;
    if moved.is_empty() {
        settle_queue::mark_settled(api.store.reads(), one).await?;
        return Ok(WritePlan::Unchanged(false));
    }
    let more = moved.len() > CHUNK;
    moved.truncate(CHUNK);
    let write = |put| Write { actor: ACTOR.into(), articles: vec![put], groups: Some(groups), ..Default::default() };
    let mut writes: Vec<Write> = moved.into_iter().map(write).collect();
    if let Some(last) = writes.last_mut().filter(|_| !more) {
        last.settles = Some(one);
    }
    Ok(WritePlan::Write(more, writes))
}

/// The next revisions of those that have another first article than they were last taken to have.
fn moved(members: &[GroupMember]) -> Result<Vec<PutArticle>, StoreError> {
    let articles: Vec<Article> = members.iter().map(|one| one.doc.decode()).collect::<Result<_, _>>()?;
    let all = || members.iter().zip(&articles);
    let live = all().filter(|(_, article)| !article.is_deleted());
    let copies: Vec<Copy> = live.map(|(one, article)| Copy::of(one.doc.id, article, one.text_key())).collect();
    let origins = origins(&copies);
    let now = SystemTime::now();
    let mut moved = Vec::new();
    for (one, article) in all() {
        let id = one.doc.id;
        let origin = origins.get(&id).copied().unwrap_or(id);
        if origin == one.origin {
            continue;
        }
        one.doc.decode_to_rewrite::<Article>()?;
        let mut next = Article { origin: Collection::Articles.name(origin), ..article.clone() };
        next.succeed(article, now);
        let put = Put::next(id, next, change::Kind::Settled);
        moved.push(PutArticle { put, text: None, text_key: None, former: Some(article.clone()), compared: None });
    }
    Ok(moved)
}

/// Settles a meeting, after those who write to it.
async fn settle_meeting(api: &Api, one: SettleTask) -> Result<(), ServiceError> {
    let _turn = api.record_locks.take(one.id).await;
    api.write(|| prepare_meeting(api, one)).await?;
    Ok(())
}

async fn prepare_meeting(api: &Api, one: SettleTask) -> Result<WritePlan<()>, ServiceError> {
    let settled = async {
        settle_queue::mark_settled(api.store.reads(), one).await?;
        Ok(WritePlan::Unchanged(()))
    };
    let docs = meeting::get(api.store.reads(), &[one.id]).await?;
    let Some(doc) = docs.first() else { return settled.await };
    let former: Meeting = doc.decode_to_rewrite()?;
    let told = to_settle(api, &[one.id]).await?.remove(&one.id).unwrap_or_default();
    let mut next = former.clone();
    // The reports of a merged meeting belong to its survivor.
    if former.merged_into.is_empty() {
        told.settle(&mut next);
    }
    let confirmed = Meeting { settle_version: VERSION, ..doc.decode()? };
    next.settle_version = VERSION;
    if is_same(&next, &confirmed) {
        if former.settle_version != VERSION {
            meeting::confirm(api.store.reads(), one.id, &confirmed).await?;
        }
        return settled.await;
    }
    next.succeed(&former, SystemTime::now());
    let meetings = vec![told.put(next, change::Kind::Settled)];
    let write = Write { actor: ACTOR.into(), meetings, settles: Some(one), ..Default::default() };
    Ok(WritePlan::Write((), vec![write]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_is_put_off_for_longer() {
        let one = SettleTask { collection: Collection::Meetings, id: Uuid::from_u128(1), version: 1 };
        let mut failed = Failed::default();
        let waits: Vec<u64> = (0..12).map(|_| failed.again(one).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(failed.waiting(), [(Collection::Meetings, one.id)]);
        failed.forget(one);
        assert!(failed.waiting().is_empty());
        assert_eq!(failed.again(one), SHORTEST_WAIT);
    }
}
