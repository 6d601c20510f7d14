//! Long texts of every kind are indexed as far as they are searched.

use readout::{
    model::query::search::{self, MatchStems, SearchQuery, SplitText, Stems},
    pb::{Article, ListArticlesRequest, snippet::Source},
};

use crate::support::{Service, allocations, make};

#[tokio::test]
async fn search_indexes_the_beginning_of_texts_of_any_kind() {
    const MAX_BYTES: usize = 1024 * 1024;
    const LANGUAGES: [&str; 1] = ["en"];
    let service = Service::start().await;
    let filled = |begin: &str, of: &mut dyn Iterator<Item = String>| {
        let mut text = format!("{begin} ");
        for word in of {
            if text.len() + word.len() > MAX_BYTES {
                break;
            }
            text += &word;
        }
        text
    };
    let letters = |number: u32| {
        let letter = |place: u32| char::from_u32(u32::from('a') + number / 26_u32.pow(place) % 26).unwrap();
        [letter(0), letter(1), letter(2)].iter().collect::<String>()
    };
    let texts = [
        ("short", filled("short", &mut (0..).map(|number| format!("{} ", letters(number))))),
        ("stems", filled("stems", &mut (0..).map(|number| format!("{}ed {}s ", letters(number), letters(number))))),
        ("numbers", filled("numbers", &mut (0..).map(|number| format!("{number} ")))),
        (
            "urls",
            filled("urls", &mut (0..).map(|number| format!("https://x{number}.org/{}?a={number} ", "p/".repeat(200)))),
        ),
        ("hyphens", filled("hyphens", &mut (0..).map(|number| format!("{}-{number}-", letters(number))))),
        ("wide", filled("wide", &mut ('\u{20000}'..'\u{2a6d0}').cycle().map(|letter| format!("{letter} ")))),
        ("cjk", filled("cjk", &mut ('\u{4e00}'..'\u{9fff}').cycle().map(|letter| format!("{letter} ")))),
        ("endless", filled("endless", &mut std::iter::repeat("🕊東x".to_owned()))),
        ("word", filled("word", &mut std::iter::repeat("x".to_owned()))),
        ("growing", filled("growing", &mut std::iter::repeat("ȺȾ ﬁ ß".to_owned()))),
        ("marks", filled("marks", &mut std::iter::repeat("\u{301}\u{ad}".to_owned()))),
    ];
    for language in LANGUAGES {
        for (word, text) in &texts {
            let uri = format!("urn:{language}:{word}");
            let article = Article {
                title: "T ".repeat(500),
                text: text.clone(),
                language_code: language.into(),
                ..make::article(&uri)
            };
            service.create_article(article).await;
        }
    }
    for language in LANGUAGES {
        for (word, _) in &texts {
            let filter = format!("uri = \"urn:{language}:{word}\"");
            let request = ListArticlesRequest {
                filter,
                query: (*word).into(),
                query_language: "und".into(),
                ..Default::default()
            };
            let found = service.articles.clone().list_articles(request).await.unwrap().into_inner();
            assert_eq!(found.snippets[0].source(), Source::Text, "{word} in {language}");
        }
    }
}

#[test]
fn words_repeated_in_a_query_take_no_more_memory() {
    let text = "a ".repeat(search::MAX_BYTES / 4);
    let matches_of = |query: &str| {
        assert_eq!(search::check(query), Ok(()));
        let (query, stems) = (SearchQuery::read(query, "").unwrap(), Stems::new());
        let mut places = Vec::new();
        let bytes = allocations::peak(|| {
            places = SplitText::of(&text).matches(&query, MatchStems { query: &stems, text: &stems });
        });
        (places, bytes)
    };
    let (places, bytes) = matches_of("a");
    assert_eq!(places.len(), text.len() / 2);
    let repeated = "a ".repeat(search::MAX_WORDS);
    let phrases = "\"a a a a\" ".repeat(search::MAX_WORDS / 4);
    for query in [repeated, phrases] {
        let (again, held) = matches_of(&query);
        assert!(again == places && held <= bytes + (64 << 10), "{held} bytes instead of {bytes}: {query}");
    }
}
