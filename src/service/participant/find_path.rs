//! ParticipantService.FindPath: the shortest chain of meetings between two participants.
//!
//! The search is a bidirectional breadth-first search. It expands the end that costs less, level by level, until a
//! participant reached from one end has met one reached from the other.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{list_counterparts::settled_persons, persons::parse_filter};
use crate::{
    model::{
        meeting::is_listed,
        query::{
            filter::{self, Filter},
            group_values::attendees,
            path_frontier::{Frontier, MAX_MEETINGS, MAX_REACHED},
        },
        resource::{Collection, Record},
    },
    pb::{FindPathRequest, FindPathResponse, Meeting, Participant},
    service::{
        Api,
        error::ServiceError,
        id,
        read::as_of::{for_each_former, holds, records_at},
    },
    store::{
        StoreError,
        query::{
            BoundedQuery, QueryClass,
            find_path::{FormerMeeting, FormerMeetings, PathMeetings},
        },
    },
};

/// Maximum number of meetings in the chain if the request sets none.
const DEFAULT_DEPTH: usize = 4;

/// Finds the chain for a checked request; the response is empty if there is none within `max_depth` meetings.
///
/// # Errors
/// `SameParticipant`, `Filter`, `NotFound` for an end, `Overloaded` without a permit, `OutOfTime` after `budget`,
/// `Contention` if a meeting of the chain no longer exists, `TooMuchChanged` since `time`.
pub async fn find(
    api: &Api,
    request: &FindPathRequest,
    budget: Duration,
    time: Option<DateTime<Utc>>,
) -> Result<FindPathResponse, ServiceError> {
    let (source, target) = (id::<Participant>(&request.source)?, id::<Participant>(&request.target)?);
    if source == target {
        return Err(ServiceError::SameParticipant { field: "target", name: request.source.clone() });
    }
    let filter = parse_filter(api, filter::MEETINGS, &request.filter, (time, budget)).await?;
    let persons = settled_persons(api, &[source, target], time).await?;
    let (source, target) = (persons[0], persons[1]);
    if source == target {
        return Err(ServiceError::SameParticipant { field: "target", name: request.source.clone() });
    }
    let max_depth = usize::try_from(request.max_depth).ok().filter(|depth| *depth > 0).unwrap_or(DEFAULT_DEPTH);
    let mut db = api.store.bounded_query(QueryClass::Question, budget).await?;
    let mut meetings = PathMeetings { filter, former: None };
    if let Some(time) = time {
        let _permit = api.begin_former().await;
        meetings.former = Some(former_meetings(&mut db, &meetings.filter, time).await?);
    }
    let (source_end, target_end) = (CostedFrontier::of(source), CostedFrontier::of(target));
    let mut search = Search { db, meetings, source: source_end, target: target_end, truncated: false };
    let chain = match search.meet(max_depth).await? {
        Some(met) => search.trace(source, met).await?.ok_or(ServiceError::Contention)?,
        None => Chain::default(),
    };
    let truncated = search.truncated;
    drop(search);
    described(api, chain, truncated, time).await
}

/// The answer with the names, titles and dates of a chain.
async fn described(
    api: &Api,
    Chain { participants, meetings }: Chain,
    truncated: bool,
    time: Option<DateTime<Utc>>,
) -> Result<FindPathResponse, ServiceError> {
    let persons: HashMap<Uuid, Participant> = records_at(api, &participants, time).await?;
    let events: HashMap<Uuid, Meeting> = records_at(api, &meetings, time).await?;
    let account = |id: &Uuid| events.get(id).and_then(|meeting| meeting.account.as_ref());
    let date = |id: &Uuid| account(id).and_then(|account| account.date.as_ref()?.start).unwrap_or_default();
    Ok(FindPathResponse {
        display_names: participants
            .iter()
            .map(|id| persons.get(id).map(|person| person.display_name.clone()).unwrap_or_default())
            .collect(),
        dates: meetings.iter().map(date).collect(),
        titles: meetings
            .iter()
            .map(|id| account(id).map(|account| account.title.clone()).unwrap_or_default())
            .collect(),
        participants: participants.into_iter().map(|id| Collection::Participants.name(id)).collect(),
        meetings: meetings.into_iter().map(|id| Collection::Meetings.name(id)).collect(),
        truncated,
    })
}

/// The listed meetings that have changed since a time, as they were then.
async fn former_meetings(
    db: &mut BoundedQuery,
    filter: &Filter,
    time: DateTime<Utc>,
) -> Result<FormerMeetings, ServiceError> {
    let mut meetings = Vec::new();
    for_each_former(db, Collection::Meetings, time, |doc, record| {
        let matches = holds(filter, Collection::Meetings, doc.id, &record);
        if let Record::Meeting(meeting) = record
            && is_listed(&meeting)
        {
            meetings.push(FormerMeeting { id: doc.id, matches, attendees: attendees(&meeting) });
        }
        Ok(())
    })
    .await?;
    Ok(FormerMeetings::new(time, meetings))
}

struct Search {
    db: BoundedQuery,
    meetings: PathMeetings,
    source: CostedFrontier,
    target: CostedFrontier,
    /// True if a bound kept the search from some participants, so that there may be a shorter chain, or a chain at all.
    truncated: bool,
}

/// The participants reached from one end, and the cost of the next level.
struct CostedFrontier {
    end: Frontier,
    cost: Option<Cost>,
}

/// The cost of expanding a frontier by one level.
#[derive(Clone)]
struct Cost {
    /// True if no participant can be expanded.
    is_stuck: bool,
    /// Participants with too many meetings to be expanded.
    busy: Vec<Uuid>,
    /// Number of meetings of all others.
    meetings: i64,
}

impl Cost {
    /// Sort key: an end with busy participants is expanded only if the other has some too.
    fn key(&self) -> impl Ord + use<> {
        (self.is_stuck, !self.busy.is_empty(), self.meetings)
    }
}

/// Participants, and the meetings that link each to the next.
#[derive(Default)]
struct Chain {
    participants: Vec<Uuid>,
    meetings: Vec<Uuid>,
}

impl CostedFrontier {
    fn of(end: Uuid) -> Self {
        Self { end: Frontier::new(end), cost: None }
    }

    async fn cost(&mut self, db: &mut BoundedQuery, meetings: &PathMeetings) -> Result<Cost, StoreError> {
        if let Some(cost) = &self.cost {
            return Ok(cost.clone());
        }
        // The requested participant itself is expanded however many meetings it has.
        let max_meetings = if self.end.depth() == 0 { i64::MAX - 1 } else { MAX_MEETINGS };
        let (busy, meetings) = meetings.busy(db, self.end.last(), max_meetings).await?;
        let cost = Cost { is_stuck: busy.len() == self.end.last().len(), busy, meetings };
        self.cost = Some(cost.clone());
        Ok(cost)
    }
}

impl Search {
    /// Expands the ends until they meet, over at most `max_depth` meetings. Returns the participants in the source's
    /// last level who met one in the target's.
    async fn meet(&mut self, max_depth: usize) -> Result<Option<Vec<Uuid>>, StoreError> {
        loop {
            let (source, target) = (&self.source.end, &self.target.end);
            let met = self.meetings.participants_who_met(&mut self.db, source.last(), target.last()).await?;
            if !met.is_empty() {
                return Ok(Some(met));
            }
            if source.depth() + target.depth() + 1 == max_depth || !self.expand().await? {
                return Ok(None);
            }
        }
    }

    /// Expands the end that costs less by one level. Returns false if that reached no participant.
    async fn expand(&mut self) -> Result<bool, StoreError> {
        let source_cost = self.source.cost(&mut self.db, &self.meetings).await?;
        let target_cost = self.target.cost(&mut self.db, &self.meetings).await?;
        let (frontier, cost) = if source_cost.key() <= target_cost.key() {
            (&mut self.source, source_cost)
        } else {
            (&mut self.target, target_cost)
        };
        self.truncated |= !cost.busy.is_empty();
        if cost.is_stuck {
            return Ok(false);
        }
        let last = frontier.end.last().iter().copied();
        let from: Vec<Uuid> = last.filter(|id| !cost.busy.contains(id)).collect();
        let met = self.meetings.met_by(&mut self.db, &from, MAX_REACHED + 1).await?;
        self.truncated |= !frontier.end.extend(met);
        frontier.cost = None;
        Ok(!frontier.end.last().is_empty())
    }

    /// Builds the chain through the participants in the middle. Of several, it takes the one with the smallest name at
    /// each step, so that the result is the same for each call. `None` if one of its meetings no longer exists.
    async fn trace(&mut self, source: Uuid, met: Vec<Uuid>) -> Result<Option<Chain>, StoreError> {
        let (source_end, target_end) = (&self.source.end, &self.target.end);
        let mut levels = vec![met];
        for depth in (1..source_end.depth()).rev() {
            let next = levels.last().map_or(&[][..], Vec::as_slice);
            levels.push(self.meetings.participants_who_met(&mut self.db, source_end.level(depth), next).await?);
        }
        // The first step starts at the source itself.
        levels.truncate(source_end.depth());
        let steps = levels.iter().rev().map(Vec::as_slice);
        let steps = steps.chain((0..=target_end.depth()).rev().map(|depth| target_end.level(depth)));

        let mut chain = Chain { participants: vec![source], meetings: Vec::new() };
        let mut current = source;
        for step in steps {
            let Some((next, meeting)) = self.meetings.first_met(&mut self.db, current, step).await? else {
                return Ok(None);
            };
            chain.participants.push(next);
            chain.meetings.push(meeting);
            current = next;
        }
        Ok(Some(chain))
    }
}
