//! Quotes in another spelling, and the prefix and suffix that tell a quote from its other occurrences.

use super::*;

/// Checks a quote against a text. Returns the stored evidence, or the reason and the description of the violation.
fn sought(text: &str, cited: Evidence) -> Result<Evidence, (ErrorReason, String)> {
    let mut evidence = [Evidence { field: "title".into(), ..cited }];
    let mut out = Violations::default();
    check(&mut evidence, &account(), Some(&IndexedText::new(text)), &Path::ROOT.field("evidence"), &mut out);
    let [evidence] = evidence;
    match out.into_iter().next() {
        None => Ok(evidence),
        Some(violation) => Err((violation.reason, violation.description)),
    }
}

fn quote(quote: &str) -> Evidence {
    Evidence { quote: quote.into(), ..Default::default() }
}

fn between(prefix: &str, quoted: &str, suffix: &str) -> Evidence {
    Evidence { prefix: prefix.into(), suffix: suffix.into(), ..quote(quoted) }
}

fn at(quoted: &str, start: i32, end: i32) -> Evidence {
    Evidence { start, end, ..quote(quoted) }
}

/// The stored words, their start and their relation to the quote.
fn found(text: &str, cited: Evidence) -> (String, i32, Match) {
    let evidence = sought(text, cited.clone()).unwrap_or_else(|error| panic!("{cited:?}: {error:?}"));
    let words: String =
        text.chars().skip(evidence.start as usize).take((evidence.end - evidence.start) as usize).collect();
    assert_eq!(words, evidence.quote);
    assert_eq!((evidence.prefix.as_str(), evidence.suffix.as_str()), ("", ""), "they are not stored");
    let relation = evidence.r#match();
    (evidence.quote, evidence.start, relation)
}

fn refused(text: &str, cited: Evidence) -> ErrorReason {
    sought(text, cited.clone()).expect_err(&format!("{cited:?}")).0
}

const SPEECH: &str = "“We don’t agree,” said Shoigu – and he left the Café.";

#[test]
fn respelled_quote_is_stored_in_the_words_of_the_text() {
    for (sent, stored, start) in [
        ("we don't agree", "We don’t agree", 1),
        ("\"We don't agree,\" said", "“We don’t agree,” said", 0),
        ("''WE DON´T  AGREE,'' SAID", "“We don’t agree,” said", 0),
        ("Shoigu -- and", "Shoigu – and", 23),
        (" Shoigu\u{a0}—\nand\t", "Shoigu – and", 23),
        ("«he left»", "he left", 36),
        ("ｃａｆé.", "Café.", 48),
        ("cafe\u{301}", "Café", 48),
        ("Sho\u{ad}igu\u{200b}", "Shoigu", 23),
    ] {
        assert_eq!(found(SPEECH, quote(sent)), (stored.into(), start, Match::Repaired), "{sent}");
    }
}

#[test]
fn quote_with_other_words_is_refused() {
    for sent in [
        "We don’t agree said",
        "We dont agree",
        "Cafe",
        "Shoigus",
        "We do agree",
        "Shoigu and",
        "he  left the the",
        "hé left",
        "SaidShoigu",
        "“he left",
        "\u{200b}",
        "\u{ad}-\u{ad}x",
    ] {
        assert_eq!(refused(SPEECH, quote(sent)), ErrorReason::EvidenceNotFound, "{sent}");
    }
}

#[test]
fn exact_quote_wins_over_other_spellings() {
    let text = "the visit. The Visit. THE VISIT. The  visit.";
    assert_eq!(found(text, quote("The Visit")), ("The Visit".into(), 11, Match::Exact));
    assert_eq!(refused(text, quote("tHe visit")), ErrorReason::EvidenceAmbiguous);
    assert_eq!(refused("a visit, a visit, a Visit", quote("a visit")), ErrorReason::EvidenceAmbiguous);
}

#[test]
fn quote_never_divides_a_character() {
    for (text, sent) in [
        ("ﬁnal", "I"),
        ("ﬁnal", "inal"),
        ("Maße", "MAS"),
        ("Maße", "SE"),
        ("…", ".."),
        ("q\u{301}x", "Q"),
        ("का", "«क»"),
        ("ガ", "ｶ"),
        ("10²", "102"),
        ("1½ km", "11/2 km"),
    ] {
        assert_eq!(refused(text, quote(sent)), ErrorReason::EvidenceNotFound, "{sent} in {text}");
    }
    for (text, sent) in [("ﬁnal", "FI"), ("Maße", "MASSE"), ("…", "..."), ("q\u{301}x", "Q\u{301}"), ("ガ", "ｶﾞ")]
    {
        assert_eq!(found(text, quote(sent)).2, Match::Repaired, "{sent} in {text}");
    }
    // A quote as sent may end anywhere, as in former releases.
    assert_eq!(found("q\u{301}x", quote("q")), ("q".into(), 0, Match::Exact));
}

#[test]
fn quote_without_words_is_compared_exactly() {
    assert_eq!(found("a ’ b", quote("’")), ("’".into(), 2, Match::Exact));
    assert_eq!(found("a\u{a0}b", quote("\u{a0}")), ("\u{a0}".into(), 1, Match::Exact));
    for sent in ["'", "  ", "\u{ad}"] {
        assert_eq!(refused("a ’ b", quote(sent)), ErrorReason::EvidenceNotFound, "{sent:?}");
    }
    assert_eq!(found("a – b", quote("-")), ("–".into(), 2, Match::Repaired));
}

#[test]
fn quote_at_offsets_may_have_another_spelling() {
    assert_eq!(found(SPEECH, at("we don't agree", 1, 15)), ("We don’t agree".into(), 1, Match::Repaired));
    assert_eq!(found(SPEECH, at("We don’t agree", 1, 15)), ("We don’t agree".into(), 1, Match::Exact));
    assert_eq!(found(SPEECH, at("caf", 48, 51)), ("Caf".into(), 48, Match::Repaired));
    // White space at the ends of the passage is not stored.
    assert_eq!(found(SPEECH, at(" shoigu\n", 22, 30)), ("Shoigu".into(), 23, Match::Repaired));
    assert_eq!(found(SPEECH, at(" shoigu\n", 23, 29)), ("Shoigu".into(), 23, Match::Repaired));
    for wrong in [at("we don't agree", 2, 16), at("we don't agree", 1, 16), at("We agree", 1, 15), at("shoigu", 23, 30)]
    {
        assert_eq!(refused(SPEECH, wrong), ErrorReason::EvidenceNotFound);
    }
    assert_eq!(refused("q\u{301}x", at("Q", 0, 1)), ErrorReason::EvidenceNotFound);
    assert_eq!(refused("aq\u{301}", at("\u{301}\u{200b}", 2, 3)), ErrorReason::EvidenceNotFound);
}

const TWICE: &str = "Shoigu met Aliyev.\n“Shoigu\u{a0}left,” Aliyev said. Shoigu — again.";

#[test]
fn prefix_and_suffix_select_one_of_several_places() {
    for (cited, start) in [
        (between("“", "Shoigu", ""), 20),
        (between("ALIYEV. \"", "Shoigu", ""), 20),
        (between("", "Shoigu", " left"), 20),
        (between("", "Shoigu", "left"), 20),
        (between("said.", "Shoigu", "-"), 47),
        (between("met", "Aliyev", ".\n"), 11),
        (between("left,''", "Aliyev", "SAID"), 34),
        (between("", "Shoigu", " met"), 0),
    ] {
        let quoted = cited.quote.clone();
        assert_eq!(found(TWICE, cited.clone()), (quoted, start, Match::Exact), "{cited:?}");
    }
    assert_eq!(found(TWICE, between("said.", "SHOIGU", "")), ("Shoigu".into(), 47, Match::Repaired));
    assert_eq!(found(TWICE, Evidence { start: 47, end: 53, ..between("SAID.", "Shoigu", "") }).1, 47);
}

#[test]
fn prefix_that_does_not_select_one_place_is_refused() {
    assert_eq!(refused(TWICE, quote("Shoigu")), ErrorReason::EvidenceAmbiguous);
    assert_eq!(refused("a b c a b d", between("a", "b", "")), ErrorReason::EvidenceAmbiguous);
    assert_eq!(refused("a b c A b d", between("A ", "B", "")), ErrorReason::EvidenceAmbiguous);
    for cited in [
        between("General", "Shoigu", ""),
        between("", "Shoigu", "stayed"),
        between("“", "Shoigu", "met"),
        between("met", "Shoigu", ""),
        between("d", "Shoigu", ""),
        Evidence { start: 0, end: 6, ..between("", "Shoigu", "left") },
        Evidence { start: 20, end: 26, ..between("met", "Shoigu", "") },
    ] {
        assert_eq!(refused(TWICE, cited.clone()), ErrorReason::EvidenceNotFound, "{cited:?}");
    }
}

#[test]
fn exact_quote_between_a_respelled_context_wins() {
    let text = "Mr. A met B. MR. A left.";
    assert_eq!(refused(text, quote("A")), ErrorReason::EvidenceAmbiguous);
    assert_eq!(found("the “A”; the ‘a’", between("the '", "a", "'")), ("a".into(), 14, Match::Exact));
}

#[test]
fn violation_names_the_nearest_passage_or_the_places() {
    let mut evidence = [("title", "Shoigu and he left"), ("title", "SHOIGU")]
        .map(|(field, quoted)| Evidence { field: field.into(), ..quote(quoted) });
    let mut out = Violations::default();
    let text = IndexedText::new(TWICE);
    check(&mut evidence[1..], &account(), Some(&text), &Path::ROOT.field("evidence"), &mut out);
    let field = ("field", "evidence[0].quote".to_owned());
    assert_eq!(out.metadata(), [field.clone(), ("places", "0 to 6, 20 to 26".to_owned())]);

    let mut out = Violations::default();
    let text = IndexedText::new(SPEECH);
    check(&mut evidence[..1], &account(), Some(&text), &Path::ROOT.field("evidence"), &mut out);
    let metadata = [
        field,
        ("nearest", "Shoigu – and he left".to_owned()),
        ("start", "23".to_owned()),
        ("end", "43".to_owned()),
        ("difference", "it also has \"–\"".to_owned()),
    ];
    assert_eq!(out.metadata(), metadata);
}
