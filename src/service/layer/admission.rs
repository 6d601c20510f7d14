//! Admission control: bounds the calls and streams in progress, before messages are decoded and the database is used.
//!
//! Calls beyond the bounds are shed at once. Reads and writes then wait in queues for their turn to execute. Queries,
//! whose work grows with the data, queue for their database connections instead (`store::query`).

use std::{
    future::{Future, pending},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codegen::http};
use tower::Service;

use super::{
    Limits,
    buffer_request::buffer,
    terminate_body::{end_body_when, end_when, fail_request_when},
};
use crate::{
    service::{error::ServiceError, method::Method},
    store::pool::wait_queue::{Permit, WaitQueue},
};

/// Maximum number of reads, and of writes, that execute at a time. For writes: two full batches of the committer.
const MAX_EXECUTING: usize = 512;

/// Admits calls to a service.
#[derive(Debug, Clone)]
pub struct Admission<S> {
    inner: S,
    queues: Queues,
    stopping: CancellationToken,
}

#[derive(Debug, Clone)]
struct Queues {
    calls: WaitQueue,
    streams: WaitQueue,
    reads: WaitQueue,
    writes: WaitQueue,
}

/// The class of a call, by the resources that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Read,
    Write,
    Query,
    Stream,
}

/// Methods that are queries: their work grows with the data.
const QUERIES: [&str; 7] = [
    "ListArticles",
    "ListParticipants",
    "ListMeetings",
    "ListStatements",
    "ListCounterparts",
    "FindPath",
    "AggregateMeetings",
];
/// Prefixes of the names of methods that write.
const WRITE_PREFIXES: [&str; 9] =
    ["Create", "Update", "Delete", "Undelete", "Add", "Retract", "Merge", "Split", "Ingest"];

impl Class {
    fn of(method: &Method) -> Self {
        let name = method.path.rsplit('/').next().unwrap_or_default();
        match name {
            _ if method.is_streaming => Self::Stream,
            name if QUERIES.contains(&name) => Self::Query,
            name if WRITE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => Self::Write,
            _ => Self::Read,
        }
    }
}

impl<S> Admission<S> {
    /// Wraps a service. `stopping` ends streams, including those outside of the contract, such as reflection.
    pub fn new(inner: S, limits: &Limits, stopping: CancellationToken) -> Self {
        let queue = |class, capacity| WaitQueue::new(class, capacity, limits.max_wait);
        let queues = Queues {
            calls: queue("call", limits.max_calls),
            streams: queue("stream", limits.max_streams),
            reads: queue("read", MAX_EXECUTING),
            writes: queue("write", MAX_EXECUTING),
        };
        Self { inner, queues, stopping }
    }
}

impl Queues {
    /// Admits a stream, which holds the permit until its end. `None` if there are too many streams.
    fn enter_stream(&self) -> Option<Permit> {
        self.streams.try_acquire()
    }

    /// Waits until the call may execute, and returns its permit. `None` if the wait was too long; `Some(None)` for a
    /// class that does not wait here.
    async fn enter(&self, class: Class) -> Option<Option<Permit>> {
        match class {
            Class::Read => self.reads.acquire().await.map(Some),
            Class::Write => self.writes.acquire().await.map(Some),
            Class::Query | Class::Stream => Some(None),
        }
    }
}

impl<S> Service<http::Request<Body>> for Admission<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // `poll_ready` has made this instance ready; its clone serves the next call.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let queues = self.queues.clone();
        match Method::of(request.uri().path()).map(Class::of) {
            None => {
                // The handler may be waiting for the client to send more, so the request body ends too.
                let stopping = self.stopping.clone();
                let response = inner.call(request.map(|body| end_body_when(body, stopped(stopping.clone()))));
                Box::pin(async move { Ok(end_when(response.await?, stopped(stopping))) })
            }
            Some(Class::Stream) => {
                // Handlers end their streams themselves, unless they are waiting for the client to send more.
                let request = fail_request_when(request, stopped(self.stopping.clone()));
                Box::pin(async move {
                    let Some(permit) = queues.enter_stream() else { return Ok(overloaded()) };
                    let response = inner.call(request).await?;
                    // The future lives as long as the response body, and with it the permit.
                    Ok(end_when(response, async move {
                        let _permit = permit;
                        pending().await
                    }))
                })
            }
            Some(class) => Box::pin(async move {
                let Some(_call) = queues.calls.try_acquire() else { return Ok(overloaded()) };
                let request = buffer(request).await;
                let Some(_turn) = queues.enter(class).await else { return Ok(overloaded()) };
                inner.call(request).await
            }),
        }
    }
}

fn overloaded() -> http::Response<Body> {
    Status::from(ServiceError::Overloaded).into_http()
}

/// Waits until the service stops, and returns the status that ends streams.
async fn stopped(stopping: CancellationToken) -> Status {
    stopping.cancelled().await;
    ServiceError::Stopping.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;

    #[test]
    fn every_method_has_the_class_that_its_request_implies() {
        let mut queries = 0;
        for method in pb::pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let Some(class) = Method::of(&path).map(Class::of) else { continue };
            // Every write can be validated only.
            let writes = method.input().get_field_by_name("validate_only").is_some();
            assert_eq!(class == Class::Write, writes && !method.is_server_streaming(), "{path}");
            assert_eq!(class == Class::Stream, method.is_server_streaming(), "{path}");
            queries += usize::from(class == Class::Query);
        }
        assert_eq!(queries, QUERIES.len());
    }
}
