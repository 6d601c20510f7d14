//! Calls below the generated clients: any bytes as a message, any bytes as the body of an HTTP request.

use std::pin::pin;

use http_body::Frame;
use http_body_util::Full;
use prost::{
    Message,
    bytes::{Buf, BufMut},
};
use tonic::{
    Request, Status,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming},
    codegen::{
        Body as _, Service,
        http::{self, HeaderMap, uri::PathAndQuery},
    },
    transport::Channel,
};

/// Messages as they stand on the wire.
#[derive(Clone, Copy, Default)]
pub struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining()).into()))
    }
}

/// Calls a method such as `readout.v1.ArticleService/GetArticle`.
pub async fn unary(channel: &Channel, method: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("it listens");
    Ok(client.unary(Request::new(message), path(method), Bytes).await?.into_inner())
}

/// Calls a method that takes and answers a stream.
pub async fn stream(channel: &Channel, method: &str, messages: Vec<Vec<u8>>) -> Result<Streaming<Vec<u8>>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("it listens");
    let messages = Request::new(tokio_stream::iter(messages));
    Ok(client.streaming(messages, path(method), Bytes).await?.into_inner())
}

/// Posts a body as it is; answers the headers and trailers of the response together.
pub async fn post(
    mut channel: Channel,
    method: &str,
    headers: &[(&'static str, &str)],
    body: impl Into<prost::bytes::Bytes>,
) -> HeaderMap {
    let mut request = http::Request::post(path(method).as_str()).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(tonic::body::Body::new(Full::new(body.into()))).expect("a request");
    std::future::poll_fn(|context| channel.poll_ready(context)).await.expect("it listens");
    let (head, body) = channel.call(request).await.expect("an answer").into_parts();
    let mut answered = head.headers;
    let mut body = pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        if let Ok(trailers) = frame.expect("a whole answer").into_trailers() {
            answered.extend(trailers);
        }
    }
    answered
}

/// Calls a method, and answers the body of the response once something of it has come. Nobody reads on by themselves.
pub async fn begin(mut channel: Channel, method: &str, message: &impl Message) -> Body {
    let mut framed = vec![0];
    framed.put_u32(message.encoded_len() as u32); // a small one
    message.encode(&mut framed).expect("it grows");
    let request = http::Request::post(path(method).as_str()).header("content-type", "application/grpc");
    let request = request.body(Body::new(String::from_utf8(framed).expect("of small numbers"))).expect("a request");
    std::future::poll_fn(|context| channel.poll_ready(context)).await.expect("it listens");
    let mut body = channel.call(request).await.expect("an answer").into_body();
    assert!(frame(&mut body).await.is_some_and(|frame| frame.is_ok_and(|frame| frame.is_data())));
    body
}

/// What comes next of a body.
pub async fn frame(body: &mut Body) -> Option<Result<Frame<prost::bytes::Bytes>, Status>> {
    std::future::poll_fn(|context| pin!(&mut *body).poll_frame(context)).await
}

fn path(method: &str) -> PathAndQuery {
    PathAndQuery::try_from(format!("/{method}")).expect("a path")
}
