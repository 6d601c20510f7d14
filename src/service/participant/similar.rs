//! Reads about who may be one person: comparisons, candidates, pairs to review, judgements.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use uuid::Uuid;

use super::identity::appearances::appearances_of;
use crate::{
    model::{
        identity::{
            Appearance, Comparison, Context, Level, Profile, RULE_VERSION, Reason, ReasonKind, candidate_keys, compare,
        },
        query::filter,
        resource::{Collection, Deletable, Resource},
        time::dates,
    },
    pb::{
        self, CompareParticipantsRequest, CompareParticipantsResponse, IdentityReason, Judgement,
        ListDuplicatesRequest, ListDuplicatesResponse, ListJudgementsRequest, ListJudgementsResponse,
        MatchParticipantsRequest, MatchParticipantsResponse, Participant, list_duplicates_response::Duplicate,
        match_participants_response::Candidate,
    },
    service::{Api, error::ServiceError, read::pagination::Cursor},
    store::{
        Doc,
        participant::{
            self,
            identity::sharing,
            review::{DuplicateKey, DuplicatePair, judged_pairs, list_duplicates},
        },
        query::QueryClass,
    },
};

/// Candidates in an answer if the request sets no size, and at most.
const DEFAULT_CANDIDATES: usize = 10;
const MAX_CANDIDATES: usize = 100;
/// Maximum number of stored participants that are compared with the one that is sent.
const MAX_COMPARED: usize = 100;
/// Maximum number of them that are compared because they have the same name.
const MAX_NAMESAKES: i64 = 50;

/// Compares two participants that are sent.
pub fn compare_sent(request: &CompareParticipantsRequest) -> CompareParticipantsResponse {
    let profile = |participant: &Option<Participant>| Profile::of(&participant.clone().unwrap_or_default());
    let (a, b) = (profile(&request.participant_a), profile(&request.participant_b));
    let Comparison { level, score, reasons } = compare(&a, &b, &Context::default());
    CompareParticipantsResponse {
        level: sent_level(level).into(),
        score: score.into(),
        reasons: reasons.iter().map(sent_reason).collect(),
        rule_version: RULE_VERSION,
    }
}

/// The level in the contract.
fn sent_level(level: Level) -> pb::Level {
    match level {
        Level::No => pb::Level::No,
        Level::Possible => pb::Level::Possible,
        Level::Confident => pb::Level::Confident,
    }
}

/// The name of a sort of reason in the contract, see `IdentityReason.kind`.
fn kind_name(kind: ReasonKind) -> &'static str {
    match kind {
        ReasonKind::SharedId => "shared_id",
        ReasonKind::ContradictingId => "contradicting_id",
        ReasonKind::KindDiffers => "kind_differs",
        ReasonKind::RegionDiffers => "region_differs",
        ReasonKind::RegionUnset => "region_unset",
        ReasonKind::EqualName => "equal_name",
        ReasonKind::EqualToken => "equal_token",
        ReasonKind::Romanisation => "romanisation",
        ReasonKind::Variant => "variant",
        ReasonKind::Sound => "sound",
        ReasonKind::Typo => "typo",
        ReasonKind::Initial => "initial",
        ReasonKind::Extra => "extra",
        ReasonKind::Order => "order",
        ReasonKind::OwnNames => "own_names",
        ReasonKind::Generation => "generation",
        ReasonKind::Ordinal => "ordinal",
        ReasonKind::Gender => "gender",
        ReasonKind::Weak => "weak",
        ReasonKind::SameOffice => "same_office",
        ReasonKind::SameCompany => "same_company",
        ReasonKind::TwoTopOffices => "two_top_offices",
        ReasonKind::FarApart => "far_apart",
    }
}

fn sent_reason(reason: &Reason) -> IdentityReason {
    IdentityReason {
        kind: kind_name(reason.kind).to_owned(),
        a: reason.a.clone(),
        b: reason.b.clone(),
        weight: reason.weight,
    }
}

/// Finds the stored participants that may be the one that is sent.
///
/// # Errors
/// `Damaged` for a stored participant or report that cannot be decoded, or the database fails.
pub async fn find_matches(
    api: &Api,
    request: &MatchParticipantsRequest,
) -> Result<MatchParticipantsResponse, ServiceError> {
    let sent = Profile::of(&request.participant.clone().unwrap_or_default());
    let found = candidates(api, &sent).await?;
    let own = [own_appearance(request)];
    let has_context = own[0] != Appearance::default();
    let ids: Vec<Uuid> = found.keys().copied().collect();
    let appearances = match has_context {
        true => appearances_of(api, &ids).await?,
        false => HashMap::new(),
    };
    let mut best: BTreeMap<Uuid, (Comparison, i64)> = BTreeMap::new();
    for (id, participant) in &found {
        let context =
            Context { a: if has_context { &own } else { &[] }, b: appearances.get(id).map_or(&[], Vec::as_slice) };
        let comparison = compare(&sent, &Profile::of(participant), &context);
        if comparison.level == Level::No {
            continue;
        }
        let person = Collection::Participants.id(&participant.merged_into).unwrap_or(*id);
        let time = participant.create_time.map_or(0, |time| time.seconds * 1_000_000 + i64::from(time.nanos / 1_000));
        let is_better =
            |(known, _): &(Comparison, i64)| (comparison.level, comparison.score) > (known.level, known.score);
        if best.get(&person).is_none_or(is_better) {
            best.insert(person, (comparison, time));
        }
    }
    let mut ranked: Vec<(Uuid, (Comparison, i64))> = best.into_iter().collect();
    ranked.sort_by(|(a_id, (a, a_time)), (b_id, (b, b_time))| {
        b.level.cmp(&a.level).then(b.score.total_cmp(&a.score)).then(a_time.cmp(b_time)).then(a_id.cmp(b_id))
    });
    let size = match usize::try_from(request.page_size) {
        Ok(0) | Err(_) => DEFAULT_CANDIDATES,
        Ok(size) => size.min(MAX_CANDIDATES),
    };
    ranked.truncate(size);
    let ids: Vec<Uuid> = ranked.iter().map(|(id, _)| *id).collect();
    let mut persons = records(api, &ids).await?;
    let candidates = ranked.into_iter().map(|(id, (comparison, _))| {
        let Participant { display_name, region_code, .. } = persons.remove(&id).unwrap_or_default();
        Candidate {
            participant: Collection::Participants.name(id),
            display_name,
            region_code,
            level: sent_level(comparison.level).into(),
            score: comparison.score.into(),
            reasons: comparison.reasons.iter().map(sent_reason).collect(),
        }
    });
    Ok(MatchParticipantsResponse { candidates: candidates.collect(), rule_version: RULE_VERSION })
}

fn own_appearance(request: &MatchParticipantsRequest) -> Appearance {
    let day = request.date.as_ref().and_then(dates::first_day).map(dates::day_number);
    let co_participants: BTreeSet<Uuid> =
        request.co_participants.iter().filter_map(|name| Collection::Participants.id(name)).collect();
    Appearance {
        organization: request.organization.clone(),
        first_day: day,
        last_day: day,
        co_participants: co_participants.into_iter().collect(),
        ..Default::default()
    }
}

/// The live participants of the same name as the one that is sent, the oldest first, and those that share the rarest keys
/// with it: keys of pairs of words, and while there is room, of single words.
async fn candidates(api: &Api, sent: &Profile) -> Result<HashMap<Uuid, Participant>, ServiceError> {
    let keys = candidate_keys(sent);
    let apart = keys.clone().apart();
    // A common name has no keys that are rare enough.
    let namesakes = participant::find_named(api.store.reads(), &sent.door_keys, MAX_NAMESAKES).await?;
    // The rarer the keys that two participants share, the likelier they are one.
    let mut weights: HashMap<Uuid, f64> = namesakes.into_iter().map(|id| (id, f64::INFINITY)).collect();
    for keys in [[keys.pairs, apart.pairs].concat(), [keys.singles, apart.singles].concat()] {
        if weights.len() >= MAX_COMPARED {
            break;
        }
        // In one order, since sums of floats depend on it.
        let sharing: BTreeMap<i64, Vec<Uuid>> = sharing(api.store.reads(), &keys).await?.into_iter().collect();
        for sharing in sharing.into_values() {
            let weight = 1.0 / sharing.len() as f64;
            sharing.into_iter().for_each(|id| *weights.entry(id).or_default() += weight);
        }
    }
    let mut ranked: Vec<(Uuid, f64)> = weights.into_iter().collect();
    ranked.sort_by(|(a, a_weight), (b, b_weight)| b_weight.total_cmp(a_weight).then(a.cmp(b)));
    ranked.truncate(MAX_COMPARED);
    let mut found = records(api, &ranked.into_iter().map(|(id, _)| id).collect::<Vec<_>>()).await?;
    found.retain(|_, participant| !participant.is_deleted());
    Ok(found)
}

async fn records(api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, Participant>, ServiceError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let docs = participant::get(api.store.reads(), ids).await?;
    docs.iter().map(|doc: &Doc| Ok((doc.id, doc.decode()?))).collect()
}

/// Reads a page of the pairs to review.
///
/// # Errors
/// `PageToken`, `Filter`, `Overloaded` without a permit, `OutOfTime` after `budget`.
pub async fn duplicates(
    api: &Api,
    request: &ListDuplicatesRequest,
    budget: Duration,
) -> Result<ListDuplicatesResponse, ServiceError> {
    let cursor: Cursor<DuplicateKey> = Cursor::of(request, api.token_key, api.feed.head())?;
    let filter = filter::parse(filter::PARTICIPANTS, &request.filter).map_err(ServiceError::Filter)?;
    let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
    let mut pairs = list_duplicates(&mut db, &filter, cursor.after, cursor.size + 1).await?;
    drop(db);
    let more = pairs.len() > cursor.size;
    pairs.truncate(cursor.size);
    let next = pairs.last().filter(|_| more).map(DuplicatePair::key);
    let persons: Vec<Uuid> =
        pairs.iter().flat_map(|pair| [pair.participant, pair.other]).collect::<BTreeSet<_>>().into_iter().collect();
    let members = participant::members(api.store.reads(), &persons).await?;
    let all: Vec<Uuid> = members.values().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let records = records(api, &all).await?;
    let profiles: HashMap<Uuid, Profile> = records.iter().map(|(id, record)| (*id, Profile::of(record))).collect();
    let duplicate = |pair: DuplicatePair| {
        let record = |id: &Uuid| records.get(id).map(|record| Participant { judgements: Vec::new(), ..record.clone() });
        let reasons = reasons(&pair, &members, &profiles);
        Some(Duplicate {
            participant: Some(record(&pair.participant)?),
            other: Some(record(&pair.other)?),
            level: i32::from(pair.level),
            score: pair.score.into(),
            reasons,
        })
    };
    let duplicates = pairs.into_iter().filter_map(duplicate).collect();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    Ok(ListDuplicatesResponse { duplicates, next_page_token })
}

/// The reasons of the strongest comparison between the names of two persons, their aliases included.
fn reasons(
    pair: &DuplicatePair,
    members: &HashMap<Uuid, Vec<Uuid>>,
    profiles: &HashMap<Uuid, Profile>,
) -> Vec<IdentityReason> {
    /// A person of many aliases is explained by the first of them.
    const MAX_EXPLAINED: usize = 20;
    let of = |id: &Uuid| members.get(id).into_iter().flatten().take(MAX_EXPLAINED).filter_map(|id| profiles.get(id));
    let mut best: Option<Comparison> = None;
    for a in of(&pair.participant) {
        for b in of(&pair.other) {
            let comparison = compare(a, b, &Context::default());
            let is_better = |best: &Comparison| (comparison.level, comparison.score) > (best.level, best.score);
            if best.as_ref().is_none_or(is_better) {
                best = Some(comparison);
            }
        }
    }
    best.map(|best| best.reasons.iter().map(sent_reason).collect()).unwrap_or_default()
}

/// Reads a page of the judgements.
///
/// # Errors
/// `PageToken`, `Damaged` for a participant that cannot be decoded, or the database fails.
pub async fn judgements(api: &Api, request: &ListJudgementsRequest) -> Result<ListJudgementsResponse, ServiceError> {
    let cursor: Cursor<(Uuid, Uuid)> = Cursor::of(request, api.token_key, api.feed.head())?;
    let of = Collection::Participants.id(&request.participant);
    let mut pairs = judged_pairs(api.store.reads(), of, cursor.after, cursor.size + 1).await?;
    let more = pairs.len() > cursor.size;
    pairs.truncate(cursor.size);
    let next = pairs.last().filter(|_| more).copied();
    let ids: Vec<Uuid> = pairs.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().into_iter().collect();
    let records = records(api, &ids).await?;
    let judgement = |(participant, other): &(Uuid, Uuid)| -> Option<Judgement> {
        let other = Collection::Participants.name(*other);
        let record = records.get(participant)?;
        let is_this = |judgement: &&Judgement| judgement.participant == record.name() && judgement.other == other;
        record.judgements.iter().find(is_this).cloned()
    };
    let judgements = pairs.iter().filter_map(judgement).collect();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    Ok(ListJudgementsResponse { judgements, next_page_token })
}
