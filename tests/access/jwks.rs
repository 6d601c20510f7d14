//! The keys of an issuer change while the service runs, or cannot be had.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, Header};
use readout::{
    access::jwks::KeySource,
    pb::{ErrorReason, ListArticlesRequest},
};
use tempfile::tempdir;
use tonic::Code;

use super::{
    issuer::{Key, Place, claims, key_set, takes},
    read, start, unauthenticated, with,
};
use crate::support::{Refused, data_dir::eventually};

#[tokio::test]
async fn a_new_key_holds_at_once_and_an_old_one_until_it_is_gone() {
    let (old, new) = (Key::new("2025", Algorithm::ES256), Key::new("2026", Algorithm::EdDSA));
    let dir = tempdir().unwrap();
    let path = dir.path().join("keys.json");
    fs::write(&path, key_set(&[&old])).unwrap();
    let service = start(takes(KeySource::File(path.clone()))).await;
    let (of_old, of_new) = (old.token(&claims("alice", "reader")), new.token(&claims("alice", "reader")));
    read(&service, Some(&of_old)).await.expect("it holds");
    unauthenticated(read(&service, Some(&of_new)).await, ErrorReason::CredentialsInvalid, &of_new);

    fs::write(&path, key_set(&[&old, &new])).unwrap();
    eventually("the new one holds", async || read(&service, Some(&of_new)).await.is_ok()).await;
    read(&service, Some(&of_old)).await.expect("it still holds");

    // Half a file is none.
    fs::write(&path, &key_set(&[&new])[..50]).unwrap();
    let third = Key::new("2027", Algorithm::ES256).token(&claims("alice", "reader"));
    unauthenticated(read(&service, Some(&third)).await, ErrorReason::CredentialsInvalid, &third);
    read(&service, Some(&of_old)).await.expect("what was had before goes on");

    fs::write(&path, key_set(&[&new])).unwrap();
    eventually("the old one is gone", async || read(&service, Some(&of_old)).await.is_err()).await;
    unauthenticated(read(&service, Some(&of_old)).await, ErrorReason::CredentialsInvalid, &of_old);
    read(&service, Some(&of_new)).await.expect("it holds");
}

#[tokio::test]
async fn an_issuer_is_asked_for_a_key_that_is_not_known() {
    let (old, new) = (Key::new("2025", Algorithm::ES256), Key::new("2026", Algorithm::ES256));
    let place = Place::start(Some(key_set(&[&old]))).await;
    let service = start(takes(place.source())).await;
    read(&service, Some(&old.token(&claims("alice", "reader")))).await.expect("it holds");
    assert_eq!(place.asked(), 1);

    place.tells(Some(key_set(&[&old, &new])));
    let token = new.token(&claims("alice", "reader"));
    // All at once: one asks for all of them.
    for outcome in join_all((0..20).map(|_| read(&service, Some(&token)))).await {
        outcome.expect("it holds");
    }
    assert_eq!(place.asked(), 2);
}

/// Else strangers in a hurry could keep a service from hearing of a new key.
#[tokio::test]
async fn whoever_does_not_wait_for_the_issuer_does_not_spoil_it_for_others() {
    let (old, new) = (Key::new("2025", Algorithm::ES256), Key::new("2026", Algorithm::ES256));
    let place = Place::start(Some(key_set(&[&old]))).await;
    let service = start(takes(place.source())).await;
    place.takes(Duration::from_millis(500));
    place.tells(Some(key_set(&[&old, &new])));
    let token = new.token(&claims("alice", "reader"));
    let mut hurried = with(&token, ListArticlesRequest::default());
    hurried.set_timeout(Duration::from_millis(100));
    service.articles.clone().list_articles(hurried).await.expect_err("it takes longer");
    read(&service, Some(&token)).await.expect("it holds");
    assert_eq!(place.asked(), 2);
}

#[tokio::test]
async fn an_issuer_is_not_asked_as_often_as_strangers_like() {
    let key = Key::new("a", Algorithm::ES256);
    let place = Place::start(Some(key_set(&[&key]))).await;
    let service = start(takes(place.source())).await;
    for number in 0..200 {
        let header = Header { kid: Some(format!("unknown-{number}")), ..Header::new(Algorithm::ES256) };
        let token = key.token_as(&header, &claims("alice", "admin"));
        unauthenticated(read(&service, Some(&token)).await, ErrorReason::CredentialsInvalid, &token);
    }
    // At the start, and for the first of them.
    assert!(place.asked() <= 2, "{}", place.asked());
}

#[tokio::test]
async fn keys_that_were_had_go_on_while_the_issuer_fails() {
    let key = Key::new("a", Algorithm::ES256);
    let place = Place::start(Some(key_set(&[&key]))).await;
    let service = start(takes(place.source())).await;
    place.tells(None);
    let unknown = Key::new("b", Algorithm::ES256).token(&claims("alice", "reader"));
    unauthenticated(read(&service, Some(&unknown)).await, ErrorReason::CredentialsInvalid, &unknown);
    assert_eq!(place.asked(), 2);
    read(&service, Some(&key.token(&claims("alice", "reader")))).await.expect("it holds");
}

#[tokio::test]
async fn without_keys_the_service_starts_and_says_so_until_it_has_them() {
    let key = Key::new("a", Algorithm::ES256);
    let token = key.token(&claims("alice", "reader"));
    for first in [None, Some("<html>".to_owned()), Some(format!("{{\"keys\":[]}}{}", " ".repeat(1 << 20)))] {
        let place = Place::start(first).await;
        let service = start(takes(place.source())).await;
        let refused = read(&service, Some(&token)).await.unwrap_err();
        let unavailable = Refused::with(Code::Unavailable, ErrorReason::KeysUnavailable);
        assert_eq!(Refused::from(refused), unavailable);
        place.tells(Some(key_set(&[&key])));
        eventually("they are had", async || read(&service, Some(&token)).await.is_ok()).await;
    }
}
