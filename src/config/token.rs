//! The options of `readout token`.

use std::time::Duration;

use clap::Subcommand;
use uuid::Uuid;

use super::{Database, Output, positive_days};
use crate::model::{role::Role, scope::Scope};

/// The commands that manage API tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Create a token and print it; it is not shown again
    #[command(after_long_help = CREATE)]
    Create(CreateToken),
    /// Print all tokens, without their secrets
    List(ListTokens),
    /// Revoke a token: services refuse it within two seconds, and end its open streams
    Revoke(RevokeToken),
}

/// The options of `token create`.
#[derive(Debug, Clone, clap::Args)]
pub struct CreateToken {
    /// Name of the caller; writes are recorded with the actor token/NAME. 1 to 64 letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME", value_parser = name)]
    pub name: String,
    /// Role of the token: reader, writer, curator or admin
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
    /// Articles that the token may write: publisher=NAME or label:KEY=VALUE; repeatable, up to 16; default: all
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<Scope>,
    /// Days after which the token expires; default: never
    #[arg(long, value_name = "DAYS", value_parser = positive_days)]
    pub expires_in: Option<Duration>,
    #[command(flatten)]
    pub database: Database,
}

/// The options of `token list`.
#[derive(Debug, Clone, clap::Args)]
pub struct ListTokens {
    /// Format of the list: text, or JSON with one object per line
    #[arg(long, env = "READOUT_OUTPUT", default_value = "text")]
    pub output: Output,
    #[command(flatten)]
    pub database: Database,
}

/// The options of `token revoke`.
#[derive(Debug, Clone, clap::Args)]
pub struct RevokeToken {
    /// Id of the token, as `readout token list` prints it
    #[arg(value_name = "ID")]
    pub id: Uuid,
    #[command(flatten)]
    pub database: Database,
}

const CREATE: &str = "\
Prints the token, and nothing else, on standard output. The database stores only a hash of its secret. Services with \
--api-tokens accept the token at once. Callers send it in the metadata `authorization: Bearer TOKEN`.

With --scope, the token writes only articles in its scope, and what belongs to such an article: its stories, meetings \
and reports. An article is in scope if its publisher is one of those named, and if it has every label named. Writes \
without an article (participants, rulings, merges, splits) are refused. Reads are not restricted. The scopes of a token \
never change. Give --scope only once every instance of the service is at a release that knows it.

Several tokens may share a name: to replace a token, create another one of the same name, distribute it, and revoke \
the first.";

/// Parses the name of a token. The rule equals the constraint of the table `token`.
fn name(text: &str) -> Result<String, String> {
    let is_well_formed = (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match is_well_formed {
        true => Ok(text.to_owned()),
        false => Err("must be 1 to 64 letters, digits, `.`, `_` and `-`, and begin with a letter or digit".to_owned()),
    }
}
