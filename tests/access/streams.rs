//! A stream ends when its caller's credentials do.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, get_current_timestamp};
use readout::{
    config::Access,
    model::role::Role,
    pb::{
        Article, CreateArticleRequest, ErrorReason, IngestStoriesRequest, ListArticlesRequest, Origin, View,
        WatchChangesRequest, WatchChangesResponse, article_service_client::ArticleServiceClient,
        ingest_service_client::IngestServiceClient, watch_changes_request::Start,
    },
};
use serde_json::json;
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Endpoint};

use super::{
    api_tokens,
    issuer::{Key, KeyEndpoint, claims_with, jwt_access, key_set},
    read, revoke, start, token, token_until, with,
};
use crate::support::{
    Refused, Service,
    data_dir::{eventually, within_timeout},
    make, raw,
};

/// A watch of a feed in which nothing happens.
async fn watch(service: &Service, token: &str) -> Streaming<WatchChangesResponse> {
    let start = Some(Start::Origin(Origin::Now.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    service.changes.clone().watch_changes(with(token, request)).await.expect("the stream opens").into_inner()
}

/// The status that ends an otherwise endless stream.
async fn end<T>(mut stream: Streaming<T>) -> Status {
    within_timeout("the end", async {
        loop {
            if let Err(status) = stream.message().await.map(|message| message.expect("the stream has no regular end")) {
                return status;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_revoked_token_ends_its_streams_and_no_others() {
    let service = start(api_tokens()).await;
    let revoked = token(&service.database, "desk", Role::Writer).await;
    let other = token(&service.database, "desk", Role::Writer).await;
    let watching = watch(&service, &revoked.reveal()).await;
    let mut unaffected = watch(&service, &other.reveal()).await;
    let idle = futures_util::stream::pending::<IngestStoriesRequest>();
    let writing = service.ingest.clone().ingest_stories(with(&revoked.reveal(), idle)).await.unwrap().into_inner();

    revoke(&service.database, &revoked).await;
    let expected = Refused::with(Code::Unauthenticated, ErrorReason::CredentialsRevoked);
    assert_eq!(Refused::from(end(watching).await), expected);
    assert_eq!(Refused::from(end(writing).await), expected);
    revoke(&service.database, &token(&service.database, "another", Role::Reader).await).await;
    assert!(matches!(within_timeout("a heartbeat", unaffected.message()).await, Ok(Some(_))));
}

#[tokio::test]
async fn a_revoked_token_ends_a_stream_whose_reader_is_slow() {
    let service = start(api_tokens()).await;
    let token = token(&service.database, "desk", Role::Writer).await;
    for number in 0..16 {
        let article = Article { text: "x".repeat(1 << 20), ..make::article(&format!("urn:{number}")) };
        let request = CreateArticleRequest { article: Some(article), ..Default::default() };
        service.articles.clone().create_article(with(&token.reveal(), request)).await.expect("created");
    }
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    let narrow = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    let mut articles = ArticleServiceClient::new(narrow).max_decoding_message_size(8 << 20);
    let request = ListArticlesRequest { page_size: 1, view: View::Full.into(), ..Default::default() };
    let mut pages = articles.stream_articles(with(&token.reveal(), request)).await.unwrap().into_inner();
    pages.message().await.expect("a page").expect("the first of many");

    revoke(&service.database, &token).await;
    eventually("the revocation is known", async || read(&service, Some(&token.reveal())).await.is_err()).await;
    let mut read = 1;
    let ended = loop {
        match pages.message().await {
            Ok(page) => read += page.expect("the stream ends with an error").articles.len(),
            Err(status) => break status,
        }
    };
    assert!(read < 16, "{read}");
    assert_eq!(Refused::from(ended), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsRevoked));
}

/// Its client may still send, both after it read the end and when it reads nothing.
#[tokio::test]
async fn an_ingest_stream_of_a_revoked_token_stores_no_further_stories() {
    let service = start(api_tokens()).await;
    let token = token(&service.database, "desk", Role::Writer).await;
    // A flow-control window of 0 lets no answer through.
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    let deaf = endpoint.initial_stream_window_size(0).connect().await.unwrap();
    let (mut sending, mut answers) = (Vec::new(), Vec::new());
    for mut client in [service.ingest.clone(), IngestServiceClient::new(deaf)] {
        let (stories, sent) = mpsc::channel(1);
        let request = with(&token.reveal(), ReceiverStream::new(sent));
        answers.push(client.ingest_stories(request).await.expect("the stream opens").into_inner());
        sending.push(stories);
    }
    revoke(&service.database, &token).await;
    let expected = Refused::with(Code::Unauthenticated, ErrorReason::CredentialsRevoked);
    assert_eq!(Refused::from(end(answers.remove(0)).await), expected);

    for (number, stories) in sending.iter().enumerate() {
        let _ = stories.send(make::streamed(make::story(&format!("urn:{number}"), &[]))).await;
    }
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(service.count("select count(*) from article").await, 0);
}

/// The handler has not started, as no request message has arrived.
#[tokio::test]
async fn a_revoked_token_ends_a_stream_whose_request_has_not_arrived() {
    let service = start(api_tokens()).await;
    let token = token(&service.database, "desk", Role::Reader).await;
    let never = with(&token.reveal(), futures_util::stream::pending::<Vec<u8>>());
    let mut client = tonic::client::Grpc::new(service.channel().await);
    client.ready().await.unwrap();
    let path = "/readout.v1.ChangeService/WatchChanges".parse().unwrap();
    let watching = tokio::spawn(async move { client.client_streaming(never, path, raw::Bytes).await.map(|_| ()) });
    // The call is admitted before the token is revoked.
    time::sleep(Duration::from_millis(500)).await;
    read(&service, Some(&token.reveal())).await.expect("the token is accepted");
    revoke(&service.database, &token).await;
    let ended = within_timeout("the end", watching).await.unwrap().expect_err("the call is refused");
    assert_eq!(Refused::from(ended), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsRevoked));
}

#[tokio::test]
async fn a_token_that_expires_ends_its_streams() {
    let service = start(api_tokens()).await;
    let soon = Some(Utc::now() + TimeDelta::seconds(2));
    let token = token_until(&service.database, "desk", Role::Reader, soon).await.reveal();
    let ended = end(watch(&service, &token).await).await;
    assert!(Some(Utc::now()) >= soon);
    assert_eq!(Refused::from(ended), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsExpired));
}

#[tokio::test]
async fn a_jwt_that_expires_ends_its_streams() {
    let key = Key::new("a", Algorithm::ES256);
    let endpoint = KeyEndpoint::start(Some(key_set(&[&key]))).await;
    let service: Service = start(Access { ..jwt_access(endpoint.source()) }).await;
    // The service allows 30 seconds of clock skew.
    let token = key.token(&claims_with(json!({"exp": get_current_timestamp() - 28})));
    let ended = end(watch(&service, &token).await).await;
    assert_eq!(Refused::from(ended), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsExpired));
}
