//! `readout token`: what is done to API tokens.

use std::time::Duration;

use clap::Subcommand;
use uuid::Uuid;

use super::{Database, Output, some_days};
use crate::model::role::Role;

/// What is done to API tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token, and print it: the only time that it is seen
    #[command(after_long_help = CREATE)]
    Create(CreateToken),
    /// Print all tokens, without their secrets
    List(ListTokens),
    /// Revoke a token: services refuse it within two seconds, and end its open streams
    Revoke(RevokeToken),
}

/// A token to be made.
#[derive(Debug, Clone, clap::Args)]
pub struct CreateToken {
    /// Whose it is: what it writes is recorded as asked for by token/NAME. 1 to 64 letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME", value_parser = name)]
    pub name: String,
    /// What it may do: reader, writer, curator or admin
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
    /// Days after which it expires; default: it does not
    #[arg(long, value_name = "DAYS", value_parser = some_days)]
    pub expires_in: Option<Duration>,
    #[command(flatten)]
    pub database: Database,
}

/// Which tokens there are.
#[derive(Debug, Clone, clap::Args)]
pub struct ListTokens {
    /// How they are told: text, or JSON, one object a line
    #[arg(long, env = "READOUT_OUTPUT", default_value = "text")]
    pub output: Output,
    #[command(flatten)]
    pub database: Database,
}

/// A token to be revoked.
#[derive(Debug, Clone, clap::Args)]
pub struct RevokeToken {
    /// Its id, as `readout token list` tells it
    #[arg(value_name = "ID")]
    pub id: Uuid,
    #[command(flatten)]
    pub database: Database,
}

const CREATE: &str = "\
Prints the token on standard output, and nothing else there; the database keeps only a hash of its secret. A service \
takes it with --api-tokens, at once. Callers send it in the metadata `authorization: Bearer TOKEN`.

Several tokens may have one name: to replace a token, make another one of that name, hand it out, and revoke the first.";

/// As the table's constraint has it.
fn name(text: &str) -> Result<String, String> {
    let is_well_formed = (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match is_well_formed {
        true => Ok(text.to_owned()),
        false => Err("must be 1 to 64 letters, digits, `.`, `_` and `-`, and begin with a letter or digit".to_owned()),
    }
}
