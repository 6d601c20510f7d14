//! Who is at the other end of a connection.

use std::net::SocketAddr;

/// What is known of a connection: an extension of each request that comes over it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
}
