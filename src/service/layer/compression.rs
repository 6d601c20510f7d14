//! Selects the answers to compress: those with many records, if the client accepts compression.
//!
//! Many clients accept it by default, and compressing a small answer takes several times as long as making it.

use std::task::{Context, Poll};

use tonic::{body::Body, codegen::http};
use tower::Service;

/// The header that lists the compressions that the client accepts.
const ACCEPT: &str = "grpc-accept-encoding";

/// Keeps a service from compressing small answers.
#[derive(Debug, Clone)]
pub struct Compression<S>(S);

impl<S> Compression<S> {
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
        if !has_many_records(request.uri().path()) {
            request.headers_mut().remove(ACCEPT);
        }
        self.0.call(request)
    }
}

/// True if a method answers with many records in one message. A watch does not: its messages are small, and each would
/// be compressed by itself.
fn has_many_records(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    ["List", "Stream", "BatchGet"].iter().any(|verb| method.starts_with(verb))
}
