//! Who is at the other end of a connection.

use std::{net::SocketAddr, sync::Arc};

use tokio_rustls::rustls::pki_types::CertificateDer;

/// What is known of a connection: an extension of each request that comes over it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// The certificate that was shown, if an authority of ours vouches for it.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
}
