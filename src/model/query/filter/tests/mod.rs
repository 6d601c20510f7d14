mod any_text;
mod functions;
mod lists;

use uuid::Uuid;

use super::{Comparison::*, *};
use crate::{
    model::time::dates,
    pb::account::{Kind, Status},
};

const ID: &str = "0198f2d1-7c0e-7000-8000-0123456789ab";
const A_SHARE: &str = "a number from 0 to 1 with at most three decimals, such as 0.5";
const A_DATE: &str = "a year, month or day such as \"2020\", \"2020-09\" or \"2020-09-04\"";

fn meetings(text: &str) -> Result<Filter, FilterError> {
    parse(MEETINGS, text)
}

fn read(text: &str) -> Filter {
    meetings(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn rejected(text: &str) -> FilterError {
    meetings(text).expect_err(text)
}

fn is(comparison: Comparison) -> Filter {
    Filter::Compare(comparison)
}

fn topic(topic: &str) -> Filter {
    is(Topic(topic.to_owned()))
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn days(literal: &str) -> DateRange {
    let (first, last) = dates::parse(literal).expect("a date");
    DateRange { first, last }
}

fn times(literal: &str) -> TimeRange {
    TimeRange::parse(literal).expect("a time")
}

#[test]
fn empty_filter_matches_everything() {
    assert_eq!(read(""), Filter::EVERYTHING);
    assert_eq!(read(" \n\t"), Filter::EVERYTHING);
}

#[test]
fn every_field_of_meetings_parses_with_its_type() {
    let id = Uuid::try_parse(ID).expect("a uuid");
    for (text, comparison) in [
        ("kind = \"TALKS\"".to_owned(), MeetingKind(Kind::Talks)),
        ("kind=STATEMENT_ONLY".to_owned(), MeetingKind(Kind::StatementOnly)),
        ("status = 'HELD'".to_owned(), MeetingStatus(Status::Held)),
        ("region = AZ".to_owned(), MeetingRegion("AZ".to_owned())),
        ("place.region = \"XK\"".to_owned(), PlaceRegion("XK".to_owned())),
        (format!("participant = \"participants/{ID}\""), Participant(id)),
        (format!("article = articles/{ID}"), Article(id)),
        ("topic = \"peace\"".to_owned(), Topic("peace".to_owned())),
        ("date = 2020-09".to_owned(), MeetingDate(ComparisonOp::In, days("2020-09"))),
        ("has_dispute = true".to_owned(), HasDispute(true)),
        ("has_dispute = \"false\"".to_owned(), HasDispute(false)),
        ("fragile = \"place.region_code\"".to_owned(), Fragile(FragileField::PlaceRegion)),
        ("fragile:date".to_owned(), Fragile(FragileField::Date)),
        ("fragile = place.locality".to_owned(), Fragile(FragileField::Locality)),
        ("report_count = 3".to_owned(), ReportCount(ComparisonOp::In, 3)),
        ("independent_source_count >= 2".to_owned(), IndependentSourceCount(ComparisonOp::InOrAfter, 2)),
        ("evidence_coverage >= 0.5".to_owned(), EvidenceCoverage(ComparisonOp::InOrAfter, 500)),
        ("evidence_coverage = 1".to_owned(), EvidenceCoverage(ComparisonOp::In, 1_000)),
        ("evidence_coverage < 1.000".to_owned(), EvidenceCoverage(ComparisonOp::Before, 1_000)),
        ("evidence_coverage > \"0.125\"".to_owned(), EvidenceCoverage(ComparisonOp::After, 125)),
        ("review = UNREVIEWED".to_owned(), Review(pb::meeting::Review::Unreviewed)),
        ("place.locality = \"BAKU\"".to_owned(), PlaceLocality("baku".to_owned())),
        ("announcement.by = \"The  Ministry\"".to_owned(), AnnouncedBy("the ministry".to_owned())),
        (format!("announcement.participant = participants/{ID}"), Announcer(id)),
        ("announcement.date < 2020-09-05".to_owned(), AnnouncementDate(ComparisonOp::Before, days("2020-09-05"))),
        ("publish_date > 2020".to_owned(), MeetingPublishDate(ComparisonOp::After, days("2020"))),
        ("create_time >= 2020".to_owned(), CreateTime(Collection::Meetings, ComparisonOp::InOrAfter, times("2020"))),
        ("update_time = 2020".to_owned(), UpdateTime(Collection::Meetings, ComparisonOp::In, times("2020"))),
    ] {
        assert_eq!(read(&text), is(comparison), "{text}");
    }
}

#[test]
fn every_field_of_participants_and_articles_parses_with_its_type() {
    let id = Uuid::try_parse(ID).expect("a uuid");
    for (text, comparison) in [
        ("kind = PERSON", ParticipantKind(pb::participant::Kind::Person)),
        ("region = \"RU\"", ParticipantRegion("RU".to_owned())),
        ("name = \"Karim  VALIYEV\"", Name("karimvaliyev".to_owned())),
        ("name:\"Karim Valiyev\"", Name("karimvaliyev".to_owned())),
        (&format!("parent = participants/{ID}"), Parent(id)),
        ("create_time < 2020", CreateTime(Collection::Participants, ComparisonOp::Before, times("2020"))),
        ("update_time > 2020", UpdateTime(Collection::Participants, ComparisonOp::After, times("2020"))),
    ] {
        assert_eq!(parse(PARTICIPANTS, text), Ok(is(comparison)), "{text}");
    }
    for (text, comparison) in [
        ("uri = \"https://example.org/a?b=1\"", Uri("https://example.org/a?b=1".to_owned())),
        ("publisher.region = AZ", PublisherRegion("AZ".to_owned())),
        ("language = az-Latn", Language("az-Latn".to_owned())),
        ("section = \"it's \\\"*\\\"\"", Section("it's \"*\"".to_owned())),
        ("publish_date >= \"2020\"", PublishDate(ComparisonOp::InOrAfter, days("2020"))),
        (&format!("origin = articles/{ID}"), Origin(id)),
        (&format!("syndicated_from = articles/{ID}"), SyndicatedFrom(id)),
        ("create_time <= 2020", CreateTime(Collection::Articles, ComparisonOp::BeforeOrIn, times("2020"))),
        ("update_time = 2020", UpdateTime(Collection::Articles, ComparisonOp::In, times("2020"))),
    ] {
        assert_eq!(parse(ARTICLES, text), Ok(is(comparison)), "{text}");
    }
}

#[test]
fn dates_have_an_order() {
    for (operator, order) in [
        ("<", ComparisonOp::Before),
        ("<=", ComparisonOp::BeforeOrIn),
        ("=", ComparisonOp::In),
        (">=", ComparisonOp::InOrAfter),
        (">", ComparisonOp::After),
    ] {
        let date = is(MeetingDate(order, days("2020-09-04")));
        assert_eq!(read(&format!("date {operator} \"2020-09-04\"")), date, "{operator}");
    }
}

#[test]
fn time_is_an_instant_or_the_days_of_a_date_in_utc() {
    let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
    for (literal, from, until) in [
        ("2020-09-04", "2020-09-04T00:00:00Z", "2020-09-05T00:00:00Z"),
        ("2020-12", "2020-12-01T00:00:00Z", "2021-01-01T00:00:00Z"),
        ("2020-09-04T12:00:00Z", "2020-09-04T12:00:00Z", "2020-09-04T12:00:00.000001Z"),
        ("2020-09-04T12:00:00.1234567+04:00", "2020-09-04T08:00:00.123456Z", "2020-09-04T08:00:00.123457Z"),
    ] {
        assert_eq!(times(literal), TimeRange { from: at(from), until: at(until) }, "{literal}");
    }
    for literal in ["", "yesterday", "2020-09-04T12:00:00", "2020-09-04T25:00:00Z", "12:00:00Z", "1599220800"] {
        assert_eq!(TimeRange::parse(literal), None, "{literal}");
    }
}

#[test]
fn numbers_have_an_order() {
    for (operator, order) in [
        ("<", ComparisonOp::Before),
        ("<=", ComparisonOp::BeforeOrIn),
        ("=", ComparisonOp::In),
        (">=", ComparisonOp::InOrAfter),
        (">", ComparisonOp::After),
    ] {
        assert_eq!(read(&format!("report_count {operator} 10")), is(ReportCount(order, 10)), "{operator}");
    }
    assert_eq!(read("report_count != 0"), not(is(ReportCount(ComparisonOp::In, 0))));
}

#[test]
fn not_equal_parses_as_not_of_equal() {
    assert_eq!(read("topic != peace"), not(topic("peace")));
    assert_eq!(read("date != 2020"), not(is(MeetingDate(ComparisonOp::In, days("2020")))));
}

#[test]
fn or_binds_tighter_than_and() {
    let [a, b, c] = ["a", "b", "c"].map(topic);
    assert_eq!(
        read("topic = a AND topic = b OR topic = c"),
        Filter::And(vec![a.clone(), Filter::Or(vec![b.clone(), c.clone()])])
    );
    assert_eq!(
        read("topic = a OR topic = b AND topic = c"),
        Filter::And(vec![Filter::Or(vec![a.clone(), b.clone()]), c.clone()])
    );
    assert_eq!(read("(topic = a AND topic = b) OR topic = c"), Filter::Or(vec![Filter::And(vec![a, b]), c]));
}

#[test]
fn not_and_minus_bind_to_the_next_term_only() {
    let [a, b] = ["a", "b"].map(topic);
    assert_eq!(read("NOT topic = a OR -topic = b"), Filter::Or(vec![not(a.clone()), not(b.clone())]));
    assert_eq!(read("NOT (topic = a OR topic = b)"), not(Filter::Or(vec![a, b])));
}

#[test]
fn white_space_joins_comparisons_like_and() {
    assert_eq!(read("topic = a topic=b"), Filter::And(vec![topic("a"), topic("b")]));
}

#[test]
fn has_operator_equals_equality_on_repeated_fields() {
    for field in ["topic", "region", "participant", "article"] {
        let value = match field {
            "region" => "AZ".to_owned(),
            "topic" => "peace".to_owned(),
            _ => format!("\"{field}s/{ID}\""),
        };
        assert_eq!(read(&format!("{field}:{value}")), read(&format!("{field} = {value}")));
    }
    let inside = |operator: &str| read(&format!("participant((role{operator}HOST))"));
    assert_eq!(inside(" : "), inside(" = "));
    let of_article = |operator: &str| parse(ARTICLES, &format!("uri{operator}\"urn:a\"")).expect("a filter");
    assert_eq!(of_article(":"), of_article("="));
}

#[test]
fn syntax_errors_state_the_expected_input_and_its_position() {
    for (text, at, message) in [
        ("kind =", 6, "expected a field or a value"),
        ("kind = = TALKS", 7, "expected a field or a value"),
        ("kind == TALKS", 6, "expected a field or a value"),
        ("topic = \"ä\" AND", 13, "unexpected keyword AND"),
        ("OR kind = TALKS", 0, "unexpected keyword OR"),
        ("(kind = TALKS", 13, "expected ')'"),
        ("participant((role = HOST)", 25, "expected ')'"),
        ("between(AZ, RU", 14, "expected ')'"),
        ("between(AZ,)", 11, "expected a field or a value"),
        ("kind = TALKS)", 12, "expected AND, OR or the end; text with spaces or punctuation needs quotes"),
        ("topic = a:b", 9, "expected AND, OR or the end; text with spaces or punctuation needs quotes"),
        ("kind = TALKS AND topic = \"peace", 25, "this quote is not closed"),
        ("\"kind\" = TALKS", 0, "expected the name of a field, without quotes"),
        ("topic = \"a\0\"", 10, "U+0000 is not allowed"),
        ("NOT(kind = TALKS)", 3, "expected a space between AND, OR or NOT and the bracket"),
        ("topic = \"NOT(\" OR(kind = TALKS)", 17, "expected a space between AND, OR or NOT and the bracket"),
    ] {
        let error = rejected(text);
        let FilterError::Syntax { position, message: actual } = &error else { panic!("{text}: {error}") };
        assert_eq!(*position, at, "{text}");
        assert!(actual.starts_with(message), "{text}: {actual}");
    }
}

#[test]
fn unknown_field_error_suggests_the_nearest_name() {
    for (text, position, field, nearest) in [
        ("knd = TALKS", 0, "knd", Some("kind")),
        ("kind = TALKS AND NOT (topic = \"ö\" OR -Status = HELD)", 39, "Status", Some("status")),
        ("place.region_code = AZ", 0, "place.region_code", Some("place.region")),
        ("participants = x", 0, "participants", Some("participant")),
        ("section = x", 0, "section", None),
        ("2.5 = x", 0, "2.5", None),
    ] {
        let error = FilterError::UnknownField { position, field: field.to_owned(), nearest };
        assert_eq!(rejected(text), error, "{text}");
    }
}

#[test]
fn errors_repeat_only_the_start_of_long_input() {
    let long = "ж".repeat(4000);
    let FilterError::UnknownField { field, nearest, .. } = rejected(&format!("{long} = 1")) else {
        panic!("{long} is not a field");
    };
    assert_eq!((field.chars().count(), nearest), (FilterError::MAX_ECHOED, None));
    for operator in ["=", ":"] {
        let error = rejected(&format!("region {operator} {long}")).to_string();
        assert!(error.len() < 300, "{error}");
    }
}

#[test]
fn value_error_shows_the_value_and_the_nearest_name() {
    for (text, end) in [
        ("status = DONE", ", not \"DONE\""),
        ("status = held", ", not \"held\"; did you mean \"HELD\"?"),
        ("kind = TALK", ", not \"TALK\"; did you mean \"TALKS\"?"),
        ("kind = \"Phone call\"", ", not \"Phone call\"; did you mean \"PHONE_CALL\"?"),
        ("region = az", ", not \"az\"; did you mean \"AZ\"?"),
        ("has_dispute = True", ", not \"True\"; did you mean \"true\"?"),
        ("topic = a.b", "a text in quotes, not \"a.b\""),
        ("region = \"\\n\"", ", not \"\\n\""),
        ("date = yesterday", ", not \"yesterday\""),
        ("between(AZ, uk)", ", not \"uk\"; did you mean \"GB\"?"),
        ("between(AZ, AZ)", "two different region codes, not \"AZ\" twice"),
        ("topic = a:b", "needs quotes; found \":b\""),
        ("kind =", "expected a field or a value; found the end"),
    ] {
        let error = rejected(text).to_string();
        assert!(error.ends_with(end), "{text}: {error}");
    }
    let error = parse(&CHANGES, "kind = CREATD").expect_err("no kind").to_string();
    assert!(error.ends_with("; did you mean \"CREATED\"?"), "{error}");
}

#[test]
fn value_of_the_wrong_type_is_rejected() {
    let wrong_id = format!("article = \"participants/{ID}\"");
    for (text, at, expected) in [
        ("status = DONE", 9, "one of PLANNED, HELD, POSTPONED, CANCELLED, DENIED"),
        ("status = held", 9, "one of PLANNED, HELD, POSTPONED, CANCELLED, DENIED"),
        ("topic = x status != STATUS_UNSPECIFIED", 20, "one of PLANNED, HELD, POSTPONED, CANCELLED, DENIED"),
        ("region = az", 9, "an ISO 3166 alpha-2 code in upper case, or XK"),
        ("place.region =  \"*\"", 16, "an ISO 3166 alpha-2 code in upper case, or XK"),
        ("region = \"\"", 9, "an ISO 3166 alpha-2 code in upper case, or XK"),
        (&wrong_id, 10, "a resource name such as \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\""),
        (
            "participant = participants/0198f2d17c0e700080000123456789ab",
            14,
            "a resource name such as \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
        ),
        ("topic = a.b", 8, "a text in quotes"),
        ("date >= \"2020-13\"", 8, A_DATE),
        ("date = yesterday", 7, A_DATE),
        ("has_dispute = yes", 14, "true or false"),
        ("has_dispute = 1", 14, "true or false"),
        ("report_count = many", 15, "a whole number such as 3"),
        ("report_count > -1", 15, "a whole number such as 3"),
        ("report_count > 2.5", 15, "a whole number such as 3"),
        ("report_count < \"\"", 15, "a whole number such as 3"),
        ("independent_source_count < 99999999999999999999", 27, "a whole number such as 3"),
        ("evidence_coverage < 1.001", 20, A_SHARE),
        ("evidence_coverage < 0.1234", 20, A_SHARE),
        ("evidence_coverage < -0.5", 20, A_SHARE),
        ("evidence_coverage < \"\"", 20, A_SHARE),
        ("evidence_coverage < \"0.\"", 20, A_SHARE),
        ("evidence_coverage < \".5\"", 20, A_SHARE),
        ("evidence_coverage < \"+.5\"", 20, A_SHARE),
        ("evidence_coverage = half", 20, A_SHARE),
        ("review = GOOD", 9, "one of UNREVIEWED, REVIEWED, RETRACTED"),
    ] {
        let error = rejected(text);
        let FilterError::BadValue { position, expected: actual, .. } = &error else {
            panic!("{text}: {error}");
        };
        assert_eq!((*position, actual.as_str()), (at, expected), "{text}");
    }
}

#[test]
fn unsupported_constructs_of_the_grammar_are_rejected() {
    for (text, at, expected) in [
        ("kind < TALKS", 5, "< cannot be used here; use =, != or :*"),
        ("region>=\"AZ\"", 6, ">= cannot be used here; use =, != or :"),
        ("kind : TALKS", 5, ": cannot be used here; use =, != or :*"),
        ("topic < peace", 6, "< cannot be used here; use =, != or :"),
        ("has_dispute > false", 12, "> cannot be used here; use =, != or :*"),
        ("report_count : 3", 13, ": cannot be used here; use =, !=, <, <=, >, >= or :*"),
        ("date:2020", 4, ": cannot be used here; use =, !=, <, <=, >, >= or :*"),
        ("date > (2020 OR 2021)", 7, "a list of values cannot be used here; use = or != before it"),
        ("region = (AZ RU)", 10, "this list cannot be used here"),
        ("region = (AZ OR NOT RU)", 16, "this list cannot be used here"),
        ("topic = peace talks", 14, "a value on its own cannot be used here"),
        ("kind = TALKS and status = HELD", 13, "a value on its own cannot be used here"),
        ("kind = TALKS && status = HELD", 13, "a value on its own cannot be used here"),
    ] {
        let error = rejected(text);
        assert!(matches!(error, FilterError::UnsupportedOperator { .. }), "{text}: {error}");
        assert_eq!(error.position(), Some(at), "{text}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("at byte {at}: {expected}")), "{text}: {message}");
    }
}

#[test]
fn limits_apply_exactly_at_their_edges() {
    let comparisons = |count| vec!["topic = a"; count].join(" OR ");
    assert!(meetings(&comparisons(MAX_COMPARISONS)).is_ok());
    let error = FilterError::TooComplex { what: "comparisons", most: MAX_COMPARISONS };
    assert_eq!(rejected(&comparisons(MAX_COMPARISONS + 1)), error);
    assert_eq!(error.to_string(), "a filter has at most 200 comparisons");

    let nested = |depth| format!("{}topic = a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(meetings(&nested(MAX_DEPTH)), Ok(topic("a")));
    let error = FilterError::TooComplex { what: "levels of nested brackets", most: MAX_DEPTH };
    assert_eq!(rejected(&nested(MAX_DEPTH + 1)), error);

    let calls = |count| vec!["between(AZ, RU)"; count].join(" ");
    assert!(meetings(&calls(MAX_COMPARISONS)).is_ok());
    assert!(meetings(&calls(MAX_COMPARISONS + 1)).is_err());
    let inside = |count: usize| format!("participant(({}))", vec!["role = HOST"; count].join(" OR "));
    assert!(meetings(&inside(MAX_COMPARISONS - 1)).is_ok());
    assert!(meetings(&inside(MAX_COMPARISONS)).is_err());

    let text = |bytes| format!("topic = {}", "a".repeat(bytes - 8));
    assert!(meetings(&text(MAX_BYTES)).is_ok());
    let error = FilterError::TooComplex { what: "bytes", most: MAX_BYTES };
    assert_eq!(rejected(&text(MAX_BYTES + 1)), error);
    assert_eq!(error.position(), None);
}
