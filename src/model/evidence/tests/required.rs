//! Tests of the fields that must have evidence.

use super::{AccountField, missing};
use crate::pb::{Account, Date, DateSpan, Evidence, Participation, Statement};

fn told() -> Account {
    let person = |id: &str, participant: &str| Participation {
        id: id.into(),
        participant: participant.into(),
        name_as_written: id.into(),
        roles: vec![2, 10],
        ..Default::default()
    };
    let start = Some(Date { year: 2020, month: 8, day: 24 });
    Account {
        title: "Reception".into(),
        topics: vec!["arms".into(), "trade".into()],
        date: Some(DateSpan { start, literal: "on Monday".into(), ..Default::default() }),
        participations: vec![person("a", "#a"), person("b", ""), person("c", "#c")],
        statements: vec![Statement {
            speakers: vec!["a".into()],
            speaker_as_written: "he".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn field(path: &str) -> AccountField {
    AccountField::parse(path).unwrap()
}

fn lacks(account: &Account, evidence: &[Evidence], required: &[&str]) -> Vec<String> {
    let required: Vec<_> = required.iter().map(|path| field(path)).collect();
    missing(account, evidence, &required).into_iter().map(|missing| missing.path).collect()
}

#[test]
fn account_field_is_read_in_proto_and_json_names() {
    for (path, read) in [
        ("date", "date"),
        ("date.startTime.hours", "date.start_time.hours"),
        ("participations.nameAsWritten", "participations.name_as_written"),
        ("participations.roles", "participations.roles"),
        ("announcement.date.start.year", "announcement.date.start.year"),
    ] {
        assert_eq!(field(path).as_str(), read);
    }
}

#[test]
fn account_field_that_does_not_exist_is_refused_with_the_nearest_path() {
    for (path, description) in [
        ("dat", "is not a field of Account: \"dat\"; did you mean \"date\"?"),
        (
            "participation.participant",
            "is not a field of Account: \"participation.participant\"; did you mean \"participations.participant\"?",
        ),
        (
            "participations.participnt",
            "is not a field of Participation: \"participations.participnt\"; \
             did you mean \"participations.participant\"?",
        ),
        (
            "participation.participnt",
            "is not a field of Account: \"participation.participnt\"; did you mean \"participations\"?",
        ),
        ("labels", "is not a field of Account: \"labels\""),
        ("title.text", "goes below a field without subfields: \"title.text\"; did you mean \"title\"?"),
        ("participations[0]", "must have no indexes, since it means all items of a list: \"participations[0]\""),
        ("date.", "must be a path such as participations.participant: \"date.\""),
        ("", "is not a field of Account: \"\""),
        (".date", "is not a field of Account: \".date\""),
        ("date..start", "is not a field of DateSpan: \"date..start\""),
    ] {
        assert_eq!(AccountField::parse(path), Err(description.to_owned()), "{path}");
    }
}

#[test]
fn every_told_field_without_evidence_is_missing_at_its_path() {
    let all = ["participations.participant", "date", "title", "place", "participations.roles", "statements"];
    assert_eq!(
        lacks(&told(), &[], &all),
        [
            "date",
            "participations[0].participant",
            "participations[2].participant",
            "participations[0].roles",
            "participations[1].roles",
            "participations[2].roles",
            "statements[0]",
            "title"
        ]
    );
    assert_eq!(lacks(&told(), &[], &["participations", "title", "title"]).len(), 4);
    assert_eq!(lacks(&Account::default(), &[], &all), [""; 0]);
    assert_eq!(lacks(&told(), &[], &[]), [""; 0]);
}

#[test]
fn evidence_counts_for_the_field_its_parts_its_whole_and_the_field_that_its_words_state() {
    for (cited, required, is_enough) in [
        ("date", "date", true),
        ("date.literal", "date", true),
        ("date", "date.start", true),
        ("date", "date.start.year", true),
        ("date.literal", "date.start.year", true),
        ("date.literal", "date.start", true),
        ("date.start", "date.literal", false),
        ("topics[1]", "topics", true),
        ("topics", "topics", true),
        ("title", "date", false),
        ("statements[0].speaker_as_written", "statements.speakers", true),
        ("statements[0].speakers[0]", "statements.speaker_as_written", false),
        ("statements", "statements.speakers", true),
    ] {
        let evidence = [Evidence { field: cited.into(), ..Default::default() }];
        assert_eq!(lacks(&told(), &evidence, &[required]).is_empty(), is_enough, "{cited} for {required}");
        let stale = [Evidence { stale: true, ..evidence[0].clone() }];
        assert!(!lacks(&told(), &stale, &[required]).is_empty(), "stale {cited} for {required}");
    }
    for cited in ["participations[0]", "participations[0].participant", "participations[0].name_as_written"] {
        let evidence = [Evidence { field: cited.into(), ..Default::default() }];
        let lacking = lacks(&told(), &evidence, &["participations.participant"]);
        assert_eq!(lacking, ["participations[2].participant"], "{cited}");
    }
}

/// `participations[1]` is a prefix of the text `participations[10]`, and no field above it.
#[test]
fn evidence_for_an_item_does_not_count_for_an_item_whose_index_begins_with_its_digits() {
    let mut account = told();
    account.participations = vec![account.participations[0].clone(); 12];
    let evidence = [Evidence { field: "participations[10]".into(), ..Default::default() }];
    let lacking = lacks(&account, &evidence, &["participations"]);
    assert_eq!(lacking.len(), 11);
    assert!(!lacking.contains(&"participations[10]".to_owned()));
    let evidence = [Evidence { field: "participations[1]".into(), ..Default::default() }];
    assert_eq!(lacks(&account, &evidence, &["participations.participant"]).len(), 11);
}
