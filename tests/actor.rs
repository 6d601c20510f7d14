//! Who a write is recorded as asked for by.

use readout::pb::{
    CreateArticleRequest, IngestStoriesRequest, IngestStoryRequest, ListChangesRequest, Origin, Story,
    list_changes_request::Start,
};

use crate::support::{Refused, Service, calls::said, make::article};

async fn actors(service: &Service) -> Vec<String> {
    let start = Some(Start::Origin(Origin::Beginning.into()));
    let request = ListChangesRequest { start, ..Default::default() };
    let page = service.changes.clone().list_changes(request).await.expect("a page").into_inner();
    page.changes.into_iter().map(|change| change.actor).collect()
}

fn create(uri: &str) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article(uri)), ..Default::default() }
}

#[tokio::test]
async fn changes_say_who_asked_for_them() {
    let service = Service::start().await;
    let mut articles = service.articles.clone();
    articles.create_article(create("urn:a")).await.unwrap();
    articles.create_article(said(create("urn:b"), "press desk")).await.unwrap();
    let story = |uri| Some(Story { article: Some(article(uri)), ..Default::default() });
    let one = IngestStoryRequest { story: story("urn:c"), ..Default::default() };
    service.ingest.clone().ingest_story(said(one, "crawler")).await.unwrap();
    let many = IngestStoriesRequest { story: story("urn:d"), ..Default::default() };
    let mut answers =
        service.ingest.clone().ingest_stories(said(tokio_stream::iter([many]), "import")).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    assert_eq!(actors(&service).await, ["anonymous", "press desk", "crawler", "import"]);
}

#[tokio::test]
async fn an_actor_has_at_most_128_visible_characters() {
    let service = Service::start().await;
    let mut articles = service.articles.clone();
    articles.create_article(said(create("urn:a"), &"x".repeat(128))).await.unwrap();
    for wrong in ["", " ", &"x".repeat(129)] {
        let refused = articles.create_article(said(create("urn:b"), wrong)).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::invalid(["readout-actor"]), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_request_id_is_that_of_its_actor() {
    let service = Service::start().await;
    let mut articles = service.articles.clone();
    let with_id = |uri: &str| CreateArticleRequest { request_id: "1".into(), ..create(uri) };
    let first = articles.create_article(said(with_id("urn:a"), "one")).await.unwrap().into_inner();
    let other = articles.create_article(said(with_id("urn:b"), "two")).await.unwrap().into_inner();
    assert_ne!(first.name, other.name);
    let again = articles.create_article(said(with_id("urn:a"), "one")).await.unwrap().into_inner();
    assert_eq!(again.name, first.name);
}
