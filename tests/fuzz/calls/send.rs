//! Sends any bytes as a call, and reads the answer to its end.

use std::{fmt, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::{Message, bytes::Bytes};
use readout::pb::{IngestStoriesResponse, ingest_stories_response::Outcome};
use tokio::net::TcpStream;
use tonic::{
    Code, Status,
    codegen::http::{self, HeaderMap, HeaderValue},
};
use tonic_types::StatusExt;

/// The time in which a call must be answered.
const DEADLINE: Duration = Duration::from_secs(10);
/// The time that a stream without an end is read.
const WATCH: Duration = Duration::from_millis(100);

/// A call: its headers, and its body with all frames.
pub struct Request {
    pub method: &'static str,
    pub headers: Vec<(&'static str, HeaderValue)>,
    pub body: Vec<u8>,
    pub actor: String,
    /// True for a stream that does not end by itself.
    pub is_endless: bool,
}

/// The answer to a call.
pub enum Answer {
    Status {
        code: Code,
        has_reason: bool,
        message: String,
        /// The position of the write, if the call wrote.
        position: Option<String>,
        /// The outcomes of the stories of a stream.
        stories: Vec<Code>,
    },
    /// An answer of HTTP, without a status of gRPC.
    Http(u16),
    /// The connection ended.
    Cut(String),
    Hang,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, message, stories, .. } => write!(f, "{code:?} {stories:?}: {message}"),
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Cut(problem) => write!(f, "cut: {problem}"),
            Self::Hang => write!(f, "no answer"),
        }
    }
}

/// A connection of a client that has no rules of its own: tonic's would end calls by their `grpc-timeout` itself.
pub struct Connection {
    address: SocketAddr,
    client: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the service listens");
        let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self { address, client }
    }

    /// Makes a call. Opens another connection if this one has ended.
    pub async fn send(&mut self, request: &Request) -> Answer {
        let answer = match tokio::time::timeout(DEADLINE, self.exchange(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => Answer::Cut(problem),
            Err(_) => Answer::Hang,
        };
        if matches!(answer, Answer::Cut(_) | Answer::Hang) {
            *self = Self::open(self.address).await;
        }
        answer
    }

    async fn exchange(&mut self, request: &Request) -> Result<Answer, String> {
        let mut http = http::Request::post(format!("http://{}/readout.v1.{}", self.address, request.method));
        let headers = http.headers_mut().ok_or("no headers")?;
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        for (name, value) in &request.headers {
            match *name {
                "content-type" => drop(headers.insert(*name, value.clone())),
                name => drop(headers.append(name, value.clone())),
            }
        }
        let http = http.body(Full::from(request.body.clone())).map_err(|error| error.to_string())?;
        self.client.ready().await.map_err(|error| format!("{error:?}"))?;
        let (head, mut body) = self.client.send_request(http).await.map_err(|error| format!("{error:?}"))?.into_parts();
        let mut received = head.headers;
        let mut data = Vec::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                match frame.map_err(|error| format!("{error:?}"))?.into_data() {
                    Ok(part) => data.extend_from_slice(&part),
                    Err(frame) => received.extend(frame.into_trailers().unwrap_or_default()),
                }
            }
            Ok::<(), String>(())
        };
        if !request.is_endless {
            read.await?;
        } else if let Ok(read) = tokio::time::timeout(WATCH, read).await {
            read?;
        }
        let stories = if request.method.ends_with("/IngestStories") { outcomes(&data) } else { Vec::new() };
        Ok(answer(head.status.as_u16(), &received, request.is_endless, stories))
    }
}

/// The outcomes in the messages of a stream, as far as they are not compressed.
fn outcomes(mut data: &[u8]) -> Vec<Code> {
    let mut outcomes = Vec::new();
    while let Some((head, rest)) = data.split_at_checked(5) {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let Some((message, rest)) = rest.split_at_checked(length as usize) else { break };
        data = rest;
        if head[0] == 0 {
            let response = IngestStoriesResponse::decode(message).expect("a message of the contract");
            outcomes.push(match response.outcome.expect("an outcome") {
                Outcome::Result(_) => Code::Ok,
                Outcome::Status(status) => Code::from_i32(status.code),
            });
        }
    }
    outcomes
}

fn answer(http_status: u16, received: &HeaderMap, is_endless: bool, stories: Vec<Code>) -> Answer {
    let status = match Status::from_header_map(received) {
        Some(status) => status,
        None if is_endless && http_status == 200 => Status::ok(""),
        None => return Answer::Http(http_status),
    };
    let position = received.get("readout-position").and_then(|position| position.to_str().ok());
    Answer::Status {
        code: status.code(),
        has_reason: status.get_details_error_info().is_some_and(|info| info.domain == "readout.v1"),
        message: status.message().to_owned(),
        position: position.map(str::to_owned),
        stories,
    }
}
