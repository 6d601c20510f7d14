//! Erasures beside other writes to a hidden text, and texts that release 0.1.0 erased.

use prost::Message;
use readout::{
    pb::{Article, ErrorReason, UpdateArticleRequest, article::TextRights},
    store::schema::migrate::migrate,
};
use sqlx::{Connection, PgConnection};
use tonic::Code;

use crate::{
    canonical::upgrade::former_store,
    support::{
        Service,
        block_commits::{block_commits, waiting},
        calls::of_article,
        make::{TEXT, article},
        refused,
    },
};

fn showing(of: &Article) -> UpdateArticleRequest {
    let sent = Article { name: of.name.clone(), text_rights: TextRights::FullText.into(), ..Default::default() };
    of_article(sent, &["text_rights"])
}

/// The number of texts and of their uses.
async fn kept(service: &Service) -> [i64; 2] {
    [
        service.count("select count(*) from article_text").await,
        service.count("select count(*) from article_text_use").await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_gone_after_an_erasure_that_races_with_a_showing() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..24 {
        let first = service.create_article(article(&format!("urn:{round}"))).await;
        service.rights(&first, TextRights::Withheld).await;
        let mut articles = other.articles.clone();
        let (erased, shown) =
            tokio::join!(service.erase_article_text(&first.name), articles.update_article(showing(&first)));
        assert_eq!((erased.unwrap().text, shown.is_ok()), (String::new(), true), "round {round}");
        assert_eq!(service.text_at(&first, None).await, "");
        assert_eq!(service.text_at(&first, first.update_time).await, "");
        assert_eq!(kept(&service).await, [0, 0], "round {round}");
    }
}

#[tokio::test]
async fn showing_that_was_prepared_before_an_erasure_shows_nothing() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    for is_erased_first in [true, false] {
        let first = service.create_article(article(&format!("urn:{is_erased_first}"))).await;
        service.rights(&first, TextRights::Withheld).await;
        let held_up = block_commits(&service).await;
        let erase = service.erase_article_text(&first.name);
        let mut articles = other.articles.clone();
        let show = articles.update_article(showing(&first));
        // Both are prepared before the first commits: the second is prepared again.
        let in_turn = async {
            waiting(&service, 2).await;
            held_up.close().await.unwrap();
        };
        let then = async |wait: bool| {
            if wait {
                waiting(&service, 1).await
            }
        };
        let (erased, shown, ()) = tokio::join!(
            async {
                then(!is_erased_first).await;
                erase.await
            },
            async {
                then(is_erased_first).await;
                show.await
            },
            in_turn
        );
        let (erased, shown) = (erased.unwrap(), shown.unwrap().into_inner());
        let text = if is_erased_first { "" } else { TEXT };
        assert_eq!((erased.text.as_str(), shown.text.as_str()), ("", text));
        assert_eq!(service.text_at(&first, None).await, "");
        assert_eq!(kept(&service).await, [0, 0]);
    }
}

/// Makes an article of the former store WITHHELD as release 0.1.0 did: its text was erased.
async fn withhold_in_former_store(connection: &mut PgConnection, uri: &str) {
    let find = "select doc from article join article_uri on article_uri.article = article.id where uri = $1";
    let doc: Vec<u8> = sqlx::query_scalar(find).bind(uri).fetch_one(&mut *connection).await.unwrap();
    let mut withheld = Article::decode(doc.as_slice()).unwrap();
    assert_ne!(withheld.text_sha256, "");
    withheld.set_text_rights(TextRights::Withheld);
    let update = "update article set doc = $1, text_sha256 = null where doc = $2";
    sqlx::query(update).bind(withheld.encode_to_vec()).bind(&doc).execute(&mut *connection).await.unwrap();
    for statement in [
        "delete from article_text_use where article = (select article from article_uri where uri = $1)",
        "delete from article_text where $1 <> '' and sha256 not in (select sha256 from article_text_use)",
    ] {
        sqlx::query(statement).bind(uri).execute(&mut *connection).await.unwrap();
    }
}

#[tokio::test]
async fn texts_that_release_0_1_0_erased_or_did_not_store_stay_absent() {
    let database = former_store().await;
    let mut connection = PgConnection::connect_with(&database).await.unwrap();
    withhold_in_former_store(&mut connection, "urn:plain").await;
    connection.close().await.unwrap();
    migrate(&database).await.expect("migrated");
    let service = Service::start_on(database).await;
    let before = kept(&service).await;
    let withheld: Vec<Article> = service
        .contents()
        .await
        .articles
        .into_iter()
        .filter(|article| article.text_rights() == TextRights::Withheld)
        .collect();
    assert_eq!(withheld.iter().map(|article| article.uri.as_str()).collect::<Vec<_>>(), ["urn:plain", "urn:withheld"]);
    for of in &withheld {
        assert_eq!(service.text_at(of, None).await, "");
        let status = service.erase_article_text(&of.name).await.unwrap_err();
        refused(status, Code::FailedPrecondition, ErrorReason::NoStoredText, &of.name);
        let shown = service.rights(of, TextRights::FullText).await;
        assert_eq!((shown.text.as_str(), shown.text_length, shown.text_sha256.as_str()), ("", 0, ""), "{}", of.uri);
        assert_eq!(service.text_at(of, None).await, "");
        // Nothing is hidden or shown by further changes of the rights, until a text is sent.
        service.rights(of, TextRights::Withheld).await;
        service.rights(of, TextRights::FullText).await;
        assert_eq!(service.text_at(of, of.update_time).await, "");
        let sent = Article { name: of.name.clone(), text: TEXT.into(), ..Default::default() };
        assert_eq!(service.update_article(sent, &["text"]).await.unwrap().text, TEXT);
    }
    assert_eq!(kept(&service).await, [before[0] + 1, before[1] + 2]);
}
