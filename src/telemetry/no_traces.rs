//! In place of traces, where this was built without them.

use tracing::Span;
use tracing_subscriber::layer::Identity;

use super::traceparent::Traceparent;
use crate::config::Operations;

/// The target of the spans that traces begin with: there are none.
pub const TRACED: &str = "readout::traced";

/// Where traces go: nowhere.
#[derive(Debug, Clone, Default)]
pub struct Traces;

impl Traces {
    /// A collector is refused on the command line.
    pub fn start(_: &Operations) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// None.
    pub fn layer(&self) -> Option<Identity> {
        None
    }

    /// Nothing is to be sent.
    pub async fn end(self) {}
}

/// No call is kept.
pub fn is_kept(_: Option<Traceparent>) -> bool {
    false
}

/// No call is.
pub fn begin(_: &Span, _: &'static str, _: &'static str, _: Option<Traceparent>) -> Option<u128> {
    None
}

/// Nobody is told.
pub fn end(_: &Span, _: usize) {}
