//! The options that select the database: the URL of an existing one, or the directory of the embedded one.

use std::path::PathBuf;

use anyhow::Context;

use super::{
    Secret,
    database_url::{DatabaseUrl, Target},
};
use crate::embedded::default_data_dir;

/// The database of the records.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// URL of an existing PostgreSQL database: postgres://user:password@host:port/name; default: the embedded database
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<Secret>,
    /// File that holds the URL, instead of --database-url
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database_url")]
    pub database_url_file: Option<PathBuf>,
    /// Directory of the embedded database; default: /var/lib/readout for root, otherwise readout/ in the user's
    /// directory for application data ($XDG_DATA_HOME or ~/.local/share)
    #[arg(long, env = "READOUT_DATA_DIR", default_value_os_t = default_data_dir(), hide_default_value = true,
        value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Directory of `initdb`, `pg_ctl` and `postgres`, for the embedded database; default: the newest version installed
    #[arg(long, env = "READOUT_POSTGRES_BIN", value_name = "DIR")]
    pub postgres_bin: Option<PathBuf>,
}

impl Database {
    /// The existing database that the URL names; `None` for the embedded one.
    ///
    /// # Errors
    /// If the file cannot be read, or the URL is not valid.
    pub fn target(&self) -> anyhow::Result<Option<Target>> {
        let Some(url) = Secret::given(self.database_url.as_ref(), self.database_url_file.as_deref())? else {
            return Ok(None);
        };
        let target = DatabaseUrl::parse(url.expose()).and_then(|url| url.target());
        target.map(Some).context("DATABASE_URL is not a valid PostgreSQL url")
    }
}
