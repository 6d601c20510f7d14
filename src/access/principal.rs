//! Somebody who calls.

use std::{
    future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time;
use tokio_util::sync::CancellationToken;

use super::denied::Denied;
use crate::model::role::Role;

/// The longest name of a principal, in characters.
pub const LONGEST_NAME: usize = 128;

/// Of a name that is longer, so much is left; the rest is hashed.
const KEPT: usize = LONGEST_NAME - 1 - HASH;
const HASH: usize = 16;

/// A caller that was let in: an extension of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// As `token/pipeline`, `jwt/alice`, `cert/spiffe://…`, or `anonymous`: 1 to 128 visible ASCII characters.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// Whether nobody is asked for credentials and all may do everything, so that they are who they say.
    pub is_open: bool,
}

/// Nobody in particular.
const ANONYMOUS: &str = "anonymous";

impl Principal {
    /// Whoever has no credentials.
    pub fn anonymous(role: Role, is_open: bool) -> Self {
        Self { name: ANONYMOUS.into(), role, is_open }
    }

    /// Whether it has no credentials.
    pub fn is_anonymous(&self) -> bool {
        &*self.name == ANONYMOUS
    }
}

/// Somebody whom credentials name.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who it is.
    pub name: Arc<str>,
    /// What it may do; none: nothing.
    pub role: Option<Role>,
    /// How long that holds.
    pub until: Validity,
}

/// How long credentials hold.
#[derive(Debug, Clone)]
pub enum Validity {
    /// As long as the connection.
    Always,
    /// Until this time.
    Expires(SystemTime),
    /// Until the API token is revoked or expires.
    Token {
        /// Cancelled when the token is revoked, or its row is deleted.
        revoked: CancellationToken,
        /// None: the token does not expire.
        expire_time: Option<SystemTime>,
    },
}

impl Validity {
    /// Ends when they do not hold any more.
    pub async fn ended(self) -> Denied {
        match self {
            Self::Always => future::pending().await,
            Self::Expires(time) => expiry(time).await,
            Self::Token { revoked, expire_time } => {
                let expired = async {
                    match expire_time {
                        Some(time) => expiry(time).await,
                        None => future::pending().await,
                    }
                };
                tokio::select! {
                    () = revoked.cancelled() => Denied::Revoked,
                    denied = expired => denied,
                }
            }
        }
    }
}

/// Ends at this time.
pub async fn expiry(at: SystemTime) -> Denied {
    // A clock that is set back makes it come again.
    while let Some(left) = left(at) {
        time::sleep(left).await;
    }
    Denied::Expired
}

/// How long it is until a time; none: it has come.
fn left(at: SystemTime) -> Option<Duration> {
    at.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero())
}

/// The name of a principal of a kind (`token`, `jwt`, `cert`): what is no visible ASCII is percent-encoded, and what is too
/// long cut, so that no two callers ever have the same one.
pub fn name(kind: &str, said: &str) -> Arc<str> {
    let mut name = format!("{kind}/");
    for byte in said.bytes() {
        match byte {
            // These two mark what was encoded, and what was cut.
            b'%' | b'~' => name.push_str(&format!("%{byte:02X}")),
            0x21..=0x7e => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > LONGEST_NAME {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        name.truncate(KEPT);
        name.push('~');
        name.push_str(&hash[..HASH]);
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_ascii_and_each_is_another_ones() {
        assert_eq!(&*name("token", "pipeline"), "token/pipeline");
        assert_eq!(&*name("cert", "spiffe://example.org/desk"), "cert/spiffe://example.org/desk");
        assert_eq!(&*name("jwt", "Əli via token/x"), "jwt/%C6%8Fli%20via%20token/x");
        let long = "x".repeat(200);
        let said = ["a b", "a%20b", "a~b", "a%7Eb", &long[..122], &long[..124], &long[..125], &long[..126], &long, ""];
        let names: std::collections::HashSet<_> = said.iter().map(|said| name("cert", said)).collect();
        assert_eq!(names.len(), said.len());
        assert!(
            names.iter().all(|name| name.len() <= LONGEST_NAME && name.bytes().all(|byte| byte.is_ascii_graphic()))
        );
    }
}
