//! The SQL of each kind of filter.

use proptest::prelude::*;

use super::*;
use crate::model::query::filter::{self, ARTICLES, FilterSchema, MEETINGS, PARTICIPANTS, STATEMENTS};

fn sql(vocabulary: &'static FilterSchema, text: &str) -> String {
    let filter = filter::parse(vocabulary, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut query = QueryBuilder::new("");
    push(&mut query, &filter);
    query.sql().as_str().to_owned()
}

#[test]
fn filter_joins_a_few_index_tables_and_checks_the_others_row_by_row() {
    let many = sql(MEETINGS, &["region = AZ", "kind = TALKS", "between(AZ, RU)", "NOT topic = x"].repeat(3).join(" "));
    let joined = many.split(" is true").next().unwrap();
    assert_eq!(joined.matches("exists (").count(), 9);
    assert_eq!((many.matches("exists (").count(), many.matches(" is true").count()), (12, 3));
    assert!(many.contains(" and meeting.kind = $12 and "), "{many}");
    assert!(!sql(MEETINGS, &["region = AZ"; 20].join(" OR ")).contains("is true"));
    assert!(!sql(MEETINGS, &["region = AZ"; 8].join(" AND ")).contains("is true"));
}

#[test]
fn meeting_filter_becomes_sql() {
    let id = "0198f2d1-7c0e-7000-8000-0123456789ab";
    for (text, expected) in [
        ("", "true"),
        ("kind = TALKS", "meeting.kind = $1"),
        ("status != HELD", "meeting.status is distinct from $1"),
        (
            "region = AZ",
            "exists (select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id and r.region_code = $1)",
        ),
        (
            "place.region = AZ",
            "exists (select 1 from meeting_place l where l.meeting = meeting.id and l.region_code = $1)",
        ),
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
        ("fragile = date", "meeting.fragile & 8 <> 0"),
        ("fragile != \"place.locality\"", "meeting.fragile & 32 = 0"),
        ("NOT fragile != date", "meeting.fragile & 8 <> 0"),
        ("report_count >= 3", "meeting.report_count >= $1"),
        ("report_count != 3", "not meeting.report_count = $1"),
        ("independent_source_count < 2", "meeting.independent_source_count < $1"),
        ("review = REVIEWED", "meeting.review = $1"),
        (
            "place.locality != Baku",
            "not exists (select 1 from meeting_place l where l.meeting = meeting.id and l.locality = $1)",
        ),
        ("visit_type = STATE", "meeting.visit_type = $1"),
        (
            "external_id = \"nsw:1:2\"",
            "exists (select 1 from meeting_external_id e where e.meeting = meeting.id and e.scheme = $1 and e.value = $2)",
        ),
        ("announcement.by != x", "meeting.announced_by is distinct from $1"),
        (&format!("announcement.participant = participants/{id}"), "meeting.announcer = $1"),
        ("date = 2020", "(meeting.days && daterange($1, $2, '[]'))"),
        ("date >= 2020", "(meeting.days && daterange($1, $2, '[)'))"),
        ("date > 2020", "(meeting.days && daterange($1, $2, '()'))"),
        ("date <= 2020", "(meeting.days && daterange($1, $2, '(]'))"),
        ("date < 2020", "(meeting.days && daterange($1, $2, '()'))"),
        ("announcement.date != 2020", "(meeting.announce_days && daterange($1, $2, '[]')) is not true"),
        ("publish_date = 2020", "(meeting.publish_date >= $1 and meeting.publish_date < $2)"),
        ("publish_date > 2020", "(meeting.publish_date >= $1)"),
        ("create_time < 2020", "(meeting.create_time < $1)"),
        ("NOT update_time = 2020", "(meeting.update_time >= $1 and meeting.update_time < $2) is not true"),
        (
            "between(AZ, RU)",
            "(exists (select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id and r.region_code = $1) \
             and exists (select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id and r.region_code = $2))",
        ),
    ] {
        assert_eq!(sql(MEETINGS, text), expected, "{text}");
    }
}

#[test]
fn participant_and_article_filters_become_sql() {
    for (fields, text, expected) in [
        (PARTICIPANTS, "kind = PERSON", "participant.kind = $1"),
        (PARTICIPANTS, "region != AZ", "participant.region_code is distinct from $1"),
        (
            PARTICIPANTS,
            "name = \"Karim Valiyev\"",
            "exists (select 1 from participant_name n where n.person = participant.id and n.key = $1)",
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
        (
            ARTICLES,
            "publish_date = 2020-09",
            "(article.publish_from <= $1 and article.publish_to >= $2 and article.publish_from >= $3)",
        ),
        (ARTICLES, "publish_date > 2020-09", "(article.publish_to > $1 and article.publish_from >= $2)"),
        (ARTICLES, "publish_date < 2020-09", "(article.publish_from < $1)"),
    ] {
        assert_eq!(sql(fields, text), expected, "{text}");
    }
}

#[test]
fn statement_filter_becomes_sql() {
    let id = "0198f2d1-7c0e-7000-8000-0123456789ab";
    let row = |table: &str| {
        format!(
            "exists (select 1 from {table} s where s.report = statement.report and s.number = statement.number and s."
        )
    };
    for (text, expected) in [
        (format!("speaker = \"participants/{id}\""), row("statement_speaker") + "participant = $1)"),
        ("region != AZ".into(), format!("not {}region_code = $1)", row("statement_region"))),
        ("topic:peace".into(), row("statement_topic") + "topic = $1)"),
        ("act = STRESS".into(), "statement.act = $1".into()),
        ("speaker_kind != JOINT".into(), "statement.speaker_kind is distinct from $1".into()),
        ("quotation = DIRECT".into(), "statement.quotation = $1".into()),
        ("language = en".into(), "statement.language_code = $1".into()),
        ("date != 2020".into(), "(statement.days && daterange($1, $2, '[]')) is not true".into()),
        (format!("meeting = \"meetings/{id}\""), "statement.meeting = $1".into()),
        (format!("article = \"articles/{id}\""), "statement.article = $1".into()),
    ] {
        assert_eq!(sql(STATEMENTS, &text), expected, "{text}");
    }
}

#[test]
fn filter_merges_two_bounds_of_a_date_into_one_period() {
    for (text, expected) in [
        (
            "date >= 2020-09-01 AND kind = TALKS AND date <= 2020-09",
            "((meeting.days && daterange($1, $2, '[]')) and meeting.kind = $3)",
        ),
        ("date <= 2020 date >= 2019", "((meeting.days && daterange($1, $2, '[]')))"),
        // Only a span that covers all days between the bounds fulfils both.
        (
            "date >= 2020 AND date <= 2019",
            "((meeting.days && daterange($1, $2, '[)')) and (meeting.days && daterange($3, $4, '(]')))",
        ),
        (
            "NOT (date >= 2019 AND date <= 2020)",
            "((meeting.days && daterange($1, $2, '[)')) is not true or (meeting.days && daterange($3, $4, '(]')) is not true)",
        ),
        (
            "date > 2019 AND date <= 2020",
            "((meeting.days && daterange($1, $2, '()')) and (meeting.days && daterange($3, $4, '(]')))",
        ),
    ] {
        assert_eq!(sql(MEETINGS, text), expected, "{text}");
    }
}

#[test]
fn negation_applies_to_each_comparison_and_never_yields_null() {
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
        ("NOT date < 2020", "(meeting.days && daterange($1, $2, '()')) is not true"),
        ("date != 2020", "(meeting.days && daterange($1, $2, '[]')) is not true"),
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
fn participation_filter_becomes_sql() {
    let of_participation = "exists (select 1 from participation p where p.meeting = meeting.id and ";
    let of_region = "exists (select 1 from meeting_region r where r.meeting = meeting.id and r.region_code = ";
    let of_trait = "exists (select 1 from meeting_trait t where t.meeting = meeting.id and t.trait = ";
    for (text, expected) in [
        (
            "participant((region = RU AND role = HOST AND seniority <= 3))",
            format!(
                "({of_region}$1) and {of_trait}$2) and {of_participation}(p.region_code = $3 and p.roles & $4 <> 0 \
                 and (p.seniority <> 0 and p.seniority <= $5))))"
            ),
        ),
        ("participant((presence = PRESENT))", format!("({of_participation}p.presence = $1))")),
        (
            "participant((seniority = 2))",
            format!("({of_trait}$1) and {of_participation}(p.seniority <> 0 and p.seniority = $2)))"),
        ),
        ("participant((seniority = 101))", format!("({of_participation}(p.seniority <> 0 and p.seniority = $1)))")),
        (
            "participant((role = HOST OR role = CHAIR))",
            format!("({of_participation}(p.roles & $1 <> 0 or p.roles & $2 <> 0)))"),
        ),
        (
            "participant((NOT (region = RU OR role = HOST OR seniority <= 3)))",
            format!(
                "({of_participation}(p.region_code is distinct from $1 and p.roles & $2 = 0 \
                 and not (p.seniority <> 0 and p.seniority <= $3))))"
            ),
        ),
        (
            "NOT participant((region = RU))",
            "not exists (select 1 from participation p where p.meeting = meeting.id and p.region_code = $1)".to_owned(),
        ),
    ] {
        assert_eq!(sql(MEETINGS, text), expected, "{text}");
    }
}

#[test]
fn injected_sql_is_bound_as_a_value() {
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
    fn value_never_changes_the_sql(text in "[^\0]{0,40}") {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let sql = sql(ARTICLES, &format!("section = \"{quoted}\""));
        prop_assert_eq!(sql, "article.section = $1");
    }
}
