//! The options of TLS: the certificate of the service, and the certificates of its clients.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

use super::positive_seconds;

/// The options of TLS.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Transport")]
pub struct Tls {
    /// Certificate of the service, with its chain (PEM); without one, the service accepts plaintext
    #[arg(long, env = "READOUT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, env = "READOUT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Certificate authorities that sign client certificates (PEM)
    #[arg(long, env = "READOUT_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Requirement of client certificates, if --tls-client-ca is given: required or optional
    #[arg(long, env = "READOUT_TLS_CLIENT_AUTH", default_value = "required")]
    pub tls_client_auth: ClientAuth,
    /// Seconds between checks of these files for changes; new files apply to new connections. SIGHUP reloads them at
    /// once
    #[arg(long, env = "READOUT_TLS_RELOAD", default_value = "10", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub tls_reload: Duration,
    /// Allow plaintext on an address that other machines can reach. It does not turn TLS off
    #[arg(long, env = "READOUT_INSECURE")]
    pub insecure: bool,
}

/// The requirement of client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientAuth {
    Required,
    Optional,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tls_client_auth: ClientAuth::Required,
            tls_reload: Duration::from_secs(10),
            insecure: false,
        }
    }
}
