//! Full-text search: a word is found in every spelling of its letters, and the snippet highlights it in place.

use readout::pb::{Article, ListArticlesRequest, ListStatementsRequest, Snippet, Statement};
use unicode_normalization::UnicodeNormalization;

use crate::support::{Service, make};

/// Words in two equivalent spellings.
const SPELLINGS: &[(&str, &str)] = &[
    ("oﬃce", "office"),
    ("ﬀoﬀ ﬁﬂ eﬄux", "ffoff fifl efflux"),
    ("feﬅ ﬆrong", "fest strong"),
    ("Ｂａｋｕ１２", "baku12"),
    ("Congreſs", "Congress"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("ﬓաս ﬔ ﬕ ﬖ ﬗ", "մնաս մե մի վն մխ"),
    ("Երևան", "ԵՐԵՒԱՆ"),
    ("Straße", "STRASSE"),
    ("STRAẞE", "strasse"),
    ("İstanbul ılık", "istanbul ilik"),
    ("①⓪ x²", "10 x2"),
    ("Ⅳ", "iv"),
    ("㎏", "kg"),
    ("ｶﾞｰﾄﾞ", "ガード"),
    ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}", "한국"),
    ("ﻣﺤﻤﺪ", "محمد"),
    ("مُحَمَّد", "محمد"),
    ("ǅungla", "ǆungla"),
    ("ǅungla", "DŽungla"),
    ("Ꮳꮃꭹ", "ᏣᎳᎩ"),
    ("\u{212a}elvin", "kelvin"),
    ("\u{212b}ngström", "ångström"),
    ("Ⓑⓐⓚⓤ", "Baku"),
    ("𝕭𝖆𝖐𝖚", "Baku"),
    ("ᲗᲑᲘᲚᲘᲡᲘ", "თბილისი"),
    ("שָׁלוֹם", "שלום"),
    ("Лавро\u{301}в", "Лавров"),
    ("ё", "е"),
    ("Бу́дённый", "Буденный"),
    ("№5", "5"),
    ("Readout™", "Readout"),
];

/// Words whose composed and decomposed forms differ.
const WORDS: &[&str] = &[
    "négociations",
    "Việt",
    "Найденный",
    "Київ",
    "Ќерка",
    "Μητσοτάκης",
    "ガバナンス",
    "한국어",
    "أحمد",
    "ক্ষো",
    "தமிழ்நாடுகொ",
    "ಕೋ",
    "සිංහලෝ",
    "क़लम",
    "ᬓᭀ",
    "שׁלום",
];

async fn search(service: &Service, query: &str) -> Vec<(String, Snippet)> {
    let request = ListArticlesRequest { query: query.into(), ..Default::default() };
    let found = service.articles.clone().list_articles(request).await.unwrap().into_inner();
    found.articles.into_iter().map(|article| article.uri).zip(found.snippets).collect()
}

/// The parts of a text that its snippet highlights.
fn highlighted(snippet: &Snippet, text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let index = |offset: i32| usize::try_from(offset).unwrap();
    snippet.highlights.iter().map(|range| chars[index(range.start)..index(range.end)].iter().collect()).collect()
}

/// Creates an article for each text, then checks that each query finds the article of its own number only.
async fn expect_found(service: &Service, pairs: &[(String, String)]) {
    for (number, (text, _)) in pairs.iter().enumerate() {
        let text = format!("t{number}x — {text} — behind");
        let article = Article { text, ..make::article(&format!("urn:{number}")) };
        service.create_article(article).await;
    }
    for (number, (text, query)) in pairs.iter().enumerate() {
        let found = search(service, &format!("t{number}x {query}")).await;
        let [(uri, snippet)] = &*found else { panic!("{query:?} finds {} of {text:?}", found.len()) };
        assert_eq!(*uri, format!("urn:{number}"));
        // The service keeps texts in NFC.
        let whole: String = format!("t{number}x — {text} — behind").nfc().collect();
        let shown = highlighted(snippet, &whole);
        let between = |shown: &[String]| shown.iter().skip(1).flat_map(|word| word.chars()).collect::<String>();
        let letters = |text: &str| text.nfc().filter(|c| !"№™ ".contains(*c)).collect::<String>();
        assert_eq!(between(&shown), letters(text), "{query:?} in {text:?}");
    }
}

#[tokio::test]
async fn search_finds_a_word_in_every_spelling() {
    let service = Service::start().await;
    let pairs = SPELLINGS.iter().flat_map(|(first, second)| [(*first, *second), (*second, *first)]);
    // A query with a numero sign does not match a bare number.
    let pairs = pairs.filter(|(text, query)| text.contains('№') || !query.contains('№'));
    let pairs: Vec<_> = pairs.map(|(text, query)| (text.to_owned(), query.to_owned())).collect();
    expect_found(&service, &pairs).await;
}

#[tokio::test]
async fn search_finds_composed_and_decomposed_words_by_each_other() {
    let service = Service::start().await;
    let pairs = WORDS.iter().flat_map(|word| {
        let (composed, decomposed): (String, String) = (word.nfc().collect(), word.nfd().collect());
        [(composed.clone(), decomposed.clone()), (decomposed, composed)]
    });
    expect_found(&service, &pairs.collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn search_finds_statements_in_every_spelling() {
    let mut service = Service::start().await;
    let person = make::person("Kerim Veliyev", "AZ");
    let mut story = make::story("urn:a", std::slice::from_ref(&person));
    let account = story.reports[0].account.as_mut().unwrap();
    let speaker = account.participations[0].id.clone();
    let statement = |(number, (text, _)): (usize, &(&str, &str))| Statement {
        id: number.to_string(),
        text: format!("t{number}x {text}"),
        speakers: vec![speaker.clone()],
        ..Default::default()
    };
    account.statements = SPELLINGS.iter().enumerate().map(statement).collect();
    service.ingest.ingest_story(make::ingest(story)).await.unwrap();
    for (number, (text, query)) in SPELLINGS.iter().enumerate() {
        let request = ListStatementsRequest { query: format!("t{number}x {query}"), ..Default::default() };
        let found = service.meetings.clone().list_statements(request).await.unwrap().into_inner();
        assert_eq!(found.results.len(), 1, "{query:?} in {text:?}");
    }
}

#[tokio::test]
async fn search_distinguishes_letters_that_only_look_accented() {
    let service = Service::start().await;
    for (uri, text) in
        [("urn:a", "й"), ("urn:b", "и"), ("urn:c", "ガ"), ("urn:d", "カ"), ("urn:e", "ї"), ("urn:f", "і")]
    {
        service.create_article(Article { text: text.into(), ..make::article(uri) }).await;
    }
    for (query, uri) in [
        ("и\u{306}", "urn:a"),
        ("И", "urn:b"),
        ("カ\u{3099}", "urn:c"),
        ("ｶ", "urn:d"),
        ("і\u{308}", "urn:e"),
        ("І", "urn:f"),
    ] {
        let found: Vec<_> = search(&service, query).await.into_iter().map(|(uri, _)| uri).collect();
        assert_eq!(found, [uri], "{query}");
    }
}
