//! The keys of an issuer (RFC 7517), and which signatures each may verify.

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

/// Most tokens that are remembered as verified.
const MOST_VERIFIED: usize = 10_000;

/// The keys that an issuer has at a time, and the tokens that they have verified: with the keys these are forgotten.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    source: Vec<u8>,
    verified: Mutex<HashMap<blake3::Hash, Arc<Verified>>>,
}

/// A token that was found to hold.
#[derive(Debug)]
pub struct Verified {
    /// Whom it names.
    pub known: Identity,
    /// When it ceases to hold.
    pub expires: SystemTime,
}

#[derive(Debug)]
struct VerificationKey {
    jwk: Jwk,
    decoding: DecodingKey,
}

/// Why a token has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The issuer may have made it meanwhile.
    Unknown,
    /// It is not one for such a token.
    Unfit,
}

impl KeySet {
    /// Reads a set; none: it is not one. Keys in it that no signature of a token can be verified with are left out.
    pub fn parse(source: Vec<u8>) -> Option<Self> {
        let set: Value = serde_json::from_slice(&source).ok()?;
        let keys = set.get("keys")?.as_array()?;
        let keys = keys.iter().filter_map(|one| serde_json::from_value::<Jwk>(one.clone()).ok());
        let keys =
            keys.filter_map(|jwk| Some(VerificationKey { decoding: DecodingKey::from_jwk(&jwk).ok()?, jwk })).collect();
        Some(Self { keys, source, verified: Mutex::default() })
    }

    /// Whether it was read from these bytes.
    pub fn is_of(&self, source: &[u8]) -> bool {
        self.source == source
    }

    /// How many keys it has.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The key that a token of this `kid` and `alg` must be signed with. One without a `kid` is only clear where a single key
    /// would do.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&DecodingKey, NoKey> {
        let named: Vec<_> = match kid {
            Some(kid) => self.keys.iter().filter(|key| key.jwk.common.key_id.as_deref() == Some(kid)).collect(),
            None => self.keys.iter().filter(|key| key.fits(algorithm)).collect(),
        };
        match named.as_slice() {
            [] => Err(NoKey::Unknown),
            [key] if key.fits(algorithm) => Ok(&key.decoding),
            _ => Err(NoKey::Unfit),
        }
    }

    /// A token that these keys have verified before.
    pub fn verified(&self, token: &blake3::Hash) -> Option<Arc<Verified>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Remembers a token.
    pub fn remember(&self, token: blake3::Hash, verified: Arc<Verified>) {
        let mut all = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_VERIFIED {
            let now = SystemTime::now();
            all.retain(|_, one| one.expires > now);
        }
        if all.len() >= MOST_VERIFIED {
            all.clear();
        }
        all.insert(token, verified);
    }
}

impl VerificationKey {
    /// Whether it may verify such signatures, by its type, its curve and what it says of itself: the algorithm is not the
    /// token's to choose (RFC 8725, 3.1).
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        let is_of_type = match &self.jwk.algorithm {
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
        let says_use = common.public_key_use.as_ref().is_none_or(|said| *said == PublicKeyUse::Signature);
        let says_operation = common.key_operations.as_ref().is_none_or(|said| said.contains(&KeyOperations::Verify));
        let says_algorithm = common
            .key_algorithm
            .is_none_or(|said| said.to_string().parse::<Algorithm>().is_ok_and(|said| said == algorithm));
        is_of_type && says_use && says_operation && says_algorithm
    }
}

#[cfg(test)]
mod tests {
    use Algorithm::*;

    use super::*;

    /// A set of one key: of a kind, and with what else it says.
    fn set(key: &str, says: &str) -> KeySet {
        let key = match key {
            "RSA" => r#""kty":"RSA","n":"AQAB","e":"AQAB""#,
            "P-256" => r#""kty":"EC","crv":"P-256","x":"AQAB","y":"AQAB""#,
            "P-384" => r#""kty":"EC","crv":"P-384","x":"AQAB","y":"AQAB""#,
            "Ed25519" => r#""kty":"OKP","crv":"Ed25519","x":"AQAB""#,
            _ => r#""kty":"oct","k":"AQAB""#,
        };
        KeySet::parse(format!(r#"{{"keys":[{{"kid":"a",{key}{says}}}]}}"#).into_bytes()).expect("a set")
    }

    #[test]
    fn a_key_verifies_only_what_its_type_and_its_own_word_allow() {
        let fits = |key, says, algorithm| set(key, says).find(Some("a"), algorithm).is_ok();
        assert!(fits("RSA", "", RS256) && fits("RSA", "", PS512) && fits("P-256", "", ES256));
        assert!(fits("P-384", "", ES384) && fits("Ed25519", "", EdDSA));
        for wrong in [HS256, ES256, EdDSA] {
            assert!(!fits("RSA", "", wrong), "{wrong:?}");
        }
        assert!(!fits("P-256", "", ES384) && !fits("P-384", "", ES256) && !fits("oct", "", HS256));
        assert!(fits("RSA", r#","use":"sig","alg":"RS256","key_ops":["verify"]"#, RS256));
        for says in [r#","use":"enc""#, r#","alg":"RS512""#, r#","alg":"RSA-OAEP""#, r#","key_ops":["encrypt"]"#] {
            assert!(!fits("RSA", says, RS256), "{says}");
        }
    }

    #[test]
    fn a_token_without_a_kid_has_a_key_where_only_one_fits() {
        assert!(set("RSA", "").find(None, RS256).is_ok());
        assert_eq!(set("RSA", "").find(None, ES256).err(), Some(NoKey::Unknown));
        assert_eq!(set("RSA", "").find(Some("b"), RS256).err(), Some(NoKey::Unknown));
        assert_eq!(set("RSA", "").find(Some("a"), ES256).err(), Some(NoKey::Unfit));
        let rsa = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
        let two = KeySet::parse(format!(r#"{{"keys":[{rsa},{rsa}]}}"#).into_bytes()).expect("a set");
        assert_eq!(two.find(None, RS256).err(), Some(NoKey::Unfit));
    }

    #[test]
    fn a_key_that_is_of_no_use_does_not_spoil_the_others() {
        let keys = r#"{"keys":[{"kty":"RSA","kid":7},{"kty":"EC","crv":"secp256k1","x":"","y":""},"key",
            {"kty":"OKP","crv":"Ed25519","x":"AQAB","kid":"a"}]}"#;
        let keys = KeySet::parse(keys.as_bytes().to_vec()).expect("a set");
        assert!(keys.find(Some("a"), EdDSA).is_ok());
        assert!(KeySet::parse(b"[]".to_vec()).is_none() && KeySet::parse(b"<html>".to_vec()).is_none());
    }
}
