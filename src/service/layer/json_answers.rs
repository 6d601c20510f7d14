//! Converts the messages of responses to JSON, for the calls whose messages are JSON (`service::message_form`). It is
//! inside of `admission`: the work is a part of the call, and the bytes that wait to be sent are those of the JSON.

use std::{
    io::Write,
    pin::Pin,
    task::{Context, Poll, ready},
};

use flate2::write::GzEncoder;
use futures_util::future::{Either, FutureExt, Map};
use http_body::Frame;
use prost::bytes::{BufMut, BytesMut};
use prost_reflect::MessageDescriptor;
use tonic::{
    Status,
    body::Body,
    codegen::{
        Bytes,
        http::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use tower::Service;

use crate::{
    json::from_wire,
    service::{
        http::frames::{COMPRESSED, Messages, prefix},
        message_form::MessageForm,
        status::defect,
    },
};

const ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Level of zstd, which is the default of the library.
const ZSTD_LEVEL: i32 = 3;

/// Converts the responses of a service.
#[derive(Debug, Clone)]
pub struct JsonAnswers<S>(S);

impl<S> JsonAnswers<S> {
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

/// A compression of responses.
#[derive(Debug, Clone, Copy)]
enum AnswerCompression {
    Gzip,
    Zstd,
}

impl AnswerCompression {
    /// The first that the client accepts.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let list = headers.get(ACCEPT)?.to_str().ok()?;
        list.split(',').find_map(|name| match name.trim() {
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        })
    }

    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }

    fn compress(self, text: &[u8]) -> Result<Vec<u8>, Status> {
        let compressed = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(text).and_then(|()| encoder.finish())
            }
            Self::Zstd => zstd::encode_all(text, ZSTD_LEVEL),
        };
        // Writing to memory does not fail.
        compressed.map_err(|_| defect())
    }
}

type Answered<S, E> =
    Map<S, Box<dyn FnOnce(Result<http::Response<Body>, E>) -> Result<http::Response<Body>, E> + Send>>;

impl<S> Service<http::Request<Body>> for JsonAnswers<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Answered<S::Future, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let form = request.extensions().get::<MessageForm>();
        let Some(types) = form.and_then(|form| form.json.clone()) else {
            return Either::Left(self.0.call(request));
        };
        let compression = AnswerCompression::accepted(request.headers());
        request.headers_mut().remove(ACCEPT);
        let convert = move |response: Result<http::Response<Body>, S::Error>| {
            let mut response = response?;
            if response.headers().contains_key("grpc-status") {
                return Ok(response);
            }
            if let Some(compression) = compression {
                response.headers_mut().insert(ENCODING, compression.name());
            }
            let of = types.response;
            Ok(response.map(|body| Body::new(JsonBody { body, of, compression, messages: Messages::default() })))
        };
        Either::Right(self.0.call(request).map(Box::new(convert)))
    }
}

/// A body whose messages are converted.
struct JsonBody {
    body: Body,
    of: MessageDescriptor,
    compression: Option<AnswerCompression>,
    messages: Messages,
}

impl JsonBody {
    /// Converts the messages that are there as a whole. Empty if there are none.
    fn converted(&mut self) -> Result<Bytes, Status> {
        let (mut out, mut json) = (BytesMut::new(), Vec::new());
        while let Some((_, message)) = self.messages.take() {
            json.clear();
            from_wire(&message, &self.of, &mut json).map_err(|malformed| {
                tracing::error!(%malformed, message = self.of.full_name(), "a response is not converted to JSON");
                defect()
            })?;
            let (flags, text) = match self.compression {
                Some(compression) => (COMPRESSED, &compression.compress(&json)?),
                None => (0, &json),
            };
            out.put_slice(&prefix(flags, text.len()));
            out.put_slice(text);
        }
        Ok(out.freeze())
    }
}

impl http_body::Body for JsonBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.messages.push(data),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
            match self.converted() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
        }
    }
}
