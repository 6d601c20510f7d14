//! The counterparts of a participant: who attended meetings together with it, from the index table `participation`.

use chrono::NaiveDate;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{BoundedQuery, filter};
use crate::{
    model::query::filter::Filter,
    store::{StoreError, from_row::from_row},
};

/// The grouping of counterparts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterpartGrouping {
    /// Each participant is a counterpart.
    Participant,
    /// Each region of an attendee is a counterpart.
    Region,
}

/// The participant whose counterparts are listed, and the selection of meetings.
#[derive(Debug, Clone)]
pub struct CounterpartQuery {
    pub participant: Uuid,
    /// A condition on the meetings.
    pub filter: Filter,
    pub by: CounterpartGrouping,
}

/// A participant or a region that the participant met.
#[derive(Debug, Clone)]
pub struct Counterpart {
    /// The id of a participant, or the code of a region.
    pub who: String,
    /// The number of common meetings.
    pub meetings: i64,
    /// The first day of the earliest dated common meeting.
    pub first_day: Option<NaiveDate>,
    /// The precision of that day (`model::meeting::date_precision`).
    pub first_precision: Option<i16>,
    /// The first day of the latest common meeting.
    pub last_day: Option<NaiveDate>,
    /// The precision of that day.
    pub last_precision: i16,
    /// The latest common meeting.
    pub last_meeting: Uuid,
}

from_row!(Counterpart { who, meetings, first_day, first_precision, last_day, last_precision, last_meeting });

/// Lists at most `limit` counterparts, the most often met first. `after` is the keyset: the last counterpart's number
/// of meetings and its `who`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn list(
    bounded: &mut BoundedQuery,
    counterparts: &CounterpartQuery,
    after: Option<(i64, String)>,
    limit: usize,
) -> Result<Vec<Counterpart>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("with met as materialized (");
    push_met(&mut query, counterparts);
    query.push(
        "),
         ranked as materialized (
             select who, count(*) as meetings, min(day) as first_day, max(day) as last_day
             from met
             group by who",
    );
    if let Some((meetings, who)) = after {
        query.push(" having (-count(*), who) > (").push_bind(-meetings).push(", ").push_bind(who);
        query.push(match counterparts.by {
            CounterpartGrouping::Participant => "::uuid)",
            CounterpartGrouping::Region => ")",
        });
    }
    // The earliest and the latest meeting are read for the page only. It has at most 1,000 rows: the cast cannot
    // overflow.
    query.push(" order by meetings desc, who limit ").push_bind(limit as i64).push(
        "),
         earliest as (
             select distinct on (who) who, met.meeting
             from ranked
             join met using (who)
             where met.day = ranked.first_day
             order by who, met.meeting
         ),
         latest as (
             select distinct on (who) who, met.meeting
             from ranked
             join met using (who)
             where met.day is not distinct from ranked.last_day
             order by who, met.meeting desc
         )
         select who::text, ranked.meetings, ranked.first_day, first.date_precision as first_precision,
                ranked.last_day, last.date_precision as last_precision, last.id as last_meeting
         from ranked
         left join earliest using (who)
         left join meeting as first on first.id = earliest.meeting
         join latest using (who)
         join meeting as last on last.id = latest.meeting
         order by ranked.meetings desc, ranked.who",
    );
    bounded.fetch_all(query.build_query_as()).await
}

/// Appends each counterpart with each common meeting, once, and the meeting's first day: `who`, `meeting`, `day`.
fn push_met(query: &mut QueryBuilder<Postgres>, counterparts: &CounterpartQuery) {
    query.push(match counterparts.by {
        CounterpartGrouping::Participant => {
            "select counterpart.participant as who, counterpart.meeting, counterpart.day
             from participation as own"
        }
        CounterpartGrouping::Region => {
            "select distinct counterpart.region_code as who, counterpart.meeting, counterpart.day
             from participation as own"
        }
    });
    push_meetings(query, &counterparts.filter);
    query.push(
        " join participation as counterpart on counterpart.meeting = own.meeting
               and counterpart.together
               and ",
    );
    match counterparts.by {
        CounterpartGrouping::Participant => {
            query.push("counterpart.participant <> ").push_bind(counterparts.participant)
        }
        CounterpartGrouping::Region => query
            .push("counterpart.region_code is not null and counterpart.participant is distinct from ")
            .push_bind(counterparts.participant),
    };
    query.push(" where own.together and own.participant = ").push_bind(counterparts.participant);
}

/// Restricts the participations `own` to meetings that match the filter. An empty filter does not read the meetings:
/// `together` is only true for listed ones.
pub(in crate::store) fn push_meetings(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if *filter != Filter::EVERYTHING {
        query.push(" join meeting on meeting.id = own.meeting and ");
        filter::push(query, filter);
    }
}
