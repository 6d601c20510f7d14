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
    /// The time at which the last call ended.
    last_ended: Instant,
}

/// One counted call; dropping it ends the call.
#[derive(Debug)]
pub struct OpenCall(OpenCalls);

impl OpenCalls {
    /// No open calls.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(CallCount { count: 0, last_ended: Instant::now() })))
    }

    /// Counts a call until the guard is dropped.
    pub fn open(&self) -> OpenCall {
        self.lock().count += 1;
        OpenCall(self.clone())
    }

    /// Returns once no call has been open for `timeout`, counted from this call on.
    pub async fn idle(&self, timeout: Duration) {
        let started = Instant::now();
        loop {
            let since = self.idle_since().map_or_else(Instant::now, |since| since.max(started));
            sleep(timeout.saturating_sub(since.elapsed())).await;
            if self.idle_since().is_some_and(|since| since.max(started).elapsed() >= timeout) {
                return;
            }
        }
    }

    /// `None` while a call is open.
    fn idle_since(&self) -> Option<Instant> {
        let open = self.lock();
        (open.count == 0).then_some(open.last_ended)
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
