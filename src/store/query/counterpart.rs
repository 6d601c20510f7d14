//! The counterparts of a participant: who attended meetings together with it, from the index table `participation`.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
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
    /// For counterparts as of a time: those at the meetings that have changed since. `None` for the current meetings.
    pub former: Option<FormerCounterparts>,
}

/// The counterparts at the meetings that have changed since a time and matched the filter then.
#[derive(Debug, Clone)]
pub struct FormerCounterparts {
    /// The time of the list.
    pub time: DateTime<Utc>,
    /// Each counterpart, as `Counterpart::who`, with each common meeting and the meeting's first day.
    pub met: Vec<(String, Uuid, Option<NaiveDate>)>,
    /// The precision of the first day of each of these meetings.
    pub precisions: HashMap<Uuid, i16>,
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
         select who::text, ranked.meetings, ranked.first_day, ",
    );
    push_precision(&mut query, counterparts, "first");
    query.push(" as first_precision, ranked.last_day, ");
    push_precision(&mut query, counterparts, "last");
    query.push(
        " as last_precision, last.id as last_meeting
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
    push_meetings(query, &counterparts.filter, counterparts.former.as_ref().map(|former| former.time));
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
    if let Some(former) = &counterparts.former {
        let met = &former.met;
        query.push(" union all select * from unnest(");
        query.push_bind(met.iter().map(|(who, ..)| who.clone()).collect::<Vec<_>>());
        query.push(match counterparts.by {
            CounterpartGrouping::Participant => "::text[]::uuid[], ",
            CounterpartGrouping::Region => "::text[], ",
        });
        query.push_bind(met.iter().map(|(_, meeting, _)| *meeting).collect::<Vec<_>>()).push("::uuid[], ");
        query.push_bind(met.iter().map(|(.., day)| *day).collect::<Vec<_>>());
        query.push("::date[]) as former (who, meeting, day)");
    }
}

/// Appends the precision of the first day of the meeting `first` or `last`.
fn push_precision(query: &mut QueryBuilder<Postgres>, counterparts: &CounterpartQuery, meeting: &'static str) {
    let Some(former) = &counterparts.former else {
        query.push(meeting).push(".date_precision");
        return;
    };
    let (ids, precisions): (Vec<Uuid>, Vec<i16>) = former.precisions.iter().unzip();
    query.push("coalesce((select former.date_precision from unnest(").push_bind(ids).push("::uuid[], ");
    query.push_bind(precisions).push("::smallint[]) as former (id, date_precision) where former.id = ").push(meeting);
    query.push(".id), ").push(meeting).push(".date_precision)");
}

/// Restricts the participations `own` to meetings that match the filter and, with a time, have not changed since. An
/// empty filter does not read the meetings: `together` is only true for listed ones.
pub(in crate::store) fn push_meetings(
    query: &mut QueryBuilder<Postgres>,
    filter: &Filter,
    time: Option<DateTime<Utc>>,
) {
    if *filter == Filter::EVERYTHING && time.is_none() {
        return;
    }
    query.push(" join meeting on meeting.id = own.meeting and ");
    filter::push(query, filter);
    if let Some(time) = time {
        query.push(" and meeting.update_time <= ").push_bind(time);
    }
}
