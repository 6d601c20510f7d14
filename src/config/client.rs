//! Where a running service is, and who calls it.

use std::path::PathBuf;

/// A running service, for the commands that are its clients.
///
/// The environment that configures a service does not make a client of it: the variables of the two are not the same.
#[derive(Debug, Clone, clap::Args)]
pub struct Server {
    /// The service: `https://host:port`, or `http://host:port` in plaintext, which is meant where no scheme is written
    #[arg(long, env = "READOUT_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub server: String,
    /// The authorities that vouch for the service (PEM); default: those of this system
    #[arg(long, env = "READOUT_CLIENT_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// A certificate to show to the service, with its chain (PEM)
    #[arg(long, env = "READOUT_CLIENT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM)
    #[arg(long, env = "READOUT_CLIENT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A file that holds the API token; the environment may hold it itself, as READOUT_TOKEN
    #[arg(long, env = "READOUT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Send the token in plaintext to other machines too
    #[arg(long)]
    pub insecure: bool,
}
