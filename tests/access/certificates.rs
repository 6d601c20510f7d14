//! Callers who are known by the certificate that they show.

use readout::{
    access::certificate::ClientIdentity,
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
use crate::support::{Refused, Service, authority::Authority, cluster, make::article, metadata_of};

/// A service that vouches for certificates of the authority, of which these have a role.
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
    let connect = async |address| authority.connect(address, None).await.expect("it lets us in");
    Service::start_over(cluster::database().await, config, connect).await
}

fn create(uri: &str) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article(uri)), ..Default::default() }
}

#[tokio::test]
async fn a_certificate_gives_the_role_of_its_name_and_a_token_goes_before_it() {
    let authority = Authority::new();
    let service = start(&authority, &[("desk.example.com", Role::Writer), ("screen.example.com", Role::Reader)]).await;
    let of = async |name: &str| {
        let channel = authority.connect(service.address, Some(&authority.client(name))).await.expect("it lets us in");
        ArticleServiceClient::new(channel)
    };
    of("desk").await.create_article(create("urn:a")).await.expect("it may write");
    let refused = of("screen").await.create_article(create("urn:b")).await.unwrap_err();
    assert_eq!((metadata_of(&refused, "role"), refused.code()), ("READER".to_owned(), Code::PermissionDenied));
    let refused = of("stranger").await.create_article(create("urn:b")).await.unwrap_err();
    assert_eq!((metadata_of(&refused, "role"), refused.code()), ("NONE".to_owned(), Code::PermissionDenied));
    let refused = service.articles.clone().create_article(create("urn:b")).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsMissing));

    let pipeline = token(&service.database, "pipeline", Role::Writer).await.reveal();
    of("screen").await.create_article(with(&pipeline, create("urn:b"))).await.expect("the token may");
    let refused = of("desk").await.create_article(with("rdt_", create("urn:c"))).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::Unauthenticated, ErrorReason::CredentialsInvalid));

    let screen = authority.connect(service.address, Some(&authority.client("screen"))).await.expect("it lets us in");
    let request = ListChangesRequest { start: Some(Start::Origin(Origin::Beginning.into())), ..Default::default() };
    let page = ChangeServiceClient::new(screen).list_changes(request).await.expect("it may read").into_inner();
    let actors: Vec<_> = page.changes.into_iter().map(|change| change.actor).collect();
    assert_eq!(actors, ["cert/desk.example.com", "token/pipeline"]);
}
