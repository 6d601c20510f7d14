//! The keys of an issuer (RFC 7517): which signatures each may verify, and a cache of verified tokens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

use super::principal::Identity;

/// Maximum number of verified tokens in the cache.
const MAX_VERIFIED: usize = 10_000;

/// The keys of an issuer, and the tokens that they have verified. Replacing the keys drops this cache.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    source: Vec<u8>,
    verified: Mutex<HashMap<blake3::Hash, Arc<VerifiedToken>>>,
}

/// A token that was verified.
#[derive(Debug)]
pub struct VerifiedToken {
    /// The identity that the token names.
    pub identity: Identity,
    /// The time at which the token expires.
    pub expires: SystemTime,
}

#[derive(Debug)]
struct VerificationKey {
    jwk: Jwk,
    decoding: DecodingKey,
}

/// The reason why no key can verify a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The key is not in the set. The issuer may have added it since the last fetch.
    Unknown,
    /// The key may not verify such a token, or several keys fit a token without a `kid`.
    Unfit,
}

impl KeySet {
    /// Parses a set. `None` if the text is not one. Skips keys that cannot verify a token.
    pub fn parse(source: Vec<u8>) -> Option<Self> {
        let set: Value = serde_json::from_slice(&source).ok()?;
        let keys = set.get("keys")?.as_array()?;
        let keys = keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let keys =
            keys.filter_map(|jwk| Some(VerificationKey { decoding: DecodingKey::from_jwk(&jwk).ok()?, jwk })).collect();
        Some(Self { keys, source, verified: Mutex::default() })
    }

    /// True if the set was parsed from these bytes.
    pub fn is_of(&self, source: &[u8]) -> bool {
        self.source == source
    }

    /// The number of keys.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The key that verifies a token with this `kid` and `alg`. Without a `kid`, exactly one key must fit the
    /// algorithm.
    ///
    /// # Errors
    /// The key is unknown, or does not fit the algorithm.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&DecodingKey, NoKey> {
        let candidates: Vec<_> = match kid {
            Some(kid) => self.keys.iter().filter(|key| key.jwk.common.key_id.as_deref() == Some(kid)).collect(),
            None => self.keys.iter().filter(|key| key.fits(algorithm)).collect(),
        };
        match candidates.as_slice() {
            [] => Err(NoKey::Unknown),
            [key] if key.fits(algorithm) => Ok(&key.decoding),
            _ => Err(NoKey::Unfit),
        }
    }

    /// Looks up a token in the cache of verified ones.
    pub fn verified(&self, token: &blake3::Hash) -> Option<Arc<VerifiedToken>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Caches a verified token.
    pub fn remember(&self, token: blake3::Hash, verified: Arc<VerifiedToken>) {
        let mut verified_tokens = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified_tokens.len() >= MAX_VERIFIED {
            let now = SystemTime::now();
            verified_tokens.retain(|_, verified| verified.expires > now);
        }
        if verified_tokens.len() >= MAX_VERIFIED {
            verified_tokens.clear();
        }
        verified_tokens.insert(token, verified);
    }
}

impl VerificationKey {
    /// True if the key may verify signatures of the algorithm: by its type, its curve and its own `use`, `key_ops` and
    /// `alg`. The token alone must not choose the algorithm (RFC 8725, 3.1).
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        let type_fits = match &self.jwk.algorithm {
            AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => algorithm == ES256,
                EllipticCurve::P384 => algorithm == ES384,
                _ => false,
            },
            AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519 && algorithm == EdDSA,
            _ => false,
        };
        let common = &self.jwk.common;
        let use_fits = common.public_key_use.as_ref().is_none_or(|key_use| *key_use == PublicKeyUse::Signature);
        let operations_fit =
            common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithm_fits = common
            .key_algorithm
            .is_none_or(|own| own.to_string().parse::<Algorithm>().is_ok_and(|own| own == algorithm));
        type_fits && use_fits && operations_fit && algorithm_fits
    }
}

#[cfg(test)]
mod tests {
    use Algorithm::*;

    use super::*;

    /// A set of one key of a type, with further members.
    fn set(key: &str, members: &str) -> KeySet {
        let key = match key {
            "RSA" => r#""kty":"RSA","n":"AQAB","e":"AQAB""#,
            "P-256" => r#""kty":"EC","crv":"P-256","x":"AQAB","y":"AQAB""#,
            "P-384" => r#""kty":"EC","crv":"P-384","x":"AQAB","y":"AQAB""#,
            "Ed25519" => r#""kty":"OKP","crv":"Ed25519","x":"AQAB""#,
            _ => r#""kty":"oct","k":"AQAB""#,
        };
        KeySet::parse(format!(r#"{{"keys":[{{"kid":"a",{key}{members}}}]}}"#).into_bytes()).expect("a set")
    }

    #[test]
    fn key_verifies_only_algorithms_that_its_type_and_members_allow() {
        let fits = |key, members, algorithm| set(key, members).find(Some("a"), algorithm).is_ok();
        assert!(fits("RSA", "", RS256) && fits("RSA", "", PS512) && fits("P-256", "", ES256));
        assert!(fits("P-384", "", ES384) && fits("Ed25519", "", EdDSA));
        for wrong in [HS256, ES256, EdDSA] {
            assert!(!fits("RSA", "", wrong), "{wrong:?}");
        }
        assert!(!fits("P-256", "", ES384) && !fits("P-384", "", ES256) && !fits("oct", "", HS256));
        assert!(fits("RSA", r#","use":"sig","alg":"RS256","key_ops":["verify"]"#, RS256));
        for members in [r#","use":"enc""#, r#","alg":"RS512""#, r#","alg":"RSA-OAEP""#, r#","key_ops":["encrypt"]"#] {
            assert!(!fits("RSA", members, RS256), "{members}");
        }
    }

    #[test]
    fn token_without_kid_finds_a_key_if_exactly_one_fits() {
        assert!(set("RSA", "").find(None, RS256).is_ok());
        assert_eq!(set("RSA", "").find(None, ES256).err(), Some(NoKey::Unknown));
        assert_eq!(set("RSA", "").find(Some("b"), RS256).err(), Some(NoKey::Unknown));
        assert_eq!(set("RSA", "").find(Some("a"), ES256).err(), Some(NoKey::Unfit));
        let rsa = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
        let two = KeySet::parse(format!(r#"{{"keys":[{rsa},{rsa}]}}"#).into_bytes()).expect("a set");
        assert_eq!(two.find(None, RS256).err(), Some(NoKey::Unfit));
    }

    #[test]
    fn set_skips_unusable_keys() {
        let keys = r#"{"keys":[{"kty":"RSA","kid":7},{"kty":"EC","crv":"secp256k1","x":"","y":""},"key",
            {"kty":"OKP","crv":"Ed25519","x":"AQAB","kid":"a"}]}"#;
        let keys = KeySet::parse(keys.as_bytes().to_vec()).expect("a set");
        assert!(keys.find(Some("a"), EdDSA).is_ok());
        assert!(KeySet::parse(b"[]".to_vec()).is_none() && KeySet::parse(b"<html>".to_vec()).is_none());
    }
}
