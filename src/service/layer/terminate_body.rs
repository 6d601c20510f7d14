//! A stream that somebody else than its handler may end, with a status of theirs.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http},
};

/// Lets the body of a response end with the status that `end` answers, should that come first.
pub fn ends_with<F>(response: http::Response<Body>, end: F) -> http::Response<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    response.map(|body| ending(body, end))
}

/// The same of any body.
pub fn ending<F>(body: Body, end: F) -> Body
where
    F: Future<Output = Status> + Send + 'static,
{
    Body::new(Ending { body: Some(body), end: Box::pin(end), how: How::After })
}

/// The same, but nothing more is sent once that has come: a slow reader may have any amount ready.
pub fn cut_with<F>(response: http::Response<Body>, end: F) -> http::Response<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    response.map(|body| Body::new(Ending { body: Some(body), end: Box::pin(end), how: How::Cut }))
}

/// The same of a request: whoever reads it comes upon the status as an error, and takes nothing more from it. A handler may
/// read on after its answer has ended, or while its client does not read the answer.
pub fn broken_with<F>(request: http::Request<Body>, end: F) -> http::Request<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    request.map(|body| Body::new(Ending { body: Some(body), end: Box::pin(end), how: How::Broken }))
}

struct Ending {
    /// None once it has ended.
    body: Option<Body>,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
    how: How,
}

/// How a body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// After what is ready, with trailers.
    After,
    /// Before what is ready, with trailers.
    Cut,
    /// Before what is ready, with an error.
    Broken,
}

impl Ending {
    /// With the body goes what its handler was doing.
    fn end(&mut self, status: Status) -> Result<Frame<Bytes>, Status> {
        self.body = None;
        match self.how {
            How::After | How::Cut => Ok(Frame::trailers(status.into_http::<Body>().into_parts().0.headers)),
            How::Broken => Err(status),
        }
    }
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.body.is_none() {
            return Poll::Ready(None);
        }
        if self.how != How::After
            && let Poll::Ready(status) = self.end.as_mut().poll(context)
        {
            return Poll::Ready(Some(self.end(status)));
        }
        if let Some(body) = &mut self.body
            && let Poll::Ready(frame) = Pin::new(body).poll_frame(context)
        {
            return Poll::Ready(frame);
        }
        match self.how {
            How::Cut | How::Broken => Poll::Pending,
            How::After => self.end.as_mut().poll(context).map(|status| Some(self.end(status))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
