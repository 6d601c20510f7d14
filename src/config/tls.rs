//! Who the service says it is, and whose certificates it takes.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

use super::some_seconds;

/// Who the service says it is, and whose certificates it takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Transport")]
pub struct Tls {
    /// The certificate of the service, with its chain (PEM); without one it serves plaintext
    #[arg(long, env = "READOUT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, env = "READOUT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// The authorities whose certificates clients may show (PEM)
    #[arg(long, env = "READOUT_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Whether clients must show a certificate, where an authority is given
    #[arg(long, env = "READOUT_TLS_CLIENT_AUTH", default_value = "required")]
    pub tls_client_auth: ClientAuth,
    /// Seconds between looks at these files; new ones serve the connections that come from then on, as they do at SIGHUP
    #[arg(long, env = "READOUT_TLS_RELOAD", default_value = "10", value_name = "SECONDS", value_parser = some_seconds)]
    pub tls_reload: Duration,
    /// Serve plaintext on other addresses than those of this machine too
    #[arg(long, env = "READOUT_INSECURE")]
    pub insecure: bool,
}

/// Whether clients must show a certificate.
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
