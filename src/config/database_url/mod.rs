//! `DATABASE_URL`: a connection URI of libpq, read here and nowhere else. Libraries would log what they do not know of it,
//! with its value.
//!
//! A parameter of libpq is honoured, or asks for what holds anyway, or is refused with what to do. Neither an error nor a
//! log line has the password or the value of a parameter.

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

/// A database, as its URL names it. An absent part has the value of libpq's environment variable (`PGHOST`), or its
/// default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// The servers, in the order in which they are to be tried; none: the default one.
    pub hosts: Vec<Host>,
    /// The role.
    pub user: Option<String>,
    /// Its password; none: that of the password file.
    pub password: Option<Secret>,
    /// A file of passwords in the place of the default one (`~/.pgpass`).
    pub passfile: Option<PathBuf>,
    /// The database.
    pub database: Option<String>,
    /// The time after which a service that starts gives up; none: it waits.
    pub connect_timeout: Option<Duration>,
    /// The name of a session for those who look at all of them.
    pub application_name: Option<String>,
    /// Settings of each session.
    pub options: Vec<(String, String)>,
    /// The number of prepared statements that a connection keeps.
    pub statement_cache_capacity: Option<usize>,
    /// The protection of connections.
    pub tls: Tls,
}

/// A server of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Its place; none: the default one.
    pub place: Option<ServerAddress>,
    /// Its port, which is part of the name of a socket, too; none: the default one.
    pub port: Option<u16>,
}

/// The way to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// A name or an address, IPv6 without brackets.
    Tcp(String),
    /// The directory of a Unix socket.
    Socket(PathBuf),
}

/// The protection of connections.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Plaintext, TLS, or TLS with a verified certificate.
    pub mode: Option<PgSslMode>,
    /// The authorities that vouch for the server (PEM).
    pub root_cert: Option<PathBuf>,
    /// The certificate and the private key that are shown to the server (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        let parts = |tls: &Self| (tls.mode.map(|mode| mode as u8), tls.root_cert.clone(), tls.identity.clone());
        parts(self) == parts(other)
    }
}

impl Eq for Tls {}

/// A database that connections can be made to.
#[derive(Clone)]
pub struct Target {
    /// The options of each connection.
    pub options: PgConnectOptions,
    connect_timeout: Option<Duration>,
}

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none of a PostgreSQL database, or says what readout cannot do.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        parse::parse(text)
    }

    /// The options of connections to the database.
    ///
    /// # Errors
    /// It names several hosts, or no database.
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
        if let Some(password) = self.known_password(&options) {
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

    /// The password of the URL, else that of the file. That of the environment is among the options already.
    fn known_password(&self, options: &PgConnectOptions) -> Option<Secret> {
        let is_in_environment = || env::var_os("PGPASSWORD").is_some();
        match &self.password {
            None if !is_in_environment() => passfile::password(self.passfile.as_deref(), options),
            password => password.clone(),
        }
    }
}

impl Host {
    fn apply(&self, options: PgConnectOptions) -> PgConnectOptions {
        let options = match &self.place {
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
            // As libpq has it: who names authorities wants them to be asked.
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
    /// Without the options, which have the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("connect_timeout", &self.connect_timeout).finish_non_exhaustive()
    }
}

impl Target {
    /// Waits for the first connection no longer than the URL says. Another error is left to who connects next.
    ///
    /// # Errors
    /// The time is over.
    pub async fn wait(&self) -> Result<(), DatabaseUrlError> {
        let Some(limit) = self.connect_timeout else { return Ok(()) };
        match timeout(limit, self.options.connect()).await {
            Ok(Ok(connection)) => {
                // It has answered: its end changes nothing.
                let _ = connection.close().await;
                Ok(())
            }
            Ok(Err(_)) => Ok(()),
            Err(_) => Err(DatabaseUrlError::TimedOut(limit.as_secs())),
        }
    }
}
