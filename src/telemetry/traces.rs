//! Exports traces over OTLP: the spans of calls that the caller or the sampler selects. A separate thread sends them in
//! batches. They are dropped while the collector is unavailable.

use std::{sync::OnceLock, time::Duration};

use anyhow::Context as _;
use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, Status, TraceContextExt, TraceState, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{IdGenerator, RandomIdGenerator, Sampler, SdkTracerProvider},
};
use tonic::transport::{ClientTlsConfig, Endpoint};
use tracing::{Level, Metadata, Span, subscriber::Interest};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::DynFilterFn, registry::LookupSpan};

use super::traceparent::Traceparent;
use crate::config::Operations;

/// The time to send the remaining spans when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// The timeout of a request to the collector.
const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(5);

/// The target of the root spans of traces. Spans outside of such a span are not recorded, so that a call that is not
/// sampled costs nothing.
pub const TRACED: &str = "readout::traced";

/// The fraction of calls to sample if the caller does not decide. Unset without a collector.
static SAMPLE_RATIO: OnceLock<f64> = OnceLock::new();

/// The exporter of traces. Empty without a collector.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts the exporter for the configured collector, if there is one.
    ///
    /// # Errors
    /// The endpoint is invalid, or the exporter cannot be built.
    pub fn start(config: &Operations) -> anyhow::Result<Self> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(Self::default()) };
        let channel = Endpoint::from_shared(endpoint.clone())
            .context("--otlp-endpoint is not an address")?
            .tls_config(ClientTlsConfig::new().with_native_roots())?
            .connect_timeout(COLLECTOR_TIMEOUT)
            .timeout(COLLECTOR_TIMEOUT)
            .connect_lazy();
        let exporter = SpanExporter::builder().with_tonic().with_channel(channel).build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            // `is_kept` has made the decision before a call has a span.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build())
            .build();
        let _ = SAMPLE_RATIO.set(config.otlp_sample);
        Ok(Self(Some(provider)))
    }

    /// The layer that exports the spans of this crate that are part of a trace.
    pub fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.0.as_ref()?.tracer(env!("CARGO_PKG_NAME"));
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        let in_trace = DynFilterFn::new(|metadata, context| {
            metadata.target() == TRACED || is_ours(metadata) && context.lookup_current().is_some()
        });
        let interest = |metadata: &'static Metadata<'static>| match is_ours(metadata) {
            true => Interest::sometimes(),
            false => Interest::never(),
        };
        let in_trace = in_trace.with_callsite_filter(interest).with_max_level_hint(Level::DEBUG);
        Some(layer.with_tracked_inactivity(false).with_context_activation(false).with_filter(in_trace))
    }

    /// Sends the remaining spans, and stops the exporter.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        if let Ok(Err(error)) = sent.await {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("readout") && *metadata.level() <= Level::DEBUG
}

/// True if a call is sampled: as its caller decides, else at random.
pub fn is_kept(parent: Option<Traceparent>) -> bool {
    let Some(&ratio) = SAMPLE_RATIO.get() else { return false };
    match parent {
        Some(parent) => parent.is_sampled,
        // As OpenTelemetry's ratio sampler does: compares half of a random trace id with the ratio.
        None => {
            let half = u128::from_be_bytes(RandomIdGenerator::default().new_trace_id().to_bytes()) as u64;
            (half as f64) < ratio * u64::MAX as f64
        }
    }
}

/// Sets up a span with target `TRACED` as the span of a call, in the caller's trace if there is one. Returns the trace
/// id.
pub fn begin(span: &Span, service: &'static str, method: &'static str, parent: Option<Traceparent>) -> Option<u128> {
    if let Some(parent) = parent {
        span.set_parent(Context::new().with_remote_span_context(remote(parent))).ok()?;
    }
    let context = span.context();
    let traced = context.span();
    traced.update_name(format!("{service}/{method}"));
    for (key, value) in [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)] {
        span.set_attribute(key, value);
    }
    Some(u128::from_be_bytes(traced.span_context().trace_id().to_bytes()))
}

/// Records the status code of a call on its span. Codes that are not the caller's fault mark the span as an error
/// (OpenTelemetry, RPC conventions).
pub fn end(span: &Span, code: usize) {
    span.set_attribute("rpc.grpc.status_code", code as i64); // status codes are at most 16
    if [2, 4, 12, 13, 14, 15].contains(&code) {
        span.set_status(Status::error(""));
    }
}

fn remote(parent: Traceparent) -> SpanContext {
    let flags = if parent.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(parent.trace), SpanId::from(parent.span));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}
