//! Buffers the bodies of requests, so that a client that sends slowly occupies no place in the queues for execution.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use http_body::{Body as _, Frame};
use prost::bytes::BytesMut;
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http},
};

use crate::service::status::MESSAGE_BYTES;

/// Reads the body of a request into memory, up to the size of a message. The decoder rejects anything larger.
pub async fn buffer(request: http::Request<Body>) -> http::Request<Body> {
    let (parts, mut body) = request.into_parts();
    let (mut first, mut more, mut last) = (Bytes::new(), BytesMut::new(), None);
    while first.len() + more.len() <= MESSAGE_BYTES
        && let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        match frame.map(Frame::into_data) {
            // Most requests are one frame, which is kept as it is. Many small frames are joined, since each has an
            // overhead of many times its bytes.
            Ok(Ok(data)) if first.is_empty() => first = data,
            Ok(Ok(data)) => more.extend_from_slice(&data),
            Ok(Err(trailers)) => last = Some(Ok(trailers)),
            Err(status) => last = Some(Err(status)),
        }
        if last.is_some() {
            break;
        }
    }
    let data = [first, more.freeze()].into_iter().filter(|data| !data.is_empty());
    let frames: Vec<_> = data.map(|data| Ok(Frame::data(data))).chain(last).collect();
    http::Request::from_parts(parts, Body::new(Buffered { frames: frames.into_iter(), rest: body }))
}

/// A body whose first frames are in memory.
struct Buffered {
    frames: vec::IntoIter<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

impl http_body::Body for Buffered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.frames.next() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if self.rest.is_end_stream() => Poll::Ready(None),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.len() == 0 && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A body of frames that are all ready.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    #[tokio::test]
    async fn many_small_frames_are_joined() {
        let bytes: Vec<u8> = (0..1000).map(|at| at as u8).collect();
        let frames = bytes.iter().map(|byte| Frame::data(Bytes::copy_from_slice(&[*byte])));
        let sent = frames.chain([Frame::trailers(http::HeaderMap::new())]).collect();
        let (_, mut body) = buffer(http::Request::new(Body::new(Frames(sent)))).await.into_parts();
        let (mut read, mut frames) = (Vec::new(), 0);
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            frames += 1;
            read.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
        }
        assert_eq!((read, frames), (bytes, 3));
    }
}
