//! MeetingService.ListDuplicateMeetings: pairs of meetings that may be one event.
//!
//! A page goes through the meetings that match the filter, in the order of names, and finds the matches of each. A pair
//! belongs to its meeting that comes first in that order, so each pair is listed once.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use prost::Message;
use uuid::Uuid;

use super::match_meetings::{MAX_ANSWER_BYTES, MeetingMatch, facts_of, find_matches, level_of};
use crate::{
    model::{
        meeting::matching::{EventFacts, Level, VERSION},
        query::{
            filter::{self, Filter},
            order::BY_NAME,
        },
        resource::Collection,
    },
    pb::{
        ListDuplicateMeetingsRequest, ListDuplicateMeetingsResponse, list_duplicate_meetings_response::Pair,
        meeting_match::reason::Kind as ReasonKind,
    },
    service::{Api, error::ServiceError, participant::persons::parse_filter, read::pagination::Cursor},
    store::{
        StoreError,
        query::{
            BoundedQuery, QueryClass,
            list::{Keyset, ListQuery, list as list_records},
            meeting_candidates,
        },
    },
};

/// Maximum number of meetings that match the filter and are compared with others for one page.
const MAX_SCANNED: usize = 500;
/// Number of them whose matches are found together.
const STEP: usize = 50;

/// Reads a page for a checked request.
///
/// # Errors
/// `PageToken`, `Filter`, `Overloaded` without a permit, `OutOfTime` after `budget`.
pub(super) async fn list(
    api: &Api,
    request: &ListDuplicateMeetingsRequest,
    budget: Duration,
) -> Result<ListDuplicateMeetingsResponse, ServiceError> {
    let cursor: Cursor<(Uuid, Uuid)> = Cursor::of(request, api.token_key, api.feed.head())?;
    let filter = parse_filter(api, filter::MEETINGS, &request.filter, (None, budget)).await?;
    let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
    let query = ListQuery { filter: filter.clone(), question: None, show_deleted: false, order: BY_NAME, former: None };
    // The meeting of the last pair may have more pairs, so the page begins with it.
    let (after, done) = match cursor.after {
        Some((meeting, other)) => (Some(before(meeting)), Some((meeting, other))),
        None => (None, None),
    };
    let page = list_records(&mut db, Collection::Meetings, &query, after, MAX_SCANNED).await?;
    let scanned: Vec<(Uuid, EventFacts)> =
        page.docs.iter().map(|doc| Ok((doc.id, facts_of(&doc.decode()?)))).collect::<Result<_, StoreError>>()?;

    let (mut pairs, mut bytes) = (Vec::new(), 0);
    let mut next = page.docs.last().filter(|_| page.more).map(|doc| (doc.id, Uuid::max()));
    'steps: for step in scanned.chunks(STEP) {
        for (key, pair) in pairs_of(api, &mut db, step, &filter).await? {
            if done.is_some_and(|done| key <= done) {
                continue;
            }
            bytes += pair.encoded_len();
            if pairs.len() == cursor.size || (bytes > MAX_ANSWER_BYTES && !pairs.is_empty()) {
                next = pairs.last().map(|(key, _)| *key);
                break 'steps;
            }
            pairs.push((key, pair));
        }
    }
    Ok(ListDuplicateMeetingsResponse {
        pairs: pairs.into_iter().map(|(_, pair)| pair).collect(),
        next_page_token: next.map(|next| cursor.token(next)).unwrap_or_default(),
        rule_version: VERSION,
        as_of: cursor.as_of.to_string(),
    })
}

/// The keyset after which a meeting comes first.
fn before(meeting: Uuid) -> Keyset {
    Keyset::single(0, Uuid::from_u128(meeting.as_u128().saturating_sub(1)))
}

/// The pairs that belong to these meetings, in order.
async fn pairs_of(
    api: &Api,
    db: &mut BoundedQuery,
    meetings: &[(Uuid, EventFacts)],
    filter: &Filter,
) -> Result<Vec<((Uuid, Uuid), Pair)>, ServiceError> {
    let events: Vec<(Option<Uuid>, &EventFacts)> = meetings.iter().map(|(id, facts)| (Some(*id), facts)).collect();
    let mut found = find_matches(api, db, &events).await?;
    // An earlier meeting that matches the filter has the pair already.
    let earlier: BTreeSet<Uuid> = meetings
        .iter()
        .zip(&found)
        .flat_map(|((id, _), matches)| matches.iter().map(|found| found.meeting).filter(move |other| other < id))
        .collect();
    let listed = match *filter == Filter::EVERYTHING || earlier.is_empty() {
        true => earlier,
        false => meeting_candidates::matching(db, &earlier.into_iter().collect::<Vec<_>>(), filter).await?,
    };
    for ((id, _), matches) in meetings.iter().zip(&mut found) {
        matches.retain(|found| found.meeting > *id || !listed.contains(&found.meeting));
        matches.sort_by_key(|found| found.meeting);
    }
    lower_ambiguous(api, db, meetings, &mut found).await?;
    let pairs = meetings
        .iter()
        .zip(found)
        .flat_map(|((id, _), matches)| matches.into_iter().map(move |found| ((*id, found.meeting), pair(*id, found))));
    Ok(pairs.collect())
}

fn pair(meeting: Uuid, found: MeetingMatch) -> Pair {
    Pair {
        meeting: Collection::Meetings.name(meeting),
        other: Collection::Meetings.name(found.meeting),
        level: level_of(found.comparison.level).into(),
        score: found.comparison.score,
        reasons: found.comparison.reasons,
    }
}

/// Lowers SAME to CANDIDATE if the other meeting of the pair has further meetings that it could be.
async fn lower_ambiguous(
    api: &Api,
    db: &mut BoundedQuery,
    meetings: &[(Uuid, EventFacts)],
    found: &mut [Vec<MeetingMatch>],
) -> Result<(), ServiceError> {
    let others: BTreeSet<Uuid> = found
        .iter()
        .flatten()
        .filter(|found| found.comparison.level == Level::Same)
        .map(|found| found.meeting)
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = others.into_iter().collect();
    let docs = crate::store::meeting::get(api.store.reads(), &ids).await?;
    let facts: Vec<(Uuid, EventFacts)> =
        docs.iter().map(|doc| Ok((doc.id, facts_of(&doc.decode()?)))).collect::<Result<_, StoreError>>()?;
    let events: Vec<(Option<Uuid>, &EventFacts)> = facts.iter().map(|(id, facts)| (Some(*id), facts)).collect();
    let matches: HashMap<Uuid, Vec<MeetingMatch>> =
        facts.iter().map(|(id, _)| *id).zip(find_matches(api, db, &events).await?).collect();
    for ((id, _), found) in meetings.iter().zip(found) {
        for found in found.iter_mut().filter(|found| found.comparison.level == Level::Same) {
            let back = matches.get(&found.meeting).and_then(|matches| matches.iter().find(|back| back.meeting == *id));
            if back.is_none_or(|back| back.comparison.level != Level::Same) {
                found.comparison.doubt(ReasonKind::NotUnique);
            }
        }
    }
    Ok(())
}
