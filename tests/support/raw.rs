//! Calls below the generated clients: any bytes as a message, any bytes as the body of an HTTP request.

use std::{net::SocketAddr, pin::pin};

use http_body::Frame;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::{
    Message,
    bytes::{Buf, BufMut},
};
use tokio::net::TcpStream;
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

/// Passes messages as raw bytes.
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
    client.ready().await.expect("the service listens");
    Ok(client.unary(Request::new(message), path(method), Bytes).await?.into_inner())
}

/// Calls a bidirectional streaming method.
pub async fn stream(channel: &Channel, method: &str, messages: Vec<Vec<u8>>) -> Result<Streaming<Vec<u8>>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("the service listens");
    let messages = Request::new(tokio_stream::iter(messages));
    Ok(client.streaming(messages, path(method), Bytes).await?.into_inner())
}

/// Posts a body unchanged. Returns the headers and trailers of the response together.
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
    std::future::poll_fn(|context| channel.poll_ready(context)).await.expect("the service listens");
    let (head, body) = channel.call(request).await.expect("an answer").into_parts();
    let mut received = head.headers;
    let mut body = pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        if let Ok(trailers) = frame.expect("a whole answer").into_trailers() {
            received.extend(trailers);
        }
    }
    received
}

/// Posts an empty message with a client that has no timeout. Returns the headers of the response.
pub async fn ask(address: SocketAddr, method: &str, headers: &[(&'static str, &str)]) -> HeaderMap {
    let stream = TcpStream::connect(address).await.expect("the service listens");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    let url = format!("http://{address}/{method}");
    let mut request = http::Request::post(url).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<prost::bytes::Bytes>::from(vec![0; 5])).expect("a request");
    client.send_request(request).await.expect("an answer").into_parts().0.headers
}

/// Calls a method and returns the response body after its first data frame. The rest is not read.
pub async fn begin(mut channel: Channel, method: &str, message: &impl Message) -> Body {
    let mut framed = vec![0];
    framed.put_u32(message.encoded_len() as u32); // far below 4 GiB
    message.encode(&mut framed).expect("the buffer grows");
    let request = http::Request::post(path(method).as_str()).header("content-type", "application/grpc");
    let request = request.body(Body::new(Full::<prost::bytes::Bytes>::from(framed))).expect("a request");
    std::future::poll_fn(|context| channel.poll_ready(context)).await.expect("the service listens");
    let mut body = channel.call(request).await.expect("an answer").into_body();
    assert!(frame(&mut body).await.is_some_and(|frame| frame.is_ok_and(|frame| frame.is_data())));
    body
}

/// Calls a method without ever sending the request message.
pub async fn hesitant(channel: Channel, method: &'static str) {
    let mut client = Grpc::new(channel);
    client.ready().await.expect("the service listens");
    let never = Request::new(futures_util::stream::pending::<Vec<u8>>());
    let _ = client.client_streaming(never, path(method), Bytes).await;
}

/// The next frame of a body.
pub async fn frame(body: &mut Body) -> Option<Result<Frame<prost::bytes::Bytes>, Status>> {
    std::future::poll_fn(|context| pin!(&mut *body).poll_frame(context)).await
}

fn path(method: &str) -> PathAndQuery {
    PathAndQuery::try_from(format!("/{method}")).expect("a path")
}
