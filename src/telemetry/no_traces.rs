//! Replaces `traces` in a build without the feature `otlp`. It has the same items, which do nothing.

use tracing::Span;
use tracing_subscriber::layer::Identity;

use super::traceparent::Traceparent;
use crate::config::Operations;

/// The target of the root spans of traces. No such span is recorded.
pub const TRACED: &str = "readout::traced";

/// No exporter of traces.
#[derive(Debug, Clone, Default)]
pub struct Traces;

impl Traces {
    /// Does nothing. The command line rejects a collector in this build.
    ///
    /// # Errors
    /// None. The signature is that of the build with traces.
    pub fn start(_: &Operations) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// No layer.
    pub fn layer(&self) -> Option<Identity> {
        None
    }

    /// Does nothing: there are no spans to send.
    pub async fn end(self) {}
}

/// False: no call is traced.
pub fn is_kept(_: Option<Traceparent>) -> bool {
    false
}

/// `None`: no call is traced.
pub fn begin(_: &Span, _: &'static str, _: &'static str, _: Option<Traceparent>) -> Option<u128> {
    None
}

/// Does nothing.
pub fn end(_: &Span, _: usize) {}
