//! The JWTs that the service accepts and refuses.

use std::io::Write;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use readout::{access::jwks_fetcher::KeySource, model::role::Role, pb::ErrorReason};
use serde_json::json;
use tempfile::NamedTempFile;
use tonic::Code;

use super::{
    issuer::{AUDIENCE, ISSUER, Key, claims, claims_with, jwt_access, key_set},
    read, start, unauthenticated,
};
use crate::support::{Refused, Service, metadata_of};

async fn service(keys: &[&Key]) -> Service {
    service_with_role_claim(keys, "readout_role").await
}

async fn service_with_role_claim(keys: &[&Key], role_claim: &str) -> Service {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(key_set(keys).as_bytes()).unwrap();
    let mut access = jwt_access(KeySource::File(file.path().to_owned()));
    access.jwt.jwt_role_claim = role_claim.to_owned();
    let service = start(access).await;
    // Fetched keys stay in use while the source fails, so the file may go.
    drop(file);
    service
}

#[tokio::test]
async fn a_jwt_is_accepted_with_each_supported_algorithm() {
    let keys = [Key::new("a", Algorithm::RS256), Key::new("b", Algorithm::ES256), Key::new("c", Algorithm::EdDSA)];
    let service = service(&keys.each_ref()).await;
    for key in &keys {
        let token = key.token(&claims("alice", "reader"));
        // The first read verifies the token, the second hits the cache.
        for _ in 0..2 {
            read(&service, Some(&token)).await.unwrap_or_else(|status| panic!("{:?} {status:?}", key.algorithm));
        }
    }
    let without_kid = keys[1].token_as(&Header::new(Algorithm::ES256), &claims("alice", "reader"));
    read(&service, Some(&without_kid)).await.expect("only one key has the algorithm");
}

#[tokio::test]
async fn a_jwt_with_wrong_claims_is_refused() {
    let key = Key::new("a", Algorithm::ES256);
    let service = service(&[&key]).await;
    let now = get_current_timestamp();
    for (changed, reason) in [
        (json!({"exp": now - 31}), ErrorReason::CredentialsExpired),
        (json!({"exp": now - 29}), ErrorReason::Unspecified),
        (json!({"nbf": now + 25}), ErrorReason::Unspecified),
        (json!({"nbf": now + 60}), ErrorReason::CredentialsInvalid),
        (json!({"exp": null}), ErrorReason::CredentialsInvalid),
        (json!({"exp": "tomorrow"}), ErrorReason::CredentialsInvalid),
        (json!({"iss": "https://other.example"}), ErrorReason::CredentialsInvalid),
        (json!({"iss": null}), ErrorReason::CredentialsInvalid),
        (json!({"aud": "other"}), ErrorReason::CredentialsInvalid),
        (json!({"aud": ["other", AUDIENCE]}), ErrorReason::Unspecified),
        (json!({"aud": null}), ErrorReason::CredentialsInvalid),
        (json!({"sub": null}), ErrorReason::CredentialsInvalid),
        (json!({"sub": ""}), ErrorReason::CredentialsInvalid),
    ] {
        let token = key.token(&claims_with(changed.clone()));
        match reason {
            ErrorReason::Unspecified => read(&service, Some(&token)).await.unwrap_or_else(|_| panic!("{changed}")),
            reason => unauthenticated(read(&service, Some(&token)).await, reason, &token),
        }
    }
}

#[tokio::test]
async fn a_jwt_cannot_choose_how_its_signature_is_verified() {
    let (key, rsa) = (Key::new("a", Algorithm::ES256), Key::new("r", Algorithm::RS256));
    let service = service(&[&key, &rsa]).await;
    let good = key.token(&claims("alice", "admin"));
    let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    // {"alg":"none"}, {"alg":"None"}
    let none = ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIn0"].map(|header| format!("{header}.{body}."));
    // The public key, which every client can read, used as a shared secret.
    let by_secret = |kid: &str, secret: &str| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims("alice", "admin"), &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    let by_parts = by_secret("r", rsa.public()["n"].as_str().unwrap());
    let by_whole = by_secret("r", &rsa.public().to_string());
    let other_key = Key { kid: "a", ..Key::new("", Algorithm::ES256) }.token(&claims("alice", "admin"));
    let not_allowed = Header { kid: Some("r".to_owned()), ..Header::new(Algorithm::PS256) };
    let not_allowed = rsa.token_as(&not_allowed, &claims("alice", "admin"));
    let other_type = Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::RS256) };
    let other_type = rsa.token_as(&other_type, &claims("alice", "admin"));
    let critical =
        Header { kid: Some("a".to_owned()), crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::ES256) };
    let critical = key.token_as(&critical, &claims("alice", "admin"));
    let mut forged = key.token(&claims("mallory", "admin"));
    forged.replace_range(forged.rfind('.').unwrap().., &format!(".{signature}"));
    let cut = format!("{head}.{body}.{}", &signature[..signature.len() - 4]);
    for wrong in none.into_iter().chain([
        by_parts,
        by_whole,
        other_key,
        not_allowed,
        other_type,
        critical,
        forged,
        cut,
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        format!("{good}.{signature}"),
        "e30.e30.e30".to_owned(),
    ]) {
        unauthenticated(read(&service, Some(&wrong)).await, ErrorReason::CredentialsInvalid, &wrong);
    }
    read(&service, Some(&good)).await.expect("the token is accepted");
}

#[tokio::test]
async fn a_jwt_takes_its_role_from_the_claim_and_has_none_without_it() {
    let key = Key::new("a", Algorithm::ES256);
    let service = service(&[&key]).await;
    for role in [json!("editor"), json!(null), json!(7), json!({"reader": true})] {
        let token = key.token(&claims_with(json!({"readout_role": role})));
        let refused = read(&service, Some(&token)).await.unwrap_err();
        assert_eq!(metadata_of(&refused, "role"), "NONE");
        assert_eq!(metadata_of(&refused, "required"), Role::Reader.as_contract());
        assert_eq!(Refused::from(refused), Refused::with(Code::PermissionDenied, ErrorReason::RoleTooLow), "{role}");
    }
    for role in [json!("reader"), json!("openid readout:reader"), json!(["staff", "admin"])] {
        let token = key.token(&claims_with(json!({"readout_role": role, "iss": ISSUER})));
        read(&service, Some(&token)).await.unwrap_or_else(|_| panic!("{role}"));
    }
}

/// The claim `scope` also has the words of other services.
#[tokio::test]
async fn a_role_in_a_shared_claim_needs_its_prefix() {
    let key = Key::new("a", Algorithm::ES256);
    for claim in ["scope", "roles"] {
        let service = service_with_role_claim(&[&key], claim).await;
        for (words, accepted) in [
            (json!("admin"), false),
            (json!("openid writer admin"), false),
            (json!(["reader", "admin"]), false),
            (json!("other:admin"), false),
            (json!("admin readout:reader"), true),
            (json!(["admin", "readout:reader"]), true),
        ] {
            // The claim `readout_role` that the token also has is not the configured one.
            let token = key.token(&claims_with(json!({claim: words})));
            match read(&service, Some(&token)).await {
                Ok(()) => assert!(accepted, "{claim}: {words}"),
                Err(refused) => {
                    assert!(!accepted, "{claim}: {words}");
                    assert_eq!(metadata_of(&refused, "role"), "NONE");
                }
            }
        }
    }
}
