//! Callers that authenticate with a client certificate.

use readout::{
    access::client_certificate::ClientIdentity,
    config::{self, Access, ClientAuth, Tls, Transport},
    model::role::Role,
    pb::{
        CreateArticleRequest, ErrorReason, ListChangesRequest, Origin, article_service_client::ArticleServiceClient,
        change_service_client::ChangeServiceClient, list_changes_request::Start,
    },
};
use tempfile::tempdir;
use tonic::Code;

use super::{api_tokens, token, with};
use crate::support::{Refused, Service, certificate_authority::Authority, cluster, make::article, metadata_of};

/// A service that accepts client certificates of the authority and grants `identities` their roles.
async fn start(authority: &Authority, identities: &[(&str, Role)]) -> Service {
    let dir = tempdir().unwrap();
    authority.service().write(dir.path(), "service");
    std::fs::write(dir.path().join("clients.pem"), authority.cert()).unwrap();
    let tls = Tls {
        tls_cert: Some(dir.path().join("service.pem")),
        tls_key: Some(dir.path().join("service.key")),
        tls_client_ca: Some(dir.path().join("clients.pem")),
        tls_client_auth: ClientAuth::Optional,
        ..Default::default()
    };
    let identity = |(name, role): &(&str, Role)| ClientIdentity { name: (*name).to_owned(), role: *role };
    let client_identities = identities.iter().map(identity).collect();
    let access = Access { client_identities, ..api_tokens() };
    let config = config::Service { transport: Transport { tls, ..Default::default() }, access, ..Default::default() };
    let connect = async |address| authority.connect(address, None).await.expect("the TLS handshake succeeds");
    Service::start_over(cluster::database().await, config, connect).await
}

fn create(uri: &str) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article(uri)), ..Default::default() }
}

#[tokio::test]
async fn a_client_certificate_grants_the_role_of_its_name_unless_a_token_is_sent() {
    let authority = Authority::new();
    let service = start(&authority, &[("desk.example.com", Role::Writer), ("screen.example.com", Role::Reader)]).await;
    let articles_as = async |name: &str| {
        let channel = authority
            .connect(service.address, Some(&authority.client(name)))
            .await
            .expect("the TLS handshake succeeds");
        ArticleServiceClient::new(channel)
    };
    articles_as("desk").await.create_article(create("urn:a")).await.expect("a writer may write");
    let refused = articles_as("screen").await.create_article(create("urn:b")).await.unwrap_err();
    assert_eq!((metadata_of(&refused, "role"), refused.code()), ("READER".to_owned(), Code::PermissionDenied));
    let refused = articles_as("stranger").await.create_article(create("urn:b")).await.unwrap_err();
    assert_eq!((metadata_of(&refused, "role"), refused.code()), ("NONE".to_owned(), Code::PermissionDenied));
    let refused = service.articles.clone().create_article(create("urn:b")).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsMissing));

    let pipeline = token(&service.database, "pipeline", Role::Writer).await.reveal();
    articles_as("screen").await.create_article(with(&pipeline, create("urn:b"))).await.expect("the token may write");
    let refused = articles_as("desk").await.create_article(with("rdt_", create("urn:c"))).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsInvalid));

    let screen = authority
        .connect(service.address, Some(&authority.client("screen")))
        .await
        .expect("the TLS handshake succeeds");
    let request = ListChangesRequest { start: Some(Start::Origin(Origin::Beginning.into())), ..Default::default() };
    let page = ChangeServiceClient::new(screen).list_changes(request).await.expect("a reader may read").into_inner();
    let actors: Vec<_> = page.changes.into_iter().map(|change| change.actor).collect();
    assert_eq!(actors, ["cert/desk.example.com", "token/pipeline"]);
}
