//! The settler: recomputes, in the background, the derived state that a change of an article has made uncertain. For
//! an article that is its group of copies, for a meeting its account. Its writes are ordinary writes with changes of
//! their own.
//!
//! It also settles meetings whose `settle_version` is older than the rule, in chunks. A meeting whose account stays the
//! same gets the new version without a revision. Otherwise an upgrade would put every meeting into the change feed.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use tokio::time::{self, Instant};
use uuid::Uuid;

use crate::{
    model::{
        article_copies::{CopyCandidate, origins},
        canonical::is_same,
        meeting::settled_bytes,
        resource::{Collection, Deletable, Resource},
        settle::VERSION,
    },
    pb::{Article, Meeting},
    service::{
        Api, error::ServiceError, meeting::settle_inputs::load_inputs_to_settle, status::reason_of, write::WritePlan,
    },
    store::{
        StoreError,
        article_copies::{self, GroupMember},
        change, meeting,
        write::{Put, PutArticle, SettleTask, Write, settle_queue},
    },
};

/// The actor of the settler's writes.
const ACTOR: &str = "readout";
/// Interval between polls of the queue, which find tasks left by other instances or by one that crashed.
const POLL: Duration = Duration::from_secs(1);
/// Maximum number of tasks read at a time, and of articles of one group written at a time.
const CHUNK: usize = 64;
/// The version in the task of a meeting that has no row in `unsettled`.
const NEVER: i64 = -1;
/// Backoff after the first failure of a task, and its upper bound.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(5 * 60);

/// Runs the settler; never returns.
pub async fn run(api: Api) {
    let mut backoff = TaskBackoff::default();
    let mut upgrade = Upgrade::default();
    loop {
        let is_idle = match next_tasks(&api, &backoff, &mut upgrade).await {
            Ok(tasks) => {
                let is_done = settle_all(&api, &tasks, &mut backoff).await;
                tasks.len() < CHUNK || !is_done
            }
            Err(error) => {
                tracing::warn!(%error, "the tasks of the settler could not be read");
                true
            }
        };
        if is_idle {
            // A notification that arrived earlier is kept, so none is missed.
            let _ = time::timeout(POLL, api.committer.unsettled()).await;
        }
    }
}

/// The next chunk: rows of `unsettled`, then meetings with an older `settle_version`.
async fn next_tasks(api: &Api, backoff: &TaskBackoff, upgrade: &mut Upgrade) -> Result<Vec<SettleTask>, StoreError> {
    let waiting = backoff.waiting();
    let mut tasks = settle_queue::next_tasks(api.store.reads(), &waiting, CHUNK).await?;
    if tasks.len() < CHUNK {
        let is_meeting = |key: &&(Collection, Uuid)| key.0 == Collection::Meetings;
        let excluded: Vec<Uuid> = waiting.iter().filter(is_meeting).map(|(_, id)| *id).collect();
        let outdated = meeting::settled_before(api.store.reads(), VERSION, &excluded, CHUNK - tasks.len()).await?;
        upgrade.log(outdated.len());
        let outdated: Vec<Uuid> = outdated.into_iter().filter(|id| tasks.iter().all(|task| task.id != *id)).collect();
        tasks.extend(outdated.into_iter().map(|id| SettleTask {
            collection: Collection::Meetings,
            id,
            version: NEVER,
        }));
    }
    Ok(tasks)
}

/// Logs the start and the end of settling meetings by a newer rule.
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
async fn settle_all(api: &Api, tasks: &[SettleTask], backoff: &mut TaskBackoff) -> bool {
    for &task in tasks {
        let settled = match task.collection {
            Collection::Articles => settle_group(api, task).await,
            Collection::Meetings => settle_meeting(api, task).await,
            // Other records have no state that is derived from articles.
            Collection::Participants | Collection::Reports => Ok(()),
        };
        match settled {
            Ok(()) => backoff.clear(task),
            Err(error) => {
                let wait = backoff.delay(task);
                let name = task.collection.name(task.id);
                let concerns_one_record = concerns_one_record(&error);
                let reason = reason_of(&error.into());
                tracing::warn!(reason, name, ?wait, "a record could not be settled; trying again later");
                if !concerns_one_record {
                    return false;
                }
            }
        }
    }
    true
}

/// True if an error concerns one record, and not the database as a whole.
fn concerns_one_record(error: &ServiceError) -> bool {
    let ServiceError::Store(error) = error else { return true };
    !matches!(
        **error,
        StoreError::Unavailable(_) | StoreError::ReadOnly(_) | StoreError::Full(_) | StoreError::Overloaded
    )
}

/// Failed tasks: the time of the next attempt, and the last delay.
#[derive(Debug, Default)]
struct TaskBackoff(HashMap<(Collection, Uuid), (Instant, Duration)>);

impl TaskBackoff {
    /// The tasks whose next attempt is not due.
    fn waiting(&self) -> Vec<(Collection, Uuid)> {
        let now = Instant::now();
        self.0.iter().filter(|(_, (due, _))| *due > now).map(|(key, _)| *key).collect()
    }

    fn clear(&mut self, task: SettleTask) {
        self.0.remove(&(task.collection, task.id));
    }

    /// Delays a failed task, each time for twice as long.
    fn delay(&mut self, task: SettleTask) -> Duration {
        let (due, wait) = self.0.entry((task.collection, task.id)).or_insert((Instant::now(), Duration::ZERO));
        *wait = MAX_WAIT.min(2 * *wait).max(MIN_WAIT);
        *due = Instant::now() + *wait;
        *wait
    }
}

/// Sets the `origin` of all articles in a group of copies to the group's current first article, in chunks.
async fn settle_group(api: &Api, task: SettleTask) -> Result<(), ServiceError> {
    while let (true, _) = api.write(|| prepare_group(api, task)).await? {}
    Ok(())
}

/// Plans the next chunk of a group's articles; the answer is true if there are more.
async fn prepare_group(api: &Api, task: SettleTask) -> Result<WritePlan<bool>, ServiceError> {
    // Read the version before the groups: a concurrent change of any group then makes this write conflict.
    let groups = article_copies::version(api.store.reads()).await?;
    let members = article_copies::group(api.store.reads(), task.id).await?;
    let mut revised = revise_origins(&members)?;
    if revised.is_empty() {
        settle_queue::mark_settled(api.store.reads(), task).await?;
        return Ok(WritePlan::Unchanged(false));
    }
    let more = revised.len() > CHUNK;
    revised.truncate(CHUNK);
    let write = |put| Write { actor: ACTOR.into(), articles: vec![put], groups: Some(groups), ..Default::default() };
    let mut writes: Vec<Write> = revised.into_iter().map(write).collect();
    if let Some(last) = writes.last_mut().filter(|_| !more) {
        last.settles = Some(task);
    }
    Ok(WritePlan::Write(more, writes))
}

/// The next revisions of the articles whose stored `origin` is not the first article of their group.
fn revise_origins(members: &[GroupMember]) -> Result<Vec<PutArticle>, StoreError> {
    let articles: Vec<Article> = members.iter().map(|member| member.doc.decode()).collect::<Result<_, _>>()?;
    let all = || members.iter().zip(&articles);
    let live = all().filter(|(_, article)| !article.is_deleted());
    let copies: Vec<CopyCandidate> =
        live.map(|(member, article)| CopyCandidate::of(member.doc.id, article, member.text_key())).collect();
    let origins = origins(&copies);
    let now = SystemTime::now();
    let mut revised = Vec::new();
    for (member, article) in all() {
        let id = member.doc.id;
        let origin = origins.get(&id).copied().unwrap_or(id);
        if origin == member.origin {
            continue;
        }
        // Fails for an article of a newer release, whose fields this one would lose.
        member.doc.decode_to_rewrite::<Article>()?;
        let mut next = Article { origin: Collection::Articles.name(origin), ..article.clone() };
        next.make_next_revision(article, now);
        let put = Put::next(id, next, change::Kind::Settled);
        revised.push(PutArticle { put, text: None, text_key: None, former: Some(article.clone()), compared: None });
    }
    Ok(revised)
}

/// Settles a meeting, under the lock that calls take to write to it.
async fn settle_meeting(api: &Api, task: SettleTask) -> Result<(), ServiceError> {
    let _lock = api.record_locks.lock(task.id).await;
    api.write(|| prepare_meeting(api, task)).await?;
    Ok(())
}

/// Plans the next revision of a meeting. If its account stays the same, it only records that the meeting is settled.
async fn prepare_meeting(api: &Api, task: SettleTask) -> Result<WritePlan<()>, ServiceError> {
    let unchanged = async {
        settle_queue::mark_settled(api.store.reads(), task).await?;
        Ok(WritePlan::Unchanged(()))
    };
    let docs = meeting::get(api.store.reads(), &[task.id]).await?;
    let Some(doc) = docs.first() else { return unchanged.await };
    let former: Meeting = doc.decode_to_rewrite()?;
    let inputs = load_inputs_to_settle(api, &[task.id]).await?.remove(&task.id).unwrap_or_default();
    let mut next = former.clone();
    // The reports of a merged meeting belong to its survivor.
    if former.merged_into.is_empty() {
        inputs.settle(&mut next);
    }
    let confirmed = Meeting { settle_version: VERSION, ..doc.decode()? };
    next.settle_version = VERSION;
    if is_same(&next, &confirmed) {
        if former.settle_version != VERSION {
            meeting::confirm(api.store.reads(), task.id, &confirmed).await?;
        }
        return unchanged.await;
    }
    next.make_next_revision(&former, SystemTime::now());
    let (bytes, max_bytes) = (settled_bytes(&next), api.message_bound.stored());
    if bytes > max_bytes {
        // Refusing would try again for ever, and leave the account of other articles. Reads name the meeting.
        tracing::warn!(name = next.name, bytes, max_bytes, "a meeting is settled on more than an answer can carry");
    }
    let meetings = vec![inputs.put(next, change::Kind::Settled)];
    let write = Write { actor: ACTOR.into(), meetings, settles: Some(task), ..Default::default() };
    Ok(WritePlan::Write((), vec![write]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_with_each_failure_up_to_its_bound() {
        let task = SettleTask { collection: Collection::Meetings, id: Uuid::from_u128(1), version: 1 };
        let mut backoff = TaskBackoff::default();
        let waits: Vec<u64> = (0..12).map(|_| backoff.delay(task).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(backoff.waiting(), [(Collection::Meetings, task.id)]);
        backoff.clear(task);
        assert!(backoff.waiting().is_empty());
        assert_eq!(backoff.delay(task), MIN_WAIT);
    }
}
