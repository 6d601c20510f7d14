//! Connects a command to a running service, over TLS or in plaintext, with its credentials.

use std::{
    env,
    error::Error as StdError,
    fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::rustls::{
    self,
    pki_types::{CertificateDer, pem::PemObject},
};
use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    address::Address,
    port_probe::{Protocol, protocol},
};
use crate::{
    config::{self, Secret},
    error_chain,
};

/// A channel that adds the metadata of the command to each call. Clones share the connection.
pub type ClientChannel = InterceptedService<Channel, CallMetadata>;

/// Maximum time of an attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The metadata of each call: the token, and the trace of the command (the variable `TRACEPARENT`, which OpenTelemetry
/// passes to programs).
#[derive(Clone)]
pub struct CallMetadata {
    token: Option<AsciiMetadataValue>,
    trace: Option<AsciiMetadataValue>,
}

impl Interceptor for CallMetadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (key, value) in [("authorization", &self.token), ("traceparent", &self.trace)] {
            if let Some(value) = value {
                request.metadata_mut().insert(key, value.clone());
            }
        }
        Ok(request)
    }
}

/// The configuration of a connection.
pub struct Connector {
    address: Address,
    endpoint: Endpoint,
    metadata: CallMetadata,
}

/// The failure of an attempt to connect.
#[derive(Debug, thiserror::Error)]
#[error("no connection to {service}: {cause}")]
pub struct ConnectError {
    service: Address,
    /// The description of the failure.
    pub cause: String,
    /// True if another attempt may succeed.
    pub is_transient: bool,
}

impl Connector {
    /// Reads the configuration and the files that it names. An address without a scheme is `https` if certificates are
    /// configured.
    ///
    /// # Errors
    /// If the configuration is contradictory, a file cannot be read, or a token would be sent in plaintext.
    pub fn new(config: &config::Server) -> Result<Self> {
        let has_certificates = config.tls_ca.is_some() || config.tls_cert.is_some();
        let address = Address::parse(&config.server, has_certificates)?;
        if !address.is_tls && has_certificates {
            bail!("--tls-ca and --tls-cert need an https:// address, and {address} is not one");
        }
        let token = token(config)?;
        if !address.is_tls && token.is_some() && !config.insecure && !is_loopback(&address.host) {
            bail!("the token would be sent to {address} in plaintext: use https://, or give --insecure");
        }
        let mut endpoint = Endpoint::from_shared(address.to_string())?
            .connect_timeout(CONNECT_TIMEOUT)
            // Detects a server that has vanished without closing the connection.
            .http2_keep_alive_interval(Duration::from_secs(20));
        if address.is_tls {
            endpoint = endpoint.tls_config(tls(config)?).context("these certificates cannot be used")?;
        }
        // The value is not validated: the service ignores a malformed one.
        let trace = env::var("TRACEPARENT").ok().and_then(|trace| trace.parse().ok());
        Ok(Self { address, endpoint, metadata: CallMetadata { token, trace } })
    }

    /// The address of the service.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Connects, and checks that the service speaks the protocol of the address.
    ///
    /// # Errors
    /// If the name does not resolve, the connection fails, or the port speaks another protocol.
    pub async fn connect(&self) -> Result<ClientChannel, ConnectError> {
        let failed = |is_transient, cause: &str| ConnectError {
            service: self.address.clone(),
            cause: cause.to_owned(),
            is_transient,
        };
        let addresses = match lookup_host((self.address.host.as_str(), self.address.port)).await {
            Ok(addresses) => addresses.collect::<Vec<_>>(),
            Err(error) => return Err(failed(may_resolve_later(&error), &error_chain::in_one_line(&error))),
        };
        if !self.address.is_tls {
            match self.probe(&addresses).await {
                Ok(Protocol::Http2 | Protocol::Silent) => {}
                Ok(Protocol::Tls) => return Err(failed(false, "it speaks TLS: write https:// instead of http://")),
                Ok(Protocol::Other(answer)) => {
                    return Err(failed(false, &format!("it does not speak gRPC, but answers {answer:?}")));
                }
                Err(error) => return Err(failed(true, &error_chain::in_one_line(&error))),
            }
        }
        match self.endpoint.connect().await {
            Ok(channel) => Ok(ClientChannel::new(channel, self.metadata.clone())),
            Err(error) => {
                // A plaintext service breaks a TLS handshake in many ways.
                if self.address.is_tls && matches!(self.probe(&addresses).await, Ok(Protocol::Http2)) {
                    return Err(failed(false, "it does not speak TLS: write http:// instead of https://"));
                }
                // Only the innermost of the nested errors is informative.
                let is_tls_error = causes(&error).any(is_tls_error);
                Err(failed(!is_tls_error, &causes(&error).last().map(ToString::to_string).unwrap_or_default()))
            }
        }
    }

    /// Probes the protocol of the first address that accepts a connection.
    async fn probe(&self, addresses: &[SocketAddr]) -> io::Result<Protocol> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses)).await;
        let stream = connecting.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it takes no connection"))??;
        protocol(stream).await
    }
}

/// Iterates over an error and its causes.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // The `source` of an I/O error is the source of the error that it wraps, and skips that error.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source())
    })
}

/// Returns `true` for a TLS handshake that either side refused: a repetition would fail too.
fn is_tls_error(error: &(dyn StdError + 'static)) -> bool {
    error.is::<rustls::Error>()
}

/// Returns `true` if a name server gave no answer, and `false` if it answered that the name does not exist. The
/// standard library exposes only the text of gai_strerror(3), in the wording of glibc or musl.
fn may_resolve_later(error: &io::Error) -> bool {
    let text = error.to_string().to_ascii_lowercase();
    ["temporary failure", "try again"].iter().any(|words| text.contains(words))
}

fn tls(config: &config::Server) -> Result<ClientTlsConfig> {
    let tls = match &config.tls_ca {
        Some(ca) => {
            let pem = read(ca)?;
            if !CertificateDer::pem_slice_iter(pem.as_bytes()).any(|certificate| certificate.is_ok()) {
                bail!("--tls-ca {} holds no certificates", ca.display());
            }
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
        }
        None => ClientTlsConfig::new().with_native_roots(),
    };
    match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Ok(tls.identity(Identity::from_pem(read(cert)?, read(key)?))),
        _ => Ok(tls),
    }
}

/// Returns the token as the value of a header. The file takes precedence over the environment.
fn token(config: &config::Server) -> Result<Option<AsciiMetadataValue>> {
    let token = match &config.token_file {
        Some(file) => Secret::read(file)?,
        None => match env::var("READOUT_TOKEN") {
            Ok(token) if !token.is_empty() => token.parse()?,
            _ => return Ok(None),
        },
    };
    // The error does not repeat the value: it may be a secret with a typing error.
    let mut value: AsciiMetadataValue = format!("Bearer {}", token.expose().trim())
        .parse()
        .map_err(|_| anyhow!("the token has characters of no token"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_localhost_or_a_loopback_address() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["192.0.2.1", "localhost.example.com", "2001:db8::1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn lookup_is_retried_if_the_name_server_did_not_answer() {
        let failed = |text: &str| io::Error::other(format!("failed to lookup address information: {text}"));
        assert!(!may_resolve_later(&failed("Name or service not known")));
        assert!(!may_resolve_later(&failed("No address associated with hostname")));
        assert!(may_resolve_later(&failed("Temporary failure in name resolution")));
        assert!(may_resolve_later(&failed("Try again")));
    }
}
