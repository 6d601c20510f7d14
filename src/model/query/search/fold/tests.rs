//! Folds of words in many scripts, and the invariants of folding.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;
use crate::model::{query::search::MAX_BYTES, text::letters::sample::characters};

#[test]
fn fold_removes_accents_case_and_punctuation() {
    for (text, expected) in [
        ("Nagorno-Karabakh: «peace», 2020!", "nagorno karabakh   peace   2020 "),
        ("Éric négocie à Genève", "eric negocie a geneve"),
        ("Cafe\u{301} re\u{ad}sume\u{301}", "cafe resume"),
        ("İlham Əliyev, Çanakkale'de ışık", "ilham eliyev  canakkale de isik"),
        ("Лавро\u{301}в её Найдёнов", "лавров ее найденов"),
        ("Straße Œuvre Ærø Łódź", "strasse oeuvre aero lodz"),
        ("Μητσοτάκης", "μητσοτακησ"),
        ("東京・会談 🕊", "東京 会談  "),
        ("", ""),
    ] {
        assert_eq!(fold(text, MAX_BYTES), expected, "{text}");
    }
}

#[test]
fn spellings_of_one_word_fold_to_the_same() {
    for (text, equivalent) in [
        ("ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ", "ff fi fl ffi ffl st st"),
        ("ＢＡＫＵ Ｂａｋｕ １２", "baku Baku 12"),
        ("Congreſs", "CONGRESS"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ﬓ ﬔ ﬕ ﬖ ﬗ", "մն մե մի վն մխ"),
        ("և", "ԵՒ"),
        ("եւ", "և"),
        ("STRASSE straẞe", "straße STRASSE"),
        ("① ⑫ ⓐ x² H₂O", "1 12 a x2 h2o"),
        ("Ⅳ ⅻ", "IV xii"),
        ("5㎏ ㏇ ㍿", "5kg co. 株式会社"),
        ("ｶﾞｰﾄﾞ", "ガード"),
        ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "한글"),
        ("ﻣﺤﻤﺪ", "محمد"),
        ("ﷺ", "صلى الله عليه وسلم"),
        ("العـــربيّة", "العربية"),
        ("ǅ Ǆ ǆ", "dž DŽ ǆ"),
        ("ꮳꮃꭹ", "ᏣᎳᎩ"),
        ("\u{212a}elvin \u{212b}ngström \u{2126}", "kelvin ångström ω"),
        ("Ა", "ა"),
        ("שָׁלוֹם", "שלום"),
        ("𝐁𝒶𝔨𝕦", "baku"),
        ("ᾳ", "ΑΙ"),
        ("№5", "No 5"),
        ("Readout™", "Readout"),
        ("5½", "5 1/2"),
        ("Ǽsir ǿre", "aesir ore"),
        ("1\u{fe0f}\u{20e3}", "1"),
        ("p\u{2009}m", "p m"),
        ("пе\u{300}рвый ѐ", "первый е"),
        ("أحمد آمال إيران ٱلله", "احمد امال ايران الله"),
        ("مسؤول مسئول خانۀ", "مسوول مسيول خانه"),
        ("علی کتاب مكتبة على", "علي كتاب مکتبه علي"),
        ("۲۰۲۴ ٢٠٢٤ २०२४ ๒๐๒๔ ២០២៤", "2024 2024 2024 2024 2024"),
    ] {
        let words = |text: &str| fold(text, MAX_BYTES).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(text), words(equivalent), "{text}");
    }
}

#[test]
fn fold_keeps_letters_that_only_look_accented() {
    for (text, expected) in [
        ("Йод", "йод"),
        ("Київ ўзор", "київ ўзор"),
        ("Ќерка ѓаволот", "ќерка ѓаволот"),
        ("ガ か ぱ", "ガ か ぱ"),
        ("हिन्दी", "हिन्दी"),
        ("தமிழ் கொ", "தமிழ் கொ"),
        ("ไทย ที่", "ไทย ที่"),
    ] {
        assert_eq!(fold(text, MAX_BYTES), expected, "{text}");
        assert_eq!(fold(&text.nfd().collect::<String>(), MAX_BYTES), expected, "{text}");
    }
}

#[test]
fn fold_ends_with_a_whole_letter_at_the_limit() {
    assert_eq!(fold("東京", 5), "東");
    assert_eq!(fold("aß", 2), "a");
    assert_eq!(fold("aﬃ", 3), "a");
    assert_eq!(fold("\u{1112}\u{1161}\u{11ab}\u{1100}", 5), "한");
    assert_eq!(fold("abc", 0), "");
    assert_eq!(fold("abc, de\u{301}f", 7), "abc  de");
    assert_eq!(fold("abc, de\u{301}f", 6), "abc  d");
    assert_eq!(fold("abc, de\u{301}f", 4), "abc ");
}

/// All characters, each by itself and next to characters that could combine with it.
fn in_context() -> impl Iterator<Item = String> {
    characters().flat_map(|c| [format!("{c}"), format!("а{c}\u{301}"), format!("{c}\u{1161}x{c}\u{345}\u{306}")])
}

#[test]
fn fold_is_idempotent_for_every_character() {
    for text in in_context() {
        let once = fold(&text, usize::MAX);
        assert_eq!(fold(&once, usize::MAX), once, "{text:?}");
    }
}

#[test]
fn canonical_forms_of_every_character_fold_to_the_same() {
    for text in in_context() {
        let folded = fold(&text, usize::MAX);
        assert_eq!(fold(&text.nfc().collect::<String>(), usize::MAX), folded, "{text:?}");
        assert_eq!(fold(&text.nfd().collect::<String>(), usize::MAX), folded, "{text:?}");
    }
}

#[test]
fn case_and_compatibility_forms_of_every_character_fold_to_the_same() {
    // These signs are separated from their word, or removed.
    let is_sign = |c: char| matches!(c, '№' | '¼'..='¾' | '\u{2150}'..='\u{215f}' | '↉' | '℠' | '™' | '🅪'..='🅬');
    // The case folding tables are from Unicode 16.
    let is_newer = |c: char| matches!(c, '\u{a7ce}'..='\u{a7d5}' | '\u{16ea0}'..='\u{16ed3}');
    for c in characters().filter(|c| !is_sign(*c) && !is_newer(*c)) {
        let text = format!("x{c}y");
        let folded = fold(&text, usize::MAX);
        assert_eq!(fold(&text.to_uppercase(), usize::MAX), folded, "{text:?}");
        assert_eq!(fold(&text.to_lowercase(), usize::MAX), folded, "{text:?}");
        assert_eq!(fold(&text.nfkc().collect::<String>(), usize::MAX), folded, "{text:?}");
        assert_eq!(fold(&text.nfkd().collect::<String>(), usize::MAX), folded, "{text:?}");
    }
}

proptest! {
    #[test]
    fn fold_contains_only_words_and_spaces(text in any::<String>(), most in 0_usize..100) {
        let folded = fold(&text, most);
        prop_assert!(folded.len() <= most);
        prop_assert!(folded.chars().all(|c| c == ' ' || c.is_alphanumeric() || is_combining_mark(c)));
        prop_assert!(!folded.chars().any(|c| c.is_ascii_uppercase()));
    }

    #[test]
    fn canonical_forms_of_a_text_fold_to_the_same(text in any::<String>()) {
        let folded = fold(&text, usize::MAX);
        prop_assert_eq!(fold(&text.nfc().collect::<String>(), usize::MAX), &*folded);
        prop_assert_eq!(fold(&text.nfd().collect::<String>(), usize::MAX), &*folded);
        prop_assert_eq!(fold(&folded, usize::MAX), &*folded);
    }

    #[test]
    fn forms_of_a_folded_text_differ_in_separators_only(text in any::<String>(), most in 0_usize..100) {
        let words = fold_for_words(&text, most);
        prop_assert_eq!(fold(&text, most), words.replace(SEPARATOR, " "));
        let letters: String = fold_with_places(&text, most).iter().map(|letter| letter.c).collect();
        prop_assert_eq!(words, letters);
    }

    #[test]
    fn letters_span_disjoint_ranges_in_order(text in any::<String>()) {
        let length = text.chars().count();
        let letters = fold_with_places(&text, usize::MAX);
        prop_assert!(letters.iter().all(|letter| letter.from.start < letter.from.end && letter.from.end <= length));
        let are_in_order =
            |pair: &[Letter]| pair[0].from.end <= pair[1].from.start || pair[0].from.end <= pair[1].from.end;
        prop_assert!(letters.windows(2).all(are_in_order));
    }
}
