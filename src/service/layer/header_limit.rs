//! Refuses calls whose headers are too large, one call at a time. The HTTP/2 library would end a connection with all of
//! its calls, so that it accepts more (`server::header_blocks`).

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use tonic::{
    Status,
    body::Body,
    codegen::http::{
        self, HeaderMap, HeaderName, HeaderValue, Uri,
        header::{CONTENT_TYPE, TE},
    },
};
use tower::Service;

use super::request_id::RequestId;
use crate::service::error::ServiceError;

/// The bytes that a header counts in addition to its name and value (RFC 9113, 6.5.2).
const OVERHEAD: usize = 32;

/// Maximum bytes of a header or of a path that a refused request keeps.
const MAX_KEPT: usize = 256;

/// The headers that a refused request keeps: those that its answer depends on.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, TE, RequestId::HEADER];

/// The extension of a request whose headers were too large and are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HeadersTooLarge {
    size: usize,
    limit: usize,
}

/// Marks a request whose headers are larger than `limit`, and frees their memory. The layer refuses it later, inside of
/// those that observe calls.
pub fn mark<B>(request: &mut http::Request<B>, limit: usize) {
    let size = size(request);
    if size <= limit {
        return;
    }
    let mut kept = HeaderMap::new();
    for name in KEPT {
        let value = request.headers().get(&name).filter(|value| value.len() <= MAX_KEPT);
        // A copy: a clone would keep the bytes of all headers.
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(value.as_bytes())) {
            kept.insert(name, value);
        }
    }
    *request.headers_mut() = kept;
    let path = request.uri().path();
    let path = Some(path).filter(|path| path.len() <= MAX_KEPT).and_then(|path| path.to_owned().try_into().ok());
    *request.uri_mut() = path.unwrap_or(Uri::from_static("/"));
    request.extensions_mut().insert(HeadersTooLarge { size, limit });
}

/// True if the headers of a request were too large.
pub fn is_marked<B>(request: &http::Request<B>) -> bool {
    request.extensions().get::<HeadersTooLarge>().is_some()
}

/// The size of the headers of a request, with the pseudo-headers, as RFC 9113, 6.5.2, counts it.
fn size<B>(request: &http::Request<B>) -> usize {
    let uri = request.uri();
    let header = |name: &str, length: usize| name.len() + length + OVERHEAD;
    let pseudo_headers = header(":method", request.method().as_str().len())
        + header(":path", uri.path_and_query().map_or(0, |path| path.as_str().len()))
        + uri.scheme_str().map_or(0, |scheme| header(":scheme", scheme.len()))
        + uri.authority().map_or(0, |authority| header(":authority", authority.as_str().len()));
    let headers = request.headers().iter().map(|(name, value)| header(name.as_str(), value.len()));
    pseudo_headers + headers.sum::<usize>()
}

/// Refuses marked requests.
#[derive(Debug, Clone)]
pub struct HeaderLimit<S>(S);

impl<S> HeaderLimit<S> {
    /// Wraps a service.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S> Service<http::Request<Body>> for HeaderLimit<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match request.extensions().get() {
            Some(&HeadersTooLarge { size, limit }) => {
                Either::Right(ready(Ok(Status::from(ServiceError::HeadersTooLarge { size, limit }).into_http())))
            }
            None => Either::Left(self.0.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, padding: usize) -> http::Request<()> {
        http::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("x-request-id", "a1")
            .header("padding", "x".repeat(padding))
            .body(())
            .expect("a request")
    }

    #[test]
    fn request_above_the_limit_is_marked_and_loses_its_headers() {
        let limit = size(&request("/a", 100));
        for (padding, expected) in [(99, None), (100, None), (101, Some(limit + 1))] {
            let mut request = request("/a", padding);
            mark(&mut request, limit);
            let marked = request.extensions().get::<HeadersTooLarge>().map(|mark| mark.size);
            assert_eq!(marked, expected, "{padding}");
            assert_eq!(request.headers().contains_key("padding"), expected.is_none());
            assert_eq!((request.uri().path(), &request.headers()["x-request-id"]), ("/a", &"a1".parse().unwrap()));
        }
    }

    #[test]
    fn marked_request_keeps_no_long_path() {
        let mut request = request(&format!("/{}", "a".repeat(60_000)), 0);
        mark(&mut request, 10_000);
        assert_eq!(request.uri(), "/");
    }
}
