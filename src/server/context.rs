//! The state that all connections share.

use tokio_util::sync::CancellationToken;

use super::{certificates::Current, silence_log::SilenceLog};
use crate::{config::Transport, service::layer::Layers};

/// How the door is closed.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// No further connections and calls are taken.
    pub stopping: CancellationToken,
    /// What is still open is cut.
    pub cut: CancellationToken,
}

/// What all connections have in common.
pub struct ServerContext {
    pub service: Layers,
    pub config: Transport,
    /// None: they are in plaintext.
    pub certificates: Option<Current>,
    pub closing: Shutdown,
    pub silences: SilenceLog,
}
