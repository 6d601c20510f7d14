//! Where the records are.

use std::path::PathBuf;

use anyhow::Context;

use super::{
    Secret,
    database_url::{DatabaseUrl, Target},
};
use crate::embedded::default_data_dir;

/// Where the records are.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// An existing PostgreSQL database, as postgres://user:password@host:port/name; default: a private one of our own
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<Secret>,
    /// A file that holds the url, instead of the url itself
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database_url")]
    pub database_url_file: Option<PathBuf>,
    /// Where the private database is kept; default: /var/lib/readout for root, else readout/ in the user's directory for
    /// application data ($XDG_DATA_HOME or ~/.local/share)
    #[arg(long, env = "READOUT_DATA_DIR", default_value_os_t = default_data_dir(), hide_default_value = true,
        value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where `initdb` and `postgres` are, for the private database; default: the newest version installed
    #[arg(long, env = "READOUT_POSTGRES_BIN", value_name = "DIR")]
    pub postgres_bin: Option<PathBuf>,
}

impl Database {
    /// The existing database that is named; none: the private one.
    pub fn named(&self) -> anyhow::Result<Option<Target>> {
        let Some(url) = Secret::given(self.database_url.as_ref(), self.database_url_file.as_deref())? else {
            return Ok(None);
        };
        let target = DatabaseUrl::parse(url.expose()).and_then(|url| url.target());
        target.map(Some).context("DATABASE_URL is not a valid PostgreSQL url")
    }
}
