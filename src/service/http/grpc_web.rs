//! gRPC-Web (PROTOCOL-WEB.md of gRPC) as calls of gRPC, and the responses back: the trailers are the last frame of the
//! body, and the text form is in base64.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http_body::Frame;
use tonic::{
    Status,
    body::Body,
    codegen::{
        Bytes,
        http::{
            self, HeaderMap, HeaderValue,
            header::{CONTENT_LENGTH, CONTENT_TYPE},
        },
    },
};

use super::{
    connect::headers::as_grpc,
    frames::framed,
    protocol::Codec,
    stream_body::{StreamBody, StreamForm},
};
use crate::service::status::malformed;

/// The flag of the frame with the trailers.
const TRAILERS: u8 = 0x80;

/// Converts a request.
pub fn to_grpc(request: http::Request<Body>, is_text: bool) -> http::Request<Body> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    as_grpc(&mut head.headers);
    let body = if is_text { Body::new(TextBody { body, rest: Vec::new() }) } else { body };
    http::Request::from_parts(head, body)
}

/// Converts a response. One without messages has its status in the headers, as in gRPC.
pub fn response(response: http::Response<Body>, codec: &Codec, is_text: bool) -> http::Response<Body> {
    let (mut head, body) = response.into_parts();
    let text = if is_text { "-text" } else { "" };
    if let Ok(value) = HeaderValue::try_from(format!("application/grpc-web{text}+{}", codec.name())) {
        head.headers.insert(CONTENT_TYPE, value);
    }
    let body = match head.headers.contains_key("grpc-status") {
        true => body,
        false => Body::new(StreamBody::new(body, if is_text { TEXT } else { BINARY })),
    };
    http::Response::from_parts(head, body)
}

/// The frames of gRPC, and the trailers as the last one.
const BINARY: StreamForm = StreamForm { data: |_, data| Some(data), end: |trailers| Some(trailers_frame(trailers)) };

/// The same in base64.
const TEXT: StreamForm = StreamForm {
    data: |_, data| Some(BASE64_STANDARD.encode(data).into()),
    end: |trailers| Some(BASE64_STANDARD.encode(trailers_frame(trailers)).into()),
};

/// The last frame of a body: the trailers as the lines of a header block.
fn trailers_frame(trailers: &HeaderMap) -> Bytes {
    let mut lines = Vec::new();
    for (name, value) in trailers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    framed(TRAILERS, &lines)
}

/// A body in base64. Clients may send several texts with padding one after the other.
struct TextBody {
    body: Body,
    /// Up to three letters that are no whole group yet.
    rest: Vec<u8>,
}

impl TextBody {
    fn decode(&mut self, data: &[u8]) -> Result<Bytes, Status> {
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(data);
        self.rest = text.split_off(text.len() / 4 * 4);
        let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
        // Padding ends a text, so that each group that ends with it ends a part.
        for part in text.split_inclusive(|&letter| letter == b'=') {
            if part != b"=" {
                let padded = part.len().next_multiple_of(4) - part.len();
                let part = [part, &b"=="[..padded.min(2)]].concat();
                BASE64_STANDARD.decode_vec(part, &mut decoded).map_err(|_| not_base64())?;
            }
        }
        Ok(decoded.into())
    }
}

fn not_base64() -> Status {
    malformed("the body is not base64")
}

impl http_body::Body for TextBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Poll::Ready(Some(self.decode(&data).map(Frame::data))),
                Err(frame) => Poll::Ready(Some(Ok(frame))),
            },
            None if !self.rest.is_empty() => {
                self.rest.clear();
                Poll::Ready(Some(Err(not_base64())))
            }
            end => Poll::Ready(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_in_pieces_of_any_size() {
        let parts: [&[u8]; 5] = [&[0, 0, 0, 0, 7], b"a", b"bc", b"def", &[255; 100]];
        let text: String = parts.iter().map(|part| BASE64_STANDARD.encode(part)).collect();
        for size in 1..=text.len() {
            let mut body = TextBody { body: Body::empty(), rest: Vec::new() };
            let pieces = text.as_bytes().chunks(size);
            let decoded: Vec<u8> = pieces.flat_map(|piece| body.decode(piece).unwrap()).collect();
            assert_eq!(decoded, parts.concat(), "{size}");
            assert!(body.rest.is_empty());
        }
        let mut body = TextBody { body: Body::empty(), rest: Vec::new() };
        assert!(body.decode(b"!!!!").is_err() && body.decode(b"A===").is_err());
    }

    #[test]
    fn trailers_are_a_frame_of_lines() {
        let trailers = HeaderMap::from_iter([
            (http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0")),
            (http::HeaderName::from_static("a"), HeaderValue::from_static("b")),
        ]);
        let frame = trailers_frame(&trailers);
        assert_eq!((frame[0], &frame[1..5]), (0x80, &[0, 0, 0, 22][..]));
        assert_eq!(&frame[5..], b"grpc-status: 0\r\na: b\r\n");
    }
}
