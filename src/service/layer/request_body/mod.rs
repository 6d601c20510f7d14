//! Reads the bodies of requests: assembles each message, decompresses it, converts it from JSON, and checks its size
//! before it is decoded.
//!
//! The services below receive checked and uncompressed messages only, each in chunks of limited size.
//!
//! `account` charges what arrives to its caller, `chunks` joins small frames, `message_reader` assembles messages from
//! the frames of a body, `decompress` undoes their compression.

mod account;
mod chunks;
mod decompress;
mod message_reader;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Frame;
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http},
};

pub use self::account::{Arrivals, Charges};
use self::{
    account::Account,
    decompress::Compression,
    message_reader::{Content, MessageReader, Part},
};
use super::call_audit::RequestedNames;
use crate::{fairness::Caller, service::method::Method};

/// The header that states the compression of a request.
const ENCODING: &str = "grpc-encoding";

/// Reads the whole body of a unary request, so that a client that sends slowly occupies no place in the queues for
/// execution. Further messages of the client are skipped.
///
/// # Errors
/// The status of a message that is malformed, too large or has too many items.
pub async fn read_whole(
    request: http::Request<Body>,
    method: &Method,
    arrivals: &Arrivals,
    caller: &Caller,
) -> Result<(http::Request<Body>, Charges), Status> {
    let account = Account::new(arrivals.clone(), caller.clone(), false);
    let charges = account.charges();
    let Some(compression) = compression(&request) else { return Ok((request, charges)) };
    let (head, mut reader) = reader(request, method, compression, account);
    let mut frames = VecDeque::new();
    let mut content = Content::Check;
    loop {
        match poll_fn(|context| reader.poll_part(context, content)).await {
            Some(Ok(Part::Message(chunks))) => {
                if let Some(names) = head.extensions.get::<RequestedNames>() {
                    names.read(&chunks, method);
                }
                frames.extend(chunks.into_iter().map(|chunk| Ok(Frame::data(chunk))));
                content = Content::Skip;
            }
            Some(Ok(Part::Trailers(trailers))) => break frames.push_back(Ok(Frame::trailers(trailers))),
            Some(Err(status)) if reader.is_refused() => return Err(status),
            // The connection broke: the service below knows which errors mean that the client has gone.
            Some(Err(status)) => break frames.push_back(Err(status)),
            None => break,
        }
    }
    Ok((http::Request::from_parts(head, Body::new(WholeBody(frames))), charges))
}

/// Checks the messages of a stream one by one, as the service below reads them. The first that is refused ends the
/// stream. The request gets its [`Charges`] as an extension, from which the handler takes those of the messages that it
/// has read.
pub fn check_each(
    mut request: http::Request<Body>,
    method: &Method,
    arrivals: &Arrivals,
    caller: &Caller,
) -> http::Request<Body> {
    let account = Account::new(arrivals.clone(), caller.clone(), true);
    request.extensions_mut().insert(account.charges());
    let Some(compression) = compression(&request) else { return request };
    let (head, reader) = reader(request, method, compression, account);
    http::Request::from_parts(head, Body::new(CheckedBody { reader: Some(reader), ready: VecDeque::new() }))
}

/// The compression of the messages of a request. `None` if it is unknown: the services report that.
fn compression(request: &http::Request<Body>) -> Option<Option<Compression>> {
    match request.headers().get(ENCODING).map(http::HeaderValue::as_bytes) {
        None | Some(b"identity") => Some(None),
        Some(b"gzip") => Some(Some(Compression::Gzip)),
        Some(b"zstd") => Some(Some(Compression::Zstd)),
        Some(_) => None,
    }
}

/// Takes a request apart. The reader gives uncompressed messages.
fn reader(
    request: http::Request<Body>,
    method: &Method,
    compression: Option<Compression>,
    account: Account,
) -> (http::request::Parts, MessageReader) {
    let (mut head, body) = request.into_parts();
    head.headers.remove(ENCODING);
    let form = head.extensions.get().cloned().unwrap_or_default();
    (head, MessageReader::new(body, form, method.request, compression, account))
}

/// A body that was read.
struct WholeBody(VecDeque<Result<Frame<Bytes>, Status>>);

impl http_body::Body for WholeBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// A body whose messages are checked as they are read.
struct CheckedBody {
    /// `None` once the body has ended.
    reader: Option<MessageReader>,
    /// The rest of the message that is being read.
    ready: VecDeque<Bytes>,
}

impl http_body::Body for CheckedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            let Some(reader) = &mut self.reader else { return Poll::Ready(None) };
            match ready!(reader.poll_part(context, Content::Check)) {
                Some(Ok(Part::Message(chunks))) => self.ready = chunks.into(),
                Some(Ok(Part::Trailers(trailers))) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Some(Err(status)) => {
                    self.reader = None;
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    self.reader = None;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.reader.is_none()
    }
}
