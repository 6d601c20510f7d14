//! The scopes of API tokens and of JWTs: how they are given, and which are refused.

use jsonwebtoken::Algorithm;
use readout::{
    access::{Authenticator, AuthenticatorError},
    config::{Access, Jwt},
    model::role::Role,
    pb::ErrorReason,
};
use serde_json::json;
use sqlx::ConnectOptions;

use super::{
    api_tokens,
    issuer::{Key, KeyEndpoint, claims_with, jwt_access, key_set},
    read, scoped_token,
    scopes::{Desk, INSIDE, OUTSIDE, SCOPE, article, create},
    start, unauthenticated, with,
};
use crate::support::{metadata_of, program::run, reason_of};

#[tokio::test]
async fn a_jwt_is_bound_by_its_scope_claim_and_refused_with_one_that_cannot_be_read() {
    let key = Key::new("a", Algorithm::ES256);
    let endpoint = KeyEndpoint::start(Some(key_set(&[&key]))).await;
    let service = start(jwt_access(endpoint.source())).await;
    let jwt =
        |scope: serde_json::Value| key.token(&claims_with(json!({"readout_role": "writer", "readout_scope": scope})));
    let mut articles = service.articles.clone();
    for (number, claim) in [json!(SCOPE), json!([SCOPE]), json!([SCOPE, "publisher=Trend"])].into_iter().enumerate() {
        let sent = |publisher| create(article(&format!("urn:{number}"), publisher));
        let refused = articles.create_article(with(&jwt(claim.clone()), sent(OUTSIDE))).await.unwrap_err();
        assert_eq!(reason_of(&refused), ErrorReason::OutOfScope);
        articles.create_article(with(&jwt(claim), sent(INSIDE))).await.expect("in scope");
    }
    let free = key.token(&claims_with(json!({"readout_role": "writer"})));
    articles.create_article(with(&free, create(article("urn:free", OUTSIDE)))).await.expect("no scopes");
    for wrong in [json!(""), json!([]), json!("writer"), json!({}), json!(["label:a=x", "label:a=y"])] {
        let token = jwt(wrong);
        unauthenticated(read(&service, Some(&token)).await, ErrorReason::CredentialsInvalid, &token);
    }
}

#[tokio::test]
async fn one_claim_for_role_and_scopes_is_refused() {
    let source = KeyEndpoint::start(Some(key_set(&[]))).await.source();
    let access = jwt_access(source);
    let jwt = Jwt { jwt_role_claim: "readout_scope".into(), ..access.jwt };
    let options = Access { jwt, ..Default::default() }.options();
    let checked = Authenticator::check(&options, "127.0.0.1:50051".parse().unwrap()).await;
    assert!(matches!(checked, Err(AuthenticatorError::SameClaim(claim)) if claim == "readout_scope"));
}

#[tokio::test]
async fn token_commands_take_and_list_scopes_and_refuse_bad_ones() {
    let service = start(api_tokens()).await;
    let url = service.database.to_url_lossy().to_string();
    let create_with = async |scopes: &[&str]| {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        let line = ["token", "create", "desk", "--role", "writer", "--database-url", &url];
        run(line.into_iter().chain(scopes).collect::<Vec<_>>()).await
    };
    let made = create_with(&[SCOPE, "label:desk=a=b"]).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(made.stderr.contains("writer, publisher=Azərnews, label:desk=a=b;"), "{}", made.stderr);
    let mut articles = service.articles.clone();
    let refused =
        articles.create_article(with(made.stdout.trim(), create(article("urn:a", OUTSIDE)))).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "scope"), SCOPE);

    let many: Vec<String> = (0..17).map(|number| format!("publisher={number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("publisher={}", "x".repeat(257));
    for (wrong, message) in [
        (&[""][..], "must be publisher=NAME or label:KEY=VALUE"),
        (&["desk"], "must be publisher=NAME or label:KEY=VALUE"),
        (&["publisher="], "the publisher must not be empty"),
        (&["label:desk="], "the value of the label must not be empty"),
        (&["publisher=a\nb"], "must not contain control characters"),
        (&[&long], "at most 256 characters, not 257"),
        (&many, "at most 16 scopes are allowed, not 17"),
        (&["publisher=a", "publisher=a"], "publisher=a is given twice"),
        (&["label:desk=a", "label:desk=b"], "label:desk=a and label:desk=b contradict each other"),
    ] {
        let ran = create_with(wrong).await;
        assert!(ran.code != Some(0) && ran.stdout.is_empty(), "{wrong:?}");
        let stderr = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(stderr.contains(message), "{wrong:?}: {stderr}");
    }
    let listed = run(["token", "list", "--output", "json", "--database-url", &url]).await.stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("one token");
    assert_eq!(listed["scopes"], json!([SCOPE, "label:desk=a=b"]));
    let text = run(["token", "list", "--database-url", &url]).await.stdout;
    assert!(text.contains("publisher=Azərnews, label:desk=a=b\n"), "{text}");
}

/// A later release may store scopes of another form. They must not widen what the token may write.
#[tokio::test]
async fn a_token_with_a_stored_scope_of_an_unknown_form_writes_nothing() {
    let desk = Desk::start().await;
    desk.service
        .execute("update token set scopes = array['publisher=Azərnews', 'region=AZ'] where name = 'bound'")
        .await;
    // Tokens are cached by id: a service that starts later reads the scope.
    let later = super::start_on(desk.service.database.clone(), api_tokens()).await;
    let sent = with(&desk.bound, create(article("urn:a", INSIDE)));
    let refused = later.articles.clone().create_article(sent).await.unwrap_err();
    assert_eq!(
        (metadata_of(&refused, "scope"), reason_of(&refused)),
        ("region=AZ".to_owned(), ErrorReason::OutOfScope)
    );
    read(&later, Some(&desk.bound)).await.expect("reads are not restricted");
}

/// Common clients refuse headers above 8 KiB.
#[tokio::test]
async fn the_longest_scopes_and_uri_fit_into_the_headers_of_the_refusal() {
    let desk = Desk::start().await;
    let publishers: Vec<String> =
        (10..26).map(|number| format!("publisher={number}{}", "\u{10428}".repeat(254))).collect();
    let scopes: Vec<&str> = publishers.iter().map(String::as_str).collect();
    let many = scoped_token(&desk.service.database, "many", Role::Writer, &scopes).await;
    let label = format!("label:{}={}", "\u{10428}".repeat(128), "\u{10428}".repeat(256));
    let long = scoped_token(&desk.service.database, "long", Role::Writer, &[&label]).await;
    for token in [many, long] {
        let refused = desk.create(&token, article(&format!("urn:{}", "x".repeat(2044)), "C")).await.unwrap_err();
        assert_eq!(reason_of(&refused), ErrorReason::OutOfScope);
        let bytes = refused.details().len().div_ceil(3) * 4 + refused.message().len() * 3;
        assert!(bytes < 7680, "{bytes}");
    }
}
