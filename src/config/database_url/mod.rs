//! `DATABASE_URL`: a connection URI of libpq. It is parsed only here: libraries would log unknown parameters with their
//! values.
//!
//! Each parameter of libpq is honoured, has no effect because its value describes the present behaviour, or is refused
//! with advice. Neither errors nor log lines contain the password or the value of a parameter.

mod error;
mod parameters;
mod parse;
mod passfile;
mod server_options;
#[cfg(test)]
mod tests;

use std::{env, fmt, path::PathBuf, time::Duration};

use sqlx::{
    ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::time::timeout;

pub use self::error::DatabaseUrlError;
use super::Secret;

/// The parts of a database URL. An absent part takes the value of libpq's environment variable (such as `PGHOST`), or
/// its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// The servers, in the order in which they are tried; empty: the default one.
    pub hosts: Vec<Host>,
    /// The role of PostgreSQL.
    pub user: Option<String>,
    /// The password of the role; `None`: the one of the environment or the password file.
    pub password: Option<Secret>,
    /// The password file; `None`: the default one (`~/.pgpass`).
    pub passfile: Option<PathBuf>,
    /// The name of the database.
    pub database: Option<String>,
    /// The time for the first connection at start-up; `None`: no limit.
    pub connect_timeout: Option<Duration>,
    /// The name of the sessions in `pg_stat_activity`.
    pub application_name: Option<String>,
    /// The settings of each session, as names and values.
    pub options: Vec<(String, String)>,
    /// The number of prepared statements that a connection caches.
    pub statement_cache_capacity: Option<usize>,
    /// The TLS settings.
    pub tls: Tls,
}

/// A server of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The address; `None`: the default one.
    pub address: Option<ServerAddress>,
    /// The port, which is also part of the name of a Unix socket; `None`: the default one.
    pub port: Option<u16>,
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host name or an IP address, IPv6 without brackets.
    Tcp(String),
    /// The directory of a Unix socket.
    Socket(PathBuf),
}

/// The TLS settings.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Plaintext, TLS, or TLS with a verified certificate.
    pub mode: Option<PgSslMode>,
    /// The certificate authorities that sign the server's certificate (PEM).
    pub root_cert: Option<PathBuf>,
    /// The client certificate and its private key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        let parts = |tls: &Self| (tls.mode.map(|mode| mode as u8), tls.root_cert.clone(), tls.identity.clone());
        parts(self) == parts(other)
    }
}

impl Eq for Tls {}

/// The options for connections to a database, checked and complete.
#[derive(Clone)]
pub struct Target {
    /// The options of each connection.
    pub options: PgConnectOptions,
    connect_timeout: Option<Duration>,
}

impl DatabaseUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// If the text is not the URL of a PostgreSQL database, or has a parameter that readout cannot honour.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        parse::parse(text)
    }

    /// Converts to the options for connections.
    ///
    /// # Errors
    /// If the URL names several hosts, or no database.
    pub fn target(&self) -> Result<Target, DatabaseUrlError> {
        let mut options = PgConnectOptions::new_without_pgpass();
        match self.hosts.as_slice() {
            [] => {}
            [host] => options = host.apply(options),
            hosts => return Err(DatabaseUrlError::SeveralHosts(hosts.len())),
        }
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        if options.get_database().is_none() {
            return Err(DatabaseUrlError::NoDatabase);
        }
        if let Some(password) = self.find_password(&options) {
            options = options.password(password.expose());
        }
        if let Some(name) = &self.application_name {
            options = options.application_name(name);
        }
        if !self.options.is_empty() {
            options = options.options(self.options.iter().map(|(name, value)| (name, value)));
        }
        if let Some(capacity) = self.statement_cache_capacity {
            options = options.statement_cache_capacity(capacity);
        }
        Ok(Target { options: self.tls.apply(options), connect_timeout: self.connect_timeout })
    }

    /// Returns the password of the URL, else the one of the password file. The options already contain the password of
    /// the environment, which takes precedence over the file.
    fn find_password(&self, options: &PgConnectOptions) -> Option<Secret> {
        let is_in_environment = || env::var_os("PGPASSWORD").is_some();
        match &self.password {
            None if !is_in_environment() => passfile::password(self.passfile.as_deref(), options),
            password => password.clone(),
        }
    }
}

impl Host {
    fn apply(&self, options: PgConnectOptions) -> PgConnectOptions {
        let options = match &self.address {
            None => options,
            Some(ServerAddress::Tcp(host)) => options.host(host),
            Some(ServerAddress::Socket(directory)) => options.socket(directory),
        };
        match self.port {
            Some(port) => options.port(port),
            None => options,
        }
    }
}

impl Tls {
    fn apply(&self, options: PgConnectOptions) -> PgConnectOptions {
        let mut options = options;
        let mode = match self.mode {
            // As in libpq: if authorities are given, the certificate is verified.
            Some(PgSslMode::Require) if self.root_cert.is_some() => Some(PgSslMode::VerifyCa),
            mode => mode,
        };
        if let Some(mode) = mode {
            options = options.ssl_mode(mode);
        }
        if let Some(file) = &self.root_cert {
            options = options.ssl_root_cert(file);
        }
        if let Some((cert, key)) = &self.identity {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        options
    }
}

impl fmt::Debug for Target {
    /// Omits the options, which contain the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("connect_timeout", &self.connect_timeout).finish_non_exhaustive()
    }
}

impl Target {
    /// Waits for a first connection, at most for the `connect_timeout` of the URL. Other errors are ignored here: the
    /// next connection reports them.
    ///
    /// # Errors
    /// If the database does not answer in time.
    pub async fn wait(&self) -> Result<(), DatabaseUrlError> {
        let Some(limit) = self.connect_timeout else { return Ok(()) };
        match timeout(limit, self.options.connect()).await {
            Ok(Ok(connection)) => {
                // The server has answered: an error of the close does not matter.
                let _ = connection.close().await;
                Ok(())
            }
            Ok(Err(_)) => Ok(()),
            Err(_) => Err(DatabaseUrlError::TimedOut(limit.as_secs())),
        }
    }
}
