//! The options of the commands that are clients of a running service: its address, and the credentials of the caller.

use std::path::PathBuf;

/// The address of a running service, and the credentials for it.
///
/// Clients and services have different environment variables, so that the environment of a service does not configure
/// its clients.
#[derive(Debug, Clone, clap::Args)]
pub struct Server {
    /// Address of the service: `https://host:port`, or `http://host:port` for plaintext; default scheme: https if
    /// certificates are given, otherwise http
    #[arg(long, env = "READOUT_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub server: String,
    /// Certificate authorities that sign the service's certificate (PEM); default: those of this system
    #[arg(long, env = "READOUT_CLIENT_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate for the service, with its chain (PEM)
    #[arg(long, env = "READOUT_CLIENT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, env = "READOUT_CLIENT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// File that holds the API token; the variable READOUT_TOKEN may hold the token itself
    #[arg(long, env = "READOUT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Allow the token to be sent to other machines in plaintext
    #[arg(long)]
    pub insecure: bool,
}
