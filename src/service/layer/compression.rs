//! Which answers are compressed: those of many records, where the client can read it.
//!
//! Many clients say so by themselves, and a small answer takes several times as long to compress as to make.

use std::task::{Context, Poll};

use tonic::{body::Body, codegen::http};
use tower::Service;

/// How a client tells what it can read.
const ACCEPT: &str = "grpc-accept-encoding";

/// Keeps a service from compressing small answers.
#[derive(Debug, Clone)]
pub struct Compression<S>(S);

impl<S> Compression<S> {
    /// Around this service.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for Compression<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if !is_of_many(request.uri().path()) {
            request.headers_mut().remove(ACCEPT);
        }
        self.0.call(request)
    }
}

/// Whether it answers with many records at once. A watch does not: each of its messages is small, and compressed by
/// itself.
fn is_of_many(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    ["List", "Stream", "BatchGet"].iter().any(|verb| method.starts_with(verb))
}
