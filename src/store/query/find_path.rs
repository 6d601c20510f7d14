//! Queries for one level of a breadth-first search for a chain of meetings between two participants.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{BoundedQuery, counterpart::push_meetings};
use crate::{model::query::filter::Filter, store::StoreError};

/// The meetings that a chain may consist of.
#[derive(Debug)]
pub struct PathMeetings {
    /// A condition on the meetings.
    pub filter: Filter,
    /// For a chain as of a time: the meetings that have changed since. `None` for the current meetings.
    pub former: Option<FormerMeetings>,
}

/// A meeting that has changed since a time, as it was then.
#[derive(Debug)]
pub struct FormerMeeting {
    pub id: Uuid,
    /// True if the filter matched it then.
    pub matches: bool,
    /// The participants who were there together.
    pub attendees: BTreeSet<Uuid>,
}

/// The listed meetings that have changed since a time.
#[derive(Debug)]
pub struct FormerMeetings {
    time: DateTime<Utc>,
    meetings: Vec<FormerMeeting>,
    /// The indexes of the meetings of each participant.
    of: HashMap<Uuid, Vec<usize>>,
}

impl FormerMeetings {
    /// Indexes meetings by their participants.
    pub fn new(time: DateTime<Utc>, meetings: Vec<FormerMeeting>) -> Self {
        let mut of: HashMap<Uuid, Vec<usize>> = HashMap::new();
        for (index, meeting) in meetings.iter().enumerate() {
            meeting.attendees.iter().for_each(|id| of.entry(*id).or_default().push(index));
        }
        Self { time, meetings, of }
    }

    /// The number of meetings of a participant, whether the filter matches them or not.
    fn count(&self, participant: Uuid) -> i64 {
        // The bound on changed records is small: no overflow.
        self.of.get(&participant).map_or(0, Vec::len) as i64
    }

    /// The meetings of a participant that the filter matches.
    fn matching(&self, participant: Uuid) -> impl Iterator<Item = &FormerMeeting> {
        let indexes = self.of.get(&participant).into_iter().flatten();
        indexes.map(|index| &self.meetings[*index]).filter(|meeting| meeting.matches)
    }
}

impl PathMeetings {
    fn time(&self) -> Option<DateTime<Utc>> {
        self.former.as_ref().map(|former| former.time)
    }

    /// The changed meetings of any of these participants, with repetitions.
    fn former<'a>(&'a self, participants: &'a [Uuid]) -> impl Iterator<Item = &'a FormerMeeting> {
        let of = |former: &'a FormerMeetings| participants.iter().flat_map(|id| former.matching(*id));
        self.former.iter().flat_map(of)
    }

    /// The `participants` with more than `limit` meetings, and the total number of meetings of all others. The filter
    /// does not matter.
    ///
    /// # Errors
    /// `OutOfTime` at the deadline, or the database fails.
    pub async fn busy(
        &self,
        bounded: &mut BoundedQuery,
        participants: &[Uuid],
        limit: i64,
    ) -> Result<(Vec<Uuid>, i64), StoreError> {
        let Some(former) = &self.former else { return busy(bounded, participants, limit).await };
        let counted = sqlx::query_as(
            "select who, counted.meetings
             from unnest($1::uuid[]) as input (who)
             cross join lateral (
                 select count(*) as meetings
                 from (
                     select
                     from participation
                     join meeting
                         on meeting.id = participation.meeting
                        and meeting.update_time <= $3
                     where participation.together
                       and participation.participant = input.who
                     limit $2 + 1
                 ) as bounded
             ) as counted",
        );
        let counts: Vec<(Uuid, i64)> =
            bounded.fetch_all(counted.bind(participants).bind(limit).bind(former.time)).await?;
        let counts = counts.into_iter().map(|(who, meetings)| (who, meetings + former.count(who)));
        let (busy, others): (Vec<_>, Vec<_>) = counts.partition(|(_, meetings)| *meetings > limit);
        let total = others.iter().map(|(_, meetings)| meetings).sum();
        Ok((busy.into_iter().map(|(who, _)| who).collect(), total))
    }

    /// The participants that met any of `participants`, in the order of ids, at most `limit`. They may include some of
    /// `participants`.
    ///
    /// # Errors
    /// `OutOfTime` at the deadline, or the database fails.
    pub async fn met_by(
        &self,
        bounded: &mut BoundedQuery,
        participants: &[Uuid],
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut query =
            QueryBuilder::<Postgres>::new("select distinct counterpart.participant from participation as own");
        push_meetings(&mut query, &self.filter, self.time());
        query.push(
            " join participation as counterpart on counterpart.meeting = own.meeting
                   and counterpart.together
                   and counterpart.participant is not null
              where own.together and own.participant = any(",
        );
        // The search is bounded: the cast cannot overflow.
        query.push_bind(participants).push(") order by 1 limit ").push_bind(limit as i64);
        let mut met = ids(bounded, query).await?;
        if self.former.is_some() {
            met.extend(self.former(participants).flat_map(|meeting| &meeting.attendees));
            met.sort_unstable();
            met.dedup();
            met.truncate(limit);
        }
        Ok(met)
    }

    /// The `participants` that met any of `counterparts`, in no order.
    ///
    /// # Errors
    /// `OutOfTime` at the deadline, or the database fails.
    pub async fn participants_who_met(
        &self,
        bounded: &mut BoundedQuery,
        participants: &[Uuid],
        counterparts: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select distinct own.participant");
        self.push_pairs(&mut query, participants, counterparts);
        let mut found = ids(bounded, query).await?;
        if self.former.is_some() {
            let sought: HashSet<&Uuid> = counterparts.iter().collect();
            let has_met = |id: &&Uuid| {
                self.former(std::slice::from_ref(*id))
                    .any(|meeting| meeting.attendees.iter().any(|met| sought.contains(met)))
            };
            let known: HashSet<Uuid> = found.iter().copied().collect();
            found.extend(participants.iter().filter(|id| !known.contains(id)).filter(has_met));
        }
        Ok(found)
    }

    /// The first of `counterparts`, in the order of ids, that a participant met, and the first of their common
    /// meetings.
    ///
    /// # Errors
    /// `OutOfTime` at the deadline, or the database fails.
    pub async fn first_met(
        &self,
        bounded: &mut BoundedQuery,
        participant: Uuid,
        counterparts: &[Uuid],
    ) -> Result<Option<(Uuid, Uuid)>, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select counterpart.participant, counterpart.meeting");
        self.push_pairs(&mut query, &[participant], counterparts);
        query.push(" order by counterpart.participant, counterpart.meeting limit 1");
        let first: Option<(Uuid, Uuid)> = bounded.fetch_all(query.build_query_as()).await?.into_iter().next();
        let sought: HashSet<&Uuid> = counterparts.iter().collect();
        let first_in = |meeting: &FormerMeeting| {
            let first = meeting.attendees.iter().find(|met| sought.contains(met))?;
            Some((*first, meeting.id))
        };
        Ok(self.former(&[participant]).filter_map(first_in).chain(first).min())
    }

    /// Appends the pairs of `participants` and `counterparts` at their common meetings.
    fn push_pairs(&self, query: &mut QueryBuilder<Postgres>, participants: &[Uuid], counterparts: &[Uuid]) {
        query.push(" from participation as own");
        push_meetings(query, &self.filter, self.time());
        query.push(" join participation as counterpart on counterpart.meeting = own.meeting and counterpart.together");
        query.push(" and counterpart.participant = any(").push_bind(counterparts.to_vec());
        query.push(") where own.together and own.participant = any(").push_bind(participants.to_vec()).push(")");
    }
}

/// The `participants` with more than `limit` meetings, and the total number of meetings of all others.
async fn busy(bounded: &mut BoundedQuery, participants: &[Uuid], limit: i64) -> Result<(Vec<Uuid>, i64), StoreError> {
    let counted = sqlx::query_as(
        "select coalesce(array_agg(who) filter (where meetings > $2), '{}'),
                coalesce(sum(meetings) filter (where meetings <= $2), 0)::bigint
         from unnest($1::uuid[]) as input (who)
         cross join lateral (
             select count(*) as meetings
             from (
                 select
                 from participation
                 where together
                   and participant = input.who
                 limit $2 + 1
             ) as bounded
         ) as counted",
    )
    .bind(participants)
    .bind(limit);
    Ok(bounded.fetch_all(counted).await?.into_iter().next().unwrap_or_default())
}

async fn ids(bounded: &mut BoundedQuery, mut query: QueryBuilder<Postgres>) -> Result<Vec<Uuid>, StoreError> {
    let rows: Vec<(Uuid,)> = bounded.fetch_all(query.build_query_as()).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
