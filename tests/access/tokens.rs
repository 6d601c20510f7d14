//! API tokens: which hold, since when and until when.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::future::join_all;
use readout::{
    access::{api_token::ApiToken, tokens::Tokens},
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
async fn a_token_holds_as_soon_as_it_is_made() {
    let service = start(api_tokens()).await;
    for number in 0..5 {
        let token = token(&service.database, &format!("reader-{number}"), Role::Reader).await;
        read(&service, Some(&token.reveal())).await.expect("it holds");
    }
    unauthenticated(read(&service, None).await, ErrorReason::CredentialsMissing, "");
}

#[tokio::test]
async fn what_is_no_token_of_the_service_is_refused() {
    let service = start(api_tokens()).await;
    let token = token(&service.database, "reader", Role::Reader).await.reveal();
    let strange = ApiToken::generate().expect("random bytes").reveal();
    // The id of one, and the secret of another.
    let (at, _) = token.match_indices('_').nth(1).expect("rdt_id_secret");
    let mixed = format!("{}{}", &token[..at], &strange[at..]);
    let cut = &token[..token.len() - 1];
    for wrong in [strange.as_str(), &mixed, cut, &format!("{token}0"), &token.to_uppercase(), "rdt_", "x.y.z"] {
        unauthenticated(read(&service, Some(wrong)).await, ErrorReason::CredentialsInvalid, wrong);
    }
    read(&service, Some(&token)).await.expect("it holds");
}

#[tokio::test]
async fn a_revoked_token_and_an_expired_one_are_told_apart() {
    let service = start(api_tokens()).await;
    let revoked = token(&service.database, "one", Role::Reader).await;
    let expired = token_until(&service.database, "two", Role::Reader, Some(Utc::now())).await.reveal();
    let other = token(&service.database, "one", Role::Reader).await.reveal();
    read(&service, Some(&revoked.reveal())).await.expect("it holds");
    unauthenticated(read(&service, Some(&expired)).await, ErrorReason::CredentialsExpired, &expired);

    revoke(&service.database, &revoked).await;
    let revoked = revoked.reveal();
    eventually("it is refused", async || read(&service, Some(&revoked)).await.is_err()).await;
    unauthenticated(read(&service, Some(&revoked)).await, ErrorReason::CredentialsRevoked, &revoked);
    read(&service, Some(&other)).await.expect("another one of that name still holds");
}

#[tokio::test]
async fn a_token_whose_row_is_gone_is_refused() {
    let service = start(api_tokens()).await;
    let token = token(&service.database, "reader", Role::Reader).await.reveal();
    read(&service, Some(&token)).await.expect("it holds");
    service.execute("delete from token").await;
    eventually("it is refused", async || read(&service, Some(&token)).await.is_err()).await;
    unauthenticated(read(&service, Some(&token)).await, ErrorReason::CredentialsInvalid, &token);
}

/// Whoever sends credentials believes to be somebody, and shall hear of it.
#[tokio::test]
async fn credentials_that_do_not_hold_are_refused_where_none_are_needed() {
    let anonymous_role = Some(AnonymousRole::Reader);
    let service = start(Access { anonymous_role, ..api_tokens() }).await;
    read(&service, None).await.expect("anybody may");
    let strange = ApiToken::generate().expect("random bytes").reveal();
    unauthenticated(read(&service, Some(&strange)).await, ErrorReason::CredentialsInvalid, &strange);

    let open = start(Access::default()).await;
    read(&open, None).await.expect("anybody may");
    for sent in [strange.as_str(), "x.y.z"] {
        unauthenticated(read(&open, Some(sent)).await, ErrorReason::CredentialsInvalid, sent);
    }
}

#[tokio::test]
async fn while_the_table_cannot_be_read_those_who_are_known_go_on_and_one_asks_for_all_others() {
    let service = start(api_tokens()).await;
    let known = token(&service.database, "reader", Role::Reader).await.reveal();
    read(&service, Some(&known)).await.expect("it holds");
    let mut held = service.database.connect().await.unwrap();
    for statement in ["begin", "lock table token in access exclusive mode"] {
        sqlx::query(statement).execute(&mut held).await.unwrap();
    }

    let strangers: Vec<_> = (0..50).map(|_| ApiToken::generate().expect("random bytes").reveal()).collect();
    let asked = join_all(strangers.iter().map(|token| read(&service, Some(token))));
    let others = async {
        let waiting = "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'readout' and wait_event_type = 'Lock'";
        eventually("one waits", async || service.count(waiting).await > 0).await;
        for _ in 0..20 {
            read(&service, Some(&known)).await.expect("it holds");
            assert!(service.count(waiting).await <= 2);
        }
    };
    let (asked, ()) = tokio::join!(asked, others);
    for outcome in asked {
        let unavailable = Refused::with(Code::Unavailable, ErrorReason::DatabaseUnavailable);
        assert_eq!(Refused::from(outcome.unwrap_err()), unavailable);
    }
    held.close().await.unwrap();
    eventually("all is as before", async || {
        read(&service, Some(&strangers[0])).await.unwrap_err().code() == Code::Unauthenticated
    })
    .await;
}

/// Else a stranger who comes and goes could keep a service from hearing of new tokens, and of those that are revoked.
#[tokio::test]
async fn whoever_goes_away_while_the_table_is_read_for_all_does_not_spoil_it() {
    let database = cluster::database().await;
    let mut held = database.connect().await.unwrap();
    let tokens = Arc::new(Tokens::new(Store::new(database)).await.unwrap());
    let (stranger, new) = (ApiToken::generate().expect("random bytes"), ApiToken::generate().expect("random bytes"));
    for statement in ["begin", "lock table token in access exclusive mode"] {
        sqlx::query(statement).execute(&mut held).await.unwrap();
    }
    let kept = "insert into token (id, name, role, hash, create_time) values ($1, 'new', 'reader', $2, now())";
    sqlx::query(kept).bind(new.id).bind(new.hash().0.as_slice()).execute(&mut held).await.unwrap();

    let mut asks = Box::pin(tokens.known(&stranger));
    assert!(timeout(Duration::ZERO, &mut asks).await.is_err());
    let waits = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.known(&new).await }
    });
    assert!(timeout(Duration::from_millis(500), &mut asks).await.is_err());
    drop(asks);
    sqlx::query("commit").execute(&mut held).await.unwrap();
    assert_eq!(&*waits.await.unwrap().expect("it holds").name, "token/new");
}
