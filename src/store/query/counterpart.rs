//! Whom a participant met: who was together with it at meetings, by the index table of participations.

use chrono::NaiveDate;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{BoundedQuery, filter};
use crate::{
    model::query::filter::Filter,
    store::{StoreError, row::from_row},
};

/// What counterparts are told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Each participant by itself.
    Participant,
    /// The regions of those who were there.
    Region,
}

/// Whose counterparts, and which.
#[derive(Debug, Clone)]
pub struct CounterpartQuery {
    /// Who met them.
    pub participant: Uuid,
    /// At which meetings.
    pub filter: Filter,
    /// What they are told by.
    pub by: By,
}

/// One whom the participant met.
#[derive(Debug, Clone)]
pub struct Counterpart {
    /// The id of a participant, or the code of a region.
    pub who: String,
    /// At how many meetings.
    pub meetings: i64,
    /// The first day of the first of them that has one, and how exactly it is known (`model::meeting::date_precision`).
    pub first_day: Option<NaiveDate>,
    /// See `first_day`.
    pub first_precision: Option<i16>,
    /// That of the last one.
    pub last_day: Option<NaiveDate>,
    /// See `last_day`.
    pub last_precision: i16,
    /// The last one.
    pub last_meeting: Uuid,
}

from_row!(Counterpart { who, meetings, first_day, first_precision, last_day, last_precision, last_meeting });

/// At most `limit` of those who are wanted, the most met first, after the one who was met so often.
pub async fn list(
    ask: &mut BoundedQuery,
    wanted: &CounterpartQuery,
    after: Option<(i64, String)>,
    limit: usize,
) -> Result<Vec<Counterpart>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("with met as materialized (");
    push_met(&mut query, wanted);
    query.push(
        "),
         ranked as materialized (
             select who, count(*) as meetings, min(day) as first_day, max(day) as last_day
             from met
             group by who",
    );
    if let Some((often, who)) = after {
        query.push(" having (-count(*), who) > (").push_bind(-often).push(", ").push_bind(who);
        query.push(match wanted.by {
            By::Participant => "::uuid)",
            By::Region => ")",
        });
    }
    // Only those of the page are looked at more closely. A page has at most 1,000: the number fits.
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
    ask.all(query.build_query_as()).await
}

/// Who was at which meeting with the participant, each once, and when that was: `who`, `meeting`, `day`.
fn push_met(query: &mut QueryBuilder<Postgres>, wanted: &CounterpartQuery) {
    query.push(match wanted.by {
        By::Participant => "select theirs.participant as who, theirs.meeting, theirs.day from participation as own",
        By::Region => "select distinct theirs.region_code as who, theirs.meeting, theirs.day from participation as own",
    });
    push_meetings(query, &wanted.filter);
    query.push(" join participation as theirs on theirs.meeting = own.meeting and theirs.together and ");
    match wanted.by {
        By::Participant => query.push("theirs.participant <> ").push_bind(wanted.participant),
        By::Region => query
            .push("theirs.region_code is not null and theirs.participant is distinct from ")
            .push_bind(wanted.participant),
    };
    query.push(" where own.together and own.participant = ").push_bind(wanted.participant);
}

/// Restricts the participations `own` to those in meetings that the filter has. Where it has all, no meeting is looked
/// at: `together` says whether lists have it.
pub(in crate::store) fn push_meetings(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if *filter != Filter::EVERYTHING {
        query.push(" join meeting on meeting.id = own.meeting and ");
        filter::push(query, filter);
    }
}
