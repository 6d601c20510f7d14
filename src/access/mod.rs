//! Who may call. A caller is known by an API token, a JWT or a client certificate; it gets the role that these give it, a
//! name that its writes are recorded under, and as many calls as it may make. It must know no gRPC: `service/layer/access`
//! asks here, and `service/status` says what is refused.

pub mod api_token;
pub mod certificate;
pub mod denied;
pub mod jwk;
pub mod jwks;
pub mod jwt;
pub mod principal;
pub mod rates;
pub mod tokens;

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
};

use self::{
    api_token::ApiToken,
    certificate::{ClientIdentity, Identities},
    jwt::{Issued, Jwts},
    principal::{Identity, Validity},
    rates::Rates,
    tokens::Tokens,
};
pub use self::{denied::Denied, principal::Principal};
use crate::{
    model::role::Role,
    store::{Store, StoreError},
};

/// What a call brings along.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// A token, of either kind.
    pub bearer: Option<&'a str>,
    /// The certificate that the other end has proved to have the key of, as DER.
    pub certificate: Option<&'a [u8]>,
    /// Where it comes from.
    pub address: IpAddr,
}

/// The credentials that a service takes, and the rate of each caller.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Takes API tokens.
    pub api_tokens: bool,
    /// Takes JWTs of this issuer.
    pub jwt: Option<Issued>,
    /// The client certificates that give a role.
    pub client_identities: Vec<ClientIdentity>,
    /// The role of callers without credentials; `Some(None)`: they are refused. None: as the other options and the address
    /// decide.
    pub anonymous: Option<Option<Role>>,
    /// Calls a second of each caller; 0: no limit.
    pub rate: u32,
    /// Calls that a caller may make at once; none: as many as in a second.
    pub rate_burst: Option<NonZeroU32>,
}

impl Options {
    /// True if callers can present credentials.
    pub fn asks_for_credentials(&self) -> bool {
        self.api_tokens || self.jwt.is_some() || !self.client_identities.is_empty()
    }
}

/// Decides who is let in.
#[derive(Debug)]
pub struct Authenticator {
    tokens: Option<Tokens>,
    jwts: Option<Jwts>,
    identities: Identities,
    /// Who calls without credentials; none: nobody may.
    anonymous: Option<Principal>,
    rates: Option<Rates>,
}

/// Why a service cannot say who may call.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticatorError {
    /// Everybody who reaches it could do everything.
    #[error(
        "{0} can be reached from elsewhere, and nothing says who may call: give --api-tokens, --jwt-issuer or \
         --client-identity, or say with --anonymous-role what everybody may"
    )]
    Open(SocketAddr),
    /// Where the keys of JWTs come from cannot be used.
    #[error(transparent)]
    Keys(#[from] jwks::KeysError),
    /// The tokens cannot be read.
    #[error("the API tokens cannot be read")]
    Tokens(#[source] StoreError),
}

/// A caller that is let in, and until when.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The caller.
    pub principal: Principal,
    until: Validity,
}

impl Authenticator {
    /// Refuses what `new` would, as far as no database and no issuer need be asked.
    pub async fn check(options: &Options, address: SocketAddr) -> Result<(), AuthenticatorError> {
        role_of_all(options, address)?;
        if let Some(issued) = &options.jwt {
            issued.keys.check().await?;
        }
        Ok(())
    }

    /// For a service at this address, configured so.
    pub async fn new(options: &Options, address: SocketAddr, store: &Store) -> Result<Self, AuthenticatorError> {
        let role = role_of_all(options, address)?;
        let tokens = match options.api_tokens {
            true => Some(Tokens::new(store.clone()).await.map_err(AuthenticatorError::Tokens)?),
            false => None,
        };
        let jwts = match options.jwt.clone() {
            Some(issued) => Some(Jwts::new(issued).await?),
            None => None,
        };
        Ok(Self {
            tokens,
            jwts,
            identities: Identities::new(&options.client_identities),
            anonymous: role
                .map(|role| Principal::anonymous(role, !options.asks_for_credentials() && role == Role::Admin)),
            rates: Rates::new(options.rate, options.rate_burst),
        })
    }

    /// Keeps up to date what it decides by. Does not end.
    pub async fn keep(&self) {
        let tokens = async {
            if let Some(tokens) = &self.tokens {
                tokens.keep().await;
            }
        };
        let jwts = async {
            if let Some(jwts) = &self.jwts {
                jwts.keep().await;
            }
        };
        let rates = async {
            if let Some(rates) = &self.rates {
                rates.keep().await;
            }
        };
        tokio::join!(tokens, jwts, rates);
    }

    /// Lets a caller in who has the role.
    pub async fn admit(&self, presented: Credentials<'_>, required: Role) -> Result<Admitted, Denied> {
        let admitted = match self.known(presented).await? {
            Some(known) => {
                let role = known.role.ok_or(Denied::RoleTooLow { required, role: None })?;
                Admitted { principal: Principal { name: known.name, role, is_open: false }, until: known.until }
            }
            None => Admitted { principal: self.anonymous.clone().ok_or(Denied::Missing)?, until: Validity::Always },
        };
        let principal = &admitted.principal;
        if let Some(rates) = &self.rates {
            rates.check(principal, presented.address)?;
        }
        if principal.role < required {
            return Err(Denied::RoleTooLow { required, role: Some(principal.role) });
        }
        Ok(admitted)
    }

    /// Whom the credentials name; none: there are none. Those that are there and do not hold are refused, even where one
    /// without any would be let in: whoever sends them believes to be somebody.
    async fn known(&self, presented: Credentials<'_>) -> Result<Option<Identity>, Denied> {
        if let Some(bearer) = presented.bearer {
            let known = match ApiToken::parse(bearer) {
                Some(token) => {
                    self.tokens.as_ref().ok_or(Denied::Invalid("API tokens are not taken"))?.known(&token).await
                }
                None => self.jwts.as_ref().ok_or(Denied::Invalid("no such tokens are taken"))?.known(bearer).await,
            };
            return known.map(Some);
        }
        match presented.certificate {
            Some(certificate) if !self.identities.is_empty() => self.identities.known(certificate).map(Some),
            _ => Ok(None),
        }
    }
}

/// What callers without credentials may. An error: nobody has said, and it would be everything.
fn role_of_all(options: &Options, address: SocketAddr) -> Result<Option<Role>, AuthenticatorError> {
    match options.anonymous {
        Some(role) => Ok(role),
        None if options.asks_for_credentials() => Ok(None),
        None if address.ip().to_canonical().is_loopback() => Ok(Some(Role::Admin)),
        None => Err(AuthenticatorError::Open(address)),
    }
}

impl Admitted {
    /// Whether what lets it in ceases to hold at some time.
    pub fn may_end(&self) -> bool {
        !matches!(self.until, Validity::Always)
    }

    /// Ends when that does not hold any more, with the reason.
    pub async fn ended(self) -> Denied {
        self.until.ended().await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    async fn gate(address: &str, options: Options) -> Result<Authenticator, AuthenticatorError> {
        // Nobody connects to it.
        let store = Store::new(PgConnectOptions::new());
        Authenticator::new(&options, address.parse().expect("an address"), &store).await
    }

    #[tokio::test]
    async fn only_who_is_on_the_same_machine_may_everything_without_a_word() {
        for loopback in ["127.0.0.1:50051", "[::1]:50051", "[::ffff:127.0.0.1]:50051"] {
            let gate = gate(loopback, Options::default()).await.expect("it is open");
            assert_eq!(gate.anonymous, Some(Principal::anonymous(Role::Admin, true)), "{loopback}");
        }
        for elsewhere in ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:50051"] {
            let refused = gate(elsewhere, Options::default()).await.expect_err("it would be open");
            assert!(
                matches!(refused, AuthenticatorError::Open(_)) && refused.to_string().contains("--api-tokens"),
                "{refused}"
            );
            let said = Options { anonymous: Some(Some(Role::Reader)), ..Options::default() };
            let gate = gate(elsewhere, said).await.expect("it was said");
            assert_eq!(gate.anonymous, Some(Principal::anonymous(Role::Reader, false)));
        }
    }

    #[tokio::test]
    async fn once_any_credentials_are_taken_nobody_may_anything_without() {
        let desk = certificate::ClientIdentity { name: "desk".to_owned(), role: Role::Reader };
        let options = Options { client_identities: vec![desk], ..Options::default() };
        for address in ["127.0.0.1:50051", "0.0.0.0:50051"] {
            let gate = gate(address, options.clone()).await.expect("it asks for credentials");
            assert_eq!(gate.anonymous, None);
            let presented = Credentials { bearer: None, certificate: None, address: [127, 0, 0, 1].into() };
            assert!(matches!(gate.admit(presented, Role::Reader).await, Err(Denied::Missing)));
        }
    }
}
