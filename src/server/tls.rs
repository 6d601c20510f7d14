//! TLS 1.2 and 1.3, made of files; and the handshake.

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

/// The names of HTTP/2 and HTTP/1.1 in the handshake (ALPN).
const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Where the certificates are.
#[derive(Debug, Clone)]
pub struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<(PathBuf, ClientAuth)>,
}

/// What stands in these files.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    /// Those that are configured; nothing for plaintext. An error: it is half a configuration.
    pub fn of(config: &config::Tls) -> anyhow::Result<Option<Self>> {
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

    /// Reads them.
    pub async fn read(&self) -> anyhow::Result<Pem> {
        let client_ca = match &self.client_ca {
            Some((path, _)) => Some(read(path).await?),
            None => None,
        };
        Ok(Pem { cert: read(&self.cert).await?, key: read(&self.key).await?, client_ca })
    }

    /// How handshakes are done with what was read, and when the certificate expires, in seconds since 1970.
    pub fn server(&self, pem: &Pem) -> anyhow::Result<(ServerConfig, i64)> {
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
        // A client of HTTP/1.1 comes in to be told what this port speaks.
        server.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
        // Connections last. Nobody comes in again on a certificate that was looked at once and has expired since.
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

/// At least one.
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
    /// The certificate that the client has shown.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
    /// True if the client has agreed to HTTP/2, without which it must not speak it (RFC 9113, 3.3).
    pub is_http2: bool,
}

/// Does the handshake. An error: the client is none of ours, or does not speak TLS.
pub async fn accept<T>(server: Arc<ServerConfig>, stream: T) -> io::Result<Accepted<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TlsAcceptor::from(server).accept(stream).await?;
    let (_, connection) = stream.get_ref();
    let is_http2 = connection.alpn_protocol() == Some(H2);
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.map(|leaf| Arc::new(leaf.clone().into_owned()));
    Ok(Accepted { stream, certificate, is_http2 })
}
