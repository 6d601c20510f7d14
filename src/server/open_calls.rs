//! Counts the open calls of one connection, and detects when it is idle.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};
use tonic::{Status, body::Body, codegen::Bytes};

/// The open calls of one connection. Clones share the count.
#[derive(Debug, Clone)]
pub struct OpenCalls(Arc<Mutex<CallCount>>);

#[derive(Debug)]
struct CallCount {
    count: usize,
    /// True once a call was open.
    was_used: bool,
    /// The time at which the last call ended; that of the connection before the first one.
    last_ended: Instant,
}

/// The use of a connection without an open call. The least one belongs to the connection that is missed least: one that
/// never had a call, then the one whose last call ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Idle {
    was_used: bool,
    since: Instant,
}

/// One counted call; dropping it ends the call.
#[derive(Debug)]
pub struct OpenCall(OpenCalls);

impl OpenCalls {
    /// No open calls.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(CallCount { count: 0, was_used: false, last_ended: Instant::now() })))
    }

    /// Counts a call until the guard is dropped.
    pub fn open(&self) -> OpenCall {
        let mut calls = self.lock();
        calls.count += 1;
        calls.was_used = true;
        drop(calls);
        OpenCall(self.clone())
    }

    /// Returns once no call has been open for `timeout`, counted from this call on.
    pub async fn idle(&self, timeout: Duration) {
        let started = Instant::now();
        loop {
            let since = self.idle_now().map_or_else(Instant::now, |idle| idle.since.max(started));
            sleep(timeout.saturating_sub(since.elapsed())).await;
            if self.idle_now().is_some_and(|idle| idle.since.max(started).elapsed() >= timeout) {
                return;
            }
        }
    }

    /// True once a call was open.
    pub fn was_used(&self) -> bool {
        self.lock().was_used
    }

    /// `None` while a call is open.
    pub fn idle_now(&self) -> Option<Idle> {
        let calls = self.lock();
        (calls.count == 0).then_some(Idle { was_used: calls.was_used, since: calls.last_ended })
    }

    fn lock(&self) -> MutexGuard<'_, CallCount> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut open = self.0.lock();
        open.count -= 1;
        open.last_ended = Instant::now();
    }
}

/// A response body that keeps its call open until it is dropped.
pub struct CountedBody {
    body: Body,
    _call: OpenCall,
}

impl CountedBody {
    /// The response body of this call.
    pub fn new(body: Body, call: OpenCall) -> Self {
        Self { body, _call: call }
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
