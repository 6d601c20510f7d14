//! Admission control: bounds the calls and streams in progress, before messages are decoded and the database is used,
//! and shares the places among the callers.
//!
//! A call takes a place when its request has arrived whole. Calls beyond the bounds are shed at once. Reads and writes
//! then wait in queues for their turn to execute. Queries, whose work grows with the data, queue for their database
//! connections instead (`store::query`).

use std::{
    future::Future,
    mem,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codegen::http};
use tower::Service;

use super::{
    Limits,
    call_body::{encoded, has_room, within_stream},
    request_body::{self, Arrivals},
    terminate_body::{end_body_when, end_when, fail_request_when},
};
use crate::{
    access::Principal,
    fairness::{Call, Caller, FairQueue, heavy},
    service::{error::ServiceError, method::Method, peer::Peer},
};

/// Number of reads, and of writes, that execute at a time. For writes: two full batches of the committer.
const MAX_EXECUTING: usize = 512;
/// Number of streams outside of the contract, such as health watches, that are open at a time. They may come without
/// credentials.
const MAX_OPEN_STREAMS: usize = 1_024;

/// Admits calls to a service.
#[derive(Debug, Clone)]
pub struct Admission<S> {
    inner: S,
    queues: Arc<Queues>,
    stopping: CancellationToken,
}

#[derive(Debug)]
struct Queues {
    calls: FairQueue,
    streams: FairQueue,
    open_streams: FairQueue,
    reads: FairQueue,
    writes: FairQueue,
    unsent: FairQueue,
    arrivals: Arrivals,
}

/// The class of a call, by the resources that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Read,
    /// A read of many records at a time.
    Batch,
    Write,
    Query,
    Stream,
}

/// A health check holds no place: it is answered at once, and probes must work while others hold all places.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Methods that are queries: their work grows with the data.
const QUERIES: [&str; 13] = [
    "ListAuditEvents",
    "ListArticles",
    "ListParticipants",
    "ListMeetings",
    "ListStatements",
    "ListCounterparts",
    "ListDuplicates",
    "MatchParticipants",
    "FindPath",
    "AggregateMeetings",
    "AggregateStatements",
    "MatchMeetings",
    "ListDuplicateMeetings",
];

impl Class {
    fn of(method: &Method) -> Self {
        let name = method.path.rsplit('/').next().unwrap_or_default();
        match name {
            _ if method.is_streaming => Self::Stream,
            name if name.starts_with("BatchGet") => Self::Batch,
            name if QUERIES.contains(&name) => Self::Query,
            _ if method.is_write() => Self::Write,
            _ => Self::Read,
        }
    }
}

impl<S> Admission<S> {
    /// Wraps a service. `stopping` ends streams, including those outside of the contract, such as reflection.
    pub fn new(inner: S, limits: &Limits, stopping: CancellationToken) -> Self {
        let queue = |bound, shared| FairQueue::new(bound, shared, limits.max_wait);
        let queues = Queues {
            calls: queue("call", limits.max_calls),
            streams: queue("stream", limits.max_streams),
            open_streams: queue("open_stream", MAX_OPEN_STREAMS),
            reads: queue("read", MAX_EXECUTING),
            writes: queue("write", MAX_EXECUTING),
            unsent: queue("unsent", limits.unsent_bytes),
            arrivals: Arrivals { bytes: queue("request", limits.request_bytes), timeout: limits.arrival_timeout },
        };
        Self { inner, queues: Arc::new(queues), stopping }
    }
}

impl Queues {
    /// Waits until a call of this class may execute. `None` if the wait was too long.
    async fn enter(&self, class: Class, caller: &Caller) -> Option<Call> {
        let queue = match class {
            Class::Read => &self.reads,
            Class::Write => &self.writes,
            Class::Batch => heavy::tasks(),
            Class::Query | Class::Stream => return Some(Call::unary(caller.clone(), None)),
        };
        Some(Call::unary(caller.clone(), Some(queue.acquire(caller, 1).await?)))
    }
}

/// The caller of a request: its principal, or its network if it has none.
fn caller(request: &http::Request<Body>) -> Caller {
    // `access` and the server add these to every request.
    let (principal, peer) = (request.extensions().get::<Principal>(), request.extensions().get::<Peer>());
    let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
    principal.map_or_else(|| Caller::at(address), |principal| principal.caller(address))
}

impl<S> Service<http::Request<Body>> for Admission<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
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
        let (queues, caller) = (self.queues.clone(), caller(&request));
        let Some(method) = Method::of(request.uri().path()) else {
            let stopping = self.stopping.clone();
            return Box::pin(async move {
                if request.uri().path() == HEALTH_CHECK {
                    return inner.call(request).await;
                }
                let Some(place) = queues.open_streams.try_acquire(&caller, 1) else { return Ok(overloaded()) };
                // The handler may be waiting for the client to send more, so the request body ends too.
                let response = inner.call(request.map(|body| end_body_when(body, stopped(stopping.clone())))).await?;
                Ok(within_stream(
                    end_when(response, stopped(stopping)),
                    Call::stream(caller),
                    queues.unsent.clone(),
                    place,
                ))
            });
        };
        let class = Class::of(method);
        if method.sends_stream {
            let stopping = self.stopping.clone();
            return Box::pin(async move {
                let Some(place) = queues.streams.try_acquire(&caller, 1) else { return Ok(overloaded()) };
                let request = request_body::check_each(request, method, &queues.arrivals, &caller);
                // Handlers end their streams themselves, unless they are waiting for the client to send more.
                let request = fail_request_when(request, stopped(stopping));
                let call = Call::stream(caller);
                let response = call.clone().scope(inner.call(request)).await?;
                Ok(within_stream(response, call, queues.unsent.clone(), place))
            });
        }
        if class == Class::Stream {
            let stopping = self.stopping.clone();
            return Box::pin(async move {
                let arriving = request_body::read_whole(request, method, &queues.arrivals, &caller);
                let request = match stopping.run_until_cancelled(arriving).await {
                    Some(Ok((request, _))) => request,
                    Some(Err(status)) => return Ok(status.into_http()),
                    None => return Ok(Status::from(ServiceError::Stopping).into_http()),
                };
                let Some(place) = queues.streams.try_acquire(&caller, 1) else { return Ok(overloaded()) };
                let call = Call::stream(caller);
                let response = call.clone().scope(inner.call(request)).await?;
                Ok(within_stream(response, call, queues.unsent.clone(), place))
            });
        }
        // A unary call may still arrive while the service stops.
        Box::pin(async move {
            let (request, charges) = match request_body::read_whole(request, method, &queues.arrivals, &caller).await {
                Ok(arrived) => arrived,
                Err(status) => return Ok(status.into_http()),
            };
            let Some(place) = queues.calls.try_acquire(&caller, 1) else { return Ok(overloaded()) };
            // A caller that does not read its answers gets no further ones.
            if !has_room(&queues.unsent, &caller).await {
                return Ok(overloaded());
            }
            let Some(call) = queues.enter(class, &caller).await else { return Ok(overloaded()) };
            let work = async {
                heavy::begin(charges.bytes()).await;
                Ok(encoded(inner.call(request).await?, &queues.unsent, &caller, place).await)
            };
            call.scope(work).await
        })
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
