//! The TLS configuration (1.2 and 1.3), made from PEM files, and the handshake.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use tokio::{
    fs,
    io::{AsyncRead, AsyncWrite},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

use crate::config::{self, ClientAuth};

/// The ALPN names of HTTP/2 and HTTP/1.1.
const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The paths of the certificate files.
#[derive(Debug, Clone)]
pub struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<(PathBuf, ClientAuth)>,
}

/// The contents of the certificate files.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    /// The configured paths. `None` for plaintext.
    ///
    /// # Errors
    /// Only a part of the settings is given.
    pub fn from_config(config: &config::Tls) -> anyhow::Result<Option<Self>> {
        match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(Self {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: config.tls_client_ca.clone().map(|ca| (ca, config.tls_client_auth)),
            })),
            (Some(cert), None) => bail!("--tls-cert {} needs its key: give --tls-key too", cert.display()),
            (None, Some(key)) => bail!("--tls-key {} needs its certificate: give --tls-cert too", key.display()),
            (None, None) => match &config.tls_client_ca {
                Some(ca) => bail!("--tls-client-ca {} needs TLS: give --tls-cert and --tls-key too", ca.display()),
                None => Ok(None),
            },
        }
    }

    /// Reads the files.
    pub async fn read(&self) -> anyhow::Result<Pem> {
        let client_ca = match &self.client_ca {
            Some((path, _)) => Some(read(path).await?),
            None => None,
        };
        Ok(Pem { cert: read(&self.cert).await?, key: read(&self.key).await?, client_ca })
    }

    /// Builds the TLS configuration, and returns with it when the certificate expires, in seconds since 1970.
    ///
    /// # Errors
    /// A file holds no certificate or key, or the key does not fit the certificate.
    pub fn server_config(&self, pem: &Pem) -> anyhow::Result<(ServerConfig, i64)> {
        let chain = certificates(&self.cert, &pem.cert)?;
        let expiry = expiry(&chain[0]).with_context(|| format!("{} is not a certificate", self.cert.display()))?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key)
            .map_err(|error| anyhow!("{} holds no private key: {error}", self.key.display()))?;
        let verifier = self.verifier(pem)?;
        let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    anyhow!("{} is not the key of {}", self.key.display(), self.cert.display())
                }
                error => anyhow!("{} and {} cannot be used: {error}", self.cert.display(), self.key.display()),
            })?;
        // HTTP/1.1 is accepted so that its clients can get an error that names the protocol of this port.
        server.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
        // No session resumption: a client could resume after its certificate has expired. Connections last long anyway.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok((server, expiry))
    }

    fn verifier(&self, pem: &Pem) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
        let (Some((path, auth)), Some(pem)) = (&self.client_ca, &pem.client_ca) else {
            return Ok(WebPkiClientVerifier::no_client_auth());
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, pem)? {
            roots.add(certificate).with_context(|| format!("{} cannot be used", path.display()))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match auth {
            ClientAuth::Required => verifier,
            ClientAuth::Optional => verifier.allow_unauthenticated(),
        };
        verifier.build().with_context(|| format!("{} cannot be used", path.display()))
    }
}

async fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))
}

/// Parses a PEM file of at least one certificate.
fn certificates(path: &Path, pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!("{} is not PEM: {error}", path.display()))?;
    if certificates.is_empty() {
        bail!("{} holds no certificate", path.display());
    }
    Ok(certificates)
}

fn expiry(certificate: &CertificateDer<'_>) -> anyhow::Result<i64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)?;
    Ok(parsed.validity().not_after.timestamp())
}

/// A stream after its handshake.
pub struct Accepted<T> {
    /// The stream.
    pub stream: TlsStream<T>,
    /// The certificate that the client presented.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
    /// True if HTTP/2 was negotiated, as the client must do before it speaks it (RFC 9113, 3.3).
    pub is_http2: bool,
}

/// Does the server side of the handshake.
///
/// # Errors
/// The client does not speak TLS, or its certificate is not accepted.
pub async fn accept<T>(server: Arc<ServerConfig>, stream: T) -> io::Result<Accepted<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TlsAcceptor::from(server).accept(stream).await?;
    let (_, connection) = stream.get_ref();
    let is_http2 = connection.alpn_protocol() == Some(H2);
    let peer_certificate = connection.peer_certificates().and_then(<[_]>::first);
    let certificate = peer_certificate.map(|leaf| Arc::new(leaf.clone().into_owned()));
    Ok(Accepted { stream, certificate, is_http2 })
}
