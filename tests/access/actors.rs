//! The actor that a write records, and the scope of request ids.

use jsonwebtoken::Algorithm;
use readout::{
    config::{Access, AnonymousRole},
    model::role::Role,
    pb::{
        CreateArticleRequest, ErrorReason, IngestStoryRequest, ListArticleRevisionsRequest, ListChangesRequest, Origin,
        Story, list_changes_request::Start,
    },
};
use tonic::{Code, Request};

use super::{
    api_tokens,
    issuer::{Key, KeyEndpoint, claims, jwt_access, key_set},
    start, token, with,
};
use crate::support::{Refused, Service, calls::as_actor, make::article, metadata_of};

async fn actors(service: &Service, token: &str) -> Vec<String> {
    let start = Some(Start::Origin(Origin::Beginning.into()));
    let request = with(token, ListChangesRequest { start, ..Default::default() });
    let page = service.changes.clone().list_changes(request).await.expect("a page").into_inner();
    page.changes.into_iter().map(|change| change.actor).collect()
}

fn create(uri: &str) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article(uri)), ..Default::default() }
}

/// A request that names another actor in its `readout-actor` header.
fn with_actor<T>(token: &str, actor: &str, message: T) -> Request<T> {
    let mut request = with(token, message);
    request.metadata_mut().insert("readout-actor", actor.parse().expect("the header is ASCII"));
    request
}

#[tokio::test]
async fn a_write_records_the_principal_of_its_credentials_as_actor() {
    let key = Key::new("a", Algorithm::ES256);
    let endpoint = KeyEndpoint::start(Some(key_set(&[&key]))).await;
    let service = start(Access { api_tokens: true, ..jwt_access(endpoint.source()) }).await;
    let desk = token(&service.database, "press-desk", Role::Writer).await.reveal();
    let jwt = key.token(&claims("Əli via token/x", "writer"));
    let mut articles = service.articles.clone();
    let created = articles.create_article(with(&desk, create("urn:a"))).await.unwrap().into_inner();
    articles.create_article(with(&jwt, create("urn:b"))).await.unwrap();
    let story = Some(Story { article: Some(article("urn:c")), ..Default::default() });
    let story = IngestStoryRequest { story, ..Default::default() };
    service.ingest.clone().ingest_story(with(&jwt, story)).await.unwrap();
    let jwt_actor = "jwt/%C6%8Fli%20via%20token/x";
    assert_eq!(actors(&service, &desk).await, ["token/press-desk", jwt_actor, jwt_actor]);
    let request = ListArticleRevisionsRequest { name: created.name, ..Default::default() };
    let revisions = articles.list_article_revisions(with(&desk, request)).await.unwrap().into_inner().revisions;
    assert_eq!(revisions[0].actor, "token/press-desk");
}

#[tokio::test]
async fn only_an_admin_may_name_another_actor_and_both_are_recorded() {
    let service = start(api_tokens()).await;
    let mut articles = service.articles.clone();
    let admin = token(&service.database, "gateway", Role::Admin).await.reveal();
    articles.create_article(with_actor(&admin, "press desk", create("urn:a"))).await.unwrap();
    for role in [Role::Writer, Role::Curator] {
        let token = token(&service.database, "desk", role).await.reveal();
        let refused = articles.create_article(with_actor(&token, "token/gateway", create("urn:b"))).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "required"), "ADMIN");
        assert_eq!(Refused::from(refused), Refused::with(Code::PermissionDenied, ErrorReason::ActorNotAllowed));
    }
    assert_eq!(actors(&service, &admin).await, ["press desk via token/gateway"]);
}

#[tokio::test]
async fn an_anonymous_caller_may_name_an_actor_only_with_the_admin_role() {
    let service = start(Access { anonymous_role: Some(AnonymousRole::Admin), ..api_tokens() }).await;
    let mut articles = service.articles.clone();
    articles.create_article(create("urn:a")).await.unwrap();
    articles.create_article(as_actor(create("urn:b"), "token/gateway")).await.unwrap();
    let reader = token(&service.database, "reader", Role::Reader).await.reveal();
    assert_eq!(actors(&service, &reader).await, ["anonymous", "token/gateway via anonymous"]);

    let service = start(Access { anonymous_role: Some(AnonymousRole::Writer), ..Default::default() }).await;
    let mut articles = service.articles.clone();
    articles.create_article(create("urn:a")).await.unwrap();
    let refused = articles.create_article(as_actor(create("urn:b"), "press desk")).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::PermissionDenied, ErrorReason::ActorNotAllowed));
}

#[tokio::test]
async fn a_request_id_is_scoped_to_its_principal() {
    let service = start(api_tokens()).await;
    let writer = token(&service.database, "one", Role::Writer).await.reveal();
    let replaced = token(&service.database, "one", Role::Writer).await.reveal();
    let other = token(&service.database, "other", Role::Writer).await.reveal();
    let mut articles = service.articles.clone();
    let with_id = |uri: &str| CreateArticleRequest { request_id: "1".into(), ..create(uri) };
    let first = articles.create_article(with(&writer, with_id("urn:a"))).await.unwrap().into_inner();
    let again = articles.create_article(with(&replaced, with_id("urn:a"))).await.unwrap().into_inner();
    assert_eq!(again.name, first.name);
    let another = articles.create_article(with(&other, with_id("urn:b"))).await.unwrap().into_inner();
    assert_ne!(another.name, first.name);
}
