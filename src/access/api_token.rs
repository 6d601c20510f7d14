//! API tokens as callers have them: `rdt_<id>_<secret>`, of 32 and 64 hexadecimal digits. The beginning is what scanners
//! of leaked secrets look for, the id is looked up, and the secret, 256 bits from the system's generator, is proved.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use uuid::Uuid;

use crate::store::token::SecretHash;

const PREFIX: &str = "rdt_";
const ID: usize = 32;
const SECRET: usize = 64;

/// An API token.
pub struct ApiToken {
    /// Under which it is kept.
    pub id: Uuid,
    secret: String,
}

/// The system has no random bytes to give.
#[derive(Debug, thiserror::Error)]
#[error("the system's generator of random bytes failed")]
pub struct NoRandomness;

impl ApiToken {
    /// A token that nobody has yet.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = [0; SECRET / 2];
        aws_lc_rs::default_provider().secure_random.fill(&mut random).map_err(|_| NoRandomness)?;
        let mut secret = String::with_capacity(SECRET);
        for byte in random {
            let _ = write!(secret, "{byte:02x}");
        }
        Ok(Self { id: Uuid::now_v7(), secret })
    }

    /// Reads a token; none: it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_whole = id.len() == ID && secret.len() == SECRET;
        Some(Self { id: Uuid::try_parse(id).ok().filter(|_| is_whole)?, secret: secret.to_owned() })
    }

    /// What is kept of the secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(&self.secret).into())
    }

    /// As its holder presents it. The only way to see the secret.
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
    fn a_token_is_read_as_it_was_written_and_its_secret_is_not_printed() {
        let (token, other) = (ApiToken::generate().expect("random"), ApiToken::generate().expect("random"));
        let text = token.reveal();
        let read = ApiToken::parse(&text).expect("is one");
        assert!(read.id == token.id && read.hash() == token.hash() && read.hash() != other.hash());
        assert!(!format!("{read:?}{:?}", read.hash()).contains(&read.secret));
        for wrong in ["", "rdt_", &text[1..], &text[..text.len() - 1], &format!("{text}0"), &text.replace("rdt", "RDT")]
        {
            assert!(ApiToken::parse(wrong).is_none(), "{wrong}");
        }
    }
}
