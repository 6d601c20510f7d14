//! The hostile caller's HTTP/2 connections, and calls whose messages stop, trickle or are never read.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    time::Duration,
};

use futures_util::{Stream, StreamExt, future, stream};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    client::conn::http2::{self, SendRequest},
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Mutex,
    time::{sleep, timeout},
};
use tonic::{Code, body::Body, codegen::http};

use super::attack::Attack;

/// The client's receive window of a stream: it fills soon if nobody reads.
const STREAM_WINDOW: u32 = 65_535;
/// The chunk in which a large body is sent.
const CHUNK: usize = 64 * 1024;
/// Messages that are sent together in an endless stream.
const MESSAGES_OF_A_FRAME: usize = 64;
/// The pause between two bytes of a body that trickles.
const TRICKLE_PAUSE: Duration = Duration::from_millis(100);
/// The pause before a connection that the service has closed is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// Six bytes that announce a message of 200.
const STOPPED: Bytes = Bytes::from_static(&[0, 0, 0, 0, 200, 10]);

/// A call, and how the caller behaves during it.
pub struct Call {
    /// The method, such as `/readout.v1.MeetingService/GetMeeting`.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
    /// The time after which the caller resets the call; `None`: never.
    pub patience: Option<Duration>,
    /// False if the caller reads nothing after the head of the answer.
    pub is_read: bool,
}

impl Call {
    pub fn new(path: &str, body: Body) -> Self {
        Self { path: path.to_owned(), headers: Vec::new(), body, patience: None, is_read: true }
    }

    pub fn with_token(self, token: &str) -> Self {
        self.with_header("authorization", format!("Bearer {token}"))
    }

    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn given_up_after(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    pub fn unread(self) -> Self {
        Self { is_read: false, ..self }
    }
}

/// A whole request of one message.
pub fn whole(message: &[u8]) -> Body {
    body(stream::once(future::ready(framed(message))))
}

/// Whole messages, after which the stream of requests stays open.
pub fn open_after(messages: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Body {
    body(stream::iter(messages).map(|message| framed(&message)).chain(stream::pending()))
}

/// Whole messages, and the first bytes of a next one that stops.
pub fn open_in_message(messages: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Body {
    let whole = stream::iter(messages).map(|message| framed(&message));
    body(whole.chain(stream::once(future::ready(STOPPED))).chain(stream::pending()))
}

/// Messages without an end. The next ones are made when the service takes those before. Some are sent together, because
/// the service closes a connection with very many small frames.
pub fn endless(messages: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Body {
    let framed = stream::iter(messages).map(|message| framed(&message));
    body(framed.ready_chunks(MESSAGES_OF_A_FRAME).map(|messages| messages.concat().into()))
}

/// The first bytes of a request that stops.
pub fn unfinished() -> Body {
    open_in_message([])
}

/// A message of this length: all but its last kilobyte as fast as the service takes it, then a byte at a time.
pub fn trickling(length: usize) -> Body {
    let mut head = vec![0];
    head.extend(u32::try_from(length).expect("a length").to_be_bytes());
    // A field of the length that is left, so that the bytes could be a message.
    head.push(0x0a);
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = (length - 1_024) / CHUNK;
    let fast = stream::once(future::ready(Bytes::from(head))).chain(stream::iter(vec![chunk; chunks]));
    let slow = stream::unfold((), async |()| {
        sleep(TRICKLE_PAUSE).await;
        Some((Bytes::from_static(b"x"), ()))
    });
    body(fast.chain(slow))
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("below 4 GiB").to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

fn body(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    Body::new(StreamBody::new(chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)))))
}

/// A connection that is opened at first use, and again after its end.
pub struct Connection {
    attack: Attack,
    sender: Mutex<Option<SendRequest<Body>>>,
}

impl Connection {
    pub fn new(attack: Attack) -> Self {
        Self { attack, sender: Mutex::new(None) }
    }

    /// Makes a call and returns its outcome, for the tally.
    pub async fn call(&self, call: Call) -> String {
        match call.patience {
            Some(patience) => match timeout(patience, self.finish(call)).await {
                Ok(outcome) => outcome,
                Err(_) => "given up".to_owned(),
            },
            None => self.finish(call).await,
        }
    }

    async fn finish(&self, call: Call) -> String {
        let Ok(mut sender) = self.sender().await else {
            sleep(RECONNECT_PAUSE).await;
            return "no connection".to_owned();
        };
        let url = format!("http://{}{}", self.attack.target.address, call.path);
        let mut request = http::Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        match sender.send_request(request.body(call.body).expect("a request")).await {
            Ok(response) if call.is_read => outcome(response).await,
            Ok(response) if response.body().is_end_stream() => outcome(response).await,
            Ok(response) => {
                let _unread = response;
                future::pending().await
            }
            Err(_) => {
                sleep(RECONNECT_PAUSE).await;
                "reset".to_owned()
            }
        }
    }

    async fn sender(&self) -> io::Result<SendRequest<Body>> {
        let mut sender = self.sender.lock().await;
        if let Some(open) = sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(open.clone());
        }
        let stream = connect(self.attack.target.address, self.attack.source).await?;
        let mut builder = http2::Builder::new(AttackExecutor(self.attack.clone()));
        builder.initial_stream_window_size(STREAM_WINDOW);
        let (opened, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        self.attack.spawn(async move {
            let _ = connection.await;
        });
        *sender = Some(opened.clone());
        Ok(opened)
    }
}

/// Runs the tasks of a connection as tasks of the attack. Others would keep the connection open after its end.
#[derive(Clone)]
struct AttackExecutor(Attack);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for AttackExecutor {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Opens a connection from this loopback address.
pub async fn connect(address: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(address).await
}

/// Reads an answer to its end and returns its status code.
async fn outcome(response: http::Response<hyper::body::Incoming>) -> String {
    let code = |headers: &http::HeaderMap| {
        let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
        Some(format!("{:?}", Code::from_i32(code)))
    };
    if let Some(code) = code(response.headers()) {
        return code;
    }
    if !response.status().is_success() {
        return format!("HTTP {}", response.status().as_u16());
    }
    let mut body = pin!(response.into_body());
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_trailers) {
            Ok(Ok(trailers)) => return code(&trailers).unwrap_or_else(|| "no status".to_owned()),
            Ok(Err(_)) => {}
            Err(_) => break,
        }
    }
    "reset".to_owned()
}
