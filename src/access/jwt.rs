//! Verifies the JSON Web Tokens of one issuer (RFC 7519). As RFC 8725 advises, the configuration pins the keys, the
//! algorithms, the issuer and the audience; the token cannot choose them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};

use super::{
    denied::Denied,
    jwks::{KeySet, NoKey, VerifiedToken},
    jwks_fetcher::{JwksFetcher, KeySource, KeysError},
    principal::{Identity, Validity, principal_name},
};
use crate::model::{
    role::Role,
    scope::{Scope, Scopes},
};

/// The allowed clock skew.
const LEEWAY: Duration = Duration::from_secs(30);

/// The algorithms that can be configured: those of key pairs. With a shared secret, a verifier could also sign tokens.
pub const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The issuer whose tokens are accepted, and the requirements on them.
#[derive(Debug, Clone)]
pub struct JwtIssuer {
    /// The required `iss`.
    pub issuer: String,
    /// The required `aud`.
    pub audience: String,
    /// The accepted algorithms.
    pub algorithms: Vec<Algorithm>,
    /// The claim that gives the role.
    pub role_claim: String,
    /// The claim that gives the scopes. Its name is one of Readout's own.
    pub scope_claim: String,
    /// The source of the keys.
    pub keys: KeySource,
}

/// Verifies tokens with the keys of the issuer.
#[derive(Debug)]
pub struct Jwts {
    issuer: JwtIssuer,
    keys: JwksFetcher,
}

impl Jwts {
    /// A verifier for this issuer, which fetches its keys.
    ///
    /// # Errors
    /// The keys cannot be read from a file, or the HTTP client cannot be created.
    pub async fn new(issuer: JwtIssuer) -> Result<Self, KeysError> {
        if !is_own_claim(&issuer.role_claim) {
            let claim = &issuer.role_claim;
            tracing::info!(claim, "other services may share the role claim: a role needs the prefix `readout:`");
        }
        Ok(Self { keys: JwksFetcher::new(issuer.keys.clone()).await?, issuer })
    }

    /// Refreshes the keys. Never returns.
    pub async fn refresh(&self) {
        self.keys.refresh().await;
    }

    /// Verifies a token, and returns the identity that it names.
    ///
    /// # Errors
    /// The token is invalid or has expired, or there are no keys yet.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Denied> {
        let hash = blake3::hash(token.as_bytes());
        if let Some(verified) = self.keys.current().and_then(|keys| keys.verified(&hash)) {
            return match verified.expires > SystemTime::now() {
                true => Ok(verified.identity.clone()),
                false => Err(Denied::Expired),
            };
        }
        let header = self.header(token)?;
        let keys = self.keys_for(&header).await?;
        let verified = Arc::new(self.verify(token, &header, &keys)?);
        let identity = verified.identity.clone();
        keys.remember(hash, verified);
        Ok(identity)
    }

    /// Reads the header of a token, and checks its algorithm and `crit`.
    fn header(&self, token: &str) -> Result<Header, Denied> {
        // The library rejects the algorithm `none`.
        let header = decode_header(token).map_err(|_| Denied::Invalid("it is neither an API token nor a JWT"))?;
        if !self.issuer.algorithms.contains(&header.alg) {
            return Err(Denied::Invalid("the JWT is signed by an algorithm that is not accepted"));
        }
        // Critical extensions must be understood (RFC 7515, 4.1.11). None is supported.
        match header.crit {
            Some(_) => Err(Denied::Invalid("the JWT has critical extensions, and none is supported")),
            None => Ok(header),
        }
    }

    /// The keys with that of the token, fetched again if it is unknown.
    async fn keys_for(&self, header: &Header) -> Result<Arc<KeySet>, Denied> {
        let find = |keys: Option<Arc<KeySet>>| {
            let keys = keys.ok_or(Denied::NoKeys)?;
            let found = keys.find(header.kid.as_deref(), header.alg).map(|_| ());
            Ok(found.map(|()| keys))
        };
        match find(self.keys.current()) {
            Ok(Err(NoKey::Unknown)) | Err(_) => self.keys.fetch_for_unknown_key().await,
            Ok(Err(NoKey::Unfit)) | Ok(Ok(_)) => {}
        }
        find(self.keys.current())?.map_err(|_| Denied::Invalid("the JWT is signed by none of the issuer's keys"))
    }

    fn verify(&self, token: &str, header: &Header, keys: &KeySet) -> Result<VerifiedToken, Denied> {
        let key = keys.find(header.kid.as_deref(), header.alg).map_err(|_| Denied::NoKeys)?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer.issuer]);
        validation.set_audience(&[&self.issuer.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims =
            decode::<Map<String, Value>>(token, key, &validation).map_err(|error| denied(error.kind()))?.claims;
        let expires = claims.get("exp").and_then(expiry).ok_or(Denied::Invalid("the JWT's exp is not a time"))?;
        let sub = claims.get("sub").and_then(Value::as_str).filter(|sub| !sub.is_empty());
        let sub = sub.ok_or(Denied::Invalid("the JWT's sub is empty or not a string"))?;
        let role = claims.get(&self.issuer.role_claim).and_then(|claim| role(&self.issuer.role_claim, claim));
        let scopes = claims.get(&self.issuer.scope_claim).map(scopes).transpose()?.map(Arc::new);
        let (name, until) = (principal_name("jwt", sub), Validity::Expires(expires));
        Ok(VerifiedToken { identity: Identity { name, role, scopes, until, unused_token: None }, expires })
    }
}

/// The expiry of a token, with the allowed clock skew.
fn expiry(exp: &Value) -> Option<SystemTime> {
    let seconds = Duration::try_from_secs_f64(exp.as_f64()?).ok()?;
    UNIX_EPOCH.checked_add(seconds)?.checked_add(LEEWAY)
}

/// The prefix that makes a word a role of Readout in every claim.
const PREFIX: &str = "readout:";

/// True if a claim belongs to Readout alone: its name contains `readout`, as `readout_role` and
/// `https://readout.example/role` do.
///
/// Every other claim is shared. An issuer puts the words of all its services into `scope` (RFC 8693, 4.2), `scp`,
/// `roles`, `groups` and `entitlements` (RFC 9068, 2.2.3), so that `admin` may be a role of another service.
pub fn is_own_claim(name: &str) -> bool {
    name.to_ascii_lowercase().contains("readout")
}

/// The highest role in the claim with this name: a string of words, or a list of strings. Each is a role with its
/// prefix, such as `readout:writer`. In a claim of Readout's own the prefix may be missing.
fn role(name: &str, claim: &Value) -> Option<Role> {
    let words: Vec<&str> = match claim {
        // The separator of RFC 6749, 3.3, is a space; issuers also write other white space.
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_own = is_own_claim(name);
    let word = |word: &str| word.strip_prefix(PREFIX).or(is_own.then_some(word))?.parse().ok();
    words.into_iter().filter_map(word).max()
}

/// The scopes in a claim: a string with one scope, or a list of strings.
///
/// Scopes restrict a caller. A claim that cannot be read must not remove the restriction, so it invalidates the token.
fn scopes(claim: &Value) -> Result<Scopes, Denied> {
    let texts: Option<Vec<&str>> = match claim {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let texts = texts.ok_or(Denied::Invalid("the JWT's scopes are not a string or a list of strings"))?;
    let scopes: Result<Vec<Scope>, _> = texts.into_iter().map(str::parse).collect();
    let scopes = scopes.map_err(|_| Denied::Invalid("a scope of the JWT is not publisher=NAME or label:KEY=VALUE"))?;
    Scopes::new(scopes).map_err(|_| Denied::Invalid("the JWT's scopes are empty, too many, or contradict each other"))
}

fn denied(error: &ErrorKind) -> Denied {
    match error {
        ErrorKind::ExpiredSignature => Denied::Expired,
        ErrorKind::ImmatureSignature => Denied::Invalid("the JWT is not valid yet"),
        ErrorKind::InvalidIssuer => Denied::Invalid("the JWT is of another issuer"),
        ErrorKind::InvalidAudience => Denied::Invalid("the JWT is for another audience"),
        ErrorKind::MissingRequiredClaim(_) => Denied::Invalid("the JWT lacks one of exp, iss, aud and sub"),
        _ => Denied::Invalid("the JWT's signature is invalid, or its claims cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn own_claim_gives_the_highest_of_its_roles() {
        for name in ["readout_role", "https://readout.example/role", "Readout"] {
            assert_eq!(role(name, &json!("writer")), Some(Role::Writer));
            assert_eq!(role(name, &json!("openid readout:reader readout:curator email")), Some(Role::Curator));
            assert_eq!(role(name, &json!(["staff", "reader", "readout:writer"])), Some(Role::Writer));
            for wrong in [json!("Writer"), json!("superadmin"), json!([["admin"]]), json!({"admin": true}), json!(4)] {
                assert_eq!(role(name, &wrong), None, "{wrong}");
            }
        }
    }

    #[test]
    fn scope_claim_that_cannot_be_read_invalidates_the_token() {
        for (claim, read) in [
            (json!("publisher=The Times"), "publisher=The Times"),
            (json!(["publisher=A", "label:desk=press"]), "publisher=A, label:desk=press"),
        ] {
            assert_eq!(scopes(&claim).expect("scopes").to_string(), read);
        }
        let many: Vec<String> = (0..17).map(|number| format!("publisher={number}")).collect();
        for wrong in [
            json!(null),
            json!(""),
            json!([]),
            json!({}),
            json!(7),
            json!(true),
            json!([1]),
            json!("writer"),
            json!("publisher=A\n"),
            json!(["publisher=A", ""]),
            json!(["publisher=A", "publisher=A"]),
            json!(["label:desk=a", "label:desk=b"]),
            json!(many),
        ] {
            assert!(matches!(scopes(&wrong), Err(Denied::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn shared_claim_gives_only_roles_with_their_prefix() {
        for name in ["scope", "scp", "roles", "groups", "entitlements", "role", ""] {
            for (claim, expected) in [
                (json!("admin"), None),
                (json!("openid admin writer"), None),
                (json!(["admin", "curator"]), None),
                (json!("other:admin"), None),
                (json!("xreadout:admin"), None),
                (json!("Readout:admin"), None),
                (json!("readout: admin"), None),
                (json!("readout:"), None),
                (json!("readout:readout:admin"), None),
                (json!("readout:superadmin"), None),
                (json!("admin readout:reader"), Some(Role::Reader)),
                (json!(["admin", "readout:reader", "readout:writer"]), Some(Role::Writer)),
                // An element of a list is one word.
                (json!(["admin readout:writer"]), None),
            ] {
                assert_eq!(role(name, &claim), expected, "{name}: {claim}");
            }
        }
    }
}
