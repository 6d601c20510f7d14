//! JSON Web Tokens of one issuer (RFC 7519), as RFC 8725 advises: its keys, the algorithms, the issuer and the audience are
//! pinned here, and nothing of that is the token's to say.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};

use super::{
    denied::Denied,
    jwk::{KeySet, NoKey, Verified},
    jwks::{Jwks, KeySource, KeysError},
    principal::{Identity, Validity, name},
};
use crate::model::role::Role;

/// Clocks differ by as much.
const LEEWAY: Duration = Duration::from_secs(30);

/// The algorithms that can be allowed: those of key pairs. With a shared secret, whoever can verify a token could make one.
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

/// Which tokens hold.
#[derive(Debug, Clone)]
pub struct Issued {
    /// By whom.
    pub issuer: String,
    /// For whom.
    pub audience: String,
    /// Signed how.
    pub algorithms: Vec<Algorithm>,
    /// The claim that gives the role.
    pub role_claim: String,
    /// Signed by which keys.
    pub keys: KeySource,
}

/// Verifies tokens.
#[derive(Debug)]
pub struct Jwts {
    issued: Issued,
    keys: Jwks,
}

impl Jwts {
    /// Of this issuer.
    pub async fn new(issued: Issued) -> Result<Self, KeysError> {
        Ok(Self { keys: Jwks::new(issued.keys.clone()).await?, issued })
    }

    /// Keeps the keys up to date. Does not end.
    pub async fn keep(&self) {
        self.keys.keep().await;
    }

    /// Whom a token names.
    pub async fn known(&self, token: &str) -> Result<Identity, Denied> {
        let hash = blake3::hash(token.as_bytes());
        if let Some(verified) = self.keys.current().and_then(|keys| keys.verified(&hash)) {
            return match verified.expires > SystemTime::now() {
                true => Ok(verified.known.clone()),
                false => Err(Denied::Expired),
            };
        }
        let header = self.header(token)?;
        let keys = self.keys_for(&header).await?;
        let verified = Arc::new(self.verify(token, &header, &keys)?);
        let known = verified.known.clone();
        keys.remember(hash, verified);
        Ok(known)
    }

    /// What the token says of itself, so far as it is allowed to.
    fn header(&self, token: &str) -> Result<Header, Denied> {
        // `none` is no algorithm to the library either.
        let header = decode_header(token).map_err(|_| Denied::Invalid("it is no token that is known here"))?;
        if !self.issued.algorithms.contains(&header.alg) {
            return Err(Denied::Invalid("the JWT is signed by an algorithm that is not taken"));
        }
        // What is said to be critical must be understood (RFC 7515, 4.1.11), and nothing of that is.
        match header.crit {
            Some(_) => Err(Denied::Invalid("the JWT wants what is not supported")),
            None => Ok(header),
        }
    }

    /// Keys among which is that of the token; had anew if need be.
    async fn keys_for(&self, header: &Header) -> Result<Arc<KeySet>, Denied> {
        let find = |keys: Option<Arc<KeySet>>| {
            let keys = keys.ok_or(Denied::NoKeys)?;
            let found = keys.find(header.kid.as_deref(), header.alg).map(|_| ());
            Ok(found.map(|()| keys))
        };
        match find(self.keys.current()) {
            Ok(Err(NoKey::Unknown)) | Err(_) => self.keys.renew_for_unknown().await,
            Ok(Err(NoKey::Unfit)) | Ok(Ok(_)) => {}
        }
        find(self.keys.current())?.map_err(|_| Denied::Invalid("the JWT is signed by none of the issuer's keys"))
    }

    fn verify(&self, token: &str, header: &Header, keys: &KeySet) -> Result<Verified, Denied> {
        let key = keys.find(header.kid.as_deref(), header.alg).map_err(|_| Denied::NoKeys)?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issued.issuer]);
        validation.set_audience(&[&self.issued.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims =
            decode::<Map<String, Value>>(token, key, &validation).map_err(|error| denied(error.kind()))?.claims;
        let expires = claims.get("exp").and_then(expiry).ok_or(Denied::Invalid("the JWT's exp is no time"))?;
        let sub = claims.get("sub").and_then(Value::as_str).filter(|sub| !sub.is_empty());
        let sub = sub.ok_or(Denied::Invalid("the JWT's sub names nobody"))?;
        let role = claims.get(&self.issued.role_claim).and_then(role);
        Ok(Verified { known: Identity { name: name("jwt", sub), role, until: Validity::Expires(expires) }, expires })
    }
}

/// The last moment at which a token holds.
fn expiry(exp: &Value) -> Option<SystemTime> {
    let seconds = Duration::try_from_secs_f64(exp.as_f64()?).ok()?;
    UNIX_EPOCH.checked_add(seconds)?.checked_add(LEEWAY)
}

/// The highest role that a claim has: words in a string, or a list of strings; each `writer` or `readout:writer`.
fn role(claim: &Value) -> Option<Role> {
    let words: Vec<&str> = match claim {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    words.into_iter().filter_map(|word| word.strip_prefix("readout:").unwrap_or(word).parse().ok()).max()
}

fn denied(error: &ErrorKind) -> Denied {
    match error {
        ErrorKind::ExpiredSignature => Denied::Expired,
        ErrorKind::ImmatureSignature => Denied::Invalid("the JWT does not hold yet"),
        ErrorKind::InvalidIssuer => Denied::Invalid("the JWT is of another issuer"),
        ErrorKind::InvalidAudience => Denied::Invalid("the JWT is for another audience"),
        ErrorKind::MissingRequiredClaim(_) => Denied::Invalid("the JWT lacks one of exp, iss, aud and sub"),
        _ => Denied::Invalid("the JWT's signature does not hold, or its claims cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_has_the_highest_of_its_roles() {
        assert_eq!(role(&json!("writer")), Some(Role::Writer));
        assert_eq!(role(&json!("openid readout:reader readout:curator email")), Some(Role::Curator));
        assert_eq!(role(&json!(["staff", "reader", "readout:writer"])), Some(Role::Writer));
        for none in [json!("Writer"), json!("superadmin"), json!([["admin"]]), json!({"admin": true}), json!(4)] {
            assert_eq!(role(&none), None, "{none}");
        }
    }
}
