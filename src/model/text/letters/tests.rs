//! Tests of clusters and of their folded letters.

use proptest::prelude::*;
use unicode_normalization::{UNICODE_VERSION, UnicodeNormalization};

use super::{sample::characters, *};
use crate::model::{query::search, text::names};

/// Folds a text cluster by cluster, applying `finish` to the letters of each.
fn fold_clusters(text: &str, finish: impl Fn(&mut Vec<Letter>)) -> String {
    let mut letters = Vec::new();
    let mut all = String::new();
    for cluster in Clusters::of(text) {
        cluster.fold(&mut letters);
        finish(&mut letters);
        all.extend(letters.iter().map(|letter| letter.c));
    }
    all
}

/// Folds the whole text at once, by the rule of the Unicode Standard.
fn decomposed(text: &str) -> String {
    let visible = text.chars().filter(|c| !is_ignorable(*c));
    visible.nfd().default_case_fold().nfkd().default_case_fold().nfkd().collect()
}

fn clusters(text: &str) -> Vec<&str> {
    Clusters::of(text).map(|cluster| cluster.text).collect()
}

#[test]
fn cluster_holds_a_character_with_all_that_folds_with_it() {
    assert_eq!(clusters("ab é"), ["a", "b", " ", "é"]);
    assert_eq!(clusters("e\u{301}\u{327}x"), ["e\u{301}\u{327}", "x"]);
    assert_eq!(clusters("a\u{ad}\u{301}b\u{200d}"), ["a\u{ad}\u{301}", "b\u{200d}"]);
    assert_eq!(clusters("\u{1112}\u{1161}\u{11ab}가\u{11a8}나"), ["\u{1112}\u{1161}\u{11ab}", "가\u{11a8}", "나"]);
    assert_eq!(clusters("ｶﾞｷ"), ["ｶﾞ", "ｷ"]);
    assert_eq!(clusters("\u{bc6}\u{bbe}க"), ["\u{bc6}\u{bbe}", "க"]);
    assert_eq!(clusters("\u{301}\u{302}"), ["\u{301}\u{302}"]);
    assert!(clusters("").is_empty());
}

#[test]
fn letters_have_the_code_points_they_come_from() {
    let folded = |text: &str| {
        let mut letters = Vec::new();
        let cluster = Clusters::of(text).last().unwrap();
        cluster.fold(&mut letters);
        compose(&mut letters);
        letters.into_iter().map(|letter| (letter.c, letter.from)).collect::<Vec<_>>()
    };
    assert_eq!(folded("xﬃ"), [('f', 1..2), ('f', 1..2), ('i', 1..2)]);
    assert_eq!(folded("xxe\u{ad}\u{301}"), [('é', 2..5)]);
    assert_eq!(folded("\u{1112}\u{1161}\u{11ab}"), [('한', 0..3)]);
    // The marks swap: the cedilla is nearer to the letter.
    assert_eq!(folded("q\u{301}\u{327}"), [('q', 0..1), ('\u{327}', 2..3), ('\u{301}', 1..2)]);
}

#[test]
fn every_character_folds_by_the_unicode_standard() {
    for c in characters() {
        for text in [format!("{c}"), format!("x{c}\u{327}\u{345}\u{301}"), format!("\u{1100}{c}{c}\u{3099}")] {
            assert_eq!(fold_clusters(&text, |_| {}), decomposed(&text), "{text:?}");
            assert_eq!(fold_clusters(&text, compose), decomposed(&text).nfc().collect::<String>(), "{text:?}");
        }
    }
}

/// Stored words and keys are recomputed only when the version changes.
#[test]
fn folding_changes_only_with_its_version() {
    let mut hasher = blake3::Hasher::new();
    for c in characters() {
        let text = format!("к{c}\u{301}\u{306}{c}x");
        hasher.update(names::key(&text).as_bytes()).update(b"\0");
        hasher.update(search::fold(&text, usize::MAX).as_bytes()).update(b"\0");
        let mut vector = search::WordVector::default();
        vector.add(&text, false);
        let literal = vector.into_literal();
        let mut tokens: Vec<&str> = literal.split(' ').collect();
        tokens.sort_unstable();
        hasher.update(tokens.join(" ").as_bytes()).update(b"\0");
    }
    let hash = hasher.finalize().to_hex();
    assert_eq!(
        (VERSION, UNICODE_VERSION, &hash[..16]),
        (2, (18, 0, 0), "eb43b1b316753c38"),
        "another result needs another VERSION"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn text_folds_by_the_unicode_standard(text in any::<String>()) {
        prop_assert_eq!(fold_clusters(&text, |_| {}), decomposed(&text));
        prop_assert_eq!(fold_clusters(&text, compose), decomposed(&text).nfc().collect::<String>());
    }

    #[test]
    fn marks_and_jamo_fold_by_the_unicode_standard(
        text in "[a\u{e9}ſﬃǅ\u{300}-\u{31f}\u{340}-\u{34f}\u{1100}-\u{1112}\u{1161}-\u{1175}\u{11a8}-\u{11c2}가각ｶﾞ\u{ad}\u{9c7}\u{9be}\u{1fb3}]{0,12}"
    ) {
        prop_assert_eq!(fold_clusters(&text, |_| {}), decomposed(&text));
        prop_assert_eq!(fold_clusters(&text, compose), decomposed(&text).nfc().collect::<String>());
    }

    #[test]
    fn clusters_cover_the_whole_text(text in any::<String>()) {
        let mut whole = String::new();
        for cluster in Clusters::of(&text) {
            prop_assert_eq!(cluster.start, whole.chars().count());
            prop_assert_eq!(cluster.length, cluster.text.chars().count());
            whole.push_str(cluster.text);
        }
        prop_assert_eq!(whole, text);
    }
}
