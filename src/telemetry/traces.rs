//! Traces over OTLP: spans of the calls whose callers, or chance, say so. They are sent in batches by a thread of its
//! own, and dropped while the collector is away.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, Status, TraceContextExt, TraceState, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tonic::transport::{ClientTlsConfig, Endpoint};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::traceparent::Traceparent;
use crate::config::Operations;

/// What was not sent yet gets so long when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// A collector that takes longer than this is away.
const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(5);

/// Where traces go: nowhere without a collector.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// To the collector that the configuration names.
    pub fn start(config: &Operations) -> anyhow::Result<Self> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(Self::default()) };
        let channel = Endpoint::from_shared(endpoint.clone())
            .context("--otlp-endpoint is not an address")?
            .tls_config(ClientTlsConfig::new().with_native_roots())?
            .connect_timeout(COLLECTOR_TIMEOUT)
            .timeout(COLLECTOR_TIMEOUT)
            .connect_lazy();
        let exporter = SpanExporter::builder().with_tonic().with_channel(channel).build()?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.otlp_sample)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build())
            .build();
        Ok(Self(Some(provider)))
    }

    /// Makes spans of the ones of this crate.
    pub fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.0.as_ref()?.tracer(env!("CARGO_PKG_NAME"));
        let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), tracing::Level::DEBUG);
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        Some(layer.with_tracked_inactivity(false).with_filter(ours))
    }

    /// Sends what was not sent yet, and no more.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        if let Ok(Err(error)) = sent.await {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// Makes a span that of a call in its caller's trace. Answers the trace, if it is kept.
pub fn begin(span: &Span, service: &'static str, method: &'static str, parent: Option<Traceparent>) -> Option<u128> {
    if let Some(parent) = parent
        && span.set_parent(Context::new().with_remote_span_context(remote(parent))).is_err()
    {
        // There is no collector: the trace is its caller's alone.
        return parent.kept();
    }
    let context = span.context();
    let traced = context.span();
    if !traced.span_context().is_sampled() {
        return None;
    }
    traced.update_name(format!("{service}/{method}"));
    for (key, value) in [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)] {
        span.set_attribute(key, value);
    }
    Some(u128::from_be_bytes(traced.span_context().trace_id().to_bytes()))
}

/// Tells how the call of a span ended. What is no fault of its caller is an error (OpenTelemetry, RPC conventions).
pub fn end(span: &Span, code: usize) {
    span.set_attribute("rpc.grpc.status_code", code as i64); // at most 16
    if [2, 4, 12, 13, 14, 15].contains(&code) {
        span.set_status(Status::error(""));
    }
}

fn remote(parent: Traceparent) -> SpanContext {
    let flags = if parent.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(parent.trace), SpanId::from(parent.span));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}
