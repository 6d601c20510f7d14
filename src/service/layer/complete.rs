//! A panic becomes INTERNAL instead of a dropped connection, and a status that comes from below the handlers (an
//! unknown method, a message over the limit) gets its reason.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use tonic::{Status, body::Body, codegen::http};
use tower::Service;

use crate::service::status::{complete, defect};

/// Completes the statuses of a service.
#[derive(Debug, Clone)]
pub struct Complete<S>(S);

impl<S> Complete<S> {
    /// Around this service.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S> Service<http::Request<Body>> for Complete<S>
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
        // What a handler shares with others are pools and channels, which a panic elsewhere leaves whole.
        let response = AssertUnwindSafe(self.0.call(request)).catch_unwind();
        Box::pin(async move {
            let response = match response.await {
                Ok(response) => response?,
                // It is in the log already: the process tells of every panic.
                Err(_) => return Ok(defect().into_http()),
            };
            // Only a response without a body has its status in the headers.
            match Status::from_header_map(response.headers()) {
                Some(status) if status.code() != tonic::Code::Ok && status.details().is_empty() => {
                    Ok(complete(status).into_http())
                }
                _ => Ok(response),
            }
        })
    }
}
