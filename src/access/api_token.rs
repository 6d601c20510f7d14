//! The format of API tokens: `rdt_<id>_<secret>`, of 32 and 64 hexadecimal digits. Secret scanners recognise the
//! prefix, the id is the lookup key, and the secret has 256 bits from the system's random generator.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use uuid::Uuid;

use crate::store::token::SecretHash;

const PREFIX: &str = "rdt_";
const ID_DIGITS: usize = 32;
const SECRET_DIGITS: usize = 64;

pub struct ApiToken {
    /// The id of the stored token.
    pub id: Uuid,
    secret: String,
}

/// The system's random generator failed.
#[derive(Debug, thiserror::Error)]
#[error("the system's generator of random bytes failed")]
pub struct NoRandomness;

impl ApiToken {
    /// Generates a token.
    ///
    /// # Errors
    /// The system's random generator failed.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = [0; SECRET_DIGITS / 2];
        aws_lc_rs::default_provider().secure_random.fill(&mut random).map_err(|_| NoRandomness)?;
        let mut secret = String::with_capacity(SECRET_DIGITS);
        for byte in random {
            let _ = write!(secret, "{byte:02x}");
        }
        Ok(Self { id: Uuid::now_v7(), secret })
    }

    /// Parses a token. `None` if the text is not an API token.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_whole = id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS;
        Some(Self { id: Uuid::try_parse(id).ok().filter(|_| is_whole)?, secret: secret.to_owned() })
    }

    /// The hash of the secret. The database stores only this.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(&self.secret).into())
    }

    /// The text that the holder presents. The only access to the secret.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id.simple(), self.secret)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_round_trips_and_its_secret_is_not_printed() {
        let (token, another) = (ApiToken::generate().expect("random"), ApiToken::generate().expect("random"));
        let text = token.reveal();
        let read = ApiToken::parse(&text).expect("a token");
        assert!(read.id == token.id && read.hash() == token.hash() && read.hash() != another.hash());
        assert!(!format!("{read:?}{:?}", read.hash()).contains(&read.secret));
        for wrong in ["", "rdt_", &text[1..], &text[..text.len() - 1], &format!("{text}0"), &text.replace("rdt", "RDT")]
        {
            assert!(ApiToken::parse(wrong).is_none(), "{wrong}");
        }
    }
}
