//! Deadlines: every call ends at its caller's deadline (`grpc-timeout`). The service's own limit ends unary calls, and
//! streams that have not begun to answer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Status, body::Body, codegen::http};
use tower::Service;

use super::terminate_body::end_when;
use crate::service::{error::ServiceError, metadata, method::Method};

/// Bounds the time of the calls of a service.
#[derive(Debug, Clone)]
pub struct Deadlines<S> {
    inner: S,
    limit: Duration,
}

impl<S> Deadlines<S> {
    /// Wraps a service. `limit` bounds the time of unary calls, and the time until a stream begins to answer.
    pub fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<S> Service<http::Request<Body>> for Deadlines<S>
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
        let is_unary = Method::of(request.uri().path()).is_some_and(|method| !method.is_streaming);
        let timeout = match metadata::timeout(request.headers()) {
            Ok(timeout) => timeout,
            Err(violations) => {
                let invalid = Status::from(ServiceError::from(violations)).into_http();
                return Box::pin(async { Ok(invalid) });
            }
        };
        let now = Instant::now();
        // A timeout beyond the range of the clock means no deadline.
        let after = |timeout: Duration| now.checked_add(timeout);
        // A stream begins once its first request has arrived, which a client may never send.
        let begins = after(timeout.map_or(self.limit, |timeout| timeout.min(self.limit)));
        let ends = timeout.and_then(after).filter(|_| !is_unary);
        let response = self.inner.call(request);
        Box::pin(async move {
            let begun = match begins {
                Some(deadline) => timeout_at(deadline, response).await,
                None => Ok(response.await),
            };
            match (begun, ends) {
                (Err(_), _) => Ok(Status::from(ServiceError::Late).into_http()),
                (Ok(Ok(response)), Some(deadline)) => Ok(end_when(response, async move {
                    sleep_until(deadline).await;
                    ServiceError::Late.into()
                })),
                (Ok(response), _) => response,
            }
        })
    }
}
