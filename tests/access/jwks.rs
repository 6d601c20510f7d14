//! Issuer keys that rotate while the service runs, or that cannot be fetched.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, Header};
use readout::{
    access::jwks_fetcher::KeySource,
    pb::{ErrorReason, ListArticlesRequest},
};
use tempfile::tempdir;
use tonic::Code;

use super::{
    issuer::{Key, KeyEndpoint, claims, jwt_access, key_set},
    read, start, unauthenticated, with,
};
use crate::support::{Refused, data_dir::eventually};

#[tokio::test]
async fn a_new_key_is_accepted_at_once_and_an_old_key_until_it_is_removed() {
    let (old, new) = (Key::new("2025", Algorithm::ES256), Key::new("2026", Algorithm::EdDSA));
    let dir = tempdir().unwrap();
    let path = dir.path().join("keys.json");
    fs::write(&path, key_set(&[&old])).unwrap();
    let service = start(jwt_access(KeySource::File(path.clone()))).await;
    let (of_old, of_new) = (old.token(&claims("alice", "reader")), new.token(&claims("alice", "reader")));
    read(&service, Some(&of_old)).await.expect("the token is accepted");
    unauthenticated(read(&service, Some(&of_new)).await, ErrorReason::CredentialsInvalid, &of_new);

    fs::write(&path, key_set(&[&old, &new])).unwrap();
    eventually("the new key is accepted", async || read(&service, Some(&of_new)).await.is_ok()).await;
    read(&service, Some(&of_old)).await.expect("the old key is still accepted");

    // A truncated file counts as unreadable.
    fs::write(&path, &key_set(&[&new])[..50]).unwrap();
    let third = Key::new("2027", Algorithm::ES256).token(&claims("alice", "reader"));
    unauthenticated(read(&service, Some(&third)).await, ErrorReason::CredentialsInvalid, &third);
    read(&service, Some(&of_old)).await.expect("the former keys stay in use");

    fs::write(&path, key_set(&[&new])).unwrap();
    eventually("the old key is gone", async || read(&service, Some(&of_old)).await.is_err()).await;
    unauthenticated(read(&service, Some(&of_old)).await, ErrorReason::CredentialsInvalid, &of_old);
    read(&service, Some(&of_new)).await.expect("the token is accepted");
}

#[tokio::test]
async fn an_unknown_key_id_fetches_the_key_set_once_for_all_waiting_calls() {
    let (old, new) = (Key::new("2025", Algorithm::ES256), Key::new("2026", Algorithm::ES256));
    let endpoint = KeyEndpoint::start(Some(key_set(&[&old]))).await;
    let service = start(jwt_access(endpoint.source())).await;
    read(&service, Some(&old.token(&claims("alice", "reader")))).await.expect("the token is accepted");
    assert_eq!(endpoint.request_count(), 1);

    endpoint.set_keys(Some(key_set(&[&old, &new])));
    let token = new.token(&claims("alice", "reader"));
    // Concurrent calls share one fetch.
    for outcome in join_all((0..20).map(|_| read(&service, Some(&token)))).await {
        outcome.expect("the token is accepted");
    }
    assert_eq!(endpoint.request_count(), 2);
}

/// Otherwise clients with short deadlines could keep a service from learning a new key.
#[tokio::test]
async fn a_call_whose_deadline_passes_does_not_cancel_the_shared_key_fetch() {
    let (old, new) = (Key::new("2025", Algorithm::ES256), Key::new("2026", Algorithm::ES256));
    let endpoint = KeyEndpoint::start(Some(key_set(&[&old]))).await;
    let service = start(jwt_access(endpoint.source())).await;
    endpoint.set_delay(Duration::from_millis(500));
    endpoint.set_keys(Some(key_set(&[&old, &new])));
    let token = new.token(&claims("alice", "reader"));
    let mut short = with(&token, ListArticlesRequest::default());
    short.set_timeout(Duration::from_millis(100));
    service.articles.clone().list_articles(short).await.expect_err("the deadline passes first");
    read(&service, Some(&token)).await.expect("the token is accepted");
    assert_eq!(endpoint.request_count(), 2);
}

#[tokio::test]
async fn unknown_key_ids_do_not_cause_unlimited_key_fetches() {
    let key = Key::new("a", Algorithm::ES256);
    let endpoint = KeyEndpoint::start(Some(key_set(&[&key]))).await;
    let service = start(jwt_access(endpoint.source())).await;
    for number in 0..200 {
        let header = Header { kid: Some(format!("unknown-{number}")), ..Header::new(Algorithm::ES256) };
        let token = key.token_as(&header, &claims("alice", "admin"));
        unauthenticated(read(&service, Some(&token)).await, ErrorReason::CredentialsInvalid, &token);
    }
    // Once at the start and once for the first unknown key id.
    assert!(endpoint.request_count() <= 2, "{}", endpoint.request_count());
}

#[tokio::test]
async fn fetched_keys_stay_in_use_while_the_issuer_fails() {
    let key = Key::new("a", Algorithm::ES256);
    let endpoint = KeyEndpoint::start(Some(key_set(&[&key]))).await;
    let service = start(jwt_access(endpoint.source())).await;
    endpoint.set_keys(None);
    let unknown = Key::new("b", Algorithm::ES256).token(&claims("alice", "reader"));
    unauthenticated(read(&service, Some(&unknown)).await, ErrorReason::CredentialsInvalid, &unknown);
    assert_eq!(endpoint.request_count(), 2);
    read(&service, Some(&key.token(&claims("alice", "reader")))).await.expect("the token is accepted");
}

#[tokio::test]
async fn a_service_starts_without_keys_and_reports_them_unavailable() {
    let key = Key::new("a", Algorithm::ES256);
    let token = key.token(&claims("alice", "reader"));
    for first in [None, Some("<html>".to_owned()), Some(format!("{{\"keys\":[]}}{}", " ".repeat(1 << 20)))] {
        let endpoint = KeyEndpoint::start(first).await;
        let service = start(jwt_access(endpoint.source())).await;
        let refused = read(&service, Some(&token)).await.unwrap_err();
        let unavailable = Refused::with(Code::Unavailable, ErrorReason::KeysUnavailable);
        assert_eq!(Refused::from(refused), unavailable);
        endpoint.set_keys(Some(key_set(&[&key])));
        eventually("the keys are fetched", async || read(&service, Some(&token)).await.is_ok()).await;
    }
}
