//! Answers requests that are not gRPC calls in plain HTTP. gRPC reports errors in responses with the HTTP status 200,
//! which a client of another protocol would take for a success.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tonic::{
    body::Body,
    codegen::http::{
        self, HeaderMap, HeaderValue, Method, StatusCode,
        header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName},
    },
};
use tower::Service;

use super::error_details::encode;
use crate::{model::text::quoted::quoted, service::status::malformed};

/// The body of the response to a client of another protocol.
pub const PORT_SPEAKS: &str = concat!(
    "This port speaks gRPC over HTTP/2: try `grpcurl -plaintext HOST:PORT list`, without -plaintext over TLS.\n",
    "README says more: ",
    env!("CARGO_PKG_REPOSITORY"),
    "#readme\n"
);

/// The accepted content types, for the header `accept` of the response.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc, application/grpc+proto");

/// Passes only gRPC calls to a service.
#[derive(Debug, Clone)]
pub struct OnlyGrpc<S>(S);

impl<S> OnlyGrpc<S> {
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S> Service<http::Request<Body>> for OnlyGrpc<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let response = match (request.method(), codec(request.headers())) {
            (&Method::POST, Some(Codec::Proto)) => return Box::pin(self.0.call(request)),
            (&Method::POST, Some(Codec::Other(name))) => unsupported_codec(&name),
            (&Method::POST, None) => not_grpc(StatusCode::UNSUPPORTED_MEDIA_TYPE, (ACCEPT, GRPC)),
            _ => not_grpc(StatusCode::METHOD_NOT_ALLOWED, (ALLOW, HeaderValue::from_static("POST"))),
        };
        tracing::debug!(status = %response.status(), "not a gRPC call");
        Box::pin(async { Ok(response) })
    }
}

/// The encoding of messages that a content type of gRPC names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Codec {
    Proto,
    Other(String),
}

/// The encoding that the content type names: `application/grpc` with an optional suffix such as `+proto`, and
/// parameters, which are ignored (gRPC over HTTP/2, Content-Type). `None` for any other content type, such as
/// `application/grpc-web`, which begins alike but is another protocol.
fn codec(headers: &HeaderMap) -> Option<Codec> {
    let sent = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.strip_prefix("application/grpc")? {
        "" | "+proto" => Some(Codec::Proto),
        suffix => suffix.strip_prefix('+').map(|name| Codec::Other(name.to_owned())),
    }
}

/// The response to a gRPC client with another encoding, as a gRPC status.
fn unsupported_codec(name: &str) -> http::Response<Body> {
    let problem = format!("messages are encoded as proto (application/grpc+proto), not as {}", quoted(name));
    let mut response = malformed(&problem).into_http();
    encode(response.headers_mut());
    response
}

/// The response to a client of another protocol.
fn not_grpc(status: StatusCode, (name, value): (HeaderName, HeaderValue)) -> http::Response<Body> {
    let mut response = http::Response::new(Body::new(PORT_SPEAKS.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(name, value);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_is_parsed_as_grpc_specifies() {
        let other = |name: &str| Some(Codec::Other(name.to_owned()));
        for (content_type, expected) in [
            ("application/grpc", Some(Codec::Proto)),
            ("application/grpc+proto", Some(Codec::Proto)),
            ("Application/gRPC", Some(Codec::Proto)),
            ("application/grpc; charset=utf-8", Some(Codec::Proto)),
            ("application/grpc+proto;a=b", Some(Codec::Proto)),
            ("application/grpc+json", other("json")),
            ("application/grpc+thrift", other("thrift")),
            ("application/grpc-web", None),
            ("application/grpc-web+proto", None),
            ("application/grpcx", None),
            ("application/json", None),
            ("application/proto", None),
            ("text/html", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(codec(&headers), expected, "{content_type}");
        }
        assert_eq!(codec(&HeaderMap::new()), None);
    }
}
