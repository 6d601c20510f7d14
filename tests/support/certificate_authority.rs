//! Certificate authorities that exist for one test, and the certificates that they issue.

use std::{net::SocketAddr, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use sqlx::types::Uuid;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity};

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    /// Creates an authority with a unique name.
    pub fn new() -> Self {
        let mut params = named(&Uuid::now_v7().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("signed"))
    }

    /// The authority's own certificate, for those who trust it.
    pub fn cert(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a service on this machine.
    pub fn service(&self) -> Pair {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        self.sign(CertificateParams::new(names).expect("names"), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client of this name.
    pub fn client(&self, name: &str) -> Pair {
        self.sign(named(name), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// An expired certificate for a client of this name.
    pub fn expired_client(&self, name: &str) -> Pair {
        let mut params = named(name);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Pair {
        params.extended_key_usages = vec![usage];
        let key = key();
        let cert = params.signed_by(&key, &self.0).expect("signed");
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// Opens a connection to a service with a certificate of this authority, optionally with a client certificate.
    pub async fn connect(&self, address: SocketAddr, client: Option<&Pair>) -> Result<Channel, Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.cert()));
        if let Some(Pair { cert, key }) = client {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        Endpoint::from_shared(format!("https://localhost:{}", address.port()))?.tls_config(tls)?.connect().await
    }
}

impl Pair {
    /// Writes `<name>.pem` and `<name>.key` into the directory.
    pub fn write(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.key")), &self.key).expect("the directory is writable");
        std::fs::write(dir.join(format!("{name}.pem")), &self.cert).expect("the directory is writable");
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([format!("{name}.example.com")]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
