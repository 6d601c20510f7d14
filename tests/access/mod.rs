//! Access control: authentication, roles, rate limits and recorded actors.

mod actors;
mod certificates;
mod command;
mod hidden_text;
mod issuer;
mod jwks;
mod jwt;
mod rates;
mod roles;
mod scope_credentials;
pub mod scopes;
mod streams;
mod tokens;

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use readout::{
    access::api_token::ApiToken,
    config::{self, Access},
    model::{role::Role, scope::Scopes},
    pb::{ErrorReason, ListArticlesRequest},
    store::{
        Store,
        token::{self, Token},
    },
};
use sqlx::postgres::PgConnectOptions;
use tonic::{Code, Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{Refused, Service, cluster};

/// A request with `token` as its bearer token.
pub fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("the header is ASCII"));
    request
}

/// Starts a service with these access rules and waits until it serves.
pub async fn start(access: Access) -> Service {
    start_on(cluster::database().await, access).await
}

pub async fn start_on(database: PgConnectOptions, access: Access) -> Service {
    let drain_timeout = Duration::from_secs(5);
    let service = Service::start_as(database, config::Service { drain_timeout, access, ..Default::default() }).await;
    // It accepts connections before it has loaded its keys and tokens.
    HealthClient::new(service.channel().await).check(HealthCheckRequest::default()).await.expect("the service serves");
    service
}

/// Access rules that accept API tokens.
pub fn api_tokens() -> Access {
    Access { api_tokens: true, ..Default::default() }
}

/// Creates a token in the database and returns its secret.
pub async fn token(database: &PgConnectOptions, name: &str, role: Role) -> ApiToken {
    token_until(database, name, role, None).await
}

async fn token_until(
    database: &PgConnectOptions,
    name: &str,
    role: Role,
    expire_time: Option<DateTime<Utc>>,
) -> ApiToken {
    stored_token(database, (name, role, None), expire_time).await
}

/// Creates a token that is bound to these scopes and returns its text.
async fn scoped_token(database: &PgConnectOptions, name: &str, role: Role, scopes: &[&str]) -> String {
    let scopes = scopes.iter().map(|text| text.parse().expect("a scope")).collect();
    let scopes = Some(Scopes::new(scopes).expect("scopes"));
    stored_token(database, (name, role, scopes), None).await.reveal()
}

async fn stored_token(
    database: &PgConnectOptions,
    (name, role, scopes): (&str, Role, Option<Scopes>),
    expire_time: Option<DateTime<Utc>>,
) -> ApiToken {
    let secret = ApiToken::generate().expect("random bytes");
    let create_time = Utc::now().trunc_subsecs(6);
    let (id, hash, name) = (secret.id, secret.hash(), name.to_owned());
    let token = Token { id, name, role, scopes, hash, create_time, expire_time, revoke_time: None };
    let store = Store::new(database.clone());
    token::create(store.feed(), &token).await.expect("the token is stored");
    store.close().await;
    secret
}

pub async fn revoke(database: &PgConnectOptions, token: &ApiToken) {
    let store = Store::new(database.clone());
    token::revoke(store.feed(), token.id).await.expect("an answer").expect("the token exists");
    store.close().await;
}

/// Lists articles with or without a token.
pub async fn read(service: &Service, token: Option<&str>) -> Result<(), Status> {
    let request = ListArticlesRequest::default();
    let request = match token {
        Some(token) => with(token, request),
        None => Request::new(request),
    };
    service.articles.clone().list_articles(request).await.map(|_| ())
}

/// Asserts that the read is refused as unauthenticated and that the answer repeats nothing of `sent`.
#[track_caller]
fn unauthenticated(outcome: Result<(), Status>, reason: ErrorReason, sent: &str) {
    let status = outcome.expect_err("the call is refused");
    assert!(sent.is_empty() || !format!("{status:?}").contains(sent), "{status:?}");
    let challenge = status.metadata().get("www-authenticate").cloned();
    assert_eq!(Refused::from(status), Refused::with(Code::Unauthenticated, reason));
    assert_eq!(challenge.expect("a www-authenticate header"), "Bearer");
}
