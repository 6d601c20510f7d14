//! A service over TLS.

use std::{net::SocketAddr, sync::Arc};

use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};
use tonic::Code;

use super::{call, certificates, serve, serve_tls};
use crate::support::{Service, certificate_authority::Authority, data_dir::within_timeout, service::connect};

/// Connects and does the handshake with these ALPN protocols.
pub async fn connect_over(
    authority: &Authority,
    address: SocketAddr,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_by(authority, address, &TLS13, alpn).await
}

async fn connect_by(
    authority: &Authority,
    address: SocketAddr,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.cert().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Does the handshake with this TLS version and these protocols. Returns the negotiated version once the service has
/// answered in HTTP/2.
async fn handshake(
    authority: &Authority,
    service: &Service,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> std::io::Result<Option<ProtocolVersion>> {
    let mut stream = connect_by(authority, service.address, version, alpn).await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    match stream.read_u8().await? {
        b'H' => Err(std::io::Error::other("the service answers in HTTP/1.1")),
        _ => Ok(stream.get_ref().1.protocol_version()),
    }
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_served_to_clients_that_offer_h2() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let service = serve_tls(certificates(dir.path(), &authority, None), &authority, None).await;
    service.add_person("Kerim Veliyev").await;
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        assert_eq!(handshake(&authority, &service, version, &["h2"]).await.unwrap(), Some(name));
        for others in [&["http/1.1"][..], &[]] {
            let refused = within_timeout("an end", handshake(&authority, &service, version, others)).await;
            assert!(refused.is_err(), "{name:?} {others:?}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let service = serve_tls(certificates(dir.path(), &authority, None), &authority, None).await;
    // A ClientHello of TLS 1.1 (RFC 4346, 7.4.1.2): a constant as random, one cipher suite, no compression.
    let hello = [&[3, 2][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x13], &[1, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    let _ = within_timeout("an end", stream.read_to_end(&mut answer)).await;
    // A fatal alert, and nothing after it.
    assert_eq!((answer[0], answer[5], answer.len()), (21, 2, 7), "{answer:?}");
    service.stop().await;
}

#[tokio::test]
async fn plaintext_to_tls_and_tls_to_plaintext_fail_soon_and_block_no_other_client() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let secure = serve_tls(certificates(dir.path(), &authority, None), &authority, None).await;
    // A plaintext connection fails at its first call.
    let refused = within_timeout("an end", call(connect(secure.address).await)).await.unwrap_err();
    assert!(matches!(refused.code(), Code::Unavailable | Code::Unknown | Code::Internal), "{refused:?}");
    secure.add_person("Kerim Veliyev").await;
    secure.stop().await;

    let plain = serve(Default::default()).await;
    assert!(within_timeout("an end", authority.connect(plain.address, None)).await.is_err());
    plain.add_person("Kerim Veliyev").await;
    plain.stop().await;
}
