//! The settler: recomputes, in the background, the derived state that a change of an article has made uncertain. For
//! an article that is its group of copies, for a meeting its account. Its writes are ordinary writes with changes of
//! their own.
//!
//! It also settles meetings whose `settle_version` is older than the rule, in chunks. A meeting whose account stays the
//! same gets the new version, and the fields that the version adds, without a revision. Otherwise an upgrade would put
//! every meeting into the change feed.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{self, Instant};
use uuid::Uuid;

use super::near_copies;
use crate::{
    model::{
        canonical::is_same,
        meeting::settled_bytes,
        resource::{Collection, Resource},
        settle::VERSION,
    },
    pb::{Article, Meeting},
    service::{
        Api, article::copies::moved_members, error::ServiceError, meeting::settle_inputs::load_inputs_to_settle,
        status::reason_of, write::WritePlan,
    },
    store::{
        StoreError, article, article_copies, change, meeting, report,
        write::{Put, PutArticle, SettleTask, Write, clock, settle_queue},
    },
};

/// The actor of the settler's writes.
pub(super) const ACTOR: &str = "readout";
/// Interval between polls of the queue, which find tasks left by other instances or by one that crashed.
const POLL: Duration = Duration::from_secs(1);
/// Maximum number of tasks read at a time, and of articles of one group written at a time.
const CHUNK: usize = 64;
/// Maximum number of small meetings that are settled at the same time, and the bytes of the reports of a small one. Larger
/// ones take memory, and are settled one after the other.
const CONCURRENT_MEETINGS: usize = 8;
const SMALL_MEETING_BYTES: usize = 256 * 1024;
/// The version in the task of a meeting that has no row in `unsettled`.
const NEVER: i64 = -1;
/// The pause between two steps on one group of copies. It bounds the changes that each copy of a large group causes: if
/// others arrive meanwhile, the next step goes to the newest origin at once.
const STEP_PAUSE: Duration = Duration::from_millis(250);
/// After a large group was read, groups pause this many times as long as that took, so that they take at most a fifth
/// of the settler's time, and the tasks that arrive meanwhile are joined.
const PAUSE_FACTOR: u32 = 4;
/// Upper bound of that pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Backoff after the first failure of a task, and its upper bound.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(5 * 60);

/// Runs the settler; never returns.
pub async fn run(api: Api) {
    let mut backoff = TaskBackoff::default();
    let mut upgrade = Upgrade::default();
    loop {
        let has_more_texts = near_copies::compare_next(&api).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "texts could not be compared with others; trying again later");
            false
        });
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
        if is_idle && !has_more_texts {
            // A notification that arrived earlier is kept, so none is missed.
            let _ = time::timeout(backoff.until_due().min(POLL), api.committer.unsettled()).await;
        }
    }
}

/// The next chunk: rows of `unsettled`, then meetings with an older `settle_version`.
async fn next_tasks(api: &Api, backoff: &TaskBackoff, upgrade: &mut Upgrade) -> Result<Vec<SettleTask>, StoreError> {
    let waiting = backoff.waiting();
    let both = [Collection::Articles, Collection::Meetings];
    let of = if backoff.are_groups_paused() { &both[1..] } else { &both[..] };
    let mut tasks = settle_queue::next_tasks(api.store.reads(), of, &waiting, CHUNK).await?;
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
    let meetings: Vec<Uuid> =
        tasks.iter().filter(|task| task.collection == Collection::Meetings).map(|task| task.id).collect();
    let sizes = match report::sizes(api.store.reads(), &meetings).await {
        Ok(sizes) => sizes,
        Err(error) => {
            tracing::warn!(%error, "the sizes of meetings could not be read");
            return false;
        }
    };
    let is_small = |task: &SettleTask| {
        task.collection == Collection::Meetings && sizes.get(&task.id).is_none_or(|bytes| *bytes <= SMALL_MEETING_BYTES)
    };
    let small = tasks.iter().copied().filter(is_small);
    let settled = stream::iter(small).map(async |task| (task, settle_meeting(api, task).await));
    let mut settled = std::pin::pin!(settled.buffer_unordered(CONCURRENT_MEETINGS));
    while let Some((task, settled)) = settled.next().await {
        match settled {
            Ok(()) => backoff.clear(task),
            Err(error) => {
                if !is_retried(task, error, backoff) {
                    return false;
                }
            }
        }
    }
    for task in tasks.iter().copied().filter(|task| !is_small(task)) {
        if task.collection == Collection::Articles && backoff.are_groups_paused() {
            continue;
        }
        let begun = Instant::now();
        let settled = match task.collection {
            Collection::Articles => settle_group(api, task).await,
            Collection::Meetings => settle_meeting(api, task).await.map(|()| GroupStep::default()),
            // Other records have no state that is derived from articles.
            Collection::Participants | Collection::Reports => Ok(GroupStep::default()),
        };
        match settled {
            Ok(step) => {
                backoff.clear(task);
                backoff.pause(task, step, begun.elapsed());
            }
            Err(error) => {
                if !is_retried(task, error, backoff) {
                    return false;
                }
            }
        }
    }
    true
}

/// Logs the failure of a task, which is tried again later. `false` if every other task would fail too.
fn is_retried(task: SettleTask, error: ServiceError, backoff: &mut TaskBackoff) -> bool {
    let wait = backoff.delay(task);
    let name = task.collection.name(task.id);
    let concerns_one_record = concerns_one_record(&error);
    let reason = reason_of(&error.into());
    tracing::warn!(reason, name, ?wait, "a record could not be settled; trying again later");
    concerns_one_record
}

/// True if an error concerns one record, and not the database as a whole.
fn concerns_one_record(error: &ServiceError) -> bool {
    let ServiceError::Store(error) = error else { return true };
    !matches!(
        **error,
        StoreError::Unavailable(_) | StoreError::ReadOnly(_) | StoreError::Full(_) | StoreError::Overloaded
    )
}

/// Tasks that wait: those that failed, and groups of which a step is done.
#[derive(Debug, Default)]
struct TaskBackoff {
    /// The time of the next attempt, and the last delay after a failure.
    tasks: HashMap<(Collection, Uuid), (Instant, Duration)>,
    /// The end of the pause of all groups.
    groups: Option<Instant>,
}

impl TaskBackoff {
    /// The tasks whose next attempt is not due.
    fn waiting(&self) -> Vec<(Collection, Uuid)> {
        let now = Instant::now();
        self.tasks.iter().filter(|(_, (due, _))| *due > now).map(|(key, _)| *key).collect()
    }

    /// True while no group is to be read.
    fn are_groups_paused(&self) -> bool {
        self.groups.is_some_and(|end| end > Instant::now())
    }

    /// The time until the next task is due.
    fn until_due(&self) -> Duration {
        let now = Instant::now();
        let due = self.tasks.values().map(|(due, _)| *due).chain(self.groups).filter(|due| *due > now).min();
        due.map_or(POLL, |due| due - now)
    }

    /// Pauses after a step on a group that took this long.
    fn pause(&mut self, task: SettleTask, step: GroupStep, took: Duration) {
        let now = Instant::now();
        if step.has_more {
            self.tasks.insert((task.collection, task.id), (now + STEP_PAUSE, Duration::ZERO));
        }
        if step.members > CHUNK {
            self.groups = Some(now + MAX_PAUSE.min(PAUSE_FACTOR * took));
        }
    }

    fn clear(&mut self, task: SettleTask) {
        self.tasks.remove(&(task.collection, task.id));
    }

    /// Delays a failed task, each time for twice as long.
    fn delay(&mut self, task: SettleTask) -> Duration {
        let (due, wait) = self.tasks.entry((task.collection, task.id)).or_insert((Instant::now(), Duration::ZERO));
        *wait = MAX_WAIT.min(2 * *wait).max(MIN_WAIT);
        *due = Instant::now() + *wait;
        *wait
    }
}

/// Sets the `origin` of articles in a group of copies to the group's current first article: of at most [`CHUNK`] of
/// them. The task stays in the queue until all of them have it.
async fn settle_group(api: &Api, task: SettleTask) -> Result<GroupStep, ServiceError> {
    Ok(api.write(|| prepare_group(api, task)).await?.0)
}

/// The result of a step on a group of copies.
#[derive(Debug, Clone, Copy, Default)]
struct GroupStep {
    /// True if the group has more articles to revise.
    has_more: bool,
    /// The number of articles that were read.
    members: usize,
}

/// Plans the next step on a group.
async fn prepare_group(api: &Api, task: SettleTask) -> Result<WritePlan<GroupStep>, ServiceError> {
    // Read the version before the groups: a concurrent change of any group then makes this write conflict.
    let groups = article_copies::version(api.store.reads()).await?;
    let group = article_copies::group(api.store.reads(), task.id).await?;
    let mut step = GroupStep { has_more: false, members: group.members.len() };
    let ids: Vec<Uuid> = group.members.iter().map(|member| member.id).collect();
    if settle_queue::join_tasks(api.store.reads(), &ids, groups).await?.contains(&task.id) {
        // An older task leads to the same articles.
        return Ok(WritePlan::Unchanged(step));
    }
    let mut moved = moved_members(&group);
    if moved.is_empty() {
        settle_queue::mark_settled(api.store.reads(), task).await?;
        return Ok(WritePlan::Unchanged(step));
    }
    step.has_more = moved.len() > CHUNK;
    moved.truncate(CHUNK);
    let revised = revise_origins(api, &moved).await?;
    let write = |put| Write { actor: ACTOR.into(), articles: vec![put], groups: Some(groups), ..Default::default() };
    let mut writes: Vec<Write> = revised.into_iter().map(write).collect();
    if let Some(last) = writes.last_mut().filter(|_| !step.has_more) {
        last.settles = Some(task);
    }
    Ok(WritePlan::Write(step, writes))
}

/// The next revisions of articles, with their origins.
async fn revise_origins(api: &Api, moved: &[(Uuid, Uuid, f32)]) -> Result<Vec<PutArticle>, ServiceError> {
    let origins: HashMap<Uuid, (Uuid, f32)> =
        moved.iter().map(|(id, origin, overlap)| (*id, (*origin, *overlap))).collect();
    let ids: Vec<Uuid> = moved.iter().map(|(id, ..)| *id).collect();
    let now = clock::now();
    let mut revised = Vec::with_capacity(moved.len());
    for doc in article::get(api.store.reads(), &ids).await? {
        // Fails for an article of a newer release, whose fields this one would lose.
        let former: Article = doc.decode_to_rewrite()?;
        let (origin, origin_overlap) = origins.get(&doc.id).copied().unwrap_or((doc.id, 0.0));
        let mut next = Article { origin: Collection::Articles.name(origin), origin_overlap, ..former.clone() };
        next.make_next_revision(&former, now);
        let put = Put::next(doc.id, next, change::Kind::Settled);
        revised.push(PutArticle { put, text: None, text_key: None, former: Some(former), compared: None });
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
    let mut confirmed = Meeting { settle_version: VERSION, ..doc.decode()? };
    if former.settle_version < VERSION {
        confirmed.evidence_coverage = next.evidence_coverage;
        confirmed.fragile_fields.clone_from(&next.fragile_fields);
    }
    next.settle_version = VERSION;
    if is_same(&next, &confirmed) {
        if former.settle_version != VERSION {
            meeting::confirm(api.store.reads(), task.id, &confirmed).await?;
        }
        return unchanged.await;
    }
    next.make_next_revision(&former, clock::now());
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
