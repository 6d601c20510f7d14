//! ParticipantService.FindPath: the shortest chain of meetings between two participants.
//!
//! The search is a bidirectional breadth-first search. It expands the end that costs less, level by level, until a
//! participant reached from one end has met one reached from the other.

use std::time::Duration;

use uuid::Uuid;

use super::{list_counterparts::settled_persons, persons::parse_filter};
use crate::{
    model::{
        query::{
            filter::{self, Filter},
            path_frontier::{Frontier, MAX_MEETINGS, MAX_REACHED},
        },
        resource::Collection,
    },
    pb::{FindPathRequest, FindPathResponse, Participant},
    service::{Api, error::ServiceError, id},
    store::{
        StoreError,
        query::{BoundedQuery, QueryClass, find_path},
    },
};

/// Maximum number of meetings in the chain if the request sets none.
const DEFAULT_DEPTH: usize = 4;

/// Finds the chain for a checked request; the response is empty if there is none within `max_depth` meetings.
///
/// # Errors
/// `SameParticipant`, `Filter`, `NotFound` for an end, `Overloaded` without a permit, `OutOfTime` after `budget`,
/// `Contention` if a meeting of the chain no longer exists.
pub async fn find(api: &Api, request: &FindPathRequest, budget: Duration) -> Result<FindPathResponse, ServiceError> {
    let (source, target) = (id::<Participant>(&request.source)?, id::<Participant>(&request.target)?);
    if source == target {
        return Err(ServiceError::SameParticipant { field: "target", name: request.source.clone() });
    }
    let filter = parse_filter(api, filter::MEETINGS, &request.filter).await?;
    let persons = settled_persons(api, &[source, target]).await?;
    let (source, target) = (persons[0], persons[1]);
    if source == target {
        return Err(ServiceError::SameParticipant { field: "target", name: request.source.clone() });
    }
    let max_depth = usize::try_from(request.max_depth).ok().filter(|depth| *depth > 0).unwrap_or(DEFAULT_DEPTH);
    let db = api.store.bounded_query(QueryClass::Question, budget).await?;
    let mut search =
        Search { db, filter, source: CostedFrontier::of(source), target: CostedFrontier::of(target), truncated: false };
    let chain = match search.meet(max_depth).await? {
        Some(met) => search.trace(source, met).await?.ok_or(ServiceError::Contention)?,
        None => Chain::default(),
    };
    Ok(FindPathResponse {
        participants: chain.participants.into_iter().map(|id| Collection::Participants.name(id)).collect(),
        meetings: chain.meetings.into_iter().map(|id| Collection::Meetings.name(id)).collect(),
        truncated: search.truncated,
    })
}

struct Search {
    db: BoundedQuery,
    filter: Filter,
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

    async fn cost(&mut self, db: &mut BoundedQuery) -> Result<Cost, StoreError> {
        if let Some(cost) = &self.cost {
            return Ok(cost.clone());
        }
        // The requested participant itself is expanded however many meetings it has.
        let max_meetings = if self.end.depth() == 0 { i64::MAX - 1 } else { MAX_MEETINGS };
        let (busy, meetings) = find_path::busy(db, self.end.last(), max_meetings).await?;
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
            let met = find_path::participants_who_met(&mut self.db, source.last(), target.last(), &self.filter).await?;
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
        let (source_cost, target_cost) = (self.source.cost(&mut self.db).await?, self.target.cost(&mut self.db).await?);
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
        let met = find_path::met_by(&mut self.db, &from, &self.filter, MAX_REACHED + 1).await?;
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
            levels.push(
                find_path::participants_who_met(&mut self.db, source_end.level(depth), next, &self.filter).await?,
            );
        }
        // The first step starts at the source itself.
        levels.truncate(source_end.depth());
        let steps = levels.iter().rev().map(Vec::as_slice);
        let steps = steps.chain((0..=target_end.depth()).rev().map(|depth| target_end.level(depth)));

        let mut chain = Chain { participants: vec![source], meetings: Vec::new() };
        let mut current = source;
        for step in steps {
            let Some((next, meeting)) = find_path::first_met(&mut self.db, current, step, &self.filter).await? else {
                return Ok(None);
            };
            chain.participants.push(next);
            chain.meetings.push(meeting);
            current = next;
        }
        Ok(Some(chain))
    }
}
