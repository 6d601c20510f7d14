//! Decisions of curators on who is one person: merges, their undoing, and judgements. Each is written together with the
//! aliases that follow from it.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::identity::{Settling, plan};
use crate::{
    model::{
        identity::contradicts_on_ids,
        resource::{Collection, Resource, timestamp},
    },
    pb::{
        JudgeParticipantsRequest, JudgeParticipantsResponse, Judgement, Merge, MergeParticipantsRequest, Participant,
        UnmergeParticipantRequest, judgement::Verdict,
    },
    service::{
        Api,
        error::{IdentityRule, ServiceError},
        id,
        write::{
            WritePlan,
            idempotency::WriteCall,
            revise::{load_active, load_current, plan_revision, with_etag},
        },
    },
    store::{
        Doc, change, participant,
        write::{PutParticipant, Write, clock},
    },
};

/// Maximum number of participants that are settled as one.
const MAX_MEMBERS: usize = 1_000;
/// Maximum number of `Participant.judgements`.
pub const MAX_JUDGEMENTS: usize = 1_000;

/// Prepares a merge by hand.
///
/// # Errors
/// `NotFound`, `Deleted`, `EtagMismatch`, `NewerContract`,
/// and `Identity` for participants that cannot be merged.
pub async fn prepare_merge(
    api: &Api,
    call: &WriteCall,
    request: &MergeParticipantsRequest,
) -> Result<WritePlan<Participant>, ServiceError> {
    let ids: Vec<Uuid> = [&request.name]
        .into_iter()
        .chain(&request.sources)
        .map(|name| id::<Participant>(name))
        .collect::<Result<_, _>>()?;
    let mut sources = load_active::<Participant>(api, &ids).await?;
    let survivor = with_etag(sources.remove(0), &request.etag)?;
    let merged_into = hand_survivors(api, &survivor).await?;
    for source in &sources {
        let conflict = |rule: IdentityRule| Err(ServiceError::Identity(rule.between(&source.name, &survivor.name)));
        if source.kind != survivor.kind {
            return conflict(IdentityRule::DifferentKinds);
        }
        if let Some(merge) = &source.merge {
            return Err(ServiceError::MergedAway { name: source.name.clone(), survivor: merge.into.clone() });
        }
        if merged_into.contains(&source.name) {
            return conflict(IdentityRule::MergeCycle);
        }
    }
    require_mergeable(api, &survivor, &sources).await?;

    let time = Some(timestamp(clock::now()));
    let into = request.name.clone();
    let changed: HashMap<Uuid, Participant> = sources
        .iter()
        .filter_map(|source| {
            let merge = Some(Merge { into: into.clone(), reason: request.reason.clone(), time });
            Some((source.id()?, Participant { merge, ..source.clone() }))
        })
        .collect();
    let puts = settled(api, &ids, changed, change::Kind::Merged).await?;
    let person = |name: &str| {
        let put = puts.iter().find(|put| put.put.record.name == name).map(|put| &put.put.record);
        let record = put.or_else(|| (name == survivor.name).then_some(&survivor));
        record
            .map(|record| if record.merged_into.is_empty() { record.name.clone() } else { record.merged_into.clone() })
    };
    if let Some(source) = request.sources.iter().find(|source| person(source) != person(&request.name)) {
        return Err(ServiceError::Identity(IdentityRule::JudgedDifferent.between(source, &request.name)));
    }
    let settled_name = person(&request.name).unwrap_or_default();
    let answer = match puts.iter().find(|put| put.put.record.name == settled_name) {
        Some(put) => put.put.record.clone(),
        None => load_current(api, &settled_name).await?,
    };
    Ok(plan_revision(call, request.validate_only, answer, |write| write_merge(write, puts, &request.reason, &into)))
}

/// Prepares the undoing of a merge by hand.
///
/// # Errors
/// `NotFound`, `Deleted`, `EtagMismatch`, `NewerContract`, and `Identity` for a participant that was not merged.
pub async fn prepare_unmerge(
    api: &Api,
    call: &WriteCall,
    request: &UnmergeParticipantRequest,
) -> Result<WritePlan<Participant>, ServiceError> {
    let id = id::<Participant>(&request.name)?;
    let former = load_active::<Participant>(api, &[id]).await?.remove(0);
    let former = with_etag(former, &request.etag)?;
    let Some(merge) = &former.merge else {
        return Err(ServiceError::Identity(IdentityRule::NotMerged.between(&former.name, "")));
    };
    let seeds: Vec<Uuid> = [Some(id), Collection::Participants.id(&merge.into)].into_iter().flatten().collect();
    let changed = HashMap::from([(id, Participant { merge: None, ..former.clone() })]);
    let puts = settled(api, &seeds, changed, change::Kind::Split).await?;
    let own = puts.iter().find(|put| put.put.id == id).map(|put| put.put.record.clone());
    let answer = own.ok_or(ServiceError::Contention)?;
    Ok(plan_revision(call, request.validate_only, answer, |write| {
        write_merge(write, puts, &request.reason, &merge.into)
    }))
}

/// Completes the write of a merge into a participant, or of its undoing.
fn write_merge(write: &mut Write, puts: Vec<PutParticipant>, reason: &str, into: &str) {
    write.participants = puts;
    reason.clone_into(&mut write.reason);
    if let Some(origin) = &mut write.audit {
        origin.related = Collection::Participants.id(into).map(|id| (Collection::Participants, id));
    }
}

/// Prepares a judgement.
///
/// # Errors
/// `SameParticipant`, `NotFound`, `Deleted`, `NewerContract`, and `Identity` for a judgement that
/// cannot be made.
pub async fn prepare_judge(
    api: &Api,
    call: &WriteCall,
    request: &JudgeParticipantsRequest,
) -> Result<WritePlan<JudgeParticipantsResponse>, ServiceError> {
    if request.participant == request.other {
        let name = request.participant.clone();
        return Err(ServiceError::SameParticipant { field: "other", name });
    }
    let mut names = [request.participant.as_str(), request.other.as_str()];
    names.sort_unstable();
    let ids: Vec<Uuid> = names.iter().map(|name| id::<Participant>(name)).collect::<Result<_, _>>()?;
    let records = load_active::<Participant>(api, &ids).await?;
    let conflict = |rule: IdentityRule| Err(ServiceError::Identity(rule.between(names[0], names[1])));
    let is_this = |judgement: &Judgement| judgement.participant == names[0] && judgement.other == names[1];
    let former = records[0].judgements.iter().find(|judgement| is_this(judgement)).cloned();
    match request.verdict() {
        Verdict::Same if records[0].kind != records[1].kind => return conflict(IdentityRule::DifferentKinds),
        Verdict::Same => drop(require_room(api, &ids, &names).await?),
        Verdict::Different => {
            let mut chains = [BTreeSet::new(), BTreeSet::new()];
            for (chain, record) in chains.iter_mut().zip(&records) {
                *chain = hand_survivors(api, record).await?;
                chain.insert(record.name.clone());
            }
            if !chains[0].is_disjoint(&chains[1]) {
                return conflict(IdentityRule::MergedByHand);
            }
        }
        Verdict::Withdrawn if former.is_none() => return conflict(IdentityRule::NotJudged),
        Verdict::Withdrawn | Verdict::Unspecified => {}
    }
    let is_repeated = |former: &Judgement| former.verdict() == request.verdict() && former.reason == request.reason;
    if let Some(former) = former.filter(is_repeated) {
        let answer = JudgeParticipantsResponse { judgement: Some(former), participants: records, ..Default::default() };
        return Ok(match request.validate_only {
            true => WritePlan::Validated(answer, Vec::new()),
            false => WritePlan::Unchanged(answer),
        });
    }
    let mut judgement = Judgement {
        participant: names[0].to_owned(),
        other: names[1].to_owned(),
        reason: request.reason.clone(),
        time: Some(timestamp(clock::now())),
        ..Default::default()
    };
    judgement.set_verdict(request.verdict());
    let mut changed = HashMap::new();
    for (id, record) in ids.iter().zip(&records) {
        let mut next = record.clone();
        next.judgements.retain(|judgement| !is_this(judgement));
        if request.verdict() != Verdict::Withdrawn {
            next.judgements.push(judgement.clone());
            next.judgements.sort_by(|a, b| (&a.participant, &a.other).cmp(&(&b.participant, &b.other)));
        }
        if next.judgements.len() > MAX_JUDGEMENTS {
            return conflict(IdentityRule::TooManyJudgements);
        }
        changed.insert(*id, next);
    }
    let puts = settled(api, &ids, changed, change::Kind::Judged).await?;
    let next = |id: &Uuid| puts.iter().find(|put| put.put.id == *id).map(|put| put.put.record.clone());
    let participants = ids.iter().filter_map(next).collect();
    let answer = JudgeParticipantsResponse { judgement: Some(judgement), participants, ..Default::default() };
    let mut write = call.write(&answer);
    write.participants = puts;
    write.reason.clone_from(&request.reason);
    if request.validate_only {
        return Ok(WritePlan::Validated(answer, vec![write]));
    }
    Ok(WritePlan::Write(answer, vec![write]))
}

/// The participants that change if some of them become as in `changed`.
async fn settled(
    api: &Api,
    seeds: &[Uuid],
    changed: HashMap<Uuid, Participant>,
    kind: change::Kind,
) -> Result<Vec<PutParticipant>, ServiceError> {
    let Settling { groups, is_too_large, .. } = plan(api, seeds, changed, kind).await?;
    if is_too_large {
        let name = |at: usize| seeds.get(at).map(|id| Collection::Participants.name(*id)).unwrap_or_default();
        return Err(ServiceError::Identity(IdentityRule::ClusterTooLarge.between(&name(0), &name(1))));
    }
    Ok(groups.into_iter().flat_map(|group| group.puts).collect())
}

/// The names of the participants that one was merged into by hand, one after the other.
async fn hand_survivors(api: &Api, participant: &Participant) -> Result<BTreeSet<String>, ServiceError> {
    let mut names = BTreeSet::new();
    let mut merge = participant.merge.clone();
    while let Some(Merge { into, .. }) = merge {
        if !names.insert(into.clone()) {
            break;
        }
        merge = load_current::<Participant>(api, &into).await?.merge;
    }
    Ok(names)
}

/// Rejects a merge that a judgement forbids, that unites contradicting external ids without a judgement, or that makes
/// too large a cluster.
async fn require_mergeable(api: &Api, survivor: &Participant, sources: &[Participant]) -> Result<(), ServiceError> {
    let ids: Vec<Uuid> = [survivor].into_iter().chain(sources).filter_map(Resource::id).collect();
    let names: Vec<&str> = [survivor].into_iter().chain(sources).map(|record| record.name.as_str()).collect();
    let all = require_room(api, &ids, &names).await?;
    let docs = participant::get(api.store.reads(), &all).await?;
    let records: Vec<Participant> = docs.iter().map(Doc::decode).collect::<Result<_, _>>()?;
    let verdicts: HashMap<(&str, &str), Verdict> = records
        .iter()
        .flat_map(|record| &record.judgements)
        .map(|judgement| ((judgement.participant.as_str(), judgement.other.as_str()), judgement.verdict()))
        .collect();
    for (index, a) in records.iter().enumerate() {
        for b in &records[index + 1..] {
            let pair =
                if a.name < b.name { (a.name.as_str(), b.name.as_str()) } else { (b.name.as_str(), a.name.as_str()) };
            let conflict = match verdicts.get(&pair) {
                Some(Verdict::Different) => IdentityRule::JudgedDifferent,
                Some(Verdict::Same) => continue,
                _ if contradicts_on_ids(&a.external_ids, &b.external_ids) => IdentityRule::ContradictingIds,
                _ => continue,
            };
            return Err(ServiceError::Identity(conflict.between(pair.0, pair.1)));
        }
    }
    Ok(())
}

/// Rejects uniting these participants if too many would be settled as one. Returns those that would be.
async fn require_room(api: &Api, ids: &[Uuid], names: &[&str]) -> Result<Vec<Uuid>, ServiceError> {
    let members = participant::members(api.store.reads(), ids).await?;
    let all: BTreeSet<Uuid> = members.into_values().flatten().collect();
    if all.len() > MAX_MEMBERS {
        let other = names.get(1).copied().unwrap_or_default();
        return Err(ServiceError::Identity(IdentityRule::ClusterTooLarge.between(names[0], other)));
    }
    Ok(all.into_iter().collect())
}
