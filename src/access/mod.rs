//! Authentication, roles and rate limits. A caller is authenticated by an API token, a JWT or a client certificate. The
//! credentials determine its role and the name recorded with its writes. This module does not depend on gRPC:
//! `service/layer/access` calls it, and `service/status` converts the denials.

pub mod api_token;
pub mod client_certificate;
pub mod denied;
pub mod jwks;
pub mod jwks_fetcher;
pub mod jwt;
pub mod principal;
pub mod rates;
pub mod token_cache;

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
};

use self::{
    api_token::ApiToken,
    client_certificate::{ClientIdentity, Identities},
    jwt::{JwtIssuer, Jwts},
    principal::{Identity, UnusedToken, Validity},
    rates::CallerRates,
    token_cache::Tokens,
};
pub use self::{denied::Denied, principal::Principal};
use crate::{
    model::role::Role,
    store::{Store, StoreError},
};

/// The credentials of a call, and its source.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// A bearer token: an API token or a JWT.
    pub bearer: Option<&'a str>,
    /// The client certificate in DER, verified by the TLS handshake.
    pub certificate: Option<&'a [u8]>,
    /// The address of the client.
    pub address: IpAddr,
}

/// The credentials that a service accepts, and the rate limit of each caller.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Accepts API tokens.
    pub api_tokens: bool,
    /// Accepts JWTs of this issuer.
    pub jwt: Option<JwtIssuer>,
    /// The client certificates that give a role.
    pub client_identities: Vec<ClientIdentity>,
    /// The treatment of callers without credentials.
    pub anonymous: Anonymous,
    /// The calls per second of each caller. 0: no limit.
    pub rate: u32,
    /// The burst size of each caller. Default: the calls of one second.
    pub rate_burst: Option<NonZeroU32>,
}

/// The treatment of callers without credentials.
#[derive(Debug, Clone, Copy, Default)]
pub enum Anonymous {
    /// As the other options and the address decide: refused if any credentials are configured, else ADMIN on a loopback
    /// address.
    #[default]
    Automatic,
    /// They are refused.
    Refused,
    /// They get this role.
    Role(Role),
}

impl Options {
    /// True if any kind of credentials is configured.
    pub fn asks_for_credentials(&self) -> bool {
        self.api_tokens || self.jwt.is_some() || !self.client_identities.is_empty()
    }
}

/// Authenticates callers, checks their roles, and limits their rates.
#[derive(Debug)]
pub struct Authenticator {
    tokens: Option<Tokens>,
    jwts: Option<Jwts>,
    identities: Identities,
    /// The principal of callers without credentials. `None` refuses them.
    anonymous: Option<Principal>,
    rates: Option<CallerRates>,
}

/// The reason why the access options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticatorError {
    /// Everyone who can reach the address would have full access.
    #[error(
        "{0} is reachable from other machines and no access option is set: set --api-tokens, --jwt-issuer or \
         --client-identity, or give callers without credentials a role with --anonymous-role"
    )]
    Open(SocketAddr),
    /// The keys of JWTs cannot be used.
    #[error(transparent)]
    Keys(#[from] jwks_fetcher::KeysError),
    /// One claim of JWTs would be read as a role and as scopes.
    #[error("--jwt-role-claim and --jwt-scope-claim must name two claims, not {0} twice")]
    SameClaim(String),
    /// The tokens cannot be read.
    #[error("the API tokens cannot be read")]
    Tokens(#[source] StoreError),
}

/// An admitted caller, and for how long its credentials are valid.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The caller.
    pub principal: Principal,
    /// The token, if this instance has not recorded its use.
    pub unused_token: Option<UnusedToken>,
    until: Validity,
}

/// A call that is denied.
#[derive(Debug)]
pub struct Refusal {
    /// The reason.
    pub denied: Denied,
    /// The name of the caller, if its credentials hold.
    pub principal: Option<Arc<str>>,
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self { denied, principal: None }
    }
}

impl Authenticator {
    /// Checks the options as `new` does, without the database and without the issuer.
    ///
    /// # Errors
    /// The options are unsafe for the address, or the file of keys cannot be used.
    pub async fn check(options: &Options, address: SocketAddr) -> Result<(), AuthenticatorError> {
        anonymous_role(options, address)?;
        if let Some(issuer) = &options.jwt {
            check_claims(issuer)?;
            issuer.keys.check().await?;
        }
        Ok(())
    }

    /// An authenticator for a service at this address. Loads the tokens and keys.
    ///
    /// # Errors
    /// The options are unsafe for the address, or the tokens or keys cannot be loaded.
    pub async fn new(options: &Options, address: SocketAddr, store: &Store) -> Result<Self, AuthenticatorError> {
        let role = anonymous_role(options, address)?;
        let tokens = match options.api_tokens {
            true => Some(Tokens::new(store.clone()).await.map_err(AuthenticatorError::Tokens)?),
            false => None,
        };
        let jwts = match options.jwt.clone() {
            Some(issuer) => {
                check_claims(&issuer)?;
                Some(Jwts::new(issuer).await?)
            }
            None => None,
        };
        Ok(Self {
            tokens,
            jwts,
            identities: Identities::new(&options.client_identities),
            anonymous: role
                .map(|role| Principal::anonymous(role, !options.asks_for_credentials() && role == Role::Admin)),
            rates: CallerRates::new(options.rate, options.rate_burst),
        })
    }

    /// True if callers without credentials have a role.
    pub fn is_open(&self) -> bool {
        self.anonymous.is_some()
    }

    /// Refreshes tokens and keys, and evicts idle rate limits. Never returns.
    pub async fn refresh(&self) {
        let tokens = async {
            if let Some(tokens) = &self.tokens {
                tokens.refresh().await;
            }
        };
        let jwts = async {
            if let Some(jwts) = &self.jwts {
                jwts.refresh().await;
            }
        };
        let rates = async {
            if let Some(rates) = &self.rates {
                rates.evict_idle().await;
            }
        };
        tokio::join!(tokens, jwts, rates);
    }

    /// Authenticates a caller, charges its rate limit, and checks its role. A caller without a role is rejected
    /// uncounted.
    ///
    /// # Errors
    /// The credentials are missing or invalid, the rate is exceeded, or the role is too low.
    pub async fn admit(&self, presented: Credentials<'_>, required: Role) -> Result<Admitted, Refusal> {
        let admitted = match self.authenticate(presented).await? {
            Some(identity) => {
                let Identity { name, role, scopes, until, unused_token } = identity;
                let Some(role) = role else {
                    let denied = Denied::RoleTooLow { required, role: None };
                    return Err(Refusal { denied, principal: Some(name) });
                };
                Admitted { principal: Principal { name, role, scopes, is_open: false }, unused_token, until }
            }
            None => Admitted {
                principal: self.anonymous.clone().ok_or(Denied::Missing)?,
                unused_token: None,
                until: Validity::Always,
            },
        };
        let principal = &admitted.principal;
        if let Some(rates) = &self.rates {
            rates.check(&principal.caller(presented.address))?;
        }
        if principal.role < required {
            let denied = Denied::RoleTooLow { required, role: Some(principal.role) };
            return Err(Refusal { denied, principal: Some(principal.name.clone()) });
        }
        Ok(admitted)
    }

    /// The identity that the credentials name. `None` without credentials. Invalid credentials are always rejected,
    /// even where anonymous access is allowed: a caller that sends them expects to be authenticated.
    async fn authenticate(&self, presented: Credentials<'_>) -> Result<Option<Identity>, Denied> {
        if let Some(bearer) = presented.bearer {
            let identity = match ApiToken::parse(bearer) {
                Some(token) => {
                    self.tokens
                        .as_ref()
                        .ok_or(Denied::Invalid("API tokens are not accepted"))?
                        .authenticate(&token)
                        .await
                }
                None => self.jwts.as_ref().ok_or(Denied::Invalid("JWTs are not accepted"))?.authenticate(bearer).await,
            };
            return identity.map(Some);
        }
        match presented.certificate {
            Some(certificate) if !self.identities.is_empty() => self.identities.authenticate(certificate).map(Some),
            _ => Ok(None),
        }
    }
}

/// Fails if one claim would be read as a role and as scopes.
fn check_claims(issuer: &JwtIssuer) -> Result<(), AuthenticatorError> {
    match issuer.role_claim == issuer.scope_claim {
        true => Err(AuthenticatorError::SameClaim(issuer.role_claim.clone())),
        false => Ok(()),
    }
}

/// The role of callers without credentials. Fails if the options set no role and other machines could reach the
/// address.
fn anonymous_role(options: &Options, address: SocketAddr) -> Result<Option<Role>, AuthenticatorError> {
    match options.anonymous {
        Anonymous::Role(role) => Ok(Some(role)),
        Anonymous::Refused => Ok(None),
        Anonymous::Automatic if options.asks_for_credentials() => Ok(None),
        Anonymous::Automatic if address.ip().to_canonical().is_loopback() => Ok(Some(Role::Admin)),
        Anonymous::Automatic => Err(AuthenticatorError::Open(address)),
    }
}

impl Admitted {
    /// True if the credentials can expire or be revoked.
    pub fn may_end(&self) -> bool {
        !matches!(self.until, Validity::Always)
    }

    /// Waits until the credentials are no longer valid, and returns the reason.
    pub async fn ended(self) -> Denied {
        self.until.ended().await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    async fn authenticator(address: &str, options: Options) -> Result<Authenticator, AuthenticatorError> {
        // The test does not connect to the database.
        let store = Store::new(PgConnectOptions::new());
        Authenticator::new(&options, address.parse().expect("an address"), &store).await
    }

    #[tokio::test]
    async fn anonymous_callers_have_full_access_only_on_a_loopback_address() {
        for loopback in ["127.0.0.1:50051", "[::1]:50051", "[::ffff:127.0.0.1]:50051"] {
            let authenticator = authenticator(loopback, Options::default()).await.expect("open access");
            assert_eq!(authenticator.anonymous, Some(Principal::anonymous(Role::Admin, true)), "{loopback}");
        }
        for elsewhere in ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:50051"] {
            let refused = authenticator(elsewhere, Options::default()).await.expect_err("open access from elsewhere");
            assert!(
                matches!(refused, AuthenticatorError::Open(_)) && refused.to_string().contains("--api-tokens"),
                "{refused}"
            );
            let explicit = Options { anonymous: Anonymous::Role(Role::Reader), ..Options::default() };
            let authenticator = authenticator(elsewhere, explicit).await.expect("an explicit role");
            assert_eq!(authenticator.anonymous, Some(Principal::anonymous(Role::Reader, false)));
        }
    }

    #[tokio::test]
    async fn anonymous_callers_are_refused_if_credentials_are_configured() {
        let desk = client_certificate::ClientIdentity { name: "desk".to_owned(), role: Role::Reader };
        let options = Options { client_identities: vec![desk], ..Options::default() };
        for address in ["127.0.0.1:50051", "0.0.0.0:50051"] {
            let authenticator = authenticator(address, options.clone()).await.expect("an authenticator");
            assert_eq!(authenticator.anonymous, None);
            let presented = Credentials { bearer: None, certificate: None, address: [127, 0, 0, 1].into() };
            assert!(matches!(
                authenticator.admit(presented, Role::Reader).await,
                Err(Refusal { denied: Denied::Missing, .. })
            ));
        }
    }
}
