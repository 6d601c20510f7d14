//! Requests of HTTP/1.1 and HTTP/2, with any headers and body.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::bytes::Bytes;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tonic::codegen::http::{HeaderMap, Method, Request, Response, StatusCode, Version};

/// Both versions.
pub const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// A header of the response; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The messages of the body and their flags.
    pub fn envelopes(&self) -> Vec<(u8, Vec<u8>)> {
        let (mut envelopes, mut rest) = (Vec::new(), self.body.as_slice());
        while let Some(([flags, length @ ..], after)) = rest.split_first_chunk::<5>() {
            let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            envelopes.push((*flags, message.to_vec()));
            rest = after;
        }
        assert!(rest.is_empty(), "the body ends within an envelope");
        envelopes
    }
}

/// A message in an envelope.
pub fn envelope(flags: u8, message: impl AsRef<[u8]>) -> Vec<u8> {
    let message = message.as_ref();
    [&[flags], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// Sends a request over a connection of its own, and returns the response with its body to come.
pub async fn begin(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    version: Version,
    mut request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let io = TokioIo::new(stream);
    match version {
        Version::HTTP_2 => {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
            let (mut client, connection) = handshake.await.expect("HTTP/2");
            tokio::spawn(connection);
            client.send_request(request).await.expect("an answer")
        }
        _ => {
            if let Some(authority) = request.uri().authority().cloned() {
                let host = authority.as_str().parse().expect("a header");
                request.headers_mut().entry("host").or_insert(host);
                let path = request.uri().path_and_query().expect("a path").as_str().to_owned();
                *request.uri_mut() = path.parse().expect("a path");
            }
            let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            client.send_request(request).await.expect("an answer")
        }
    }
}

/// Makes a request.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).expect("a request")
}

/// Sends a request over a connection of its own, and reads the whole response.
pub async fn send(
    address: SocketAddr,
    version: Version,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let stream = TcpStream::connect(address).await.expect("the service listens");
    whole(begin(stream, version, request(address, method, path, headers, body)).await).await
}

/// Reads a whole response.
pub async fn whole(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

/// Posts JSON.
pub async fn post_json(address: SocketAddr, version: Version, path: &str, json: impl Into<Bytes>) -> Answer {
    send(address, version, "POST", path, &[("content-type", "application/json")], json).await
}
