//! Functions, and the tables of fields and functions.

use super::*;

#[test]
fn participant_function_applies_its_conditions_to_one_participation() {
    use pb::participation::{Presence, Role};
    let one_participation = |conditions| is(OneParticipation(Box::new(conditions)));
    let [host, present] = [is(PartRole(Role::Host)), is(PartPresence(Presence::Present))];
    let senior = is(PartSeniority(ComparisonOp::BeforeOrIn, 3));
    assert_eq!(
        read("participant((region = \"RU\" AND role = HOST AND seniority <= 3))"),
        one_participation(Filter::And(vec![is(PartRegion("RU".to_owned())), host.clone(), senior.clone()]))
    );
    assert_eq!(
        read("kind = VISIT AND NOT participant( (role = HOST OR NOT presence = PRESENT) )"),
        Filter::And(vec![
            is(MeetingKind(Kind::Visit)),
            not(one_participation(Filter::Or(vec![host.clone(), not(present)])))
        ])
    );
    let id = Uuid::try_parse(ID).expect("a uuid");
    assert_eq!(
        read(&format!("participant((participant = participants/{ID}))")),
        one_participation(is(PartParticipant(id)))
    );
    assert_eq!(
        parse(&CHANGES, "meeting.participant((seniority <= 3)) OR kind = CREATED"),
        Ok(Filter::Or(vec![one_participation(senior), is(ChangeKind(pb::change::Kind::Created))]))
    );
}

#[test]
fn between_function_equals_both_regions_joined_by_and() {
    let both = read("region = AZ AND region = RU");
    assert_eq!(read("between(\"AZ\", \"RU\")"), both);
    assert_eq!(read("between( AZ ,RU)"), both);
    assert_eq!(read("-between(AZ, RU)"), not(both.clone()));
    assert_eq!(parse(&CHANGES, "meeting.between('AZ', 'RU')"), Ok(both));
}

#[test]
fn wrong_argument_is_rejected_at_its_position() {
    let codes = "two region codes (ISO 3166 alpha-2 in upper case, or XK), such as (\"AZ\", \"RU\")";
    let conditions =
        "conditions on one participation in brackets of their own, such as ((region = \"RU\" AND role = HOST))";
    for (text, at, function, expected) in [
        ("kind = TALKS AND between(\"AZ\")", 17, "between", codes),
        ("between()", 0, "between", codes),
        ("between(AZ, RU, GE)", 0, "between", codes),
        ("NOT between(AZ, ru)", 16, "between", codes),
        ("between(\"ZZ\", \"RU\")", 8, "between", codes),
        ("between((region = AZ), RU)", 9, "between", codes),
        ("between(AZ, between(AZ, RU))", 12, "between", codes),
        ("between(AZ, \"AZ\")", 12, "between", "two different region codes"),
        ("between = AZ AND between", 0, "between", ""),
        ("topic = a AND between", 14, "between", codes),
        ("topic = a participant ((role = HOST))", 10, "participant", conditions),
        ("participant()", 0, "participant", conditions),
        ("participant(\"RU\")", 0, "participant", conditions),
        ("participant((role = HOST), (role = CHAIR))", 0, "participant", conditions),
        ("(participant(role))", 1, "participant", conditions),
    ] {
        let expected = match expected {
            "" => FilterError::UnknownField { position: at, field: function.to_owned(), nearest: Some("between") },
            expected => FilterError::BadCall { position: at, function, expected, sent: String::new() },
        };
        let actual = match rejected(text) {
            FilterError::BadCall { position, function, expected, .. } => {
                FilterError::BadCall { position, function, expected, sent: String::new() }
            }
            error => error,
        };
        assert_eq!(actual, expected, "{text}");
    }
    let error = rejected("participant(region = RU)").to_string();
    assert!(error.starts_with("at byte 19: expected ')'") && error.contains("participant((...))"), "{error}");
}

#[test]
fn errors_inside_a_function_equal_those_outside() {
    for (text, at, message) in [
        ("participant((regin = RU))", 13, "there is no field \"regin\"; did you mean \"region\"?"),
        ("participant((status = HELD))", 13, "there is no field \"status\""),
        (
            "participant((kind = TALKS))",
            20,
            "kind must be compared with one of PERSON, ORGANIZATION, STATE, GROUP, not",
        ),
        ("participant((region = RU AND role = BOSS))", 36, "role must be compared with one of HOST, VISITOR,"),
        ("participant((seniority : 3))", 23, ": cannot be used here; use =, !=, <, <=, >, >= or :*"),
        ("participant((presence:PRESENT))", 21, ": cannot be used here; use =, != or :*"),
        ("participant((role < HOST))", 18, "< cannot be used here; use =, != or :"),
        ("participant((between(AZ, RU)))", 13, "there is no function \"between\""),
        ("participant((participant((role = HOST))))", 13, "there is no function \"participant\"; it is a field"),
        ("participant((role = HOST)) AND role = HOST", 31, "there is no field \"role\""),
    ] {
        let error = rejected(text).to_string();
        assert!(error.starts_with(&format!("at byte {at}: {message}")), "{text}: {error}");
    }
}

#[test]
fn unknown_function_error_suggests_the_nearest_name() {
    for (text, at, message) in [
        ("betwen(AZ, RU)", 0, "there is no function \"betwen\"; did you mean \"between\"?"),
        ("NOT participants((role = HOST))", 4, "there is no function \"participants\"; did you mean \"participant\"?"),
        ("region(\"AZ\")", 0, "there is no function \"region\"; it is a field"),
        ("betwen = AZ", 0, "there is no field \"betwen\"; did you mean \"between\"?"),
        ("between = AZ", 0, "there is no field \"between\"; it is a function"),
        ("date > now()", 7, "there is no function \"now\""),
        ("meeting.between(AZ, RU)", 0, "there is no function \"meeting.between\""),
        ("between(AZ, RU) = true", 0, "a function cannot be used here; use it on its own"),
    ] {
        let error = rejected(text).to_string();
        assert!(error.starts_with(&format!("at byte {at}: {message}")), "{text}: {error}");
    }
    let long = "ж".repeat(4000);
    assert!(rejected(&format!("{long}(AZ)")).to_string().chars().count() < 120);
    assert!(parse(PARTICIPANTS, "between(AZ, RU)").is_err());
}

#[test]
fn nesting_beyond_the_limit_is_rejected_in_every_construct() {
    let deep = FilterError::TooComplex { what: "levels of nested brackets", most: MAX_DEPTH };
    let nested = |depth| format!("participant({}role = HOST{})", "(".repeat(depth), ")".repeat(depth));
    // The bracket of the function counts too.
    assert!(meetings(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(rejected(&nested(MAX_DEPTH)), deep);
    for open in ["(", "-(", "NOT (", "between(", "participant((", "a(b(", "topic = ("] {
        let text = open.repeat(MAX_BYTES / open.len());
        assert_eq!(rejected(&text), deep, "{open}");
    }
}

#[test]
fn every_example_and_every_enum_name_parses() {
    for name in ["articles", "changes", "meetings", "participants", "participations", "statements"] {
        let Some(schema) = filter_schema(name) else { panic!("{name}") };
        for field in schema.fields {
            assert!(parse(schema, field.example).is_ok(), "{name}: {}", field.example);
            let label = field.name.trim_end_matches("KEY");
            assert!(field.example.starts_with(label) && field.comment.ends_with('.'), "{name}: {}", field.name);
            assert!(!field.values.expected().is_empty(), "{name}: {}", field.name);
            for value in field.values.names() {
                let text = format!("{} = {value}", field.name);
                assert!(parse(schema, &text).is_ok(), "{name}: {text}");
            }
        }
        for function in schema.functions {
            assert!(parse(schema, function.example).is_ok(), "{name}: {}", function.example);
            assert!(function.example.starts_with(function.name) && function.signature.starts_with(function.name));
        }
    }
    let Some(kind) = MEETINGS.fields.iter().find(|field| field.name == "kind") else { unreachable!() };
    let expected = kind.values.expected();
    assert!(expected.starts_with("one of TALKS, PHONE_CALL,") && expected.ends_with(", OTHER"), "{expected}");
}
