//! Requests of health checks and reflection, which hold a name: the layers of the contract do not read them. Their
//! messages are given the form of gRPC here.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Frame;
use tonic::{Status, body::Body, codegen::Bytes};

use super::frames::{Messages, framed};
use crate::service::{
    error::ServiceError,
    message_form::{MessageForm, from_json},
};

/// Maximum bytes of a message before its conversion. That of the message itself is a kilobyte (`server`).
const MAX_BYTES: usize = 16 * 1024;

/// The body of a request, whose messages have the form of gRPC.
pub struct SmallRequest {
    body: Body,
    form: MessageForm,
    messages: Messages,
    /// A message without a prefix, as far as it was read.
    unframed: Vec<u8>,
    has_ended: bool,
}

impl SmallRequest {
    /// Wraps the body of a request in this form.
    pub fn new(body: Body, form: MessageForm) -> Self {
        Self { body, form, messages: Messages::default(), unframed: Vec::new(), has_ended: false }
    }

    fn converted(&self, flags: u8, message: &[u8]) -> Result<Bytes, Status> {
        match &self.form.json {
            Some(types) if flags == 0 => Ok(framed(flags, &from_json(message, &types.request)?)),
            _ => Ok(framed(flags, message)),
        }
    }

    /// Takes data. Returns the next message, if it is there.
    fn take(&mut self, data: Bytes) -> Result<(), Status> {
        let held = match self.form.is_unframed {
            true => {
                self.unframed.extend_from_slice(&data);
                self.unframed.len()
            }
            false => {
                self.messages.push(data);
                self.messages.announced().unwrap_or_default().max(self.messages.pending())
            }
        };
        match held > MAX_BYTES {
            true => Err(ServiceError::RequestTooLarge.into()),
            false => Ok(()),
        }
    }
}

impl http_body::Body for SmallRequest {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if this.has_ended {
                return Poll::Ready(None);
            }
            if let Some((flags, message)) = this.messages.take() {
                return Poll::Ready(Some(this.converted(flags, &message).map(Frame::data)));
            }
            let taken = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame.into_data().map_or(Ok(()), |data| this.take(data)),
                Some(Err(status)) => Err(status),
                None => {
                    this.has_ended = true;
                    if !this.form.is_unframed {
                        return Poll::Ready(None);
                    }
                    let message = std::mem::take(&mut this.unframed);
                    return Poll::Ready(Some(this.converted(0, &message).map(Frame::data)));
                }
            };
            if let Err(status) = taken {
                this.has_ended = true;
                return Poll::Ready(Some(Err(status)));
            }
        }
    }
}
