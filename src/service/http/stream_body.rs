//! The body of a stream of gRPC in the form of another protocol. Each frame is converted when it is asked for, so that
//! a slow client slows its stream down.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Frame;
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http::HeaderMap},
};

use super::frames::Messages;

/// The form of a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamForm {
    /// Converts data of gRPC. `None` if more is needed: the messages keep what is not whole.
    pub data: fn(&mut Messages, Bytes) -> Option<Bytes>,
    /// Makes the last data of the stream from its trailers.
    pub end: fn(&HeaderMap) -> Option<Bytes>,
}

/// The body of a stream in another form.
pub struct StreamBody {
    body: Body,
    form: StreamForm,
    messages: Messages,
    has_ended: bool,
}

impl StreamBody {
    /// The body of a response of gRPC in this form.
    pub fn new(body: Body, form: StreamForm) -> Self {
        Self { body, form, messages: Messages::default(), has_ended: false }
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if self.has_ended {
                return Poll::Ready(None);
            }
            let StreamForm { data: convert, end } = self.form;
            let converted = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => convert(&mut self.messages, data),
                    Err(frame) => {
                        self.has_ended = true;
                        end(&frame.into_trailers().unwrap_or_default())
                    }
                },
                Some(Err(status)) => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    self.has_ended = true;
                    None
                }
            };
            if let Some(data) = converted {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}
