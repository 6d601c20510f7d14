//! Principals: the callers that are admitted, their names, and how long their credentials are valid.

use std::{
    future,
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use tokio::time;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::denied::Denied;
use crate::{
    fairness::Caller,
    model::{role::Role, scope::Scopes},
};

/// Maximum length of a principal's name, in characters.
pub const MAX_NAME: usize = 128;

/// A longer name keeps this prefix, followed by `~` and this many digits of its hash.
const PREFIX_LENGTH: usize = MAX_NAME - 1 - HASH_DIGITS;
const HASH_DIGITS: usize = 16;

/// An admitted caller. The request carries it as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name, such as `token/pipeline`, `jwt/alice`, `cert/spiffe://…`, or `anonymous`: 1 to 128 visible ASCII
    /// characters.
    pub name: Arc<str>,
    /// The role.
    pub role: Role,
    /// The articles that the caller may write; `None` for all.
    pub scopes: Option<Arc<Scopes>>,
    /// True if the service takes no credentials and grants full access, so that callers may name any actor.
    pub is_open: bool,
}

/// The name of callers without credentials.
const ANONYMOUS: &str = "anonymous";

impl Principal {
    /// The principal of callers without credentials.
    pub fn anonymous(role: Role, is_open: bool) -> Self {
        Self { name: ANONYMOUS.into(), role, scopes: None, is_open }
    }

    /// The unit whose share of the service the caller uses: its principal, or its network if it has none.
    pub fn caller(&self, address: IpAddr) -> Caller {
        match self.is_anonymous() {
            true => Caller::at(address),
            false => Caller::Named(self.name.clone()),
        }
    }

    /// True for a caller without credentials.
    pub fn is_anonymous(&self) -> bool {
        &*self.name == ANONYMOUS
    }
}

/// The identity that credentials name.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name of the principal.
    pub name: Arc<str>,
    /// The role. `None` allows nothing.
    pub role: Option<Role>,
    /// The articles that the caller may write; `None` for all.
    pub scopes: Option<Arc<Scopes>>,
    /// The validity of the credentials.
    pub until: Validity,
    /// The token, if this instance has not recorded its use.
    pub unused_token: Option<UnusedToken>,
}

/// A token whose use is not recorded.
#[derive(Debug, Clone)]
pub struct UnusedToken {
    /// The id of the token.
    pub id: Uuid,
    /// True once a call records the use.
    pub is_used: Arc<AtomicBool>,
}

/// The validity of credentials.
#[derive(Debug, Clone)]
pub enum Validity {
    /// Valid as long as the connection.
    Always,
    /// Valid until this time.
    Expires(SystemTime),
    /// Valid until the API token is revoked or expires.
    Token {
        /// Cancelled when the token is revoked, or its row is deleted.
        revoked: CancellationToken,
        /// `None` if the token does not expire.
        expire_time: Option<SystemTime>,
    },
}

impl Validity {
    /// Waits until the credentials are no longer valid, and returns the reason.
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

/// Waits until this time.
async fn expiry(at: SystemTime) -> Denied {
    // The loop handles a clock that is set back during the sleep.
    while let Some(remaining) = remaining(at) {
        time::sleep(remaining).await;
    }
    Denied::Expired
}

/// The time that remains. `None` if it has passed.
fn remaining(at: SystemTime) -> Option<Duration> {
    at.duration_since(SystemTime::now()).ok().filter(|remaining| !remaining.is_zero())
}

/// The name of a principal: its kind (`token`, `jwt`, `cert`) and its id. Bytes that are not visible ASCII are
/// percent-encoded, and long names are shortened with a hash, so that no two callers share a name.
pub fn principal_name(kind: &str, id: &str) -> Arc<str> {
    let mut name = format!("{kind}/");
    for byte in id.bytes() {
        match byte {
            // These two mark encoded bytes and shortened names.
            b'%' | b'~' => name.push_str(&format!("%{byte:02X}")),
            0x21..=0x7e => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > MAX_NAME {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        name.truncate(PREFIX_LENGTH);
        name.push('~');
        name.push_str(&hash[..HASH_DIGITS]);
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_ascii_and_unique() {
        assert_eq!(&*principal_name("token", "pipeline"), "token/pipeline");
        assert_eq!(&*principal_name("cert", "spiffe://example.org/desk"), "cert/spiffe://example.org/desk");
        assert_eq!(&*principal_name("jwt", "Əli via token/x"), "jwt/%C6%8Fli%20via%20token/x");
        let long = "x".repeat(200);
        let ids = ["a b", "a%20b", "a~b", "a%7Eb", &long[..122], &long[..124], &long[..125], &long[..126], &long, ""];
        let names: std::collections::HashSet<_> = ids.iter().map(|id| principal_name("cert", id)).collect();
        assert_eq!(names.len(), ids.len());
        assert!(names.iter().all(|name| name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_graphic())));
    }
}
