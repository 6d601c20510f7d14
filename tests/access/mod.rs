//! Who may call, with which role, how often, and as whom.

mod actors;
mod certificates;
mod command;
mod issuer;
mod jwks;
mod jwt;
mod rates;
mod roles;
mod streams;
mod tokens;

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use readout::{
    access::api_token::ApiToken,
    config::{self, Access},
    model::role::Role,
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

/// A request with this token.
fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("is ASCII"));
    request
}

/// A service with this access, which serves.
async fn start(access: Access) -> Service {
    start_on(cluster::database().await, access).await
}

async fn start_on(database: PgConnectOptions, access: Access) -> Service {
    let drain_timeout = Duration::from_secs(5);
    let service = Service::start_as(database, config::Service { drain_timeout, access, ..Default::default() }).await;
    // It takes connections before it has read what it lets callers in by.
    HealthClient::new(service.channel().await).check(HealthCheckRequest::default()).await.expect("it serves");
    service
}

/// That takes API tokens.
fn api_tokens() -> Access {
    Access { api_tokens: true, ..Default::default() }
}

/// A token of the database, as its holder has it.
async fn token(database: &PgConnectOptions, name: &str, role: Role) -> ApiToken {
    token_until(database, name, role, None).await
}

async fn token_until(
    database: &PgConnectOptions,
    name: &str,
    role: Role,
    expire_time: Option<DateTime<Utc>>,
) -> ApiToken {
    let secret = ApiToken::generate().expect("random bytes");
    let create_time = Utc::now().trunc_subsecs(6);
    let (id, hash, name) = (secret.id, secret.hash(), name.to_owned());
    let kept = Token { id, name, role, hash, create_time, expire_time, revoke_time: None };
    let store = Store::new(database.clone());
    token::create(store.feed(), &kept).await.expect("kept");
    store.close().await;
    secret
}

async fn revoke(database: &PgConnectOptions, token: &ApiToken) {
    let store = Store::new(database.clone());
    token::revoke(store.feed(), token.id).await.expect("an answer").expect("there is one");
    store.close().await;
}

/// A read with a token, or without.
async fn read(service: &Service, token: Option<&str>) -> Result<(), Status> {
    let request = ListArticlesRequest::default();
    let request = match token {
        Some(token) => with(token, request),
        None => Request::new(request),
    };
    service.articles.clone().list_articles(request).await.map(|_| ())
}

/// That the read is refused as by somebody who is not known, and repeats nothing of what was sent.
#[track_caller]
fn unauthenticated(outcome: Result<(), Status>, reason: ErrorReason, sent: &str) {
    let status = outcome.expect_err("it is refused");
    assert!(sent.is_empty() || !format!("{status:?}").contains(sent), "{status:?}");
    let would_do = status.metadata().get("www-authenticate").cloned();
    assert_eq!(Refused::from(status), Refused::with(Code::Unauthenticated, reason));
    assert_eq!(would_do.expect("it says what would do"), "Bearer");
}
