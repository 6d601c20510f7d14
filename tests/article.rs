//! `ArticleService`: creating and reading articles.

use readout::pb::{
    Article, BatchGetArticlesRequest, CreateArticleRequest, ErrorReason, GetArticleRequest, ListArticlesRequest, View,
    article::TextRights,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{Refused, Service, metadata_of, reason_of};

fn article(uri: &str) -> Article {
    Article { uri: uri.into(), title: "Talks in Baku".into(), ..Default::default() }
}

fn create(article: Article) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article), ..Default::default() }
}

fn get(name: &str) -> GetArticleRequest {
    GetArticleRequest { name: name.into(), ..Default::default() }
}

#[tokio::test]
async fn get_article_returns_what_create_article_returned() {
    let mut service = Service::start().await;
    let sent = Article { text: "Veliyev met Tsalikov.".into(), language_code: "en".into(), ..article("urn:a") };
    let created = service.articles.create_article(create(sent)).await.unwrap();
    assert!(created.metadata().contains_key("readout-position"));
    let created = created.into_inner();
    assert!(created.name.starts_with("articles/"));
    assert_eq!(created.revision, 1);
    assert_eq!(created.text, "Veliyev met Tsalikov.");
    assert_eq!(created.text_length, 21);
    assert_eq!(created.text_rights(), TextRights::FullText);
    assert!(!created.etag.is_empty());

    let read = service.articles.get_article(get(&created.name)).await.unwrap().into_inner();
    assert_eq!(read, created);
    let basic = GetArticleRequest { view: View::Basic.into(), ..get(&created.name) };
    let basic = service.articles.get_article(basic).await.unwrap().into_inner();
    assert_eq!(basic, Article { text: String::new(), ..created });
}

#[tokio::test]
async fn create_article_stores_the_text_in_nfc() {
    let mut service = Service::start().await;
    let sent = Article { text: "Cafe\u{301}".into(), ..article("urn:a") };
    let created = service.articles.create_article(create(sent)).await.unwrap().into_inner();
    assert_eq!(created.text, "Caf\u{e9}");
    assert_eq!(created.text_length, 4);
}

#[tokio::test]
async fn create_article_refuses_a_text_above_one_mebibyte() {
    let mut service = Service::start().await;
    let sent = Article { text: "é".repeat(512 * 1024), ..article("urn:a") };
    let created = service.articles.create_article(create(sent)).await.unwrap().into_inner();
    assert_eq!(created.text_length, 512 * 1024);
    let sent = Article { text: "é".repeat(512 * 1024) + "x", ..article("urn:b") };
    let refused = service.articles.create_article(create(sent)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["article.text"]));
}

#[tokio::test]
async fn create_article_measures_and_drops_a_withheld_text() {
    let mut service = Service::start().await;
    let mut sent = Article { text: "secret".into(), ..article("urn:a") };
    sent.set_text_rights(TextRights::Withheld);
    let created = service.articles.create_article(create(sent)).await.unwrap().into_inner();
    assert_eq!((created.text.as_str(), created.text_length), ("", 6));
    assert_eq!(created.text_sha256, "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
    let read = service.articles.get_article(get(&created.name)).await.unwrap().into_inner();
    assert_eq!(read, created);
}

#[tokio::test]
async fn create_article_refuses_a_uri_that_is_taken() {
    let mut service = Service::start().await;
    let first = Article { alternate_uris: vec!["urn:b".into()], ..article("urn:a") };
    let first = service.articles.create_article(create(first)).await.unwrap().into_inner();
    for taken in
        [article("urn:a"), article("urn:b"), Article { alternate_uris: vec!["urn:a".into()], ..article("urn:c") }]
    {
        let refused = service.articles.create_article(create(taken)).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "name"), first.name);
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateArticle));
    }
}

#[tokio::test]
async fn concurrent_create_article_calls_with_one_uri_have_one_winner() {
    let service = Service::start().await;
    let calls = (0..32).map(|_| {
        let mut articles = service.articles.clone();
        async move { articles.create_article(create(article("urn:a"))).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 31));
    let name = won.into_iter().next().unwrap().unwrap().into_inner().name;
    for refused in lost {
        let refused = refused.unwrap_err();
        assert_eq!(reason_of(&refused), ErrorReason::DuplicateArticle);
        assert_eq!(metadata_of(&refused, "name"), name);
    }
}

#[tokio::test]
async fn create_article_refuses_an_id_that_is_taken_or_malformed() {
    let mut service = Service::start().await;
    let id = Uuid::now_v7();
    let request = CreateArticleRequest { article_id: id.to_string().to_uppercase(), ..create(article("urn:a")) };
    let created = service.articles.create_article(request.clone()).await.unwrap().into_inner();
    assert_eq!(created.name, format!("articles/{id}"));
    let request = CreateArticleRequest { article: Some(article("urn:b")), ..request };
    let refused = service.articles.create_article(request.clone()).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), created.name);
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateId));
    let request = CreateArticleRequest { article_id: "not-a-uuid".into(), ..request };
    let refused = service.articles.create_article(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["article_id"]));
}

#[tokio::test]
async fn create_article_repeats_the_first_response_for_the_same_request_id() {
    let mut service = Service::start().await;
    let sent = Article { text: "Words.".into(), ..article("urn:a") };
    let request = CreateArticleRequest { request_id: "r-1".into(), ..create(sent) };
    let first = service.articles.create_article(request.clone()).await.unwrap().into_inner();
    let again = service.articles.create_article(request.clone()).await.unwrap().into_inner();
    assert_eq!(again, first);
    let other = CreateArticleRequest { article: Some(article("urn:b")), ..request };
    let refused = service.articles.create_article(other).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));
}

#[tokio::test]
async fn create_article_writes_nothing_when_validate_only() {
    let mut service = Service::start().await;
    let request = CreateArticleRequest { validate_only: true, request_id: "r-1".into(), ..create(article("urn:a")) };
    let checked = service.articles.create_article(request).await.unwrap();
    assert!(!checked.metadata().contains_key("readout-position"));
    let checked = checked.into_inner();
    assert_eq!((checked.name.as_str(), checked.revision, checked.uri.as_str()), ("", 0, "urn:a"));
    let list = service.articles.list_articles(ListArticlesRequest::default()).await.unwrap().into_inner();
    assert!(list.articles.is_empty());
    let written = CreateArticleRequest { request_id: "r-1".into(), ..create(article("urn:a")) };
    service.articles.create_article(written).await.unwrap();
}

#[tokio::test]
async fn create_article_refuses_a_syndication_source_that_does_not_exist() {
    let mut service = Service::start().await;
    let missing = format!("articles/{}", Uuid::now_v7());
    let copy = Article { syndicated_from: missing.clone(), ..article("urn:copy") };
    let refused = service.articles.create_article(create(copy.clone())).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), missing);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    let first = service.articles.create_article(create(article("urn:a"))).await.unwrap().into_inner();
    let copy = Article { syndicated_from: first.name, ..copy };
    service.articles.create_article(create(copy)).await.unwrap();
}

#[tokio::test]
async fn batch_get_articles_keeps_the_requested_order_and_fails_if_one_is_missing() {
    let mut service = Service::start().await;
    let mut names = Vec::new();
    for uri in ["urn:a", "urn:b", "urn:c"] {
        names.push(service.articles.create_article(create(article(uri))).await.unwrap().into_inner().name);
    }
    names.reverse();
    let request = BatchGetArticlesRequest { names: names.clone(), ..Default::default() };
    let batch = service.articles.batch_get_articles(request).await.unwrap().into_inner();
    assert_eq!(
        batch.articles.iter().map(|article| &article.name).collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );

    let missing = format!("articles/{}", Uuid::nil());
    let request = BatchGetArticlesRequest { names: vec![names[0].clone(), missing.clone()], ..Default::default() };
    let refused = service.articles.batch_get_articles(request).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), missing);
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
}

#[tokio::test]
async fn get_article_refuses_a_name_of_another_collection() {
    let mut service = Service::start().await;
    let name = format!("meetings/{}", Uuid::now_v7());
    let refused = service.articles.get_article(get(&name)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["name"]));
}
