//! MeetingService.MatchMeetings: the meetings that an account may describe.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use prost::Message;
use uuid::Uuid;

use crate::{
    model::{
        article::may_store_text,
        meeting::matching::{
            EventComparison, EventFacts, Level, MAX_TEXT_BYTES, VERSION, Words, canonical, compare, require_unique,
        },
        report::participants,
        resource::Collection,
        settle::complete,
        time::dates,
    },
    pb::{
        Article, MatchMeetingsRequest, MatchMeetingsResponse, Meeting, Report, match_meetings_response::Candidate,
        meeting_match, meeting_match::reason::Kind as ReasonKind, report::Prominence,
    },
    service::{Api, error::ServiceError, read::pagination, require_live_people},
    store::{
        StoreError, meeting,
        query::{
            BoundedQuery, QueryClass,
            meeting_candidates::{self, Candidate as FoundCandidate, CandidateSearch},
        },
        report,
    },
};

/// Maximum number of meetings that an account is compared with.
const MAX_COMPARED: usize = 200;
/// Maximum bytes of them, and of the meetings that are read together.
const MAX_COMPARED_BYTES: usize = 8 * 1024 * 1024;
/// Maximum bytes of results in an answer, not counting the first.
pub(super) const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// Number of reports of a meeting that are read to know if it is more than the background of articles.
const REPORTS_READ: usize = 16;

/// Answers a checked request.
///
/// # Errors
/// `NotFound` for the article or a participant, `Deleted` for a participant, `Overloaded` without a permit, `OutOfTime`
/// after `budget`.
pub(super) async fn match_meetings(
    api: &Api,
    request: MatchMeetingsRequest,
    budget: Duration,
) -> Result<MatchMeetingsResponse, ServiceError> {
    let as_of = api.feed.head().to_string();
    let size = pagination::size(request.page_size);
    let mut account = request.account.unwrap_or_default();
    let (aliases, persons) = require_live_people(&api.store, &participants(&account).collect::<Vec<_>>()).await?;
    let person = |name: &str| canonical(name).map(|id| aliases.get(&id).copied().unwrap_or(id));
    // The account is compared as it would be settled.
    complete(&mut account, |participation| persons.get(&person(&participation.participant)?));
    let mut event = EventFacts::of(&account, person);
    let article = match request.article.is_empty() {
        true => None,
        false => Some(load_article(api, request.article).await?),
    };
    let (title, text) = article.as_ref().map_or(("", ""), |(article, text)| (article.title.as_str(), text.as_str()));
    event.words = Words::of([account.title.as_str(), &account.summary, title, text]);
    event.publish_date = article.as_ref().and_then(|(article, _)| dates::first_day(article.publish_date.as_ref()?));
    let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
    let mut matches = find_matches(api, &mut db, &[(None, &event)]).await?.pop().unwrap_or_default();
    add_holders(api, &event, &mut matches).await?;
    matches.sort_by(by_strength);
    let mut bytes = 0;
    let candidates = matches.iter().take(size).map(candidate).take_while(|candidate| {
        let is_first = bytes == 0;
        bytes += candidate.encoded_len();
        is_first || bytes <= MAX_ANSWER_BYTES
    });
    Ok(MatchMeetingsResponse { candidates: candidates.collect(), rule_version: VERSION, as_of })
}

/// Puts the live meetings that have external ids of the event before the others: IngestStory adds a report to such a
/// meeting without comparing events, and refuses one with the ids of several meetings.
async fn add_holders(api: &Api, event: &EventFacts, matches: &mut Vec<MeetingMatch>) -> Result<(), ServiceError> {
    let ids: BTreeSet<(&str, &str)> =
        event.external_ids.iter().map(|(scheme, value)| (scheme.as_str(), value.as_str())).collect();
    let mut holders: BTreeMap<Uuid, String> = BTreeMap::new();
    // In the order of ids, so that the reason names the first one.
    let found: BTreeMap<_, _> = meeting::find_by_external_ids(api.store.reads(), &ids).await?.into_iter().collect();
    for ((scheme, value), holder) in found {
        holders.entry(holder).or_insert(format!("{scheme}:{value}"));
    }
    if holders.is_empty() {
        return Ok(());
    }
    for found in matches.iter_mut().filter(|found| found.comparison.level == Level::Same) {
        if !holders.contains_key(&found.meeting) {
            found.comparison.doubt(ReasonKind::NotUnique);
        }
    }
    for (holder, id) in &holders {
        let at = matches.iter().position(|found| found.meeting == *holder);
        let compared = at.map(|at| matches.swap_remove(at).comparison);
        matches.push(MeetingMatch { meeting: *holder, comparison: EventComparison::by_external_id(id, compared) });
    }
    let is_holder = |found: &&mut MeetingMatch| holders.contains_key(&found.meeting);
    require_unique(matches.iter_mut().filter(is_holder).map(|found| &mut found.comparison));
    Ok(())
}

/// The article, and the first part of its text unless it is hidden.
async fn load_article(api: &Api, name: String) -> Result<(Article, String), ServiceError> {
    let id = Collection::Articles.id(&name);
    let stored = match id {
        Some(id) => api.store.by_id().sources.get(id).await?,
        None => None,
    };
    let stored = stored.ok_or(ServiceError::NotFound(name))?;
    let article: Article = stored.doc.decode()?;
    let text = stored.text.as_deref().filter(|_| may_store_text(&article)).unwrap_or_default();
    let text = text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned();
    Ok((article, text))
}

fn candidate(found: &MeetingMatch) -> Candidate {
    let EventComparison { level, score, reasons } = found.comparison.clone();
    let meeting = Collection::Meetings.name(found.meeting);
    Candidate { meeting, level: level_of(level).into(), score, reasons }
}

/// The level as the contract has it.
pub(super) fn level_of(level: Level) -> meeting_match::Level {
    match level {
        Level::No => meeting_match::Level::Unspecified,
        Level::Candidate => meeting_match::Level::Candidate,
        Level::Same => meeting_match::Level::Same,
    }
}

/// A meeting that may be the event of an account.
#[derive(Debug, Clone)]
pub(super) struct MeetingMatch {
    pub meeting: Uuid,
    pub comparison: EventComparison,
}

/// SAME first, then the highest score, then the smallest name.
fn by_strength(a: &MeetingMatch, b: &MeetingMatch) -> Ordering {
    let level = |found: &MeetingMatch| Reverse(found.comparison.level);
    let by_score = b.comparison.score.total_cmp(&a.comparison.score);
    level(a).cmp(&level(b)).then(by_score).then(a.meeting.cmp(&b.meeting))
}

/// The facts of a stored meeting that decide, without what is known of its reports only.
pub(in crate::service) fn event_of(meeting: &Meeting) -> EventFacts {
    meeting.account.as_ref().map(|account| EventFacts::of(account, canonical)).unwrap_or_default()
}

/// The same, with the facts that order results.
pub(super) fn facts_of(meeting: &Meeting) -> EventFacts {
    let words = meeting.account.as_ref().map(|account| Words::of([account.title.as_str(), &account.summary]));
    let mut event = event_of(meeting);
    event.words = words.unwrap_or_default();
    event.publish_date = meeting.publish_date.as_ref().and_then(dates::first_day);
    event
}

/// The search for meetings that may be this event. `None` without a date or a principal.
pub(super) fn search_of(event: &EventFacts) -> Option<CandidateSearch> {
    let (first, last) = event.search_days()?;
    let participants = event.search_participants();
    Some(CandidateSearch { participants, first, last }).filter(|search| !search.participants.is_empty())
}

/// Finds the meetings that may be the events, for each of them. The event of a stored meeting has its id, and is not
/// compared with itself. SAME is only the one meeting for which that holds.
///
/// # Errors
/// `OutOfTime` at the deadline, `Damaged` for a record that cannot be decoded, or the database fails.
pub(super) async fn find_matches(
    api: &Api,
    db: &mut BoundedQuery,
    events: &[(Option<Uuid>, &EventFacts)],
) -> Result<Vec<Vec<MeetingMatch>>, ServiceError> {
    let searches: Vec<Option<CandidateSearch>> = events.iter().map(|(_, event)| search_of(event)).collect();
    let searches: Vec<CandidateSearch> = searches.into_iter().map(|search| search.unwrap_or_else(nothing)).collect();
    let found = meeting_candidates::find_bounded(db, &searches, MAX_COMPARED).await?;
    let mut matches: Vec<Vec<MeetingMatch>> = vec![Vec::new(); events.len()];
    for run in runs(&found) {
        let ids: Vec<Uuid> =
            run.iter().map(|candidate| candidate.meeting).collect::<BTreeSet<_>>().into_iter().collect();
        let docs = meeting::get(api.store.reads(), &ids).await?;
        let stored: HashMap<Uuid, EventFacts> =
            docs.iter().map(|doc| Ok((doc.id, facts_of(&doc.decode()?)))).collect::<Result<_, StoreError>>()?;
        for candidate in run {
            let index = usize::try_from(candidate.search).unwrap_or(usize::MAX);
            let (Some((own, event)), Some(facts)) = (events.get(index), stored.get(&candidate.meeting)) else {
                continue;
            };
            if *own == Some(candidate.meeting) {
                continue;
            }
            let comparison = compare(event, facts);
            if comparison.level > Level::No {
                matches[index].push(MeetingMatch { meeting: candidate.meeting, comparison });
            }
        }
    }
    lower_background(api, events, &mut matches).await?;
    matches.iter_mut().for_each(|matches| require_unique(matches.iter_mut().map(|found| &mut found.comparison)));
    Ok(matches)
}

/// Splits the candidates into runs of at most `MAX_COMPARED_BYTES`, in their order. The candidates of one search that
/// have more bytes are cut: those that share the fewest principals are dropped.
fn runs(found: &[FoundCandidate]) -> Vec<Vec<&FoundCandidate>> {
    // A doc has at most some megabytes: the sums cannot overflow.
    let size = |candidate: &FoundCandidate| usize::try_from(candidate.bytes).unwrap_or(0);
    let (mut runs, mut run, mut run_bytes) = (Vec::new(), Vec::new(), 0);
    for of_search in found.chunk_by(|a, b| a.search == b.search) {
        let mut bytes = 0;
        let kept = of_search.iter().take_while(|candidate| {
            let is_first = bytes == 0;
            bytes += size(candidate);
            is_first || bytes <= MAX_COMPARED_BYTES
        });
        let kept: Vec<&FoundCandidate> = kept.collect();
        let bytes: usize = kept.iter().map(|candidate| size(candidate)).sum();
        if run_bytes + bytes > MAX_COMPARED_BYTES && !run.is_empty() {
            runs.push(std::mem::take(&mut run));
            run_bytes = 0;
        }
        run.extend(kept);
        run_bytes += bytes;
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

/// A search that finds nothing.
fn nothing() -> CandidateSearch {
    CandidateSearch { participants: Vec::new(), first: chrono::NaiveDate::MIN, last: chrono::NaiveDate::MIN }
}

/// Lowers SAME to CANDIDATE where one of the two meetings is only the background of articles.
async fn lower_background(
    api: &Api,
    events: &[(Option<Uuid>, &EventFacts)],
    matches: &mut [Vec<MeetingMatch>],
) -> Result<(), ServiceError> {
    let is_same = |found: &&MeetingMatch| found.comparison.level == Level::Same;
    let pairs = || events.iter().zip(matches.iter());
    let ids: BTreeSet<Uuid> = pairs()
        .flat_map(|((own, _), matches)| {
            let same: Vec<Uuid> = matches.iter().filter(is_same).map(|found| found.meeting).collect();
            let own = own.filter(|_| !same.is_empty());
            same.into_iter().chain(own)
        })
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let reports = report::newest_of_meetings(api.store.reads(), &ids, REPORTS_READ).await?;
    let mut more_than_background: BTreeSet<Uuid> = BTreeSet::new();
    for (meeting, doc) in reports {
        let report: Report = doc.decode()?;
        if report.prominence() != Prominence::Background {
            more_than_background.insert(meeting);
        }
    }
    let is_background = |id: &Uuid| !more_than_background.contains(id);
    for ((own, _), matches) in events.iter().zip(matches.iter_mut()) {
        let own = own.as_ref().is_some_and(is_background);
        for found in matches.iter_mut().filter(|found| found.comparison.level == Level::Same) {
            if own || is_background(&found.meeting) {
                found.comparison.doubt(ReasonKind::Background);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_keep_all_candidates_in_bounded_runs_and_cut_a_single_search() {
        let candidate = |search, bytes| FoundCandidate { search, meeting: Uuid::now_v7(), bytes };
        let half = i32::try_from(MAX_COMPARED_BYTES / 2).unwrap();
        let found = [
            candidate(0, half),
            candidate(0, half),
            candidate(0, 1),
            candidate(1, half),
            candidate(2, half),
            candidate(3, 1),
        ];
        let searches: Vec<Vec<i32>> =
            runs(&found).iter().map(|run| run.iter().map(|candidate| candidate.search).collect()).collect();
        assert_eq!(searches, [vec![0, 0], vec![1, 2], vec![3]]);
        let large = [candidate(0, 3 * half)];
        assert_eq!(runs(&large).len(), 1);
        assert!(runs(&[]).is_empty());
    }
}
