//! The actor that is recorded with each write.

use readout::pb::{
    CreateArticleRequest, IngestStoriesRequest, IngestStoryRequest, ListChangesRequest, Origin, Story,
    list_changes_request::Start,
};

use crate::support::{Refused, Service, calls::as_actor, make::article};

async fn recorded_actors(service: &Service) -> Vec<String> {
    let start = Some(Start::Origin(Origin::Beginning.into()));
    let request = ListChangesRequest { start, ..Default::default() };
    let page = service.changes.clone().list_changes(request).await.expect("a page").into_inner();
    page.changes.into_iter().map(|change| change.actor).collect()
}

fn create(uri: &str) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article(uri)), ..Default::default() }
}

#[tokio::test]
async fn changes_record_the_actor_of_each_write() {
    let service = Service::start().await;
    let mut articles = service.articles.clone();
    articles.create_article(create("urn:a")).await.unwrap();
    articles.create_article(as_actor(create("urn:b"), "press desk")).await.unwrap();
    let story = |uri| Some(Story { article: Some(article(uri)), ..Default::default() });
    let single = IngestStoryRequest { story: story("urn:c"), ..Default::default() };
    service.ingest.clone().ingest_story(as_actor(single, "crawler")).await.unwrap();
    let streamed = IngestStoriesRequest { story: story("urn:d"), ..Default::default() };
    let mut answers = service
        .ingest
        .clone()
        .ingest_stories(as_actor(tokio_stream::iter([streamed]), "import"))
        .await
        .unwrap()
        .into_inner();
    while answers.message().await.unwrap().is_some() {}
    assert_eq!(recorded_actors(&service).await, ["anonymous", "press desk", "crawler", "import"]);
}

#[tokio::test]
async fn write_refuses_an_actor_that_is_blank_or_too_long_or_has_a_tab() {
    let service = Service::start().await;
    let mut articles = service.articles.clone();
    articles.create_article(as_actor(create("urn:a"), &"x".repeat(128))).await.unwrap();
    for wrong in ["", " ", "press\tdesk", &"x".repeat(129)] {
        let refused = articles.create_article(as_actor(create("urn:b"), wrong)).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::invalid(["readout-actor"]), "{wrong:?}");
    }
}

#[tokio::test]
async fn request_id_is_scoped_to_its_actor() {
    let service = Service::start().await;
    let mut articles = service.articles.clone();
    let with_id = |uri: &str| CreateArticleRequest { request_id: "1".into(), ..create(uri) };
    let first = articles.create_article(as_actor(with_id("urn:a"), "one")).await.unwrap().into_inner();
    let other = articles.create_article(as_actor(with_id("urn:b"), "two")).await.unwrap().into_inner();
    assert_ne!(first.name, other.name);
    let again = articles.create_article(as_actor(with_id("urn:a"), "one")).await.unwrap().into_inner();
    assert_eq!(again.name, first.name);
}
