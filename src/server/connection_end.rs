//! The ways in which a connection ends.

use std::io;

/// The reason why a connection ended before it was served to its end.
pub enum ConnectionEnd {
    /// The client did not complete the handshake in time. This is logged already.
    Silent,
    /// The handshake failed, or the client speaks another protocol than this port.
    Failed(io::Error),
    /// The connection broke while it was served.
    Broken(hyper::Error),
    /// The connection had no open call, and its slot was given to a new one.
    Evicted,
    /// The client stopped responding while it was served, for this reason.
    Unresponsive(&'static str),
}

impl From<io::Error> for ConnectionEnd {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Counts a connection by its outcome.
pub fn count_connection(outcome: &'static str) {
    metrics::counter!("readout_connections_total", "outcome" => outcome).increment(1);
}
