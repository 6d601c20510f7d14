//! Matches of queries in texts, at their places.

use proptest::prelude::*;

use super::*;

fn stems(pairs: &[(&str, &str)]) -> Stems {
    pairs.iter().map(|(word, stem)| ((*word).to_owned(), vec![(*stem).to_owned()])).collect()
}

/// The matched parts of a text.
fn found(text: &str, query: &str) -> Vec<String> {
    found_with(text, query, &[])
}

fn found_with(text: &str, query: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let stems = stems(pairs);
    let query = SearchQuery::read(query, "").unwrap();
    let places = SplitText::of(text).matches(&query, MatchStems { query: &stems, text: &stems });
    places.into_iter().map(|place| chars[place].iter().collect()).collect()
}

#[test]
fn words_match_as_written_and_by_stems() {
    let stems = [("talks", "talk"), ("talked", "talk"), ("ministers", "minist")];
    assert_eq!(found_with("Talks: they talked, TALK.", "talks", &stems), ["Talks", "talked", "TALK"]);
    assert_eq!(found_with("The ministers of talks", "minist*", &stems), ["ministers"]);
    assert_eq!(found_with("Talks, not \"talks on\"", "\"talks on\"", &stems), ["talks", "on"]);
    assert_eq!(found_with("talking talked on", "\"talks on\"", &stems), ["talked", "on"]);
    assert_eq!(found("peace and war", "peace -war"), ["peace"]);
    assert_eq!(found("«Émile» l'Élysée", "elysee emile"), ["Émile", "Élysée"]);
    assert_eq!(found("", "x"), [""; 0]);
}

#[test]
fn part_of_a_run_matches_at_its_place_only() {
    assert_eq!(found("越共总书记苏林访华，书记会见总理", "总书记"), ["总书记"]);
    assert_eq!(found("越共总书记苏林访华", "苏林 访华 苏"), ["苏林", "访华"]);
    assert_eq!(found("越共总书记苏林访华", "\"苏林 访\""), ["苏林", "访"]);
    assert_eq!(found("在2024年访华，年底", "2024年"), ["2024", "年"]);
    assert_eq!(found("王\u{3000}毅", "王毅"), ["王\u{3000}毅"]);
    assert_eq!(found("ｶﾞｰﾄﾞした", "ガード"), ["ｶﾞｰﾄﾞ"]);
    assert_eq!(found("대통령은 왔다", "대통령"), ["대통령"]);
    assert_eq!(found("กรุงเทพมหานคร", "เทพ"), ["เทพ"]);
    assert_eq!(found("苏林", "林苏"), [""; 0]);
}

#[test]
fn words_of_one_character_are_one_place() {
    assert_eq!(found("a ㎏ﷺb", "a kgصلى وسلمb"), ["a", "㎏ﷺb"]);
    assert_eq!(found("ﷺ!", "الله صلى"), ["ﷺ"]);
    assert_eq!(found("5½ 2", "2"), ["½", "2"]);
}

#[test]
fn every_spelling_of_a_letter_is_inside_its_word() {
    for text in ["o\u{ad}ﬃce", "ofﬁce\u{301}", "ｏｆｆｉｃｅ", "OFFICE"] {
        assert_eq!(found(&format!("— {text}. 🕊"), "office"), [text]);
    }
    for (text, query) in [
        ("العـــربيّة", "العربیه"),
        ("أحمد", "احمد"),
        ("مسئول", "مسيول"),
        ("۲۰۲۴", "2024"),
        ("İLHAM ƏLİYEV", "ilham əliyev"),
    ] {
        let all: Vec<&str> = text.split(' ').collect();
        assert_eq!(found(text, query), all, "{query}");
    }
}

proptest! {
    #[test]
    fn every_part_of_a_text_without_spaces_is_found(
        before in "[a2é ，\n]{0,5}", run in "[一-十東京ガヷー々กขคะាកခလົ가-각ー]{1,12}", after in "[a2é ，\n]{0,5}",
        start in 0_usize..12, length in 1_usize..6
    ) {
        let text = format!("{before}{run}{after}");
        let count = run.chars().count();
        let part: String = run.chars().skip(start % count).take(length).collect();
        // A mark at the beginning belongs to the letter before it.
        prop_assume!(!part.starts_with(unicode_normalization::char::is_combining_mark));
        let found = found(&text, &part);
        // Places that overlap are one.
        prop_assert!(found.iter().any(|place| place.contains(&part)), "{:?} in {:?}: {:?}", part, text, found);
    }

    #[test]
    fn matches_are_disjoint_and_in_order(text in any::<String>(), query in "[a-c苏林]{1,3}") {
        let stems = Stems::new();
        let places = SplitText::of(&text).matches(
            &SearchQuery::read(&query, "").unwrap(), MatchStems { query: &stems, text: &stems }
        );
        prop_assert!(places.iter().all(|place| place.start < place.end && place.end <= text.chars().count()));
        prop_assert!(places.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}
