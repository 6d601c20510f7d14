//! The options of authentication, roles and rate limits. They are converted to
//! [`access::Options`](crate::access::Options).

use std::num::NonZeroU32;

use clap::{ValueEnum, builder::BoolishValueParser};
use jsonwebtoken::Algorithm;

use crate::{
    access::{
        Anonymous, Options,
        client_certificate::ClientIdentity,
        jwks_fetcher::KeySource,
        jwt::{ALGORITHMS, JwtIssuer, is_own_claim},
    },
    model::role::Role,
};

/// Authentication, roles and rate limits.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Access")]
pub struct Access {
    /// Accept API tokens, which `readout token create` creates
    #[arg(long, env = "READOUT_API_TOKENS", value_parser = BoolishValueParser::new())]
    pub api_tokens: bool,
    #[command(flatten)]
    pub jwt: Jwt,
    /// Role of a client certificate, which is named by its URI (SPIFFE), else its DNS name, else its common name;
    /// repeatable, or separated by commas
    #[arg(
        long = "client-identity",
        env = "READOUT_CLIENT_IDENTITIES",
        value_name = "NAME=ROLE",
        value_delimiter = ','
    )]
    pub client_identities: Vec<ClientIdentity>,
    /// Role of callers without credentials: reader, writer, curator, admin or none. Default: none if any kind of
    /// credentials is configured; otherwise, on a loopback address, admin
    #[arg(long, env = "READOUT_ANONYMOUS_ROLE", value_name = "ROLE")]
    pub anonymous_role: Option<AnonymousRole>,
    /// Server reflection, for callers with at least the role reader (grpcurl needs it)
    #[arg(long, env = "READOUT_REFLECTION", default_value = "on", value_name = "ON_OR_OFF")]
    pub reflection: Reflection,
    /// Maximum calls per second of each caller; anonymous callers are counted by their address; 0: no limit
    #[arg(long, env = "READOUT_RATE", default_value = "0", value_name = "N")]
    pub rate: u32,
    /// Burst size: calls that a caller may make in one instant; default: --rate
    #[arg(long, env = "READOUT_RATE_BURST", value_name = "N")]
    pub rate_burst: Option<NonZeroU32>,
}

impl Access {
    /// Converts to the options of an authenticator.
    pub fn options(&self) -> Options {
        Options {
            api_tokens: self.api_tokens,
            jwt: self.jwt.source(),
            client_identities: self.client_identities.clone(),
            anonymous: self.anonymous_role.map_or(Anonymous::Automatic, Anonymous::from),
            rate: self.rate,
            rate_burst: self.rate_burst,
        }
    }
}

/// The options of JSON Web Tokens.
#[derive(Debug, Clone, clap::Args)]
pub struct Jwt {
    /// Accept JWTs of this issuer (`iss`)
    #[arg(long, env = "READOUT_JWT_ISSUER", value_name = "ISSUER", requires = "jwt_audience", requires = "jwt_jwks")]
    pub jwt_issuer: Option<String>,
    /// Audience that JWTs must name (`aud`)
    #[arg(long, env = "READOUT_JWT_AUDIENCE", value_name = "AUDIENCE", requires = "jwt_issuer")]
    pub jwt_audience: Option<String>,
    /// Keys that sign JWTs: a JSON Web Key Set, in a file or at an https URL
    #[arg(long, env = "READOUT_JWT_JWKS", value_name = "FILE_OR_URL", requires = "jwt_issuer", value_parser = KeySource::parse)]
    pub jwt_jwks: Option<KeySource>,
    /// Algorithms that may sign JWTs, separated by commas
    #[arg(long, env = "READOUT_JWT_ALGORITHMS", value_name = "ALGORITHMS", value_delimiter = ',',
        default_value = "RS256,ES256,EdDSA", value_parser = algorithm)]
    pub jwt_algorithms: Vec<Algorithm>,
    /// Claim that holds the role: a string of words, or a list of strings, such as `readout:writer`; the highest role
    /// counts. In a claim whose name contains `readout`, `writer` is enough
    #[arg(long, env = "READOUT_JWT_ROLE_CLAIM", value_name = "CLAIM", default_value = "readout_role")]
    pub jwt_role_claim: String,
    /// Claim that binds writes to articles: a string with one scope, or a list of strings, such as `publisher=NAME` or
    /// `label:KEY=VALUE`. Without the claim a JWT is not bound. The name contains `readout`: scopes among the words of
    /// other services could be overlooked
    #[arg(long, env = "READOUT_JWT_SCOPE_CLAIM", value_name = "CLAIM", default_value = "readout_scope", value_parser = own_claim)]
    pub jwt_scope_claim: String,
}

impl Jwt {
    /// The JWTs that are accepted; `None` if none are.
    pub fn source(&self) -> Option<JwtIssuer> {
        Some(JwtIssuer {
            issuer: self.jwt_issuer.clone()?,
            audience: self.jwt_audience.clone()?,
            algorithms: self.jwt_algorithms.clone(),
            role_claim: self.jwt_role_claim.clone(),
            scope_claim: self.jwt_scope_claim.clone(),
            keys: self.jwt_jwks.clone()?,
        })
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            jwt_issuer: None,
            jwt_audience: None,
            jwt_jwks: None,
            jwt_algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
            jwt_role_claim: "readout_role".to_owned(),
            jwt_scope_claim: "readout_scope".to_owned(),
        }
    }
}

/// The role of callers without credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnonymousRole {
    Reader,
    Writer,
    Curator,
    Admin,
    None,
}

impl From<AnonymousRole> for Anonymous {
    fn from(role: AnonymousRole) -> Self {
        match role {
            AnonymousRole::Reader => Self::Role(Role::Reader),
            AnonymousRole::Writer => Self::Role(Role::Writer),
            AnonymousRole::Curator => Self::Role(Role::Curator),
            AnonymousRole::Admin => Self::Role(Role::Admin),
            AnonymousRole::None => Self::Refused,
        }
    }
}

/// The state of server reflection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Reflection {
    #[default]
    On,
    Off,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    let found = ALGORITHMS.into_iter().find(|algorithm| format!("{algorithm:?}") == name);
    let names = || ALGORITHMS.map(|algorithm| format!("{algorithm:?}")).join(", ");
    found.ok_or_else(|| format!("must be one of {}", names()))
}

/// Parses the name of a claim that belongs to Readout alone.
fn own_claim(name: &str) -> Result<String, String> {
    match is_own_claim(name) {
        true => Ok(name.to_owned()),
        false => Err("must contain `readout`, since other services share all other claims".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        access: Access,
    }

    fn access(line: &[&str]) -> Result<Access, String> {
        let parsed = Line::try_parse_from([&["readout"], line].concat());
        parsed.map(|line| line.access).map_err(|error| error.to_string())
    }

    #[test]
    fn options_ask_for_credentials_if_any_are_configured() {
        let jwt = ["--jwt-issuer", "https://issuer.example", "--jwt-audience", "readout", "--jwt-jwks", "jwks.json"];
        for line in [&["--api-tokens"][..], &["--client-identity", "CN=desk=writer,spiffe://a/b=reader"], &jwt] {
            assert!(access(line).unwrap().options().asks_for_credentials(), "{line:?}");
        }
        assert!(!access(&["--anonymous-role", "admin", "--rate", "5"]).unwrap().options().asks_for_credentials());
        let issued = access(&jwt).unwrap().jwt.source().unwrap();
        assert_eq!(
            (issued.algorithms, issued.role_claim),
            (Jwt::default().jwt_algorithms, Jwt::default().jwt_role_claim)
        );
    }

    #[test]
    fn parser_refuses_unknown_algorithms_bad_identities_and_partial_jwt_options() {
        for wrong in ["none", "HS256", "HS512", "rs256", ""] {
            assert!(access(&["--jwt-algorithms", wrong]).is_err(), "{wrong}");
        }
        for wrong in ["desk", "=reader", "desk=boss", "desk=Reader"] {
            assert!(access(&["--client-identity", wrong]).is_err(), "{wrong}");
        }
        for half in [&["--jwt-issuer", "a"][..], &["--jwt-audience", "a"], &["--jwt-jwks", "a"]] {
            assert!(access(half).is_err(), "{half:?}");
        }
        assert!(access(&["--jwt-issuer", "a", "--jwt-audience", "a"]).is_err());
    }
}
