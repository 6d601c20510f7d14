//! Filters as SQL conditions. All SQL text is constant and in this module; values from callers are only ever bound.

mod participation;
mod period;
mod presence;
mod statement;
#[cfg(test)]
mod tests;

use chrono::{Days, NaiveDate};
use sqlx::{Encode, Postgres, QueryBuilder, Type};

use crate::{
    model::query::filter::{Comparison, ComparisonOp, DateRange, Filter, TimeRange},
    store::{account_index::role_bit, table},
};

/// Appends a filter as one boolean expression, safe as an operand of `and` and `or`, and never null under a `not`.
///
/// The expression names the table of its collection (such as `meeting`), which the query must therefore select from
/// without an alias.
pub fn push(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    condition(query, filter, true);
}

/// Appends the filter if `positive`, else its negation. A `not` is pushed down to the comparisons: there it is easily
/// made two-valued, and PostgreSQL plans an anti-join only for a `not exists` directly under `and`.
fn condition(query: &mut QueryBuilder<Postgres>, filter: &Filter, positive: bool) {
    match filter {
        Filter::And(parts) if positive => push_parts(query, &period::merge_bounds(parts), true, true),
        Filter::And(parts) => push_parts(query, parts, false, false),
        Filter::Or(parts) => push_parts(query, parts, !positive, positive),
        Filter::Not(inner) => condition(query, inner, !positive),
        Filter::Compare(comparison) => compare(query, comparison, positive),
    }
}

/// Appends the parts, each negated unless `positive`, with `and` between them if `is_and`, else with `or`.
fn push_parts(query: &mut QueryBuilder<Postgres>, parts: &[Filter], is_and: bool, positive: bool) {
    if parts.is_empty() {
        query.push(is_and);
        return;
    }
    let mut joined = 0;
    for (index, part) in parts.iter().enumerate() {
        query.push(match (index, is_and) {
            (0, _) => "(",
            (_, true) => " and ",
            (_, false) => " or ",
        });
        let tables = if is_and { joined_tables(part, positive) } else { 0 };
        joined += tables;
        if tables > 0 && joined > MAX_JOINED {
            query.push("(");
            condition(query, part, positive);
            query.push(") is true");
        } else {
            condition(query, part, positive);
        }
    }
    query.push(")");
}

/// Maximum number of index tables in a join. Further ones are checked row by row, which `is true` enforces: the
/// planner's time grows exponentially with the number of joined tables.
const MAX_JOINED: usize = 8;

/// The number of index tables that a condition joins.
fn joined_tables(filter: &Filter, positive: bool) -> usize {
    use Comparison::*;
    match (filter, positive) {
        (Filter::And(parts), true) | (Filter::Or(parts), false) => {
            parts.iter().map(|part| joined_tables(part, positive)).sum()
        }
        (Filter::And(_) | Filter::Or(_), _) => 0,
        (Filter::Not(inner), _) => joined_tables(inner, !positive),
        (Filter::Compare(OneParticipation(_)), _) => 2,
        (Filter::Compare(MeetingRegion(_) | Participant(_) | Article(_) | Topic(_) | Name(_) | Uri(_)), _) => 1,
        (Filter::Compare(PlaceRegion(_) | PlaceLocality(_)), _) => 1,
        (Filter::Compare(MeetingExternalId(..) | ArticleExternalId(..)), _) => 1,
        (Filter::Compare(ParticipantExternalId(..)), _) => 2,
        (Filter::Compare(StatementCondition(condition)), _) => statement::joined_tables(condition),
        (Filter::Compare(_), _) => 0,
    }
}

fn compare(query: &mut QueryBuilder<Postgres>, comparison: &Comparison, positive: bool) {
    use Comparison::*;
    match comparison {
        OneOf(of, ids) => {
            query.push(if positive { "" } else { "not " }).push(table(*of)).push(".id = any(");
            query.push_bind(ids.clone()).push(")");
        }
        IsSet(field) => presence::push(query, field, positive),
        OwnExternalId => presence::push(query, comparison, positive),
        RecordTerm(of, term) => has_term(query, table(*of), term.hash(), positive),
        MeetingKind(kind) => column(query, "meeting.kind", *kind as i16, positive),
        MeetingStatus(status) => column(query, "meeting.status", *status as i16, positive),
        MeetingRegion(code) => {
            let rows = "select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id and r.region_code";
            row(query, rows, code, positive);
        }
        PlaceRegion(code) => {
            row(query, "select 1 from meeting_place l where l.meeting = meeting.id and l.region_code", code, positive);
        }
        PlaceLocality(key) => {
            row(query, "select 1 from meeting_place l where l.meeting = meeting.id and l.locality", key, positive);
        }
        VisitType(visit_type) => column(query, "meeting.visit_type", *visit_type as i16, positive),
        MeetingExternalId(scheme, value) => {
            let rows = "select 1 from meeting_external_id e where e.meeting = meeting.id and e.scheme";
            external_id(query, rows, (scheme, value), positive);
        }
        Participant(id) => row(query, OF_PARTICIPANT, id, positive),
        Article(id) => row(
            query,
            "select 1 from report r where r.retract_time is null and r.meeting = meeting.id and r.article",
            id,
            positive,
        ),
        Topic(topic) => {
            row(query, "select 1 from meeting_topic t where t.meeting = meeting.id and t.topic", topic, positive)
        }
        MeetingDate(order, range) => span(query, "meeting.days", *order, *range, positive),
        HasDispute(value) => {
            query.push(if *value == positive { "meeting.has_dispute" } else { "not meeting.has_dispute" });
        }
        Fragile(field) => {
            // Not bound, so that the planner finds the partial index.
            query.push("meeting.fragile & ").push(field.bit()).push(if positive { " <> 0" } else { " = 0" });
        }
        StartTime(order, TimeRange { from, until }) => {
            moment(query, ["meeting", ".start_time"], *order, (*from, *until), positive);
        }
        StatedSize(order, operand) => {
            query.push(if positive { "(" } else { "not (" });
            // For the partial index.
            query.push("meeting.delegation_sizes is not null and ");
            query.push("exists (select 1 from unnest(meeting.delegation_sizes) as stated (size) where ");
            number(query, "stated.size", *order, *operand, true);
            query.push("))");
        }
        ReportCount(order, operand) => number(query, "meeting.report_count", *order, *operand, positive),
        IndependentSourceCount(order, operand) => {
            number(query, "meeting.independent_source_count", *order, *operand, positive);
        }
        EvidenceCoverage(order, operand) => number(query, "meeting.evidence_coverage", *order, *operand, positive),
        Review(review) => column(query, "meeting.review", *review as i16, positive),
        AnnouncedBy(key) => column(query, "meeting.announced_by", key, positive),
        Announcer(id) => column(query, "meeting.announcer", id, positive),
        AnnouncementDate(order, range) => span(query, "meeting.announce_days", *order, *range, positive),
        MeetingPublishDate(order, DateRange { first, last }) => {
            // The contract's last date is before chrono's: there always is a next day.
            let days = (*first, last.succ_opt().unwrap_or(*last));
            moment(query, ["meeting", ".publish_date"], *order, days, positive);
        }
        OneParticipation(conditions) => participation::push(query, conditions, positive),
        PartParticipant(id) => column(query, "p.participant", id, positive),
        PartRegion(code) => column(query, "p.region_code", code, positive),
        PartTerm(term) => has_term(query, "p", term.hash(), positive),
        PartRole(role) => {
            query.push("p.roles & ").push_bind(role_bit(*role as i32)).push(if positive { " <> 0" } else { " = 0" });
        }
        PartSeniority(order, operand) => {
            // 0 is unspecified.
            query.push(if positive { "(p.seniority <> 0 and " } else { "not (p.seniority <> 0 and " });
            number(query, "p.seniority", *order, *operand, true);
            query.push(")");
        }
        PartPresence(presence) => column(query, "p.presence", *presence as i16, positive),
        // A scalar subquery is never joined: the planner's time would grow with the number of kinds.
        PartKind(kind) => {
            let of_participant = "(select k.kind from participant k where k.id = p.participant)";
            column(query, of_participant, *kind as i16, positive);
        }
        PartOneOf(ids) => {
            query.push("(p.participant = any(").push_bind(Vec::from_iter(ids.iter().copied()));
            query.push(if positive { ")) is true" } else { ")) is not true" });
        }
        ParticipantKind(kind) => column(query, "participant.kind", *kind as i16, positive),
        ParticipantRegion(code) => column(query, "participant.region_code", code, positive),
        Name(key) => {
            row(query, "select 1 from participant_name n where n.person = participant.id and n.key", key, positive)
        }
        Parent(id) => column(query, "participant.parent", id, positive),
        ArticleExternalId(scheme, value) => {
            let rows = "select 1 from article_external_id e where e.article = article.id and e.scheme";
            external_id(query, rows, (scheme, value), positive);
        }
        // An id of an alias is one of its person.
        ParticipantExternalId(scheme, value) => {
            let rows = "select 1 from participant_external_id e join participant h on h.id = e.participant \
                        where coalesce(h.merged_into, h.id) = participant.id and e.scheme";
            external_id(query, rows, (scheme, value), positive);
        }
        Uri(uri) => row(query, "select 1 from article_uri u where u.article = article.id and u.uri", uri, positive),
        PublisherRegion(code) => column(query, "article.publisher_region", code, positive),
        Language(code) => column(query, "article.language_code", code, positive),
        Section(section) => column(query, "article.section", section, positive),
        PublishDate(order, range) => {
            short_span(query, ["article.publish_from", "article.publish_to"], *order, *range, positive);
        }
        Origin(id) => column(query, "article.origin", id, positive),
        SyndicatedFrom(id) => column(query, "article.syndicated_from", id, positive),
        CreateTime(of, order, TimeRange { from, until }) => {
            moment(query, [table(*of), ".create_time"], *order, (*from, *until), positive);
        }
        UpdateTime(of, order, TimeRange { from, until }) => {
            moment(query, [table(*of), ".update_time"], *order, (*from, *until), positive);
        }
        StatementCondition(condition) => statement::push(query, condition, positive),
        ReportMeeting(id) => column(query, "report.meeting", id, positive),
        ReportArticle(id) => column(query, "report.article", id, positive),
        ChangeCollection(of) => column(query, "change.collection", *of as i16, positive),
        ChangeKind(kind) => column(query, "change.kind", *kind as i16, positive),
        // Ids are unique over all collections.
        ChangeName(_, id) => column(query, "change.id", id, positive),
        EventTime(order, TimeRange { from, until }) => {
            moment(query, ["audit_event", ".time"], *order, (*from, *until), positive);
        }
        EventPrincipal(name) => column(query, "audit_event.principal", name, positive),
        EventMethod(method) if method.contains('/') => column(query, "audit_event.method", method, positive),
        EventMethod(method) => column(query, "split_part(audit_event.method, '/', 2)", method, positive),
        EventName(name) => {
            query.push(if positive { "(" } else { "not (" });
            query.push_bind(name).push(" = any(audit_event.names))");
        }
        EventOutcome(outcome) => column(query, "audit_event.outcome", outcome, positive),
    }
}

/// The rows for meetings whose account names a participant, as an argument of `row`.
const OF_PARTICIPANT: &str =
    "select 1 from meeting_participant p where p.settled and p.meeting = meeting.id and p.participant";

/// Appends that a column of the collection's table has the value.
fn column<'t, T>(query: &mut QueryBuilder<Postgres>, column: &'static str, value: T, positive: bool)
where
    T: Encode<'t, Postgres> + Type<Postgres>,
{
    query.push(column).push(if positive { " = " } else { " is distinct from " }).push_bind(value);
}

/// Appends that a record or a participation has a term.
fn has_term(query: &mut QueryBuilder<Postgres>, table: &'static str, hash: i64, positive: bool) {
    query.push(if positive { "" } else { "not " }).push(table);
    query.push(".terms @> array[").push_bind(hash).push("]");
}

/// Appends a comparison of a not-null column with a number.
fn number(query: &mut QueryBuilder<Postgres>, column: &'static str, order: ComparisonOp, operand: i64, positive: bool) {
    query.push(if positive { "" } else { "not " }).push(column);
    query.push(match order {
        ComparisonOp::Before => " < ",
        ComparisonOp::BeforeOrIn => " <= ",
        ComparisonOp::In => " = ",
        ComparisonOp::InOrAfter => " >= ",
        ComparisonOp::After => " > ",
    });
    query.push_bind(operand);
}

/// Appends a comparison of a date or time column with the range from `from` to `until`, which is exclusive.
fn moment<T>(
    query: &mut QueryBuilder<Postgres>,
    [table, column]: [&'static str; 2],
    order: ComparisonOp,
    (from, until): (T, T),
    positive: bool,
) where
    T: for<'t> Encode<'t, Postgres> + Type<Postgres>,
{
    query.push("(").push(table).push(column);
    match order {
        ComparisonOp::Before => query.push(" < ").push_bind(from),
        ComparisonOp::BeforeOrIn => query.push(" < ").push_bind(until),
        ComparisonOp::InOrAfter => query.push(" >= ").push_bind(from),
        ComparisonOp::After => query.push(" >= ").push_bind(until),
        ComparisonOp::In => {
            query.push(" >= ").push_bind(from).push(" and ");
            query.push(table).push(column).push(" < ").push_bind(until)
        }
    };
    query.push(if positive { ")" } else { ") is not true" });
}

/// Appends that an index table has a row with the value. `rows` is the select statement up to the compared column.
fn row<'t, T>(query: &mut QueryBuilder<Postgres>, rows: &'static str, value: T, positive: bool)
where
    T: Encode<'t, Postgres> + Type<Postgres>,
{
    query.push(if positive { "exists (" } else { "not exists (" });
    query.push(rows).push(" = ").push_bind(value).push(")");
}

/// Appends that an index table has a row with the external id. `rows` is the select statement up to the scheme.
fn external_id(query: &mut QueryBuilder<Postgres>, rows: &'static str, (scheme, value): (&str, &str), positive: bool) {
    query.push(if positive { "exists (" } else { "not exists (" });
    query.push(rows).push(" = ").push_bind(scheme.to_owned());
    query.push(" and e.value = ").push_bind(value.to_owned()).push(")");
}

/// Appends a comparison of a `daterange` column, which is null if no day is known, with a range of days. Each order is
/// an overlap with a possibly unbounded range, so that one index serves all of them.
fn span(
    query: &mut QueryBuilder<Postgres>,
    column: &'static str,
    order: ComparisonOp,
    DateRange { first, last }: DateRange,
    positive: bool,
) {
    let (from, to, bounds) = match order {
        ComparisonOp::Before => (None, Some(first), "'()'"),
        ComparisonOp::BeforeOrIn => (None, Some(last), "'(]'"),
        ComparisonOp::In => (Some(first), Some(last), "'[]'"),
        ComparisonOp::InOrAfter => (Some(first), None, "'[)'"),
        ComparisonOp::After => (Some(last), None, "'()'"),
    };
    query.push("(").push(column).push(" && daterange(").push_bind(from).push(", ").push_bind(to);
    query.push(", ").push(bounds).push("))").push(if positive { "" } else { " is not true" });
}

/// Appends a comparison of the days between two date columns, both null if no day is known, with a range of days. The
/// columns span one date, which is at most a year: this bounds the first day on both sides, for an index range scan.
fn short_span(
    query: &mut QueryBuilder<Postgres>,
    [from, to]: [&'static str; 2],
    order: ComparisonOp,
    DateRange { first, last }: DateRange,
    positive: bool,
) {
    query.push("(");
    match order {
        ComparisonOp::Before => query.push(from).push(" < ").push_bind(first),
        ComparisonOp::BeforeOrIn => query.push(from).push(" <= ").push_bind(last),
        ComparisonOp::In => {
            query.push(from).push(" <= ").push_bind(last).push(" and ");
            ends(query, [from, to], " >= ", first)
        }
        ComparisonOp::InOrAfter => ends(query, [from, to], " >= ", first),
        ComparisonOp::After => ends(query, [from, to], " > ", last),
    };
    query.push(if positive { ")" } else { ") is not true" });
}

/// Appends a comparison of the last day, and that the first day is at most a year before `day`.
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
