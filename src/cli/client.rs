//! The connection of a command to a running service: over TLS or in plaintext, and on whose behalf.

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
    probe::{Protocol, protocol},
};
use crate::{
    config::{self, Secret},
    error_chain,
};

/// Calls take this way; a clone shares the connection.
pub type Wire = InterceptedService<Channel, CallMetadata>;

/// An attempt to connect takes at most this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is sent with each call, where there is one: the token, and the trace that the command belongs to (the variable
/// `TRACEPARENT`, as OpenTelemetry passes it to programs).
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

/// A configured way to a service, which was not tried yet.
pub struct Connector {
    address: Address,
    endpoint: Endpoint,
    sent: CallMetadata,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("no connection to {service}: {cause}")]
pub struct ConnectError {
    service: Address,
    /// The failure in words.
    pub cause: String,
    /// `true`: another attempt may succeed.
    pub may_pass: bool,
}

impl Connector {
    /// Reads the configuration, and the files that it names. An address without a scheme is `https://` where there are
    /// certificates for it.
    pub fn new(config: &config::Server) -> Result<Self> {
        let has_certificates = config.tls_ca.is_some() || config.tls_cert.is_some();
        let address = Address::parse(&config.server, has_certificates)?;
        if !address.is_tls && has_certificates {
            bail!("--tls-ca and --tls-cert need an https:// address, and {address} is none");
        }
        let token = token(config)?;
        if !address.is_tls && token.is_some() && !config.insecure && !is_of_this_machine(&address.host) {
            bail!("the token would go to {address} in plaintext: use https://, or say --insecure");
        }
        let mut endpoint = Endpoint::from_shared(address.to_string())?
            .connect_timeout(CONNECT_TIMEOUT)
            // Else a server that vanished without a word would be waited for without end.
            .http2_keep_alive_interval(Duration::from_secs(20));
        if address.is_tls {
            endpoint = endpoint.tls_config(tls(config)?).context("these certificates cannot be used")?;
        }
        // A value that is not well formed is nobody's trace: the service ignores it.
        let trace = env::var("TRACEPARENT").ok().and_then(|trace| trace.parse().ok());
        Ok(Self { address, endpoint, sent: CallMetadata { token, trace } })
    }

    /// The service.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Connects, and makes sure that the service speaks what the address says.
    pub async fn connect(&self) -> Result<Wire, ConnectError> {
        let failed =
            |may_pass, cause: &str| ConnectError { service: self.address.clone(), cause: cause.to_owned(), may_pass };
        let addresses = match lookup_host((self.address.host.as_str(), self.address.port)).await {
            Ok(addresses) => addresses.collect::<Vec<_>>(),
            Err(error) => return Err(failed(may_resolve_later(&error), &error_chain::in_one_line(&error))),
        };
        if !self.address.is_tls {
            match self.spoken_at(&addresses).await {
                Ok(Protocol::Http2 | Protocol::Silent) => {}
                Ok(Protocol::Tls) => return Err(failed(false, "it speaks TLS: write https:// instead of http://")),
                Ok(Protocol::Other(answer)) => {
                    return Err(failed(false, &format!("it does not speak gRPC, but answers {answer:?}")));
                }
                Err(error) => return Err(failed(true, &error_chain::in_one_line(&error))),
            }
        }
        match self.endpoint.connect().await {
            Ok(channel) => Ok(Wire::new(channel, self.sent.clone())),
            Err(error) => {
                // A plaintext service breaks a TLS handshake in many ways.
                if self.address.is_tls && matches!(self.spoken_at(&addresses).await, Ok(Protocol::Http2)) {
                    return Err(failed(false, "it does not speak TLS: write http:// instead of https://"));
                }
                // Of its layers only the innermost says something.
                let is_of_tls = causes(&error).any(is_of_tls);
                Err(failed(!is_of_tls, &causes(&error).last().map(ToString::to_string).unwrap_or_default()))
            }
        }
    }

    /// Asks the first of these addresses that takes a connection.
    async fn spoken_at(&self, addresses: &[SocketAddr]) -> io::Result<Protocol> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses)).await;
        let stream = connecting.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it takes no connection"))??;
        protocol(stream).await
    }
}

/// An error and its causes.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An I/O error has its own cause, and not itself, as the cause of the error that it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source())
    })
}

/// Returns `true` for a handshake that either side refused: the next one would be refused, too.
fn is_of_tls(error: &(dyn StdError + 'static)) -> bool {
    error.is::<rustls::Error>()
}

/// Returns `true` if a name server gave no answer, and `false` if it answered that there is no such name. The standard
/// library has no more than the words of gai_strerror(3), those of glibc and of musl.
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

/// As a header; that of the file before that of the environment.
fn token(config: &config::Server) -> Result<Option<AsciiMetadataValue>> {
    let token = match &config.token_file {
        Some(file) => Secret::read(file)?,
        None => match env::var("READOUT_TOKEN") {
            Ok(token) if !token.is_empty() => token.parse()?,
            _ => return Ok(None),
        },
    };
    // What is wrong is not repeated: it may still be most of a secret.
    let mut value: AsciiMetadataValue = format!("Bearer {}", token.expose().trim())
        .parse()
        .map_err(|_| anyhow!("the token has characters of no token"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn is_of_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_localhost_and_what_loops_back() {
        for here in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_of_this_machine(here), "{here}");
        }
        for elsewhere in ["192.0.2.1", "localhost.example.com", "2001:db8::1"] {
            assert!(!is_of_this_machine(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_missing_name_is_final_and_a_missing_name_server_is_not() {
        let failed = |text: &str| io::Error::other(format!("failed to lookup address information: {text}"));
        assert!(!may_resolve_later(&failed("Name or service not known")));
        assert!(!may_resolve_later(&failed("No address associated with hostname")));
        assert!(may_resolve_later(&failed("Temporary failure in name resolution")));
        assert!(may_resolve_later(&failed("Try again")));
    }
}
