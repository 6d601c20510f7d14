//! Settles who is one person, in the background: follows the change feed, compares the participants that it concerns with
//! those of similar names, and writes the aliases that change. Its writes are ordinary writes with changes of their own.
//!
//! It reads all participants once, in the order of ids, in a new epoch, after a new version of the rule, and if the
//! change log no longer has the changes that it has not read.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::{self, Instant};
use uuid::Uuid;

use super::settler::ACTOR;
use crate::{
    model::{
        identity::{CandidateKeys, Profile, RULE_VERSION, candidate_keys},
        resource::Deletable,
    },
    pb::Participant,
    service::{
        Api,
        error::ServiceError,
        participant::identity::{AliasGroup, Settling, plan},
        status::reason_of,
        write::WritePlan,
    },
    store::{
        change::{self, Position},
        participant::{
            self,
            identity::{
                self, ChangedRecords, MAX_SHARING, Progress, advance, changed_after, lease, next_participants,
                replace_keys,
            },
            review::replace_duplicates,
        },
        write::Write,
    },
};

/// The lease of the work. Each step renews it.
const LEASE: Duration = Duration::from_secs(3);
/// Interval between attempts to take the lease.
const POLL: Duration = Duration::from_secs(1);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// Maximum number of changes that a step reads, and of participants while all are read.
const CHANGES: i64 = 4_000;
const PARTICIPANTS: i64 = 500;
/// Maximum number of participants that are settled together.
const CHUNK: usize = 200;
/// After a step the job pauses this many times as long as the step took, so that writes that arrive meanwhile are
/// settled together, and calls get most of the processor.
const PAUSE_FACTOR: u32 = 9;
/// Upper bound of that pause.
const MAX_PAUSE: Duration = Duration::from_secs(3);

/// Runs the job; never returns.
pub async fn run(api: Api) {
    let instance = Uuid::now_v7();
    loop {
        match step(&api, instance).await {
            Ok(JobStep::Idle(position)) => api.feed.await_other_head(&position).await,
            Ok(JobStep::Worked(elapsed)) => time::sleep((elapsed * PAUSE_FACTOR).min(MAX_PAUSE)).await,
            Ok(JobStep::NotHeld) => time::sleep(POLL).await,
            Err(error) => {
                let reason = reason_of(&error.into());
                tracing::warn!(reason, "participants could not be settled; trying again later");
                time::sleep(RETRY).await;
            }
        }
    }
}

enum JobStep {
    /// Nothing has changed since this position.
    Idle(Position),
    /// The step did something, for this long.
    Worked(Duration),
    /// Another instance does the work.
    NotHeld,
}

async fn step(api: &Api, instance: Uuid) -> Result<JobStep, ServiceError> {
    let begun = Instant::now();
    let head = change::state(api.store.reads()).await?.0;
    let Some(progress) = lease(api.store.writes(), instance, LEASE.as_secs_f64()).await? else {
        return Ok(JobStep::NotHeld);
    };
    let is_current = progress.version == RULE_VERSION
        && progress.epoch == *head.epoch
        && (head.floor..=head.head).contains(&progress.position);
    let next = match (is_current, progress.done) {
        // Changes from here on are read after all participants.
        (false, _) => Progress {
            epoch: head.epoch.to_string(),
            position: head.head,
            done: Some(Uuid::nil()),
            version: RULE_VERSION,
        },
        (true, Some(done)) => {
            let ids = next_participants(api.store.reads(), done, PARTICIPANTS).await?;
            settle(api, &ids, &[]).await?;
            Progress { done: ids.last().copied(), ..progress.clone() }
        }
        (true, None) => {
            let ChangedRecords { last, participants, appeared } =
                changed_after(api.store.reads(), progress.position, CHANGES).await?;
            let Some(last) = last else {
                return Ok(JobStep::Idle(Position { epoch: head.epoch, number: progress.position }));
            };
            settle(api, &participants, &appeared).await?;
            Progress { position: last, ..progress.clone() }
        }
    };
    // If another instance has advanced meanwhile, it has settled the same.
    advance(api.store.writes(), &progress, &next).await?;
    Ok(JobStep::Worked(begun.elapsed()))
}

/// Settles participants that have changed, and those that have appeared in further reports.
async fn settle(api: &Api, changed: &[Uuid], appeared: &[Uuid]) -> Result<(), ServiceError> {
    let mut seeds: BTreeSet<Uuid> = appeared.iter().copied().collect();
    for chunk in changed.chunks(CHUNK) {
        index(api, chunk).await?;
        seeds.extend(chunk);
    }
    // Also those of a step that was not completed.
    let affected = identity::seeds(api.store.writes()).await?;
    seeds.extend(&affected);
    let seeds: Vec<Uuid> = seeds.into_iter().collect();
    for chunk in seeds.chunks(CHUNK) {
        settle_chunk(api, chunk).await?;
    }
    Ok(identity::remove_seeds(api.store.writes(), &affected).await?)
}

/// Settles some participants together, or in parts if there are too many around them.
async fn settle_chunk(api: &Api, seeds: &[Uuid]) -> Result<(), ServiceError> {
    let mut chunks = vec![seeds];
    while let Some(chunk) = chunks.pop() {
        let (settling, _) = api.write(|| prepare(api, chunk)).await?;
        let Settling { reviewed, pairs, left_out, is_too_large, .. } = settling;
        match chunk {
            [_] if is_too_large => {
                tracing::warn!("a participant was not settled, because too many others may be the same person");
            }
            several if is_too_large => chunks.extend(<[&[Uuid]; 2]>::from(several.split_at(several.len() / 2))),
            _ => {}
        }
        if left_out > 0 {
            tracing::warn!(left_out, "participants were not settled, because too many have similar names");
        }
        replace_duplicates(api.store.writes(), &reviewed, &pairs).await?;
    }
    Ok(())
}

/// Writes the keys of participants.
async fn index(api: &Api, ids: &[Uuid]) -> Result<(), ServiceError> {
    let mut keys = Vec::with_capacity(ids.len());
    for doc in participant::get(api.store.reads(), ids).await? {
        let participant: Participant = doc.decode()?;
        let own = match participant.is_deleted() {
            true => CandidateKeys::default(),
            false => candidate_keys(&Profile::of(&participant)),
        };
        keys.push((doc.id, if participant.exact_only { own.apart() } else { own }));
    }
    let common = replace_keys(api.store.writes(), &keys).await?;
    if common > 0 {
        tracing::warn!(
            keys = common,
            limit = MAX_SHARING,
            "parts of names have become too common: participants that share only these are not compared"
        );
    }
    Ok(())
}

async fn prepare(api: &Api, seeds: &[Uuid]) -> Result<WritePlan<Settling>, ServiceError> {
    let mut settling = plan(api, seeds, HashMap::new(), change::Kind::Settled).await?;
    let groups = std::mem::take(&mut settling.groups);
    if groups.is_empty() {
        return Ok(WritePlan::Unchanged(settling));
    }
    let write =
        |AliasGroup { puts, reason }| Write { actor: ACTOR.into(), participants: puts, reason, ..Default::default() };
    Ok(WritePlan::Write(settling, groups.into_iter().map(write).collect()))
}
