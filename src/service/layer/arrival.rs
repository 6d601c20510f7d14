//! A request that has arrived: whoever sends slowly holds up nobody but themselves.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body as _, Frame};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http},
};

use crate::service::status::MESSAGE_BYTES;

/// Waits for the body of a request, as far as it may be a message; what is beyond that is refused where it is decoded.
pub async fn arrived(request: http::Request<Body>) -> http::Request<Body> {
    let (parts, mut body) = request.into_parts();
    let (mut frames, mut bytes) = (VecDeque::new(), 0);
    while bytes <= MESSAGE_BYTES
        && let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        bytes += frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
        frames.push_back(frame);
    }
    http::Request::from_parts(parts, Body::new(Arrived { frames, rest: body }))
}

struct Arrived {
    frames: VecDeque<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

impl http_body::Body for Arrived {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if self.rest.is_end_stream() => Poll::Ready(None),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }
}
