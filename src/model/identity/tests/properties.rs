//! Properties of comparisons and candidate keys.

use proptest::prelude::*;

use super::{
    super::{Context, Level, MAX_PAIR_KEYS, MAX_SINGLE_KEYS, Profile, candidate_keys, compare, fold},
    person_with, profile,
};

/// Names as they occur, and words of any script.
fn name() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[A-Z][a-z]{1,8}",
        Just("Muhammad".to_owned()),
        Just("Kim".to_owned()),
        Just("al-Saud".to_owned()),
        Just("bin".to_owned()),
        Just("Jr.".to_owned()),
        Just("Sheikh".to_owned()),
        "[А-Я][а-я]{1,6}",
        "[가-힣]{1,3}",
        "\\PC{1,4}",
    ];
    proptest::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

fn region() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "US", "RU", "KR", "CN", "SA", "ES", "NO", "MN", "JP", "BG"])
}

/// A name is split into words by the scripts of its letters, so a letter and its folded form have the same script.
#[test]
fn every_letter_has_the_script_of_its_folded_form() {
    let words = |text: &str| fold::words(text).into_iter().map(|word| (word.text, word.script)).collect::<Vec<_>>();
    let changed: Vec<String> = ('\0'..=char::MAX)
        .filter(|c| c.is_alphanumeric())
        .map(String::from)
        .filter(|letter| {
            let once = words(letter);
            let texts: Vec<&str> = once.iter().map(|(text, _)| text.as_str()).collect();
            words(&texts.join(" ")) != once
        })
        .map(|letter| {
            format!("{letter} U+{:04X} {:?}", letter.chars().next().unwrap_or_default() as u32, words(&letter))
        })
        .collect();
    assert!(changed.is_empty(), "{} letters: {changed:#?}", changed.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn compare_is_symmetric(a in name(), b in name(), region_a in region(), region_b in region()) {
        let (a, b) = (profile(&a, region_a), profile(&b, region_b));
        let (left, right) = (compare(&a, &b, &Context::default()), compare(&b, &a, &Context::default()));
        prop_assert_eq!((left.level, left.score), (right.level, right.score));
        prop_assert_eq!(left.reasons.len(), right.reasons.len());
    }

    #[test]
    fn compare_is_confident_for_a_participant_and_itself(a in "[A-Z][a-z]{2,8} [A-Z][a-z]{2,8}", region in region()) {
        let a = profile(&a, region);
        prop_assert_eq!(compare(&a, &a, &Context::default()).level, Level::Confident);
    }

    #[test]
    fn compare_is_independent_of_the_order_of_names(names in proptest::collection::vec(name(), 2..5), b in name(), region in region()) {
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let backwards: Vec<&str> = texts.iter().rev().copied().collect();
        let of = |texts: &[&str]| Profile::of(&person_with(texts[0], region, &texts[1..], ""));
        let b = profile(&b, region);
        let (one, other) = (of(&texts), of(&backwards));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(compare(&one, &b, &Context::default()), compare(&other, &b, &Context::default()));
    }

    #[test]
    fn an_unrelated_token_never_raises_to_confident(
        words in proptest::collection::vec("[A-Z][a-z]{2,8}", 2..4),
        others in proptest::collection::vec("[A-Z][a-z]{2,8}", 2..4),
        region in region(),
    ) {
        let (a, b) = (words.join(" "), others.join(" "));
        let before = compare(&profile(&a, region), &profile(&b, region), &Context::default()).level;
        let added = format!("{b} Qzxwvu");
        let after = compare(&profile(&a, region), &profile(&added, region), &Context::default()).level;
        prop_assert!(after < Level::Confident || before == Level::Confident, "{} and {}", a, added);
    }

    #[test]
    fn folding_is_idempotent(text in name()) {
        let texts = |text: &str| fold::words(text).into_iter().map(|word| word.text).collect::<Vec<_>>();
        let once = texts(&text);
        prop_assert_eq!(texts(&once.join(" ")), once);
    }

    #[test]
    fn candidate_keys_are_bounded_and_sorted(names in proptest::collection::vec(name(), 1..40)) {
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let keys = candidate_keys(&Profile::of(&person_with(texts[0], "RU", &texts[1..], "")));
        prop_assert!(keys.pairs.len() <= MAX_PAIR_KEYS && keys.singles.len() <= MAX_SINGLE_KEYS);
        prop_assert!(keys.pairs.is_sorted() && keys.singles.is_sorted());
    }

    /// Respellings of a transliterated name share a pair key when they are confident.
    #[test]
    fn confident_respellings_share_a_pair_key(
        words in proptest::collection::vec("(Kh|Sh|Zh|Ch|Y|K|G|T|D|V|S|M|N|R|L|B)(a|e|i|o|u)(kh|sh|zh|y|k|g|t|d|v|s|m|n|r|l|b|ll|ss)(a|e|i|o|u)(n|v|m|r|k)", 2..4),
        change in 0_usize..6,
    ) {
        let a = words.join(" ");
        let b = match change {
            0 => a.replace("kh", "h").replace("Kh", "H"),
            1 => a.replace("sh", "sch").replace("Sh", "Sch"),
            2 => a.replace("ll", "l").replace("ss", "s"),
            3 => a.replace('y', "i").replace('Y', "I"),
            4 => a.replace('u', "ou").replace('v', "w"),
            _ => words.iter().rev().cloned().collect::<Vec<_>>().join(" "),
        };
        let (a, b) = (profile(&a, "KZ"), profile(&b, "KZ"));
        if compare(&a, &b, &Context::default()).level == Level::Confident {
            let (left, right) = (candidate_keys(&a), candidate_keys(&b));
            prop_assert!(left.pairs.iter().any(|key| right.pairs.contains(key)), "{:?} and {:?}", a.door_keys, b.door_keys);
        }
    }
}
