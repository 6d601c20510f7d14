//! Adds missing details to the statuses of responses: a panic becomes INTERNAL instead of a dropped connection, a
//! status from below the handlers (an unknown method, a message over the limit) gets a reason, and every message is
//! encoded as gRPC specifies.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use percent_encoding::percent_decode;
use tonic::{
    Status,
    body::Body,
    codegen::{
        Bytes,
        http::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use tower::Service;

use crate::service::status::{add_details, defect, encode_message};

/// The header with the message of a status.
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Adds the missing details to statuses.
#[derive(Debug, Clone)]
pub struct ErrorDetails<S>(S);

impl<S> ErrorDetails<S> {
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S> Service<http::Request<Body>> for ErrorDetails<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        // Handlers share only pools and channels, which stay consistent after a panic.
        let response = AssertUnwindSafe(self.0.call(request)).catch_unwind();
        Box::pin(async move {
            let mut response = match response.await {
                Ok(response) => response?,
                // The panic hook of the process has logged it.
                Err(_) => defect().into_http(),
            };
            // The status is in the headers only if the response has no body, else in the trailers.
            let Some(status) = Status::from_header_map(response.headers()) else {
                return Ok(response.map(|body| Body::new(Encoded { body, path })));
            };
            if status.code() != tonic::Code::Ok && status.details().is_empty() {
                response = add_details(status, &path).into_http();
            }
            encode(response.headers_mut());
            Ok(response)
        })
    }
}

/// Encodes the message of a status again: tonic also encodes characters that the protocol leaves as they are.
pub fn encode(headers: &mut HeaderMap) {
    let Some(message) = headers.get(MESSAGE) else { return };
    let message: Vec<u8> = percent_decode(message.as_bytes()).collect();
    // The encoded message is printable ASCII, so the conversion succeeds.
    if let Ok(encoded) = HeaderValue::from_str(&encode_message(&message)) {
        headers.insert(MESSAGE, encoded);
    }
}

/// A body that adds missing details to the status in its trailers, and encodes its message.
struct Encoded {
    body: Body,
    path: String,
}

impl http_body::Body for Encoded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, path } = &mut *self;
        let mut frame = ready!(Pin::new(body).poll_frame(context));
        if let Some(trailers) = frame.as_mut().and_then(|frame| frame.as_mut().ok()?.trailers_mut()) {
            // A response above the limit fails below the handlers, and has no details.
            if let Some(status) = Status::from_header_map(trailers)
                && status.code() != tonic::Code::Ok
                && status.details().is_empty()
            {
                let detailed = add_details(status, path);
                *trailers = HeaderMap::new();
                // Fails only for a message that cannot be a header, which tonic encodes.
                let _ = detailed.add_header(trailers);
            }
            encode(trailers);
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
