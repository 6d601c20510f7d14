//! The Connect protocol (connectrpc.com/docs/protocol) as calls of gRPC, and the responses back. It decides nothing: the
//! layers and handlers of gRPC do.

pub mod error;
pub mod get;
pub mod headers;

use std::{future::poll_fn, pin::Pin};

use http_body::Body as _;
use prost::bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{
        self, HeaderMap, HeaderValue,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
};

use self::{
    error::{error_json, error_response},
    headers::{encoding, metadata, response_headers, set_stream_encoding},
};
use super::{
    frames::{COMPRESSED, Messages, framed},
    once::Once,
    protocol::Codec,
    stream_body::{StreamBody, StreamForm},
};
use crate::service::status::defect;

/// The flag of the envelope that ends a stream.
const END_STREAM: u8 = 2;

/// The response to a unary call: the message alone, or an error.
pub async fn unary_response(response: http::Response<Body>, codec: &Codec) -> http::Response<Body> {
    let (head, mut body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return error_response(&status, &head.headers, &HeaderMap::new());
    }
    let (mut messages, mut message) = (Messages::default(), None);
    let trailers = loop {
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    messages.push(data);
                    message = message.or_else(|| messages.take());
                }
                Err(frame) => break frame.into_trailers().unwrap_or_default(),
            },
            Some(Err(status)) => return error_response(&status, &head.headers, &HeaderMap::new()),
            None => break HeaderMap::new(),
        }
    };
    let status = Status::from_header_map(&trailers).unwrap_or_else(defect);
    let (flags, message) = match (status.code(), message) {
        (Code::Ok, Some(message)) => message,
        (Code::Ok, None) => return error_response(&defect(), &head.headers, &HeaderMap::new()),
        _ => return error_response(&status, &head.headers, &trailers),
    };
    let mut response = http::Response::new(Body::new(Once::from(message, body)));
    let headers = response.headers_mut();
    *headers = response_headers(&head.headers, &trailers);
    if let Some(encoding) = encoding(&head.headers).filter(|_| flags & COMPRESSED != 0) {
        headers.insert(CONTENT_ENCODING, encoding);
    }
    set_content_type(headers, &format!("application/{}", codec.name()));
    response
}

/// The response to a call with a stream: messages in envelopes. The last envelope has the status and the trailers.
pub fn stream_response(response: http::Response<Body>, codec: &Codec) -> http::Response<Body> {
    let (head, body) = response.into_parts();
    let body = match Status::from_header_map(&head.headers) {
        Some(_) => Body::new(Once::of(end_of_stream(&head.headers))),
        None => Body::new(StreamBody::new(body, ENVELOPES)),
    };
    let mut response = http::Response::new(body);
    let headers = response.headers_mut();
    *headers = metadata(&head.headers);
    if let Some(encoding) = encoding(&head.headers) {
        set_stream_encoding(headers, encoding);
    }
    set_content_type(headers, &format!("application/connect+{}", codec.name()));
    response
}

/// The response to a plain JSON request of a stream: a line for each message. An error before the first message is the
/// response, and a later one the last line.
pub fn lines_response(response: http::Response<Body>) -> http::Response<Body> {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers).filter(|status| status.code() != Code::Ok) {
        return error_response(&status, &head.headers, &HeaderMap::new());
    }
    let mut response = http::Response::new(Body::new(StreamBody::new(body, LINES)));
    *response.headers_mut() = metadata(&head.headers);
    set_content_type(response.headers_mut(), "application/x-ndjson");
    response
}

/// A stream of Connect. Its envelopes are those of gRPC, besides the last one.
const ENVELOPES: StreamForm = StreamForm { data: |_, data| Some(data), end: |trailers| Some(end_of_stream(trailers)) };

/// A stream of lines.
const LINES: StreamForm = StreamForm { data: lines, end: error_line };

/// The messages that are there as a whole, a line for each.
fn lines(messages: &mut Messages, data: Bytes) -> Option<Bytes> {
    messages.push(data);
    let mut lines = BytesMut::new();
    while let Some((_, message)) = messages.take() {
        lines.reserve(message.len() + 1);
        lines.put_slice(&message);
        lines.put_u8(b'\n');
    }
    (!lines.is_empty()).then(|| lines.freeze())
}

fn set_content_type(headers: &mut HeaderMap, content_type: &str) {
    // The names of codecs are ASCII.
    if let Ok(value) = HeaderValue::try_from(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
}

/// The envelope that ends a stream with the status in these trailers.
fn end_of_stream(trailers: &HeaderMap) -> Bytes {
    let mut end = Map::new();
    if let Some(error) = error_in(trailers) {
        end.insert("error".to_owned(), error);
    }
    let mut values = Map::new();
    for (name, value) in &metadata(trailers) {
        let list = values.entry(name.as_str()).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(String::from_utf8_lossy(value.as_bytes()).into());
        }
    }
    if !values.is_empty() {
        end.insert("metadata".to_owned(), values.into());
    }
    framed(END_STREAM, Value::Object(end).to_string().as_bytes())
}

/// The last line of a stream that fails with the status in these trailers.
fn error_line(trailers: &HeaderMap) -> Option<Bytes> {
    error_in(trailers).map(|error| format!("{}\n", json!({ "error": error })).into())
}

fn error_in(trailers: &HeaderMap) -> Option<Value> {
    let status = Status::from_header_map(trailers).unwrap_or_else(defect);
    (status.code() != Code::Ok).then(|| error_json(&status))
}
