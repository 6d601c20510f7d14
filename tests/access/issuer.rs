//! A JWT issuer: its keys, its tokens and the HTTP endpoint that publishes its key set.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp, jwk::Jwk};
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use readout::{
    access::jwks_fetcher::KeySource,
    config::{Access, Jwt},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "readout";

/// A key pair of the issuer, with its algorithm and key id.
pub struct Key {
    pub kid: &'static str,
    pub algorithm: Algorithm,
    pub pair: EncodingKey,
}

impl Key {
    pub fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(&KeyPair::generate().expect("a key").serialize_der()),
            Algorithm::EdDSA => {
                let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key").serialize_der();
                // The seed alone, without the public key that follows it (RFC 8410, 7).
                EncodingKey::from_ed_der(
                    &[&b"\x30\x2e\x02\x01\0\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &pair[16..48]].concat(),
                )
            }
            _ => {
                let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
                // Skips the 26-byte PKCS #8 header.
                EncodingKey::from_rsa_der(&pair.serialize_der()[26..])
            }
        };
        Self { kid, algorithm, pair }
    }

    /// The public key as a JWK.
    pub fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.pair, self.algorithm).expect("a public key");
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).expect("JSON")
    }

    /// A token with `claims`, signed by this key.
    pub fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) };
        self.token_as(&header, claims)
    }

    pub fn token_as(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.pair).expect("the key signs")
    }
}

/// The claims of a valid token.
pub fn claims(sub: &str, role: &str) -> Value {
    let exp = get_current_timestamp() + 3600;
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "exp": exp, "readout_role": role})
}

/// Valid claims with these changes; null removes a claim.
pub fn claims_with(changed: Value) -> Value {
    let mut claims = claims("alice", "reader");
    let (all, Value::Object(changed)) = (claims.as_object_mut().expect("claims are an object"), changed) else {
        panic!("the changes are not an object")
    };
    for (claim, value) in changed {
        match value {
            Value::Null => all.remove(&claim),
            value => all.insert(claim, value),
        };
    }
    claims
}

pub fn key_set(keys: &[&Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()}).to_string()
}

/// Access rules that accept the issuer's tokens.
pub fn jwt_access(keys: KeySource) -> Access {
    let jwt = Jwt {
        jwt_issuer: Some(ISSUER.to_owned()),
        jwt_audience: Some(AUDIENCE.to_owned()),
        jwt_jwks: Some(keys),
        ..Default::default()
    };
    Access { jwt, ..Default::default() }
}

/// The HTTP endpoint of the key set.
#[derive(Clone)]
pub struct KeyEndpoint {
    pub url: String,
    keys: Arc<Mutex<Option<String>>>,
    delay: Arc<Mutex<Duration>>,
    requests: Arc<AtomicUsize>,
}

impl KeyEndpoint {
    /// Starts on a free local port. Without `keys` it answers 500.
    pub async fn start(keys: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let endpoint = Self { url, keys: Arc::new(Mutex::new(keys)), delay: Arc::default(), requests: Arc::default() };
        let state = endpoint.clone();
        let handler = get(move || async move {
            state.requests.fetch_add(1, Ordering::SeqCst);
            let delay = *state.delay.lock().unwrap();
            tokio::time::sleep(delay).await;
            state.keys.lock().unwrap().clone().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", handler)).await });
        endpoint
    }

    pub fn source(&self) -> KeySource {
        KeySource::parse(&self.url).expect("on this machine")
    }

    pub fn set_keys(&self, keys: Option<String>) {
        *self.keys.lock().unwrap() = keys;
    }

    /// Delays every later answer.
    pub fn set_delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    /// Number of requests so far.
    pub fn request_count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}
