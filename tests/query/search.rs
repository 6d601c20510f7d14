//! Full-text search of articles: matches, ranking and snippets.

use readout::pb::{
    Article, ListArticlesRequest, ListArticlesResponse, Snippet, View, article::TextRights, snippet::Source,
};
use sqlx::{ConnectOptions, Connection};
use tonic::{Response, Status};

use crate::support::{Refused, Service, make::article, program::run};

fn article_with(uri: &str, language: &str, title: &str, text: &str) -> Article {
    Article { title: title.into(), text: text.into(), language_code: language.into(), ..article(uri) }
}

fn query_request(query: &str, language: &str) -> ListArticlesRequest {
    ListArticlesRequest { query: query.into(), query_language: language.into(), ..Default::default() }
}

impl Service {
    async fn search(&self, request: ListArticlesRequest) -> Result<ListArticlesResponse, Status> {
        self.articles.clone().list_articles(request).await.map(Response::into_inner)
    }

    /// The URIs of the articles that match a query, the best match first.
    async fn ranked_uris(&self, query: &str, language: &str) -> Vec<String> {
        let found =
            self.search(query_request(query, language)).await.unwrap_or_else(|status| panic!("{query}: {status}"));
        assert_eq!(found.snippets.len(), if query.is_empty() { 0 } else { found.articles.len() });
        found.articles.into_iter().map(|article| article.uri).collect()
    }

    /// The URIs of the articles that match a query, sorted.
    async fn sorted_uris(&self, query: &str, language: &str) -> Vec<String> {
        let mut found = self.ranked_uris(query, language).await;
        found.sort_unstable();
        found
    }
}

/// The text of a snippet with its highlights in brackets. Checks that its offsets match the source text.
fn shown(snippet: &Snippet, text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let index = |offset: i32| usize::try_from(offset).unwrap();
    let slice = |from: i32, to: i32| chars[index(from)..index(to)].iter().collect::<String>();
    let end = snippet.start + i32::try_from(snippet.text.chars().count()).unwrap();
    assert_eq!(slice(snippet.start, end), snippet.text);
    let (mut shown, mut from) = (String::new(), snippet.start);
    for range in &snippet.highlights {
        shown += &format!("{}[{}]", slice(from, range.start), slice(range.start, range.end));
        from = range.end;
    }
    shown + &slice(from, end)
}

#[tokio::test]
async fn search_ranks_the_best_match_first() {
    let service = Service::start().await;
    let text = "The ministers met in Baku and spoke about many things, trade among them.";
    service.create_article(article_with("urn:once", "en", "Ministers meet", text)).await;
    let often = "Trade, trade and trade: what the ministers spoke about in Baku.";
    service.create_article(article_with("urn:often", "en", "Ministers meet", often)).await;
    service
        .create_article(article_with("urn:title", "en", "Trade with Azerbaijan", "What the ministers spoke about."))
        .await;
    service.create_article(article_with("urn:none", "en", "Ministers meet", "They spoke about peace.")).await;
    assert_eq!(service.ranked_uris("trade", "").await, ["urn:title", "urn:often", "urn:once"]);
    assert_eq!(service.ranked_uris("ministers trade baku", "").await, ["urn:often", "urn:once"]);
    assert_eq!(service.ranked_uris("trade baku -often -things", "").await, ["urn:often"]);
    let filtered = ListArticlesRequest { filter: "uri = \"urn:once\"".into(), ..query_request("trade", "") };
    assert_eq!(service.search(filtered).await.unwrap().articles.len(), 1);
    let filtered = ListArticlesRequest { filter: "language = de".into(), ..query_request("trade", "") };
    assert_eq!(service.search(filtered).await.unwrap().articles.len(), 0);
}

#[tokio::test]
async fn search_finds_words_by_stem_and_without_accents() {
    let service = Service::start().await;
    for (uri, language, text) in [
        ("urn:en", "en-GB", "They were negotiating with the Azerbaijani ministers."),
        ("urn:de", "de", "Die Verhandlungen begannen in den Häusern der Präsidenten."),
        ("urn:ru", "ru", "Переговоры с Сергеем Лавровым о её урегулировании."),
        ("urn:fr", "fr", "Les négociations élyséennes ont été menées à Genève."),
        ("urn:tr", "tr", "Bakanların İstanbul'daki görüşmeleri ışıl ışıl geçti."),
        ("urn:az", "az", "Azərbaycan Prezidenti İlham Əliyev nazirləri qəbul edib."),
        ("urn:unknown", "", "Переговоры, Verhandlungen, négociations."),
    ] {
        service.create_article(article_with(uri, language, "", text)).await;
    }
    for (query, language, found) in [
        ("negotiated minister", "", &["urn:en"][..]),
        ("negotiation", "en", &["urn:en"]),
        ("negotiation", "eng", &["urn:en"]),
        ("negotiation", "english", &["urn:en"]),
        ("negotiation", "simple", &[]),
        ("Verhandlung", "german", &["urn:de"]),
        ("Verhandlung", "deu-AT", &["urn:de"]),
        ("ИЛХАМ", "az", &[]),
        ("İLHAM ƏLİYEV", "az", &["urn:az"]),
        ("Verhandlung", "de", &["urn:de"]),
        ("Haus Präsident", "de-AT", &["urn:de"]),
        ("Verhandlungen", "en", &["urn:de", "urn:unknown"]),
        ("Häusern", "", &["urn:de"]),
        ("hausern", "", &["urn:de"]),
        ("переговоров урегулирования", "ru", &["urn:ru"]),
        ("переговоры", "ru", &["urn:ru", "urn:unknown"]),
        ("ее урегулированием", "ru", &["urn:ru"]),
        ("ЛАВРОВЫМ", "", &["urn:ru"]),
        ("négociation", "fr", &["urn:fr"]),
        ("negociation geneve", "fr", &["urn:fr"]),
        ("NÉGOCIATIONS", "", &["urn:fr", "urn:unknown"]),
        ("elyseennes", "", &["urn:fr"]),
        ("görüşme bakan", "tr", &["urn:tr"]),
        ("gorusmeleri istanbul", "", &["urn:tr"]),
        ("isil", "", &["urn:tr"]),
        ("Azərbaycan Əliyev", "az", &["urn:az"]),
        ("ilham eliyev", "", &["urn:az"]),
        ("ilham eliyev", "x-none", &["urn:az"]),
    ] {
        assert_eq!(service.sorted_uris(query, language).await, found, "{query} in {language}");
    }
}

#[tokio::test]
async fn search_query_has_web_search_syntax() {
    let service = Service::start().await;
    for (uri, text) in [
        ("urn:talks", "The peace talks on Nagorno-Karabakh began in the U.S. capital, armenia/azerbaijan said."),
        (
            "urn:other",
            "Talks about Karabakh, and about peace of mind: <b>Armenia</b> & Azerbaijan at peace@example.org.",
        ),
        ("urn:sport", "100% sport; it's_all \"football\" \\ and the mind (and: more)."),
    ] {
        service.create_article(article_with(uri, "en", "", text)).await;
    }
    for (query, found) in [
        ("peace talks", &["urn:other", "urn:talks"][..]),
        ("\"peace talks\"", &["urn:talks"]),
        ("\"peace talk\"", &["urn:talks"]),
        ("\"talks peace\"", &[]),
        ("peace -nagorno", &["urn:other"]),
        ("peace -\"peace talks\"", &["urn:other"]),
        ("nagorno OR football", &["urn:sport", "urn:talks"]),
        ("Nagorno-Karabakh", &["urn:talks"]),
        ("nagorno karabakh", &["urn:talks"]),
        ("armenia azerbaijan", &["urn:other", "urn:talks"]),
        ("U.S.", &["urn:talks"]),
        ("-peace", &["urn:sport"]),
        // Operators of other query languages are only separators.
        ("peace & !talks", &["urn:other", "urn:talks"]),
        ("(peace | football)", &[]),
        ("fo%tball", &[]),
        ("footb:", &[]),
        ("footb*", &["urn:sport"]),
        ("-footb* tal*", &["urn:other", "urn:talks"]),
        ("\"peace ta*\"", &["urn:talks"]),
        ("Nagorno-Kara*", &["urn:talks"]),
        ("nagornokara*", &[]),
        ("100% it's_all", &["urn:sport"]),
        ("\"football", &["urn:sport"]),
        ("\"mind\" \"all football", &["urn:sport"]),
        ("football\\", &["urn:sport"]),
        ("'; drop table article; --", &[]),
        // Stop words are searched for when the query has no other words.
        ("the talks of peace", &["urn:other", "urn:talks"]),
        ("about", &["urn:other"]),
        ("the", &["urn:sport", "urn:talks"]),
        ("or", &[]),
        ("!? -- \"\"", &[]),
        ("   ", &[]),
        ("", &["urn:other", "urn:sport", "urn:talks"]),
    ] {
        assert_eq!(service.sorted_uris(query, "").await, found, "{query}");
    }
}

#[tokio::test]
async fn search_refuses_an_invalid_query_or_language() {
    let service = Service::start().await;
    let words = |count: usize| vec!["word"; count].join(" ");
    for (query, language, fields) in [
        (words(10_000), "", vec!["query"]),
        (words(101), "", vec!["query"]),
        ("a-".repeat(101), "", vec!["query"]),
        ("x".repeat(1001), "", vec!["query"]),
        ("a\0b".to_owned(), "", vec!["query"]),
        ("林".repeat(3_334), "", vec!["query"]),
        ("*".to_owned(), "", vec!["query"]),
        ("peace * talks".to_owned(), "", vec!["query"]),
        ("word*word".to_owned(), "", vec!["query"]),
        ("footb:*".to_owned(), "", vec!["query"]),
        ("peace".to_owned(), "klingon", vec!["query_language"]),
        ("peace".to_owned(), "xx", vec!["query_language"]),
        ("peace".to_owned(), "english-GB", vec!["query_language"]),
        ("peace".to_owned(), "en_GB", vec!["query_language"]),
        ("peace".to_owned(), "'; drop", vec!["query_language"]),
    ] {
        let mut refused = Refused::from(service.search(query_request(&query, language)).await.unwrap_err());
        refused.fields.dedup();
        assert_eq!(refused.fields, fields, "{query}");
        assert_eq!(refused.code, tonic::Code::InvalidArgument);
    }
    for query in
        [words(100), "x".repeat(1000), "林".repeat(333), "\"".repeat(1000), "-".repeat(1000), "a OR ".repeat(99)]
    {
        assert!(service.ranked_uris(&query, "").await.is_empty());
    }
}

#[tokio::test]
async fn search_follows_updates_deletion_and_undeletion_of_an_article() {
    let service = Service::start().await;
    let sent = article_with("urn:a", "en", "Title", "They were negotiating in Baku.");
    let created = service.create_article(sent).await;
    let with = |title: &str, text: &str, language: &str| Article {
        name: created.name.clone(),
        title: title.into(),
        text: text.into(),
        language_code: language.into(),
        ..Default::default()
    };
    let found = async |query: &str| !service.ranked_uris(query, "en").await.is_empty();

    service.update_article(with("Headline", "", ""), &["title"]).await.unwrap();
    assert!(!found("title").await && found("headline").await && found("negotiation").await);
    service.update_article(with("", "", "az"), &["language_code"]).await.unwrap();
    assert!(!found("negotiation").await && found("negotiating").await);
    service.update_article(with("", "They negotiated in Ganja.", ""), &["text"]).await.unwrap();
    assert!(!found("baku").await && found("ganja headline").await);
    service.update_article(with("", "", "en"), &["language_code", "section"]).await.unwrap();
    assert!(found("negotiation").await);

    service.delete_article(&created.name).await.unwrap();
    assert!(!found("ganja").await);
    let deleted = ListArticlesRequest { show_deleted: true, ..query_request("ganja", "") };
    assert_eq!(service.search(deleted).await.unwrap().articles.len(), 1);
    service.undelete_article(&created.name).await.unwrap();
    assert!(found("ganja").await);
}

#[tokio::test]
async fn search_index_has_no_words_of_hidden_withheld_or_expunged_texts() {
    let service = Service::start().await;
    let sent = |uri: &str, rights: TextRights| Article {
        text_rights: rights.into(),
        ..article_with(uri, "en", "Ministers", "The secret was told in Baku.")
    };
    let withheld = service.create_article(sent("urn:withheld", TextRights::Withheld)).await;
    service.create_article(sent("urn:excerpt", TextRights::Excerpt)).await;
    let later = service.create_article(sent("urn:later", TextRights::FullText)).await;
    let expunged = service.create_article(sent("urn:expunged", TextRights::FullText)).await;
    assert_eq!(service.sorted_uris("secret", "").await, ["urn:excerpt", "urn:expunged", "urn:later"]);

    let rights = |of: &Article, rights: TextRights| Article {
        name: of.name.clone(),
        text_rights: rights.into(),
        ..Default::default()
    };
    service.update_article(rights(&later, TextRights::Withheld), &["text_rights"]).await.unwrap();
    let url = service.database.to_url_lossy().to_string();
    let ran = run(["admin", "expunge", &expunged.name, "--reason", "Claim 7", "--database-url", &url]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(service.sorted_uris("secret", "").await, ["urn:excerpt"]);
    assert_eq!(service.sorted_uris("secrets", "").await, ["urn:excerpt"]);
    assert_eq!(service.ranked_uris("ministers", "").await.len(), 4);
    let mut connection = service.database.connect().await.unwrap();
    let words: Vec<String> = sqlx::query_scalar("select array_to_string(tsvector_to_array(search), ' ') from article")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(words.iter().filter(|vector| vector.contains("secret")).count(), 1, "{words:?}");
    connection.close().await.unwrap();

    // Words that are in the title only are shown from there, even if the text is withheld.
    let found = service.search(query_request("ministers", "")).await.unwrap();
    let shows_title =
        |snippet: &Snippet| snippet.source() == Source::Title && shown(snippet, "Ministers") == "[Ministers]";
    assert!(found.snippets.iter().all(shows_title));
    // A hidden text is found again once it is shown.
    service.update_article(rights(&later, TextRights::FullText), &["text_rights"]).await.unwrap();
    assert_eq!(service.sorted_uris("secret", "").await, ["urn:excerpt", "urn:later"]);
    // A text that was never stored is missing even with full rights until it is sent again.
    service.update_article(rights(&withheld, TextRights::FullText), &["text_rights"]).await.unwrap();
    assert_eq!(service.sorted_uris("secret", "").await, ["urn:excerpt", "urn:later"]);
}

#[tokio::test]
async fn snippets_highlight_the_matched_words_at_their_offsets() {
    let service = Service::start().await;
    let text = format!(
        "🕊 «Émile» spoke.\n{}The négociations were long; the ministers' négociation — in Genève — ended.\n{}",
        "Nothing of interest happened. ".repeat(50),
        "Nothing more was said that day. ".repeat(50)
    );
    let article = service.create_article(article_with("urn:a", "fr", "Négocier à Genève", &text)).await;
    let found = service.search(query_request("negociation GENEVE", "fr")).await.unwrap();
    let snippet = &found.snippets[0];
    assert_eq!(snippet.source(), Source::Text);
    let shown_text = shown(snippet, &text);
    assert!(
        shown_text.contains("The [négociations] were long; the ministers' [négociation] — in [Genève] — ended."),
        "{shown_text}"
    );
    assert!((150..=240).contains(&snippet.text.chars().count()), "{}", snippet.text.chars().count());
    assert!(snippet.start > 1000);
    // The snippet is the same in every view.
    let full = ListArticlesRequest { view: View::Full.into(), ..query_request("negociation GENEVE", "fr") };
    let full = service.search(full).await.unwrap();
    assert_eq!((&full.snippets, full.articles[0].text.as_str()), (&found.snippets, text.as_str()));
    assert_eq!(full.articles[0].name, article.name);

    let title = service.search(query_request("negocier", "az")).await.unwrap().snippets.remove(0);
    assert_eq!((title.source(), title.start), (Source::Title, 0));
    assert_eq!(shown(&title, "Négocier à Genève"), "[Négocier] à Genève");
    let phrase = service.search(query_request("\"emile spoke\"", "")).await.unwrap().snippets.remove(0);
    assert!(shown(&phrase, &text).starts_with("🕊 «[Émile]» [spoke].\nNothing"), "{}", phrase.text);
    let unhighlighted = service.search(query_request("-absent", "")).await.unwrap().snippets.remove(0);
    assert!(unhighlighted.text.starts_with("🕊 «Émile» spoke.") && unhighlighted.highlights.is_empty());
}

#[tokio::test]
async fn search_pages_and_streams_contain_every_match_once() {
    let service = Service::start().await;
    for number in 0..23 {
        // Some articles have equal ranks.
        let text = format!("{} and other things, number {number}.", "peace ".repeat(1 + number % 4));
        service.create_article(article_with(&format!("urn:{number}"), "en", "", &text)).await;
    }
    let all = service.ranked_uris("peace", "").await;
    assert_eq!(all.len(), 23);
    for page_size in [1, 2, 7, 50] {
        let mut request = ListArticlesRequest { page_size, ..query_request("peace", "") };
        let mut paged = Vec::new();
        loop {
            let page = service.search(request.clone()).await.unwrap();
            assert_eq!(page.snippets.len(), page.articles.len());
            paged.extend(page.articles.into_iter().map(|article| article.uri));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(paged, all, "by {page_size}");

        let request = ListArticlesRequest { page_size, ..query_request("peace", "") };
        let mut chunks = service.articles.clone().stream_articles(request).await.unwrap().into_inner();
        let mut streamed = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            assert_eq!(chunk.snippets.len(), chunk.articles.len());
            streamed.extend(chunk.articles.into_iter().map(|article| article.uri));
        }
        assert_eq!(streamed, all, "by {page_size}");
    }
    let page = service.search(ListArticlesRequest { page_size: 1, ..query_request("peace", "") }).await.unwrap();
    let other =
        ListArticlesRequest { page_token: page.next_page_token, page_size: 1, ..query_request("peace things", "") };
    assert_eq!(Refused::from(service.search(other).await.unwrap_err()).fields, ["page_token"]);
    let by_name = ListArticlesRequest { order_by: "name".into(), ..query_request("peace", "") };
    let by_name = service.search(by_name).await.unwrap();
    let names: Vec<&str> = by_name.articles.iter().map(|article| article.name.as_str()).collect();
    assert!(names.is_sorted() && names.len() == 23);
}
