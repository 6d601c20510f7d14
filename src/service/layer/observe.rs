//! The outermost layer: each call has an id, is a span of the log and of traces, and is counted.

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
    call_metrics::{Measures, Methods},
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
    methods: Arc<Methods>,
}

impl<S> Observe<S> {
    /// Around this service.
    pub fn new(inner: S) -> Self {
        Self { inner, methods: Arc::new(Methods::all()) }
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

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let measures = self.methods.of(request.uri().path());
        let id = RequestId::of(request.headers());
        let watch = CallSpan::new(measures, &id, request.headers());
        let span = watch.span.clone();
        let response = span.in_scope(|| self.inner.call(request));
        let observed = async move {
            let mut response = response.await?;
            response.headers_mut().insert(RequestId::HEADER, id.into());
            // Only a response without a body has its status in the headers.
            Ok(match status(response.headers()) {
                Some(code) => {
                    watch.end(code);
                    response
                }
                None => response.map(|body| Body::new(Observed { body, watch: Some(watch) })),
            })
        };
        Box::pin(observed.instrument(span))
    }
}

/// The status in headers or trailers. One that is none is UNKNOWN.
fn status(headers: &HeaderMap) -> Option<usize> {
    let code = headers.get("grpc-status")?;
    Some(code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(Status::unknown("").code() as usize))
}

/// A call, until it ends. One that is dropped before was cancelled.
struct CallSpan {
    measures: Option<Arc<Measures>>,
    started: Instant,
    span: Span,
    is_traced: bool,
}

impl CallSpan {
    fn new(measures: Arc<Measures>, id: &RequestId, headers: &HeaderMap) -> Self {
        let (service, method) = (measures.service, measures.method);
        let parent = Traceparent::of(headers);
        let is_traced = traces::is_kept(parent);
        // A line that tells of an error is worth little without its call: the span is there at each level.
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
        measures.begin();
        Self { measures: Some(measures), started: Instant::now(), span, is_traced }
    }

    fn end(mut self, code: usize) {
        self.tell(code);
    }

    fn tell(&mut self, code: usize) {
        let Some(measures) = self.measures.take() else { return };
        let took = self.started.elapsed();
        let code_name = measures.end(code, took);
        if self.is_traced {
            traces::end(&self.span, code);
        }
        self.span.in_scope(|| tracing::debug!(code = code_name, ?took, "answered"));
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.tell(Status::cancelled("").code() as usize);
    }
}

struct Observed {
    body: Body,
    /// None once it has ended.
    watch: Option<CallSpan>,
}

impl Observed {
    fn end(&mut self, code: usize) {
        if let Some(watch) = self.watch.take() {
            watch.end(code);
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
        let span = self.watch.as_ref().map(|watch| watch.span.clone());
        let _in_span = span.as_ref().map(Span::enter);
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(status) {
                    self.end(code);
                }
            }
            Some(Err(status)) => self.end(status.code() as usize),
            // Its end without a status is its client's UNKNOWN.
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
