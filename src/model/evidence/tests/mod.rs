//! Tests of the rules on evidence.

mod offsets;
mod random;
mod required;
mod spelling;

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
fn check_finds_no_quote_in_an_empty_text() {
    for quote in ["", "Baku"] {
        let mut evidence = [Evidence { field: "title".into(), quote: quote.into(), ..Default::default() }];
        let mut out = Violations::default();
        check(&mut evidence, &account(), Some(&IndexedText::new("")), &Path::ROOT, &mut out);
        assert_eq!(out.iter().count(), 1, "{quote:?}");
    }
}

#[test]
fn check_sets_the_offsets_of_a_quote_that_occurs_once() {
    let (evidence, out) = checked("title", "Əliyev", 0, 0);
    assert!(out.is_empty());
    assert_eq!((evidence.start, evidence.end), (16, 22));
}

#[test]
fn check_compares_quotes_in_nfc() {
    let (evidence, out) = checked("title", "Pre\u{301}sident", 0, 9);
    assert!(out.is_empty());
    assert_eq!((evidence.quote.as_str(), evidence.r#match()), ("Président", Match::Exact));
}

#[test]
fn check_refuses_quotes_that_are_missing_misplaced_or_ambiguous() {
    let at = "evidence[0].quote".to_owned();
    assert_eq!(refused("title", "Lavrov", 0, 0), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "Əliyev", 15, 21), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "him.", 57, 99), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "Əliyev", 22, 16), (ErrorReason::EvidenceNotFound, at.clone()));
    assert_eq!(refused("title", "Shoigu", 0, 0), (ErrorReason::EvidenceAmbiguous, at));
}

#[test]
fn clear_redundant_offsets_keeps_offsets_of_ambiguous_and_wrong_quotes() {
    let text = IndexedText::new(TEXT);
    let evidence =
        |quote: &str, start: i32, end: i32| Evidence { quote: quote.into(), start, end, ..Default::default() };
    let needed = [evidence("Shoigu", 34, 40), evidence("Əliyev", 15, 21), evidence("him.", -1, 4), evidence("", 3, 3)];
    let mut all = [evidence("Əliyev", 16, 22)].into_iter().chain(needed.clone()).collect::<Vec<_>>();
    clear_redundant_offsets(&mut all, &text);
    assert_eq!(all[0], evidence("Əliyev", 0, 0));
    assert_eq!(all[1..], needed);
}

fn citing(quotes: &[&str]) -> Vec<Evidence> {
    let cite = |quote: &&str| Evidence { quote: (*quote).to_owned(), start: 0, end: 3, ..Default::default() };
    quotes.iter().map(cite).collect()
}

fn stale(evidence: &[Evidence]) -> Vec<bool> {
    evidence.iter().map(|cited| cited.stale).collect()
}

#[test]
fn mark_stale_flags_quotes_that_do_not_occur() {
    let mut evidence = citing(&["met", "Baku", "Moscow", "Baku"]);
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
fn mark_stale_accepts_words_in_another_spelling() {
    let mut evidence = citing(&["don’t agree", "Baku – today", "résumé", "’"]);
    assert!(mark_stale(&mut evidence, &IndexedText::new("BAKU - TODAY\nThey don't\u{a0}agree: resume '")));
    assert_eq!(stale(&evidence), [false, false, true, true]);
}

#[test]
fn mark_stale_keeps_the_flag_beyond_the_budget() {
    let text = IndexedText::new("met in Baku");
    text.budgets().exact.set(text.text().len());
    let mut evidence = citing(&["Moscow", "Minsk", "Moscow", "met"]);
    evidence[3].stale = true;
    assert!(mark_stale(&mut evidence, &text));
    assert_eq!(stale(&evidence), [true, false, true, false]);
}

#[test]
fn check_refuses_quotes_beyond_the_budget() {
    let text = "x".repeat(1024 * 1024);
    let cited = Evidence { field: "title".into(), quote: "x".into(), ..Default::default() };
    let mut out = Violations::default();
    let indexed = IndexedText::new(&text);
    indexed.budgets().exact.set(2 * text.len());
    check(&mut vec![cited; 3], &account(), Some(&indexed), &Path::ROOT, &mut out);
    let reasons: Vec<_> = out.into_iter().map(|violation| violation.reason).collect();
    let ambiguous = ErrorReason::EvidenceAmbiguous;
    assert_eq!(reasons, [ambiguous, ambiguous, ErrorReason::InvalidField]);
}

#[test]
fn check_stores_fields_in_proto_names_and_requires_them_set() {
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
