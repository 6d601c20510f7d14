//! The open calls of one connection, and since when there are none.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};
use tonic::{Status, body::Body, codegen::Bytes};

/// The open calls of one connection; a clone counts the same ones.
#[derive(Debug, Clone)]
pub struct OpenCalls(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    count: usize,
    /// The last time that one ended.
    ended: Instant,
}

/// A call that is open until this is dropped.
#[derive(Debug)]
pub struct OpenCall(OpenCalls);

impl OpenCalls {
    /// None yet.
    pub fn none() -> Self {
        Self(Arc::new(Mutex::new(Open { count: 0, ended: Instant::now() })))
    }

    /// One more.
    pub fn open(&self) -> OpenCall {
        self.lock().count += 1;
        OpenCall(self.clone())
    }

    /// Ends once there has been none for so long, counted from here on.
    pub async fn idle(&self, timeout: Duration) {
        let begin = Instant::now();
        loop {
            let since = self.idle_since().map_or_else(Instant::now, |since| since.max(begin));
            sleep(timeout.saturating_sub(since.elapsed())).await;
            if self.idle_since().is_some_and(|since| since.max(begin).elapsed() >= timeout) {
                return;
            }
        }
    }

    /// Nothing while a call is open.
    fn idle_since(&self) -> Option<Instant> {
        let open = self.lock();
        (open.count == 0).then_some(open.ended)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut open = self.0.lock();
        open.count -= 1;
        open.ended = Instant::now();
    }
}

/// The body of an answer, with the call that ends when it is through.
pub struct CountedBody {
    body: Body,
    _call: OpenCall,
}

impl CountedBody {
    /// The body of the answer to this call.
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
