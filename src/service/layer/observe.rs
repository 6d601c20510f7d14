//! Observes calls: each gets a request id, a span in logs and traces, and metrics.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use http_body::{Frame, SizeHint};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http, http::HeaderMap},
};
use tower::Service;
use tracing::{Instrument, Span, error_span, field::Empty};

use super::{
    call_metrics::{AllMethodMetrics, MethodMetrics},
    request_id::RequestId,
};
use crate::telemetry::{
    traceparent::Traceparent,
    traces::{self, TRACED},
};

/// Observes the calls of a service.
#[derive(Debug, Clone)]
pub struct Observe<S> {
    inner: S,
    metrics: Arc<AllMethodMetrics>,
}

impl<S> Observe<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, metrics: Arc::new(AllMethodMetrics::register()) }
    }
}

impl<S> Service<http::Request<Body>> for Observe<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let metrics = self.metrics.of(request.uri().path());
        let id = RequestId::of(request.headers());
        request.extensions_mut().insert(id.clone());
        let call = CallSpan::new(metrics, &id, request.headers());
        let span = call.span.clone();
        let response = span.in_scope(|| self.inner.call(request));
        let observed = async move {
            let mut response = response.await?;
            response.headers_mut().insert(RequestId::HEADER, id.into());
            // The status is in the headers only if the response has no body, else in the trailers.
            Ok(match status(response.headers()) {
                Some(code) => {
                    call.end(code);
                    response
                }
                None => response.map(|body| Body::new(Observed { body, call: Some(call) })),
            })
        };
        Box::pin(observed.instrument(span))
    }
}

/// The status code in headers or trailers; UNKNOWN for a malformed one.
fn status(headers: &HeaderMap) -> Option<usize> {
    let code = headers.get("grpc-status")?;
    Some(code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(Status::unknown("").code() as usize))
}

/// The span and metrics of a call in progress. Dropping it before its end records the call as cancelled.
struct CallSpan {
    /// `None` once the end is recorded.
    metrics: Option<Arc<MethodMetrics>>,
    started: Instant,
    span: Span,
    is_traced: bool,
}

impl CallSpan {
    fn new(metrics: Arc<MethodMetrics>, id: &RequestId, headers: &HeaderMap) -> Self {
        let (service, method) = (metrics.service, metrics.method);
        let parent = Traceparent::of(headers);
        let is_traced = traces::is_kept(parent);
        // The span has the highest level, so that error lines have the fields of their call at every log level.
        let span = match is_traced {
            true => error_span!(target: TRACED, "call", service, method, request_id = id.as_str(), trace_id = Empty),
            false => error_span!("call", service, method, request_id = id.as_str(), trace_id = Empty),
        };
        let trace = match is_traced {
            true => traces::begin(&span, service, method, parent),
            false => parent.and_then(Traceparent::kept),
        };
        if let Some(trace) = trace {
            span.record("trace_id", format!("{trace:032x}"));
        }
        metrics.begin();
        Self { metrics: Some(metrics), started: Instant::now(), span, is_traced }
    }

    fn end(mut self, code: usize) {
        self.record_end(code);
    }

    fn record_end(&mut self, code: usize) {
        let Some(metrics) = self.metrics.take() else { return };
        let duration = self.started.elapsed();
        let code_name = metrics.end(code, duration);
        if self.is_traced {
            traces::end(&self.span, code);
        }
        self.span.in_scope(|| tracing::debug!(code = code_name, took = ?duration, "answered"));
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.record_end(Status::cancelled("").code() as usize);
    }
}

/// A response body that records the end of its call.
struct Observed {
    body: Body,
    /// `None` once the call has ended.
    call: Option<CallSpan>,
}

impl Observed {
    fn end(&mut self, code: usize) {
        if let Some(call) = self.call.take() {
            call.end(code);
        }
    }
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let span = self.call.as_ref().map(|call| call.span.clone());
        let _in_span = span.as_ref().map(Span::enter);
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(status) {
                    self.end(code);
                }
            }
            Some(Err(status)) => self.end(status.code() as usize),
            // A client sees the end of a body without a status as UNKNOWN.
            None => self.end(Status::unknown("").code() as usize),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
