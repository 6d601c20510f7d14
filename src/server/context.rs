//! The state that all connections share.

use tokio_util::sync::CancellationToken;

use super::{
    dropped_connection_log::DroppedConnectionLog, evicting_limit::EvictingLimit, tls_certificates::CurrentConfig,
};
use crate::{config::Transport, service::layer::Layers};

/// The two stages of a shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled when the service accepts no further connections and calls.
    pub stopping: CancellationToken,
    /// Cancelled when open connections are aborted.
    pub abort: CancellationToken,
}

/// The service, settings and signals that every connection uses.
pub struct ServerContext {
    pub service: Layers,
    pub config: Transport,
    /// None: connections are in plaintext.
    pub certificates: Option<CurrentConfig>,
    pub shutdown: Shutdown,
    pub dropped_connections: DroppedConnectionLog,
    /// Header blocks of several frames that have begun to arrive.
    pub long_header_blocks: EvictingLimit,
}
