//! A body with one piece of data.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body, codegen::Bytes};

/// A body with one piece of data, or none.
pub struct Once {
    data: Option<Bytes>,
    /// The body that the data is from. It holds the place of the call until the data is sent.
    _source: Option<Body>,
}

impl Once {
    /// A body with this data.
    pub fn of(data: impl Into<Bytes>) -> Self {
        Self { data: Some(data.into()), _source: None }
    }

    /// A body with data from another body.
    pub fn from(data: Bytes, source: Body) -> Self {
        Self { data: Some(data), _source: Some(source) }
    }
}

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, Bytes::len) as u64)
    }
}
