//! The options of connections: TLS, limits, timeouts and HTTP/2 settings.

use std::{net::SocketAddr, time::Duration};

use anyhow::bail;

use super::{Tls, positive_seconds, seconds};
use crate::model::message_bound::{DEFAULT_MESSAGE_BYTES, MAX_MESSAGE_BYTES, MessageBound};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Transport")]
pub struct Transport {
    #[command(flatten)]
    pub tls: Tls,
    /// Maximum number of concurrent connections; a further one takes the place of a connection without an open call, or
    /// is closed at once
    #[arg(long, env = "READOUT_MAX_CONNECTIONS", default_value = "10000", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Maximum number of concurrent connections from one client address (IPv6: one /64), as above; raise it for a proxy
    /// that opens a connection for each of its users; 0: no limit
    #[arg(long, env = "READOUT_MAX_CONNECTIONS_PER_ADDRESS", default_value = "4096", value_name = "N")]
    pub max_connections_per_address: u32,
    /// Maximum seconds for the TLS handshake and the HTTP/2 preface of a new connection
    #[arg(long, env = "READOUT_HANDSHAKE_TIMEOUT", default_value = "10", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub handshake_timeout: Duration,
    /// Seconds without an open call after which a connection is closed (GOAWAY); 0: never
    #[arg(long, env = "READOUT_IDLE_TIMEOUT", default_value = "900", value_name = "SECONDS", value_parser = seconds)]
    pub idle_timeout: Duration,
    /// Seconds, plus or minus a tenth, after which a connection accepts no further calls (GOAWAY), so that clients
    /// spread over the instances; open calls continue; 0: never
    #[arg(long, env = "READOUT_CONNECTION_AGE", default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub connection_age: Duration,
    /// Seconds of silence after which the service sends an HTTP/2 PING on a connection
    #[arg(long, env = "READOUT_KEEPALIVE", default_value = "60", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub keepalive: Duration,
    /// Seconds without an answer to the PING after which the connection is closed
    #[arg(long, env = "READOUT_KEEPALIVE_TIMEOUT", default_value = "20", value_name = "SECONDS",
        value_parser = positive_seconds)]
    pub keepalive_timeout: Duration,
    /// Maximum number of concurrent calls on one connection; clients hold further calls back until one ends
    #[arg(long, env = "READOUT_MAX_CONCURRENT_STREAMS", default_value = "256", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_streams: u32,
    /// Maximum header bytes of a call, counting each header with 32 additional bytes (RFC 9113, 6.5.2)
    #[arg(long, env = "READOUT_MAX_HEADER_BYTES", default_value = "16384", value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(1024..=1024 * 1024))]
    pub max_header_bytes: u32,
    /// Maximum bytes of a message that the service sends; clients must accept as many
    #[arg(long, env = "READOUT_MAX_RESPONSE_BYTES", default_value = "4000000", value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(DEFAULT_MESSAGE_BYTES as i64..=MAX_MESSAGE_BYTES as i64))]
    pub max_response_bytes: u32,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            tls: Tls::default(),
            max_connections: 10_000,
            max_connections_per_address: 4_096,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15 * 60),
            connection_age: Duration::ZERO,
            keepalive: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            max_concurrent_streams: 256,
            max_header_bytes: 16 * 1024,
            max_response_bytes: DEFAULT_MESSAGE_BYTES as u32,
        }
    }
}

impl Transport {
    /// The bound on the messages that the service sends.
    pub fn message_bound(&self) -> MessageBound {
        MessageBound::of(self.max_response_bytes as usize)
    }

    /// Refuses plaintext on an address that other machines can reach, unless `--insecure` is given.
    ///
    /// # Errors
    /// If there is neither a certificate nor `--insecure`, and `listen` is not a loopback address.
    pub fn allow(&self, listen: SocketAddr) -> anyhow::Result<()> {
        let is_plaintext = self.tls.tls_cert.is_none() && self.tls.tls_key.is_none();
        if is_plaintext && !self.tls.insecure && !is_loopback(listen) {
            bail!(
                "--listen {listen} can be reached from other machines, which would send tokens and records in \
                 plaintext: give --tls-cert and --tls-key, listen on 127.0.0.1, or give --insecure"
            );
        }
        Ok(())
    }

    /// Refuses an operations port that other machines can reach, unless `--insecure` is given. That port has neither
    /// TLS nor credentials, also if the service has a certificate.
    ///
    /// # Errors
    /// If there is no `--insecure`, and `listen` is not a loopback address.
    pub fn allow_operations(&self, listen: SocketAddr) -> anyhow::Result<()> {
        if !self.tls.insecure && !is_loopback(listen) {
            bail!(
                "--operations-listen {listen} can be reached from other machines, which would read metrics in \
                 plaintext and without credentials: listen on 127.0.0.1, or give --insecure"
            );
        }
        Ok(())
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
