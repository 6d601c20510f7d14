//! API tokens: creation, revocation, expiry, and the cache while the table cannot be read.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::future::join_all;
use readout::{
    access::{api_token::ApiToken, token_cache::Tokens},
    config::{Access, AnonymousRole},
    model::role::Role,
    pb::ErrorReason,
    store::Store,
};
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;
use tonic::Code;

use super::{api_tokens, read, revoke, start, token, token_until, unauthenticated};
use crate::support::{Refused, cluster, data_dir::eventually};

#[tokio::test]
async fn an_api_token_is_accepted_as_soon_as_it_is_created() {
    let service = start(api_tokens()).await;
    for number in 0..5 {
        let token = token(&service.database, &format!("reader-{number}"), Role::Reader).await;
        read(&service, Some(&token.reveal())).await.expect("the token is accepted");
    }
    unauthenticated(read(&service, None).await, ErrorReason::CredentialsMissing, "");
}

#[tokio::test]
async fn an_api_token_that_the_service_did_not_issue_is_refused() {
    let service = start(api_tokens()).await;
    let token = token(&service.database, "reader", Role::Reader).await.reveal();
    let strange = ApiToken::generate().expect("random bytes").reveal();
    // The id of one token with the secret of another.
    let (at, _) = token.match_indices('_').nth(1).expect("rdt_id_secret");
    let mixed = format!("{}{}", &token[..at], &strange[at..]);
    let cut = &token[..token.len() - 1];
    for wrong in [strange.as_str(), &mixed, cut, &format!("{token}0"), &token.to_uppercase(), "rdt_", "x.y.z"] {
        unauthenticated(read(&service, Some(wrong)).await, ErrorReason::CredentialsInvalid, wrong);
    }
    read(&service, Some(&token)).await.expect("the token is accepted");
}

#[tokio::test]
async fn revoked_and_expired_tokens_have_different_error_reasons() {
    let service = start(api_tokens()).await;
    let revoked = token(&service.database, "one", Role::Reader).await;
    let expired = token_until(&service.database, "two", Role::Reader, Some(Utc::now())).await.reveal();
    let other = token(&service.database, "one", Role::Reader).await.reveal();
    read(&service, Some(&revoked.reveal())).await.expect("the token is accepted");
    unauthenticated(read(&service, Some(&expired)).await, ErrorReason::CredentialsExpired, &expired);

    revoke(&service.database, &revoked).await;
    let revoked = revoked.reveal();
    eventually("the token is refused", async || read(&service, Some(&revoked)).await.is_err()).await;
    unauthenticated(read(&service, Some(&revoked)).await, ErrorReason::CredentialsRevoked, &revoked);
    read(&service, Some(&other)).await.expect("another token with the same name is still accepted");
}

#[tokio::test]
async fn a_token_whose_row_is_deleted_is_refused() {
    let service = start(api_tokens()).await;
    let token = token(&service.database, "reader", Role::Reader).await.reveal();
    read(&service, Some(&token)).await.expect("the token is accepted");
    service.execute("delete from token").await;
    eventually("the token is refused", async || read(&service, Some(&token)).await.is_err()).await;
    unauthenticated(read(&service, Some(&token)).await, ErrorReason::CredentialsInvalid, &token);
}

/// A client that sends credentials expects to be authenticated, so it must learn that they are invalid.
#[tokio::test]
async fn invalid_credentials_are_refused_even_where_none_are_needed() {
    let anonymous_role = Some(AnonymousRole::Reader);
    let service = start(Access { anonymous_role, ..api_tokens() }).await;
    read(&service, None).await.expect("anonymous reads are allowed");
    let strange = ApiToken::generate().expect("random bytes").reveal();
    unauthenticated(read(&service, Some(&strange)).await, ErrorReason::CredentialsInvalid, &strange);

    let open = start(Access::default()).await;
    read(&open, None).await.expect("anonymous reads are allowed");
    for sent in [strange.as_str(), "x.y.z"] {
        unauthenticated(read(&open, Some(sent)).await, ErrorReason::CredentialsInvalid, sent);
    }
}

#[tokio::test]
async fn known_tokens_are_accepted_and_unknown_ones_share_a_lookup_while_the_table_is_locked() {
    let service = start(api_tokens()).await;
    let known = token(&service.database, "reader", Role::Reader).await.reveal();
    read(&service, Some(&known)).await.expect("the token is accepted");
    let mut held = service.database.connect().await.unwrap();
    for statement in ["begin", "lock table token in access exclusive mode"] {
        sqlx::query(statement).execute(&mut held).await.unwrap();
    }

    let strangers: Vec<_> = (0..50).map(|_| ApiToken::generate().expect("random bytes").reveal()).collect();
    let reads = join_all(strangers.iter().map(|token| read(&service, Some(token))));
    let others = async {
        let waiting = "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'readout' and wait_event_type = 'Lock'";
        eventually("a lookup waits", async || service.count(waiting).await > 0).await;
        for _ in 0..20 {
            read(&service, Some(&known)).await.expect("the token is accepted");
            assert!(service.count(waiting).await <= 2);
        }
    };
    let (outcomes, ()) = tokio::join!(reads, others);
    for outcome in outcomes {
        let unavailable = Refused::with(Code::Unavailable, ErrorReason::DatabaseUnavailable);
        assert_eq!(Refused::from(outcome.unwrap_err()), unavailable);
    }
    held.close().await.unwrap();
    eventually("the table is read again", async || {
        read(&service, Some(&strangers[0])).await.unwrap_err().code() == Code::Unauthenticated
    })
    .await;
}

/// Otherwise clients that disconnect could keep a service from learning of new and revoked tokens.
#[tokio::test]
async fn a_caller_that_disconnects_does_not_cancel_the_shared_token_lookup() {
    let database = cluster::database().await;
    let mut held = database.connect().await.unwrap();
    let tokens = Arc::new(Tokens::new(Store::new(database)).await.unwrap());
    let (stranger, new) = (ApiToken::generate().expect("random bytes"), ApiToken::generate().expect("random bytes"));
    for statement in ["begin", "lock table token in access exclusive mode"] {
        sqlx::query(statement).execute(&mut held).await.unwrap();
    }
    let insert = "insert into token (id, name, role, hash, create_time) values ($1, 'new', 'reader', $2, now())";
    sqlx::query(insert).bind(new.id).bind(new.hash().0.as_slice()).execute(&mut held).await.unwrap();

    let mut lookup = Box::pin(tokens.authenticate(&stranger));
    assert!(timeout(Duration::ZERO, &mut lookup).await.is_err());
    let waiting = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.authenticate(&new).await }
    });
    assert!(timeout(Duration::from_millis(500), &mut lookup).await.is_err());
    drop(lookup);
    sqlx::query("commit").execute(&mut held).await.unwrap();
    assert_eq!(&*waiting.await.unwrap().expect("the token is accepted").name, "token/new");
}
