//! An issuer of JWTs: its keys, its tokens, and where it tells its keys.

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
    access::jwks::KeySource,
    config::{Access, Jwt},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "readout";

/// A key pair of the issuer.
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
                // The seed alone, without the public key that is there as well (RFC 8410, 7).
                EncodingKey::from_ed_der(
                    &[&b"\x30\x2e\x02\x01\0\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &pair[16..48]].concat(),
                )
            }
            _ => {
                let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
                // Without the 26 bytes of PKCS #8 before it.
                EncodingKey::from_rsa_der(&pair.serialize_der()[26..])
            }
        };
        Self { kid, algorithm, pair }
    }

    /// What it tells of it.
    pub fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.pair, self.algorithm).expect("a public key");
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).expect("JSON")
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) };
        self.token_as(&header, claims)
    }

    pub fn token_as(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.pair).expect("it signs")
    }
}

/// The claims of a token that holds.
pub fn claims(sub: &str, role: &str) -> Value {
    let exp = get_current_timestamp() + 3600;
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "exp": exp, "readout_role": role})
}

/// Such claims, but for these.
pub fn but(changed: Value) -> Value {
    let mut claims = claims("alice", "reader");
    let (all, Value::Object(changed)) = (claims.as_object_mut().expect("is one"), changed) else { panic!("no claims") };
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

/// A service that takes the issuer's tokens.
pub fn takes(keys: KeySource) -> Access {
    let jwt = Jwt {
        jwt_issuer: Some(ISSUER.to_owned()),
        jwt_audience: Some(AUDIENCE.to_owned()),
        jwt_jwks: Some(keys),
        ..Default::default()
    };
    Access { jwt, ..Default::default() }
}

/// Where it tells its keys.
#[derive(Clone)]
pub struct Place {
    pub url: String,
    told: Arc<Mutex<Option<String>>>,
    takes: Arc<Mutex<Duration>>,
    asked: Arc<AtomicUsize>,
}

impl Place {
    /// On this machine. Of nothing it tells nothing, but fails.
    pub async fn start(told: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let place = Self { url, told: Arc::new(Mutex::new(told)), takes: Arc::default(), asked: Arc::default() };
        let here = place.clone();
        let keys = get(move || async move {
            here.asked.fetch_add(1, Ordering::SeqCst);
            let takes = *here.takes.lock().unwrap();
            tokio::time::sleep(takes).await;
            here.told.lock().unwrap().clone().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", keys)).await });
        place
    }

    pub fn source(&self) -> KeySource {
        KeySource::parse(&self.url).expect("on this machine")
    }

    pub fn tells(&self, keys: Option<String>) {
        *self.told.lock().unwrap() = keys;
    }

    /// From here on an answer takes so long.
    pub fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
