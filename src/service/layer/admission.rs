//! Who is let in, before the database feels it and before anything is decoded: so many calls and streams at a time, of
//! which reads and writes take turns. Questions take theirs at the connections that they are asked on (`store/ask.rs`).

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
    buffer_request::arrived,
    terminate_body::{broken_with, ending, ends_with},
};
use crate::{
    service::{error::ServiceError, method::Method},
    store::pool::wait_queue::{Pass, WaitQueue},
};

/// So many are at work at a time: two full batches of the committer, and as many readers, who share their queries.
const AT_WORK: usize = 512;

/// Lets calls in to a service.
#[derive(Debug, Clone)]
pub struct Admission<S> {
    inner: S,
    gates: Queues,
    stopping: CancellationToken,
}

#[derive(Debug, Clone)]
struct Queues {
    calls: WaitQueue,
    streams: WaitQueue,
    reads: WaitQueue,
    writes: WaitQueue,
}

/// What a call is to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Read,
    Write,
    Question,
    Stream,
}

/// Questions, whose work grows with what there is.
const QUESTIONS: [&str; 7] = [
    "ListArticles",
    "ListParticipants",
    "ListMeetings",
    "ListStatements",
    "ListCounterparts",
    "FindPath",
    "AggregateMeetings",
];
/// How the names of methods that write begin.
const WRITES: [&str; 9] = ["Create", "Update", "Delete", "Undelete", "Add", "Retract", "Merge", "Split", "Ingest"];

impl Class {
    fn of(method: &Method) -> Self {
        let name = method.path.rsplit('/').next().unwrap_or_default();
        match name {
            _ if method.is_streaming => Self::Stream,
            name if QUESTIONS.contains(&name) => Self::Question,
            name if WRITES.iter().any(|begin| name.starts_with(begin)) => Self::Write,
            _ => Self::Read,
        }
    }
}

impl<S> Admission<S> {
    /// Around this service. What is open without being of the contract, such as reflection, ends with `stopping`.
    pub fn new(inner: S, limits: &Limits, stopping: CancellationToken) -> Self {
        let gate = |class, room| WaitQueue::new(class, room, limits.max_wait);
        let gates = Queues {
            calls: gate("call", limits.max_calls),
            streams: gate("stream", limits.max_streams),
            reads: gate("read", AT_WORK),
            writes: gate("write", AT_WORK),
        };
        Self { inner, gates, stopping }
    }
}

impl Queues {
    /// A stream's place is its own until its end.
    fn open(&self) -> Option<Pass> {
        self.streams.enter_at_once()
    }

    /// Waits until it is a call's turn; the places that it has until it is answered.
    async fn turn(&self, class: Class) -> Option<Option<Pass>> {
        match class {
            Class::Read => self.reads.enter().await.map(Some),
            Class::Write => self.writes.enter().await.map(Some),
            Class::Question | Class::Stream => Some(None),
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
        // The one that was ready is used up; the next call finds another.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let gates = self.gates.clone();
        match Method::of(request.uri().path()).map(Class::of) {
            None => {
                // What the client may still send is waited for as well.
                let stopping = self.stopping.clone();
                let response = inner.call(request.map(|body| ending(body, stopped(stopping.clone()))));
                Box::pin(async move { Ok(ends_with(response.await?, stopped(stopping))) })
            }
            Some(Class::Stream) => {
                // Its handler ends it, but may wait for what the client has not sent yet.
                let request = broken_with(request, stopped(self.stopping.clone()));
                Box::pin(async move {
                    let Some(place) = gates.open() else { return Ok(refused()) };
                    let response = inner.call(request).await?;
                    // Kept as long as the body.
                    Ok(ends_with(response, async move {
                        let _place = place;
                        pending().await
                    }))
                })
            }
            Some(class) => Box::pin(async move {
                let Some(_place) = gates.calls.enter_at_once() else { return Ok(refused()) };
                let request = arrived(request).await;
                let Some(_turn) = gates.turn(class).await else { return Ok(refused()) };
                inner.call(request).await
            }),
        }
    }
}

fn refused() -> http::Response<Body> {
    Status::from(ServiceError::Overloaded).into_http()
}

async fn stopped(stopping: CancellationToken) -> Status {
    stopping.cancelled().await;
    ServiceError::Stopping.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;

    #[test]
    fn every_method_has_the_class_of_what_it_does() {
        let mut questions = 0;
        for method in pb::pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let Some(class) = Method::of(&path).map(Class::of) else { continue };
            // Whatever writes can be asked what it would write.
            let writes = method.input().get_field_by_name("validate_only").is_some();
            assert_eq!(class == Class::Write, writes && !method.is_server_streaming(), "{path}");
            assert_eq!(class == Class::Stream, method.is_server_streaming(), "{path}");
            questions += usize::from(class == Class::Question);
        }
        assert_eq!(questions, QUESTIONS.len());
    }
}
