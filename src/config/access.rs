//! Who may call, and how often.

use std::num::NonZeroU32;

use clap::{ValueEnum, builder::BoolishValueParser};
use jsonwebtoken::Algorithm;

use crate::{
    access::{
        Options,
        certificate::ClientIdentity,
        jwks::KeySource,
        jwt::{ALGORITHMS, Issued},
    },
    model::role::Role,
};

/// Who may call, and how often.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Access")]
pub struct Access {
    /// Take API tokens, as `readout token create` makes them
    #[arg(long, env = "READOUT_API_TOKENS", value_parser = BoolishValueParser::new())]
    pub api_tokens: bool,
    #[command(flatten)]
    pub jwt: Jwt,
    /// A client certificate that gives a role, by its URI (SPIFFE), else its DNS name, else its common name; repeatable, or
    /// with commas between
    #[arg(
        long = "client-identity",
        env = "READOUT_CLIENT_IDENTITIES",
        value_name = "NAME=ROLE",
        value_delimiter = ','
    )]
    pub client_identities: Vec<ClientIdentity>,
    /// What callers without credentials may: reader, writer, curator, admin or none. Default: none where any credentials are
    /// taken; else, on a loopback address, admin
    #[arg(long, env = "READOUT_ANONYMOUS_ROLE", value_name = "ROLE")]
    pub anonymous_role: Option<AnonymousRole>,
    /// Whether whoever may read can ask which services there are (grpcurl needs it)
    #[arg(long, env = "READOUT_REFLECTION", default_value = "on", value_name = "ON_OR_OFF")]
    pub reflection: Reflection,
    /// Calls a second that each caller may make, those without a name by where they come from; 0: any number
    #[arg(long, env = "READOUT_RATE", default_value = "0", value_name = "N")]
    pub rate: u32,
    /// Calls that it may make at once; default: as many as in a second
    #[arg(long, env = "READOUT_RATE_BURST", value_name = "N")]
    pub rate_burst: Option<NonZeroU32>,
}

impl Access {
    /// The options of an authenticator.
    pub fn options(&self) -> Options {
        Options {
            api_tokens: self.api_tokens,
            jwt: self.jwt.source(),
            client_identities: self.client_identities.clone(),
            anonymous: self.anonymous_role.map(AnonymousRole::role),
            rate: self.rate,
            rate_burst: self.rate_burst,
        }
    }
}

/// JSON Web Tokens.
#[derive(Debug, Clone, clap::Args)]
pub struct Jwt {
    /// Take JWTs of this issuer (`iss`)
    #[arg(long, env = "READOUT_JWT_ISSUER", value_name = "ISSUER", requires = "jwt_audience", requires = "jwt_jwks")]
    pub jwt_issuer: Option<String>,
    /// That are for this audience (`aud`)
    #[arg(long, env = "READOUT_JWT_AUDIENCE", value_name = "AUDIENCE", requires = "jwt_issuer")]
    pub jwt_audience: Option<String>,
    /// And signed by these keys: a JSON Web Key Set, in a file or at an https address
    #[arg(long, env = "READOUT_JWT_JWKS", value_name = "FILE_OR_URL", requires = "jwt_issuer", value_parser = KeySource::parse)]
    pub jwt_jwks: Option<KeySource>,
    /// With one of these algorithms
    #[arg(long, env = "READOUT_JWT_ALGORITHMS", value_name = "ALGORITHMS", value_delimiter = ',',
        default_value = "RS256,ES256,EdDSA", value_parser = algorithm)]
    pub jwt_algorithms: Vec<Algorithm>,
    /// The claim that gives the role: words, or a list of them, of which the highest role counts (`writer`, or
    /// `readout:writer`)
    #[arg(long, env = "READOUT_JWT_ROLE_CLAIM", value_name = "CLAIM", default_value = "readout_role")]
    pub jwt_role_claim: String,
}

impl Jwt {
    /// Which are taken; none: no JWTs.
    pub fn source(&self) -> Option<Issued> {
        Some(Issued {
            issuer: self.jwt_issuer.clone()?,
            audience: self.jwt_audience.clone()?,
            algorithms: self.jwt_algorithms.clone(),
            role_claim: self.jwt_role_claim.clone(),
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
        }
    }
}

/// What callers without credentials may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnonymousRole {
    Reader,
    Writer,
    Curator,
    Admin,
    None,
}

impl AnonymousRole {
    /// The role; none: nothing.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Reader => Some(Role::Reader),
            Self::Writer => Some(Role::Writer),
            Self::Curator => Some(Role::Curator),
            Self::Admin => Some(Role::Admin),
            Self::None => None,
        }
    }
}

/// Whether services are listed.
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
    fn a_service_asks_for_credentials_once_any_are_configured() {
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
    fn what_cannot_be_meant_is_refused() {
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
