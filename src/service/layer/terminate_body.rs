//! Bodies that a condition outside of their handler can end: a deadline, a shutdown, or expired credentials.
//!
//! Each function takes the future `end`, which completes when the condition occurs, with the status to end with.

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

/// Ends the body of a response after the frames that are ready, with the status in trailers.
pub fn end_when<F>(response: http::Response<Body>, end: F) -> http::Response<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    response.map(|body| end_body_when(body, end))
}

/// As `end_when`, for any body.
pub fn end_body_when<F>(body: Body, end: F) -> Body
where
    F: Future<Output = Status> + Send + 'static,
{
    Body::new(TerminableBody { body: Some(body), end: Box::pin(end), mode: Mode::Drain })
}

/// Ends the body of a response before the frames that are ready. With a slow reader any amount of data may be ready.
pub fn cut_when<F>(response: http::Response<Body>, end: F) -> http::Response<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    response.map(|body| Body::new(TerminableBody { body: Some(body), end: Box::pin(end), mode: Mode::Cut }))
}

/// Fails the body of a request: its handler reads the status as an error, and nothing after it. Ending the
/// response is not enough, as a handler may read on after its response has ended, or while the client does not read
/// the response.
pub fn fail_request_when<F>(request: http::Request<Body>, end: F) -> http::Request<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    request.map(|body| Body::new(TerminableBody { body: Some(body), end: Box::pin(end), mode: Mode::Fail }))
}

struct TerminableBody {
    /// `None` once the body has ended.
    body: Option<Body>,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
    mode: Mode,
}

/// The way in which a body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// After the frames that are ready, with trailers.
    Drain,
    /// Before the frames that are ready, with trailers.
    Cut,
    /// Before the frames that are ready, with an error.
    Fail,
}

impl TerminableBody {
    /// Ends the body. Dropping it cancels the work of its handler.
    fn end(&mut self, status: Status) -> Result<Frame<Bytes>, Status> {
        self.body = None;
        match self.mode {
            Mode::Drain | Mode::Cut => Ok(Frame::trailers(status.into_http::<Body>().into_parts().0.headers)),
            Mode::Fail => Err(status),
        }
    }
}

impl http_body::Body for TerminableBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.body.is_none() {
            return Poll::Ready(None);
        }
        if self.mode != Mode::Drain
            && let Poll::Ready(status) = self.end.as_mut().poll(context)
        {
            return Poll::Ready(Some(self.end(status)));
        }
        if let Some(body) = &mut self.body
            && let Poll::Ready(frame) = Pin::new(body).poll_frame(context)
        {
            return Poll::Ready(frame);
        }
        match self.mode {
            Mode::Cut | Mode::Fail => Poll::Pending,
            Mode::Drain => self.end.as_mut().poll(context).map(|status| Some(self.end(status))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
