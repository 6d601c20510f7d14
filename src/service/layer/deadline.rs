//! Every call ends in time: at its caller's deadline (`grpc-timeout`), and a unary one at ours. By then a stream has begun.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Status, body::Body, codegen::http};
use tower::Service;

use super::terminate_body::ends_with;
use crate::service::{error::ServiceError, method::Method, write::idempotency};

/// Bounds the time of the calls of a service.
#[derive(Debug, Clone)]
pub struct Deadlines<S> {
    inner: S,
    unary: Duration,
}

impl<S> Deadlines<S> {
    /// Around this service, whose unary calls take at most so long, and streams so long to begin.
    pub fn new(inner: S, unary: Duration) -> Self {
        Self { inner, unary }
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
        let callers = match idempotency::timeout(request.headers()) {
            Ok(callers) => callers,
            Err(violations) => {
                let refused = Status::from(ServiceError::from(violations)).into_http();
                return Box::pin(async { Ok(refused) });
            }
        };
        let now = Instant::now();
        // Whoever may take longer than a clock can count has no deadline.
        let after = |longest: Duration| now.checked_add(longest);
        // A stream begins when its request is there, which somebody may never send.
        let begins = after(callers.map_or(self.unary, |callers| callers.min(self.unary)));
        let ends = callers.and_then(after).filter(|_| !is_unary);
        let response = self.inner.call(request);
        Box::pin(async move {
            let begun = match begins {
                Some(deadline) => timeout_at(deadline, response).await,
                None => Ok(response.await),
            };
            match (begun, ends) {
                (Err(_), _) => Ok(Status::from(ServiceError::Late).into_http()),
                (Ok(Ok(response)), Some(deadline)) => Ok(ends_with(response, async move {
                    sleep_until(deadline).await;
                    ServiceError::Late.into()
                })),
                (Ok(response), _) => response,
            }
        })
    }
}
