//! The credentials of callers.

use std::{io::Write, thread_local};

use readout::{
    access::{
        api_token::ApiToken,
        client_certificate::{ClientIdentity, Identities},
        jwks::KeySet,
        jwks_fetcher::KeySource,
        jwt::{ALGORITHMS, JwtIssuer, Jwts},
    },
    model::role::Role,
};
use tokio::runtime::{Builder, Runtime};

/// The public keys of RFC 7515, A.3, and of RFC 8037, A.2. The examples that they sign lack an audience.
const KEYS: &str = r#"{"keys": [
  {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
   "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
  {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
]}"#;

thread_local! {
    static VERIFIER: (Runtime, Jwts) = verifier();
}

fn verifier() -> (Runtime, Jwts) {
    let mut keys = tempfile::NamedTempFile::new().expect("a file");
    keys.write_all(KEYS.as_bytes()).expect("written");
    let issuer = JwtIssuer {
        issuer: "joe".into(),
        audience: "readout".into(),
        algorithms: ALGORITHMS.into(),
        role_claim: "readout_role".into(),
        scope_claim: "readout_scope".into(),
        keys: KeySource::File(keys.path().to_owned()),
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let jwts = runtime.block_on(Jwts::new(issuer)).expect("a key set");
    (runtime, jwts)
}

/// Reads API tokens, JWTs, key sets and the settings that name keys. No JWT has a valid signature and the audience.
pub fn credentials(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(token) = ApiToken::parse(&text) {
        assert!(token.reveal().eq_ignore_ascii_case(&text));
        assert!(!format!("{token:?}").contains(&text[text.len() - 64..]), "a secret is shown");
        token.hash();
    }
    VERIFIER.with(|(runtime, jwts)| {
        let admitted = runtime.block_on(jwts.authenticate(&text));
        assert!(admitted.is_err(), "a forged token is accepted: {admitted:?}");
    });
    if let Some(keys) = KeySet::parse(input.to_vec()) {
        for algorithm in ALGORITHMS {
            let _ = keys.find(None, algorithm);
            let _ = keys.find(Some("a"), algorithm);
        }
    }
    let _ = KeySource::parse(&text);
    if let Ok(identity) = text.parse::<ClientIdentity>() {
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }
}

/// Reads the names of a client certificate.
pub fn certificate(input: &[u8]) {
    let identities = Identities::new(&[ClientIdentity { name: "desk".into(), role: Role::Writer }]);
    if let Ok(identity) = identities.authenticate(input) {
        super::assert_printable(&identity.name);
        assert!(identity.name.len() <= 128, "{}", identity.name);
    }
}
