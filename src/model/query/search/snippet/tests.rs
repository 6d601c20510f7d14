//! Snippets of texts in which words are marked.

use proptest::prelude::*;

use super::*;

/// What PostgreSQL makes of a text in which these words are found.
fn marked(text: &str, words: &[&str]) -> String {
    let folded = fold(text, usize::MAX);
    let mark = |word: &str| if words.contains(&word) { format!("<{word}>") } else { word.to_owned() };
    folded.split(' ').map(mark).collect::<Vec<_>>().join(" ")
}

fn of(text: &str, words: &[&str]) -> pb::Snippet {
    snippet(&[FoldedText { source: Source::Text, text, marked: &[marked(text, words)] }])
}

fn shown(snippet: &pb::Snippet) -> Vec<String> {
    let chars: Vec<char> = snippet.text.chars().collect();
    let at = |place: i32| usize::try_from(place - snippet.start).unwrap();
    snippet.highlights.iter().map(|one| chars[at(one.start)..at(one.end)].iter().collect()).collect()
}

#[test]
fn a_short_text_is_shown_as_it_is() {
    let found = of("Talks in Baku.", &["baku"]);
    assert_eq!((found.text.as_str(), found.start, shown(&found)), ("Talks in Baku.", 0, vec!["Baku".into()]));
    assert_eq!(found.source(), Source::Text);
    let at_the_end = of("«Émile» à l'Élysée", &["elysee", "emile"]);
    assert_eq!(shown(&at_the_end), ["Émile", "Élysée"]);
}

#[test]
fn the_place_with_most_of_the_words_is_shown() {
    let text = format!("Peace. {}War and peace in Baku.{}", "Nothing. ".repeat(100), " Nothing.".repeat(100));
    let found = of(&text, &["war", "peace", "baku"]);
    assert_eq!(shown(&found), ["War", "peace", "Baku"]);
    assert!(found.text.starts_with("Nothing.") && found.text.ends_with("Nothing."), "{}", found.text);
    assert!((200..=LENGTH).contains(&found.text.chars().count()));
}

#[test]
fn a_text_without_what_was_found_is_shown_from_its_beginning() {
    let text = format!("\n One. {}", "Two. ".repeat(100));
    let found = of(&text, &[]);
    assert!(found.text.starts_with("One. Two.") && found.text.ends_with("Two."), "{}", found.text);
    assert_eq!((found.start, found.highlights.len()), (2, 0));
    assert_eq!(snippet(&[]), pb::Snippet::default());
    assert_eq!(of("", &[]), pb::Snippet::default());
}

#[test]
fn the_title_is_shown_where_the_text_has_nothing() {
    let title = FoldedText { source: Source::Title, text: "Peace", marked: &["<peace>".to_owned()] };
    let text = FoldedText { source: Source::Text, text: "War", marked: &["war".to_owned()] };
    let found = snippet(&[text, title]);
    assert_eq!((found.source(), found.text.as_str()), (Source::Title, "Peace"));
    let neither = snippet(&[text, FoldedText { marked: &[], ..title }]);
    assert_eq!((neither.source(), neither.text.as_str()), (Source::Text, "War"));
}

#[test]
fn what_was_found_in_either_form_is_shown_once() {
    let forms = ["the <talks> in <baku>".to_owned(), "the <talks> <in> baku".to_owned()];
    let found = snippet(&[FoldedText { source: Source::Text, text: "The talks in Baku", marked: &forms }]);
    assert_eq!(shown(&found), ["talks", "in", "Baku"]);
}

#[test]
fn words_that_are_left_out_of_the_marked_form_do_not_matter() {
    let text = format!("Talks {} in Baku", "x".repeat(3000));
    let found =
        snippet(&[FoldedText { source: Source::Text, text: &text, marked: &["<talks>  in <baku>".to_owned()] }]);
    assert_eq!(found.highlights.len(), 1);
    let all = super::found(&text, &["<talks>  in <baku>".to_owned()]);
    assert_eq!(all, [0..5, 3010..3014]);
}

#[test]
fn a_word_that_is_longer_than_a_snippet_is_cut() {
    let text = format!("{} {}", "y".repeat(100), "x".repeat(500));
    let found = of(&text, &[&"x".repeat(500)]);
    assert_eq!((found.start, found.text.chars().count()), (101, LENGTH));
    assert_eq!(found.highlights, [Highlight { start: 101, end: 341 }]);
}

proptest! {
    #[test]
    fn a_snippet_is_part_of_its_text(
        text in r"([a-cä-ö東京ßİ\u{301}.«]{0,9}[ \n]{0,2}){0,120}", words in prop::collection::vec("[a-c]{1,2}", 0..4)
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let found = of(&text, &words);
        let chars: Vec<char> = text.chars().collect();
        let start = usize::try_from(found.start).unwrap();
        let end = start + found.text.chars().count();
        prop_assert_eq!(chars[start..end].iter().collect::<String>(), &*found.text);
        prop_assert!(end - start <= LENGTH);
        prop_assert!(shown(&found).iter().all(|one| words.contains(&&*fold(one, usize::MAX))));
        let is_there = fold(&text, usize::MAX).split(' ').any(|word| words.contains(&word));
        prop_assert_eq!(!found.highlights.is_empty(), is_there);
    }
}

/// Ways to write each of these words.
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

fn some_writing() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..FORMS.len(), 0..8_usize, 0..BETWEEN.len()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn highlights_are_the_words_as_they_are_written(writing in some_writing(), found in 0..FORMS.len()) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (word, form, between) in writing {
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
        prop_assert_eq!(super::found(&text, &[marked(&text, &[FORMS[found].0])]), expected, "{:?}", text);
    }

    #[test]
    fn highlights_fold_to_the_words_that_were_found(text in "([a-cＡ-Ｃﬀ-ﬆ①-③½™㎏ﷺǅ각\u{1100}\u{1161}\u{11a8}\u{300}-\u{303}\u{ad}ｶﾞ ]{0,6}){0,30}") {
        let folded = fold(&text, usize::MAX);
        let words: HashSet<&str> = folded.split_whitespace().collect();
        for word in words {
            for place in super::found(&text, &[marked(&text, &[word])]) {
                let shown: String = text.chars().skip(place.start).take(place.len()).collect();
                let shown = fold(&shown, usize::MAX);
                prop_assert!(shown.split_whitespace().any(|shown| shown == word), "{word:?} in {text:?}: {shown:?}");
            }
        }
    }
}

#[test]
fn words_that_share_a_character_are_one_highlight() {
    assert_eq!(shown(&of("a ㎏ﷺb", &["a", "kgصلى", "وسلمb"])), ["a", "㎏ﷺb"]);
    assert_eq!(shown(&of("a ㎏ﷺb", &["وسلمb"])), ["ﷺb"]);
    assert_eq!(shown(&of("ﷺ!", &["الله", "صلى"])), ["ﷺ"]);
    assert_eq!(shown(&of("5½ 2", &["2"])), ["½", "2"]);
}
