//! Snippets of texts with marked words.

use proptest::prelude::*;

use super::*;
use crate::model::query::search::{MatchStems, SearchQuery, SplitText, Stems};

/// The places of words in a text, as they are written.
fn matches(text: &str, words: &[&str]) -> Vec<Range<usize>> {
    let Some(query) = SearchQuery::of_names(&words.join(" or ")) else { return Vec::new() };
    let stems = Stems::new();
    SplitText::of(text).matches(&query, MatchStems { query: &stems, text: &stems })
}

fn matched<'a>(source: Source, text: &'a str, words: &[&str]) -> MatchedText<'a> {
    MatchedText { source, text, matches: matches(text, words) }
}

fn snippet_of(text: &str, words: &[&str]) -> pb::Snippet {
    snippet(&[matched(Source::Text, text, words)]).0
}

/// The highlighted texts of a snippet.
fn highlighted(snippet: &pb::Snippet) -> Vec<String> {
    let chars: Vec<char> = snippet.text.chars().collect();
    let at = |place: i32| usize::try_from(place - snippet.start).unwrap();
    snippet.highlights.iter().map(|highlight| chars[at(highlight.start)..at(highlight.end)].iter().collect()).collect()
}

#[test]
fn snippet_of_a_short_text_is_the_whole_text() {
    let found = snippet_of("Talks in Baku.", &["baku"]);
    assert_eq!((found.text.as_str(), found.start, highlighted(&found)), ("Talks in Baku.", 0, vec!["Baku".into()]));
    assert_eq!(found.source(), Source::Text);
    let at_the_end = snippet_of("«Émile» à l'Élysée", &["elysee", "emile"]);
    assert_eq!(highlighted(&at_the_end), ["Émile", "Élysée"]);
}

#[test]
fn snippet_shows_the_place_with_most_distinct_words() {
    let text = format!("Peace. {}War and peace in Baku.{}", "Nothing. ".repeat(100), " Nothing.".repeat(100));
    let found = snippet_of(&text, &["war", "peace", "baku"]);
    assert_eq!(highlighted(&found), ["War", "peace", "Baku"]);
    assert!(found.text.starts_with("Nothing.") && found.text.ends_with("Nothing."), "{}", found.text);
    assert!((200..=LENGTH).contains(&found.text.chars().count()));
}

#[test]
fn snippet_without_a_match_is_the_beginning_of_the_text() {
    let text = format!("\n One. {}", "Two. ".repeat(100));
    let found = snippet_of(&text, &[]);
    assert!(found.text.starts_with("One. Two.") && found.text.ends_with("Two."), "{}", found.text);
    assert_eq!((found.start, found.highlights.len()), (2, 0));
    assert_eq!(snippet(&[]).0, pb::Snippet::default());
    assert_eq!(snippet_of("", &[]), pb::Snippet::default());
}

#[test]
fn snippet_is_of_the_first_text_that_matches() {
    let (text, title) = (matched(Source::Text, "War", &["peace"]), matched(Source::Title, "Peace", &["peace"]));
    let (found, number) = snippet(&[text.clone(), title]);
    assert_eq!((found.source(), found.text.as_str(), number), (Source::Title, "Peace", 1));
    let (neither, number) = snippet(&[text, matched(Source::Title, "Peace", &[])]);
    assert_eq!((neither.source(), neither.text.as_str(), number), (Source::Text, "War", 0));
}

#[test]
fn word_longer_than_a_snippet_is_cut() {
    let text = format!("{} {}", "y".repeat(100), "x".repeat(500));
    let found = snippet_of(&text, &[&"x".repeat(500)]);
    assert_eq!((found.start, found.text.chars().count()), (101, LENGTH));
    assert_eq!(found.highlights, [Highlight { start: 101, end: 341 }]);
}

proptest! {
    #[test]
    fn snippet_is_a_part_of_its_text(
        text in r"([a-cä-öжßİ\u{301}.«]{0,9}[ \n]{0,2}){0,120}", words in prop::collection::vec("[a-c]{1,2}", 0..4)
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let found = snippet_of(&text, &words);
        let chars: Vec<char> = text.chars().collect();
        let start = usize::try_from(found.start).unwrap();
        let end = start + found.text.chars().count();
        prop_assert_eq!(chars[start..end].iter().collect::<String>(), &*found.text);
        prop_assert!(end - start <= LENGTH);
        prop_assert!(highlighted(&found).iter().all(|text| words.contains(&&*fold(text, usize::MAX))));
        let has_match = fold(&text, usize::MAX).split(' ').any(|word| words.contains(&word));
        prop_assert_eq!(!found.highlights.is_empty(), has_match);
    }
}

/// Words, and spellings that fold to them.
const FORMS: [(&str, &[&str]); 8] = [
    ("office", &["office", "oﬃce", "OFFICE", "ｏｆｆｉｃｅ", "o\u{ad}f\u{200d}ﬁce", "ºﬀⓘce", "ofﬁce\u{301}"]),
    ("congress", &["Congreſs", "Congreß", "CONGRESS", "cóngrẽss", "co\u{303}ngre\u{301}\u{302}ſ\u{327}s"]),
    ("σισυφοσ", &["ΣΊΣΥΦΟΣ", "σίσυφος", "σι\u{301}συφος"]),
    ("մն", &["ﬓ", "ՄՆ", "մն"]),
    ("한글", &["한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "하\u{11ab}그\u{11af}"]),
    ("ガード", &["ガード", "ｶﾞｰﾄﾞ", "カ\u{3099}ート\u{3099}"]),
    ("kg", &["㎏", "kg", "\u{212a}G", "ⓚｇ"]),
    ("йод", &["йод", "Й\u{301}ОД", "и\u{306}од", "И\u{300}\u{306}од"]),
];

const BETWEEN: [&str; 10] = [" ", "—", "… ", "¨", "\u{301} ", "🕊\u{fe0f}", "™ ", "\n", "! \u{feff}", "\u{a0}«"];

fn any_spellings() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..FORMS.len(), 0..8_usize, 0..BETWEEN.len()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn highlights_cover_the_matched_words_as_spelled(spellings in any_spellings(), found in 0..FORMS.len()) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (word, form, between) in spellings {
            let (_, forms) = FORMS[word];
            let form = forms[form % forms.len()];
            if word == found {
                let start = text.chars().count();
                expected.push(start..start + form.chars().count());
            }
            text.push_str(form);
            text.push_str(BETWEEN[between]);
        }
        // A mark between two words belongs to the first.
        let is_mark = |at: usize| text.chars().nth(at) == Some('\u{301}');
        expected.iter_mut().filter(|place| is_mark(place.end)).for_each(|place| place.end += 1);
        prop_assert_eq!(matches(&text, &[FORMS[found].0]), expected, "{:?}", text);
    }

    #[test]
    fn highlights_fold_to_the_matched_words(text in "([a-cＡ-Ｃﬀ-ﬆ①-③½™㎏ﷺǅ\u{300}-\u{303}\u{ad} ]{0,6}){0,30}") {
        let folded = fold(&text, usize::MAX);
        let words: HashSet<&str> = folded.split_whitespace().collect();
        for word in words {
            for place in matches(&text, &[word]) {
                let highlight: String = text.chars().skip(place.start).take(place.len()).collect();
                let highlight = fold(&highlight, usize::MAX);
                let has_word = highlight.split_whitespace().any(|folded| folded == word);
                prop_assert!(has_word, "{word:?} in {text:?}: {highlight:?}");
            }
        }
    }
}
