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
    Body::new(Ending { body: Some(body), end: Box::pin(end) })
}

struct Ending {
    /// None once it has ended.
    body: Option<Body>,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        // What is ready comes before the end.
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let Poll::Ready(status) = self.end.as_mut().poll(context) else { return Poll::Pending };
        // With the body goes what its handler was doing.
        self.body = None;
        let trailers = status.into_http::<Body>().into_parts().0.headers;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
