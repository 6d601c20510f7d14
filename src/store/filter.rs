//! Filters as SQL conditions. All SQL in them stands in this file; what a caller wrote is only ever bound.

use sqlx::{Encode, Postgres, QueryBuilder, Type};

use crate::model::filter::{Comparison, DateRange, Filter, Order};

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
        Filter::And(parts) => joined(query, parts, wanted, wanted),
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
    for (index, part) in parts.iter().enumerate() {
        query.push(match (index, all) {
            (0, _) => "(",
            (_, true) => " and ",
            (_, false) => " or ",
        });
        condition(query, part, wanted);
    }
    query.push(")");
}

fn compare(query: &mut QueryBuilder<Postgres>, comparison: &Comparison, wanted: bool) {
    use Comparison::*;
    match comparison {
        MeetingKind(kind) => column(query, "meeting.kind", *kind as i16, wanted),
        MeetingStatus(status) => column(query, "meeting.status", *status as i16, wanted),
        MeetingRegion(code) => row(
            query,
            "select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id and r.region_code",
            code,
            wanted,
        ),
        PlaceRegion(code) => column(query, "meeting.place_region", code, wanted),
        Participant(id) => {
            let rows =
                "select 1 from meeting_participant p where p.settled and p.meeting = meeting.id and p.participant";
            row(query, rows, id, wanted)
        }
        Article(id) => row(
            query,
            "select 1 from report r where r.retract_time is null and r.meeting = meeting.id and r.article",
            id,
            wanted,
        ),
        Topic(topic) => {
            row(query, "select 1 from meeting_topic t where t.meeting = meeting.id and t.topic", topic, wanted)
        }
        MeetingDate(order, range) => {
            span(query, ["meeting.date_from", "meeting.date_to"], *order, *range, wanted);
        }
        HasDispute(is_so) => {
            query.push(if *is_so == wanted { "meeting.has_dispute" } else { "not meeting.has_dispute" });
        }
        ReportCount(order, than) => number(query, "meeting.report_count", *order, *than, wanted),
        IndependentSourceCount(order, than) => {
            number(query, "meeting.independent_source_count", *order, *than, wanted);
        }
        Review(review) => column(query, "meeting.review", *review as i16, wanted),
        ParticipantKind(kind) => column(query, "participant.kind", *kind as i16, wanted),
        ParticipantRegion(code) => column(query, "participant.region_code", code, wanted),
        Name(key) => {
            row(query, "select 1 from participant_name n where n.participant = participant.id and n.key", key, wanted)
        }
        Uri(uri) => row(query, "select 1 from article_uri u where u.article = article.id and u.uri", uri, wanted),
        PublisherRegion(code) => column(query, "article.publisher_region", code, wanted),
        Language(code) => column(query, "article.language_code", code, wanted),
        Section(section) => column(query, "article.section", section, wanted),
        PublishDate(order, range) => {
            span(query, ["article.publish_from", "article.publish_to"], *order, *range, wanted);
        }
        ReportMeeting(id) => column(query, "report.meeting", id, wanted),
        ReportArticle(id) => column(query, "report.article", id, wanted),
        ChangeCollection(of) => column(query, "change.collection", *of as i16, wanted),
        ChangeKind(kind) => column(query, "change.kind", *kind as i16, wanted),
        // An id belongs to one resource.
        ChangeName(_, id) => column(query, "change.id", id, wanted),
    }
}

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

/// There is a row of an index table: `rows` selects them, up to the column that has the value.
fn row<'t, T>(query: &mut QueryBuilder<Postgres>, rows: &'static str, value: T, wanted: bool)
where
    T: Encode<'t, Postgres> + Type<Postgres>,
{
    query.push(if wanted { "exists (" } else { "not exists (" });
    query.push(rows).push(" = ").push_bind(value).push(")");
}

/// The days from one column to the other stand so to the range; both columns are null where no day is known.
fn span(
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
        Order::In => query.push(from).push(" <= ").push_bind(last).push(" and ").push(to).push(" >= ").push_bind(first),
        Order::InOrAfter => query.push(to).push(" >= ").push_bind(first),
        Order::After => query.push(to).push(" > ").push_bind(last),
    };
    query.push(if wanted { ")" } else { ") is not true" });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::filter::{self, ARTICLES, Field, MEETINGS, PARTICIPANTS};

    fn sql(fields: &'static [Field], text: &str) -> String {
        let filter = filter::parse(fields, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut query = QueryBuilder::new("");
        push(&mut query, &filter);
        query.sql().as_str().to_owned()
    }

    #[test]
    fn meetings_in_sql() {
        let id = "0198f2d1-7c0e-7000-8000-0123456789ab";
        for (text, expected) in [
            ("", "true"),
            ("kind = TALKS", "meeting.kind = $1"),
            ("status != HELD", "meeting.status is distinct from $1"),
            (
                "region = AZ",
                "exists (select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id and r.region_code = $1)",
            ),
            ("place.region = AZ", "meeting.place_region = $1"),
            (
                &format!("participant = \"participants/{id}\""),
                "exists (select 1 from meeting_participant p where p.settled and p.meeting = meeting.id and p.participant = $1)",
            ),
            (
                &format!("article != \"articles/{id}\""),
                "not exists (select 1 from report r where r.retract_time is null and r.meeting = meeting.id and r.article = $1)",
            ),
            ("topic = peace", "exists (select 1 from meeting_topic t where t.meeting = meeting.id and t.topic = $1)"),
            ("has_dispute = true", "meeting.has_dispute"),
            ("has_dispute != true", "not meeting.has_dispute"),
            ("NOT has_dispute = false", "meeting.has_dispute"),
            ("report_count >= 3", "meeting.report_count >= $1"),
            ("report_count != 3", "not meeting.report_count = $1"),
            ("independent_source_count < 2", "meeting.independent_source_count < $1"),
            ("review = REVIEWED", "meeting.review = $1"),
            ("date = 2020", "(meeting.date_from <= $1 and meeting.date_to >= $2)"),
            ("date >= 2020", "(meeting.date_to >= $1)"),
            ("date > 2020", "(meeting.date_to > $1)"),
            ("date <= 2020", "(meeting.date_from <= $1)"),
            ("date < 2020", "(meeting.date_from < $1)"),
        ] {
            assert_eq!(sql(MEETINGS, text), expected, "{text}");
        }
    }

    #[test]
    fn participants_and_articles_in_sql() {
        for (fields, text, expected) in [
            (PARTICIPANTS, "kind = PERSON", "participant.kind = $1"),
            (PARTICIPANTS, "region != AZ", "participant.region_code is distinct from $1"),
            (
                PARTICIPANTS,
                "name = \"Karim Valiyev\"",
                "exists (select 1 from participant_name n where n.participant = participant.id and n.key = $1)",
            ),
            (
                ARTICLES,
                "uri = \"https://example.org/\"",
                "exists (select 1 from article_uri u where u.article = article.id and u.uri = $1)",
            ),
            (
                ARTICLES,
                "publisher.region = AZ AND language = en section != \"\"",
                "(article.publisher_region = $1 and (article.language_code = $2 \
                 and article.section is distinct from $3))",
            ),
            (ARTICLES, "publish_date = 2020-09", "(article.publish_from <= $1 and article.publish_to >= $2)"),
        ] {
            assert_eq!(sql(fields, text), expected, "{text}");
        }
    }

    #[test]
    fn not_is_carried_down_and_never_null() {
        for (text, expected) in [
            (
                "NOT (kind = TALKS OR -region = AZ)",
                "(meeting.kind is distinct from $1 and exists (select 1 from meeting_region r \
                 where r.takes_part and r.meeting = meeting.id and r.region_code = $2))",
            ),
            (
                "NOT (kind = TALKS AND status = HELD)",
                "(meeting.kind is distinct from $1 or meeting.status is distinct from $2)",
            ),
            ("NOT kind != TALKS", "meeting.kind = $1"),
            ("NOT date < 2020", "(meeting.date_from < $1) is not true"),
            ("date != 2020", "(meeting.date_from <= $1 and meeting.date_to >= $2) is not true"),
            (
                "kind = TALKS OR kind = VISIT AND status = HELD",
                "((meeting.kind = $1 or meeting.kind = $2) and meeting.status = $3)",
            ),
        ] {
            assert_eq!(sql(MEETINGS, text), expected, "{text}");
        }
        let mut nothing = QueryBuilder::new("");
        push(&mut nothing, &Filter::Not(Box::new(Filter::EVERYTHING)));
        assert_eq!(nothing.sql().as_str(), "false");
    }

    #[test]
    fn injected_sql_stays_a_value() {
        for text in [
            "section = \"'; drop table article; --\"",
            "section = \"$1) or true --\"",
            "section = \"\\\" or true --\"",
            "section = '\\' or true or \\''",
        ] {
            assert_eq!(sql(ARTICLES, text), "article.section = $1", "{text}");
        }
        for field in ["section) or (true", "section--", "article.id", "section/**/"] {
            assert!(filter::parse(ARTICLES, &format!("{field} = 1")).is_err(), "{field}");
        }
    }

    proptest! {
        #[test]
        fn no_value_gets_into_the_sql(text in "[^\0]{0,40}") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            let sql = sql(ARTICLES, &format!("section = \"{quoted}\""));
            prop_assert_eq!(sql, "article.section = $1");
        }
    }
}
