//! The peer of a connection.

use std::{net::SocketAddr, sync::Arc};

use tokio_rustls::rustls::pki_types::CertificateDer;

/// The remote end of a connection. It is an extension of each request on the connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The remote address.
    pub address: SocketAddr,
    /// The client certificate, if a configured authority has signed it.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
}
