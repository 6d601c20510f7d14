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
    Body::new(Ending { body: Some(body), end: Box::pin(end), is_cut: false })
}

/// The same, but nothing more is sent once that has come: a slow reader may have any amount ready.
pub fn cut_with<F>(response: http::Response<Body>, end: F) -> http::Response<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    response.map(|body| Body::new(Ending { body: Some(body), end: Box::pin(end), is_cut: true }))
}

struct Ending {
    /// None once it has ended.
    body: Option<Body>,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
    /// Whether the end goes before what is ready.
    is_cut: bool,
}

impl Ending {
    /// With the body goes what its handler was doing.
    fn end(&mut self, status: Status) -> Frame<Bytes> {
        self.body = None;
        Frame::trailers(status.into_http::<Body>().into_parts().0.headers)
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
        if self.is_cut
            && let Poll::Ready(status) = self.end.as_mut().poll(context)
        {
            return Poll::Ready(Some(Ok(self.end(status))));
        }
        if let Some(body) = &mut self.body
            && let Poll::Ready(frame) = Pin::new(body).poll_frame(context)
        {
            return Poll::Ready(frame);
        }
        match self.is_cut {
            true => Poll::Pending,
            false => self.end.as_mut().poll(context).map(|status| Some(Ok(self.end(status)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
