//! Reads with `readout-min-position` are answered by the server on which the position was checked. After a failover the
//! new server may lack the position, and a read that was admitted before would be answered as if it had it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use tonic::{Status, body::Body, codegen::http};
use tower::Service;

use super::terminate_body::cut_when;
use crate::{
    model::role::Role,
    service::{method::Method, read::MIN_POSITION},
    store::{StoreError, pool::server_watch::ServerWatch},
};

/// The method that follows the epoch by itself.
const WATCH: &str = "/readout.v1.ChangeService/WatchChanges";

/// Refuses the answers of guarded reads if connections have reached another database server meanwhile.
#[derive(Debug, Clone)]
pub struct SameServer<S> {
    inner: S,
    server_watch: Arc<ServerWatch>,
}

impl<S> SameServer<S> {
    pub fn new(inner: S, server_watch: Arc<ServerWatch>) -> Self {
        Self { inner, server_watch }
    }
}

impl<S> Service<http::Request<Body>> for SameServer<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let is_read = || path != WATCH && Method::of(path).is_some_and(|method| method.role == Some(Role::Reader));
        if !request.headers().contains_key(MIN_POSITION) || !is_read() {
            return Either::Left(self.inner.call(request));
        }
        let mut changes = self.server_watch.subscribe();
        let before = *changes.borrow_and_update();
        let response = self.inner.call(request);
        Either::Right(Box::pin(async move {
            let response = response.await?;
            if *changes.borrow() != before {
                return Ok(changed().into_http());
            }
            Ok(cut_when(response, async move {
                if changes.changed().await.is_err() {
                    // The service ends.
                    std::future::pending::<()>().await;
                }
                changed()
            }))
        }))
    }
}

fn changed() -> Status {
    StoreError::server_changed().into()
}
