use proptest::prelude::*;

use super::*;
use crate::pb::{DateSpan, Participation};

const TEXT: &str = "Président İlham Əliyev met Sergey Shoigu. Shoigu thanked him.";

fn account() -> Account {
    Account {
        title: "Reception".into(),
        date: Some(DateSpan { literal: "on Monday".into(), ..Default::default() }),
        participations: vec![Participation { id: "a".into(), roles: vec![2, 10], ..Default::default() }],
        ..Default::default()
    }
}

fn checked(field: &str, quote: &str, start: i32, end: i32) -> (Evidence, Violations) {
    let mut evidence = [Evidence { field: field.into(), quote: quote.into(), start, end, ..Default::default() }];
    let mut out = Violations::default();
    check(&mut evidence, &account(), Some(&IndexedText::new(TEXT)), &Path::ROOT.field("evidence"), &mut out);
    let [evidence] = evidence;
    (evidence, out)
}

#[track_caller]
fn refused(field: &str, quote: &str, start: i32, end: i32) -> (ErrorReason, String) {
    let violation = checked(field, quote, start, end).1.into_iter().next().expect("refused");
    (violation.reason, violation.field)
}

#[test]
fn offsets_are_filled_in_for_a_quote_that_stands_once() {
    let (evidence, out) = checked("title", "Əliyev", 0, 0);
    assert!(out.is_empty());
    assert_eq!((evidence.start, evidence.end), (16, 22));
}

#[test]
fn a_quote_is_compared_in_nfc() {
    let (evidence, out) = checked("title", "Pre\u{301}sident", 0, 9);
    assert!(out.is_empty());
    assert_eq!(evidence.quote, "Président");
}

#[test]
fn words_that_are_not_there_or_elsewhere_are_refused() {
    let at = "evidence[0].quote".to_owned();
    assert_eq!(refused("title", "Lavrov", 0, 0), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "Əliyev", 15, 21), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "him.", 57, 99), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "Əliyev", 22, 16), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "Shoigu", 0, 0), (ErrorReason::EvidenceAmbiguous, at));
}

#[test]
fn forget_offsets_keeps_offsets_of_ambiguous_and_wrong_quotes() {
    let text = IndexedText::new(TEXT);
    let evidence =
        |quote: &str, start: i32, end: i32| Evidence { quote: quote.into(), start, end, ..Default::default() };
    let needed = [evidence("Shoigu", 34, 40), evidence("Əliyev", 15, 21), evidence("him.", -1, 4), evidence("", 3, 3)];
    let mut all = [evidence("Əliyev", 16, 22)].into_iter().chain(needed.clone()).collect::<Vec<_>>();
    forget_offsets(&mut all, &text);
    assert_eq!(all[0], evidence("Əliyev", 0, 0));
    assert_eq!(all[1..], needed);
}

fn quoted(quotes: &[&str]) -> Vec<Evidence> {
    let one = |quote: &&str| Evidence { quote: (*quote).to_owned(), start: 0, end: 3, ..Default::default() };
    quotes.iter().map(one).collect()
}

fn stale(evidence: &[Evidence]) -> Vec<bool> {
    evidence.iter().map(|one| one.stale).collect()
}

#[test]
fn words_are_stale_where_they_stand_nowhere_in_another_text() {
    let mut evidence = quoted(&["met", "Baku", "Moscow", "Baku"]);
    let before = evidence.clone();
    assert!(!mark_stale(&mut evidence, &IndexedText::new("Moscow, Baku: they met")));
    assert_eq!(evidence, before);
    assert!(mark_stale(&mut evidence, &IndexedText::new("They met in Moscow")));
    assert_eq!(stale(&evidence), [false, true, false, true]);
    assert!(!mark_stale(&mut evidence, &IndexedText::new("Moscow: they met again")));
    assert!(mark_stale(&mut evidence, &IndexedText::new("Baku")));
    assert_eq!(stale(&evidence), [true, false, true, false]);
    assert_eq!((evidence[1].start, evidence[1].end), (0, 3));
}

#[test]
fn words_that_are_too_costly_to_look_for_stay_as_they_are() {
    let text = IndexedText::new("met in Baku");
    text.budget.set(text.text.len());
    let mut evidence = quoted(&["Moscow", "Minsk", "Moscow", "met"]);
    evidence[3].stale = true;
    assert!(mark_stale(&mut evidence, &text));
    assert_eq!(stale(&evidence), [true, false, true, false]);
}

#[test]
fn quotes_that_would_take_minutes_to_look_for_are_refused() {
    let text = "x".repeat(1024 * 1024);
    let one = Evidence { field: "title".into(), quote: "x".into(), ..Default::default() };
    let mut out = Violations::default();
    let counted = IndexedText::new(&text);
    counted.budget.set(2 * text.len());
    check(&mut vec![one; 3], &account(), Some(&counted), &Path::ROOT, &mut out);
    let reasons: Vec<_> = out.into_iter().map(|one| one.reason).collect();
    let often = ErrorReason::EvidenceAmbiguous;
    assert_eq!(reasons, [often, often, ErrorReason::InvalidField]);
}

#[test]
fn fields_are_stored_in_proto_names_and_must_be_set() {
    assert_eq!(checked("participations[0].roles[1]", "met", 0, 0).0.field, "participations[0].roles[1]");
    let mut account = account();
    account.participations[0].name_as_written = "x".into();
    assert_eq!(
        Fields::of(&account).resolve("participations[0].nameAsWritten"),
        Ok("participations[0].name_as_written".into())
    );
    let bad = [
        "",
        ".",
        "nothing",
        "summary",
        "participations[1]",
        "participations[-1]",
        "participations[0",
        "title[0]",
        "participations.id",
        "title.x",
        "date.literal.",
        "participations[0].roles[2]",
    ];
    for field in bad {
        assert_eq!(refused(field, "met", 0, 0), (ErrorReason::InvalidField, "evidence[0].field".into()), "{field}");
    }
}

proptest! {
    #[test]
    fn code_points_and_bytes_agree(text in "[aéə東🕊]{0,600}", at in 0usize..700) {
        let counted = IndexedText::new(&text);
        let expected = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(at);
        prop_assert_eq!(counted.byte(at), expected);
        if let Some(byte) = expected {
            prop_assert_eq!(counted.code_point(byte), at);
        }
    }
}
