//! ParticipantService.FindPath: the shortest chain of meetings between two participants.

use std::time::Duration;

use uuid::Uuid;

use super::counterpart::require_existing;
use crate::{
    model::{
        query::{
            filter::{self, Filter},
            find_path::{MOST_MEETINGS, MOST_REACHED, SearchEnd},
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

const DEFAULT_DEPTH: usize = 4;

/// Finds what a checked request asks for.
pub async fn find(api: &Api, request: &FindPathRequest, budget: Duration) -> Result<FindPathResponse, ServiceError> {
    let (source, target) = (id::<Participant>(&request.source)?, id::<Participant>(&request.target)?);
    if source == target {
        return Err(ServiceError::SameParticipant(request.source.clone()));
    }
    let filter = filter::parse(filter::MEETINGS, &request.filter).map_err(ServiceError::Filter)?;
    require_existing(api, &[source, target]).await?;
    let most = usize::try_from(request.max_depth).ok().filter(|depth| *depth > 0).unwrap_or(DEFAULT_DEPTH);
    let ask = api.store.ask(QueryClass::Many, budget).await?;
    let mut search = Search { ask, filter, source: Reach::of(source), target: Reach::of(target), truncated: false };
    let chain = match search.meet(most).await? {
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
    ask: BoundedQuery,
    filter: Filter,
    source: Reach,
    target: Reach,
    /// Whether there are some that it did not go on to, or on from.
    truncated: bool,
}

/// One end, and what it costs to go on from it.
struct Reach {
    end: SearchEnd,
    cost: Option<Cost>,
}

/// What it costs to go one level on.
#[derive(Clone)]
struct Cost {
    /// Whether there is nobody to go on from.
    is_stuck: bool,
    /// Those who are not gone on from: they have too many meetings.
    busy: Vec<Uuid>,
    /// How many meetings all others have.
    meetings: i64,
}

impl Cost {
    /// Busy ones are only left out where they are at both ends.
    fn key(&self) -> impl Ord + use<> {
        (self.is_stuck, !self.busy.is_empty(), self.meetings)
    }
}

/// Participants, and the meetings between them.
#[derive(Default)]
struct Chain {
    participants: Vec<Uuid>,
    meetings: Vec<Uuid>,
}

impl Reach {
    fn of(end: Uuid) -> Self {
        Self { end: SearchEnd::new(end), cost: None }
    }

    async fn cost(&mut self, ask: &mut BoundedQuery) -> Result<Cost, StoreError> {
        if let Some(cost) = &self.cost {
            return Ok(cost.clone());
        }
        // Whoever asks about a busy one means it.
        let most = if self.end.depth() == 0 { i64::MAX - 1 } else { MOST_MEETINGS };
        let (busy, meetings) = find_path::busy(ask, self.end.last(), most).await?;
        let cost = Cost { is_stuck: busy.len() == self.end.last().len(), busy, meetings };
        self.cost = Some(cost.clone());
        Ok(cost)
    }
}

impl Search {
    /// Goes on from both ends until these meet, by at most so many meetings. Answers those of the source's last level who
    /// met some of the target's.
    async fn meet(&mut self, most: usize) -> Result<Option<Vec<Uuid>>, StoreError> {
        loop {
            let (source, target) = (&self.source.end, &self.target.end);
            let met = find_path::who_met(&mut self.ask, source.last(), target.last(), &self.filter).await?;
            if !met.is_empty() {
                return Ok(Some(met));
            }
            if source.depth() + target.depth() + 1 == most || !self.go_on().await? {
                return Ok(None);
            }
        }
    }

    /// Goes one level on from the end where that costs less. Answers whether it led to anybody.
    async fn go_on(&mut self) -> Result<bool, StoreError> {
        let (of_source, of_target) = (self.source.cost(&mut self.ask).await?, self.target.cost(&mut self.ask).await?);
        let (reach, cost) = if of_source.key() <= of_target.key() {
            (&mut self.source, of_source)
        } else {
            (&mut self.target, of_target)
        };
        self.truncated |= !cost.busy.is_empty();
        if cost.is_stuck {
            return Ok(false);
        }
        let last = reach.end.last().iter().copied();
        let from: Vec<Uuid> = last.filter(|who| !cost.busy.contains(who)).collect();
        let met = find_path::met_by(&mut self.ask, &from, &self.filter, MOST_REACHED + 1).await?;
        self.truncated |= !reach.end.extend(met);
        reach.cost = None;
        Ok(!reach.end.last().is_empty())
    }

    /// The chain through those in the middle: at each step the one with the smallest name who leads on. `None` where one
    /// of its meetings is not there any more.
    async fn trace(&mut self, source: Uuid, met: Vec<Uuid>) -> Result<Option<Chain>, StoreError> {
        let (of_source, of_target) = (&self.source.end, &self.target.end);
        let mut leading = vec![met];
        for depth in (1..of_source.depth()).rev() {
            let next = leading.last().map_or(&[][..], Vec::as_slice);
            leading.push(find_path::who_met(&mut self.ask, of_source.level(depth), next, &self.filter).await?);
        }
        // The source itself is known to lead on.
        leading.truncate(of_source.depth());
        let steps = leading.iter().rev().map(Vec::as_slice);
        let steps = steps.chain((0..=of_target.depth()).rev().map(|depth| of_target.level(depth)));

        let mut chain = Chain { participants: vec![source], meetings: Vec::new() };
        let mut here = source;
        for step in steps {
            let Some((next, meeting)) = find_path::first_met(&mut self.ask, here, step, &self.filter).await? else {
                return Ok(None);
            };
            chain.participants.push(next);
            chain.meetings.push(meeting);
            here = next;
        }
        Ok(Some(chain))
    }
}
