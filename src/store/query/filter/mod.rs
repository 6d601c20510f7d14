//! Filters as SQL conditions. All SQL in them stands in this file; what a caller wrote is only ever bound.

mod participation;
mod period;
mod statement;
#[cfg(test)]
mod tests;

use chrono::{Days, NaiveDate};
use sqlx::{Encode, Postgres, QueryBuilder, Type};

use crate::{
    model::query::filter::{Comparison, DateRange, Filter, Order, TimeRange},
    store::{participation::role_bit, table},
};

/// Appends a filter as one boolean expression, never null under a `not` and safe as an operand of `and` and `or`.
///
/// It speaks of the table of its collection by name (`meeting`, `participant` or `article`), which the query must
/// therefore select from without an alias.
pub fn push(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    condition(query, filter, true);
}

/// The filter if `wanted`, else its opposite. A `not` is carried down to the comparisons: there it is easily made
/// two-valued, and `not exists` under `and` alone becomes an anti-join.
fn condition(query: &mut QueryBuilder<Postgres>, filter: &Filter, wanted: bool) {
    match filter {
        Filter::And(parts) if wanted => joined(query, &period::joined(parts), true, true),
        Filter::And(parts) => joined(query, parts, false, false),
        Filter::Or(parts) => joined(query, parts, !wanted, wanted),
        Filter::Not(inner) => condition(query, inner, !wanted),
        Filter::Compare(comparison) => compare(query, comparison, wanted),
    }
}

fn joined(query: &mut QueryBuilder<Postgres>, parts: &[Filter], all: bool, wanted: bool) {
    if parts.is_empty() {
        query.push(all);
        return;
    }
    let mut joined = 0;
    for (index, part) in parts.iter().enumerate() {
        query.push(match (index, all) {
            (0, _) => "(",
            (_, true) => " and ",
            (_, false) => " or ",
        });
        let more = if all { lists(part, wanted) } else { 0 };
        joined += more;
        if more > 0 && joined > MOST_JOINED {
            query.push("(");
            condition(query, part, wanted);
            query.push(") is true");
        } else {
            condition(query, part, wanted);
        }
    }
    query.push(")");
}

/// So many index tables are joined. What is in these is looked up in the others, row by row, which `is true` asks for: the
/// planner weighs all orders of joins, and a filter may have so many that it would not come to an end.
const MOST_JOINED: usize = 8;

/// How many index tables are joined for a condition.
fn lists(filter: &Filter, wanted: bool) -> usize {
    use Comparison::*;
    match (filter, wanted) {
        (Filter::And(parts), true) | (Filter::Or(parts), false) => parts.iter().map(|part| lists(part, wanted)).sum(),
        (Filter::And(_) | Filter::Or(_), _) => 0,
        (Filter::Not(inner), _) => lists(inner, !wanted),
        (Filter::Compare(OneParticipation(_)), _) => 2,
        (Filter::Compare(MeetingRegion(_) | Participant(_) | Article(_) | Topic(_) | Name(_) | Uri(_)), _) => 1,
        (Filter::Compare(StatementCondition(said)), _) => statement::lists(said),
        (Filter::Compare(_), _) => 0,
    }
}

fn compare(query: &mut QueryBuilder<Postgres>, comparison: &Comparison, wanted: bool) {
    use Comparison::*;
    match comparison {
        MeetingKind(kind) => column(query, "meeting.kind", *kind as i16, wanted),
        MeetingStatus(status) => column(query, "meeting.status", *status as i16, wanted),
        MeetingRegion(code) => {
            let rows = "select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id and r.region_code";
            row(query, rows, code, wanted);
        }
        PlaceRegion(code) => column(query, "meeting.place_region", code, wanted),
        PlaceLocality(key) => column(query, "meeting.place_locality", key, wanted),
        Participant(id) => row(query, OF_PARTICIPANT, id, wanted),
        Article(id) => row(
            query,
            "select 1 from report r where r.retract_time is null and r.meeting = meeting.id and r.article",
            id,
            wanted,
        ),
        Topic(topic) => {
            row(query, "select 1 from meeting_topic t where t.meeting = meeting.id and t.topic", topic, wanted)
        }
        MeetingDate(order, range) => span(query, "meeting.days", *order, *range, wanted),
        HasDispute(is_so) => {
            query.push(if *is_so == wanted { "meeting.has_dispute" } else { "not meeting.has_dispute" });
        }
        ReportCount(order, than) => number(query, "meeting.report_count", *order, *than, wanted),
        IndependentSourceCount(order, than) => {
            number(query, "meeting.independent_source_count", *order, *than, wanted);
        }
        Review(review) => column(query, "meeting.review", *review as i16, wanted),
        AnnouncedBy(key) => column(query, "meeting.announced_by", key, wanted),
        Announcer(id) => column(query, "meeting.announcer", id, wanted),
        AnnouncementDate(order, range) => span(query, "meeting.announce_days", *order, *range, wanted),
        MeetingPublishDate(order, DateRange { first, last }) => {
            // No date of the contract is the last one of all.
            let days = (*first, last.succ_opt().unwrap_or(*last));
            moment(query, ["meeting", ".publish_date"], *order, days, wanted);
        }
        OneParticipation(conditions) => participation::push(query, conditions, wanted),
        PartParticipant(id) => column(query, "p.participant", id, wanted),
        PartRegion(code) => column(query, "p.region_code", code, wanted),
        PartRole(role) => {
            query.push("p.roles & ").push_bind(role_bit(*role as i32)).push(if wanted { " <> 0" } else { " = 0" });
        }
        PartSeniority(order, than) => {
            // 0 is not told.
            query.push(if wanted { "(p.seniority <> 0 and " } else { "not (p.seniority <> 0 and " });
            number(query, "p.seniority", *order, *than, true);
            query.push(")");
        }
        PartPresence(presence) => column(query, "p.presence", *presence as i16, wanted),
        ParticipantKind(kind) => column(query, "participant.kind", *kind as i16, wanted),
        ParticipantRegion(code) => column(query, "participant.region_code", code, wanted),
        Name(key) => {
            row(query, "select 1 from participant_name n where n.participant = participant.id and n.key", key, wanted)
        }
        Parent(id) => column(query, "participant.parent", id, wanted),
        Uri(uri) => row(query, "select 1 from article_uri u where u.article = article.id and u.uri", uri, wanted),
        PublisherRegion(code) => column(query, "article.publisher_region", code, wanted),
        Language(code) => column(query, "article.language_code", code, wanted),
        Section(section) => column(query, "article.section", section, wanted),
        PublishDate(order, range) => {
            short_span(query, ["article.publish_from", "article.publish_to"], *order, *range, wanted);
        }
        Origin(id) => column(query, "article.origin", id, wanted),
        SyndicatedFrom(id) => column(query, "article.syndicated_from", id, wanted),
        CreateTime(of, order, TimeRange { from, until }) => {
            moment(query, [table(*of), ".create_time"], *order, (*from, *until), wanted);
        }
        UpdateTime(of, order, TimeRange { from, until }) => {
            moment(query, [table(*of), ".update_time"], *order, (*from, *until), wanted);
        }
        StatementCondition(said) => statement::push(query, said, wanted),
        ReportMeeting(id) => column(query, "report.meeting", id, wanted),
        ReportArticle(id) => column(query, "report.article", id, wanted),
        ChangeCollection(of) => column(query, "change.collection", *of as i16, wanted),
        ChangeKind(kind) => column(query, "change.kind", *kind as i16, wanted),
        // An id belongs to one resource.
        ChangeName(_, id) => column(query, "change.id", id, wanted),
    }
}

/// The meetings whose account names a participant, as `row` needs it.
const OF_PARTICIPANT: &str =
    "select 1 from meeting_participant p where p.settled and p.meeting = meeting.id and p.participant";

/// A column of the table itself has the value.
fn column<'t, T>(query: &mut QueryBuilder<Postgres>, column: &'static str, value: T, wanted: bool)
where
    T: Encode<'t, Postgres> + Type<Postgres>,
{
    query.push(column).push(if wanted { " = " } else { " is distinct from " }).push_bind(value);
}

/// A column that is never null stands so to a number.
fn number(query: &mut QueryBuilder<Postgres>, column: &'static str, order: Order, than: i64, wanted: bool) {
    query.push(if wanted { "" } else { "not " }).push(column);
    query.push(match order {
        Order::Before => " < ",
        Order::BeforeOrIn => " <= ",
        Order::In => " = ",
        Order::InOrAfter => " >= ",
        Order::After => " > ",
    });
    query.push_bind(than);
}

/// A day or time of a table stands so to those from `from` until before `until`.
fn moment<T>(
    query: &mut QueryBuilder<Postgres>,
    [table, column]: [&'static str; 2],
    order: Order,
    (from, until): (T, T),
    wanted: bool,
) where
    T: for<'t> Encode<'t, Postgres> + Type<Postgres>,
{
    query.push("(").push(table).push(column);
    match order {
        Order::Before => query.push(" < ").push_bind(from),
        Order::BeforeOrIn => query.push(" < ").push_bind(until),
        Order::InOrAfter => query.push(" >= ").push_bind(from),
        Order::After => query.push(" >= ").push_bind(until),
        Order::In => {
            query.push(" >= ").push_bind(from).push(" and ");
            query.push(table).push(column).push(" < ").push_bind(until)
        }
    };
    query.push(if wanted { ")" } else { ") is not true" });
}

/// There is a row of an index table: `rows` selects them, up to the column that has the value.
fn row<'t, T>(query: &mut QueryBuilder<Postgres>, rows: &'static str, value: T, wanted: bool)
where
    T: Encode<'t, Postgres> + Type<Postgres>,
{
    query.push(if wanted { "exists (" } else { "not exists (" });
    query.push(rows).push(" = ").push_bind(value).push(")");
}

/// The days of a column, which is null where no day is known, stand so to the range. Each order is an overlap with days
/// that may have no end, which one index answers.
fn span(
    query: &mut QueryBuilder<Postgres>,
    column: &'static str,
    order: Order,
    DateRange { first, last }: DateRange,
    wanted: bool,
) {
    let (from, to, bounds) = match order {
        Order::Before => (None, Some(first), "'()'"),
        Order::BeforeOrIn => (None, Some(last), "'(]'"),
        Order::In => (Some(first), Some(last), "'[]'"),
        Order::InOrAfter => (Some(first), None, "'[)'"),
        Order::After => (Some(last), None, "'()'"),
    };
    query.push("(").push(column).push(" && daterange(").push_bind(from).push(", ").push_bind(to);
    query.push(", ").push(bounds).push("))").push(if wanted { "" } else { " is not true" });
}

/// The days from one column to the other, both null where no day is known, stand so to the range. They are those of one
/// date, at most a year: so the first day has two bounds, and an index on it is read from one to the other.
fn short_span(
    query: &mut QueryBuilder<Postgres>,
    [from, to]: [&'static str; 2],
    order: Order,
    DateRange { first, last }: DateRange,
    wanted: bool,
) {
    query.push("(");
    match order {
        Order::Before => query.push(from).push(" < ").push_bind(first),
        Order::BeforeOrIn => query.push(from).push(" <= ").push_bind(last),
        Order::In => {
            query.push(from).push(" <= ").push_bind(last).push(" and ");
            ends(query, [from, to], " >= ", first)
        }
        Order::InOrAfter => ends(query, [from, to], " >= ", first),
        Order::After => ends(query, [from, to], " > ", last),
    };
    query.push(if wanted { ")" } else { ") is not true" });
}

/// The days end so; and they begin no more than a year before.
fn ends<'q>(
    query: &'q mut QueryBuilder<Postgres>,
    [from, to]: [&'static str; 2],
    operator: &'static str,
    day: NaiveDate,
) -> &'q mut QueryBuilder<Postgres> {
    const YEAR: Days = Days::new(366);
    query.push(to).push(operator).push_bind(day);
    query.push(" and ").push(from).push(" >= ").push_bind(day.checked_sub_days(YEAR).unwrap_or(day))
}
