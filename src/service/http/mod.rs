//! The protocols of this port: gRPC, gRPC-Web and Connect, and the answers to all other requests of HTTP.
//!
//! Calls of gRPC-Web and Connect become calls of gRPC, and their responses are converted back, so that every limit, role
//! and error is decided once, in `layer`. Messages in JSON are converted within these layers (`message_form`,
//! `layer::json_answers`), where they are bounded. `guard` refuses foreign web pages, `rpc` has the methods.

mod connect;
pub mod cors;
pub mod frames;
mod grpc_web;
pub mod guard;
mod once;
mod openapi;
mod protocol;
pub mod rpc;
mod small_request;
mod stream_body;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    Status,
    body::Body,
    codegen::http::{
        self, HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode, Version,
        header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, UPGRADE},
    },
};
use tower::Service;

use self::{
    connect::{error::error_response, get, headers, lines_response, stream_response, unary_response},
    guard::Guard,
    once::Once,
    protocol::{CallProtocol, Codec},
    rpc::Rpc,
    small_request::SmallRequest,
};
use super::{
    layer::{error_details::encode, header_limit},
    message_form::MessageForm,
    status::{host_not_allowed, malformed, needs_http2},
};
use crate::model::text::quoted::quoted;

/// The body of the response to a request that is no call.
pub const PORT_SPEAKS: &str = concat!(
    "This port speaks gRPC over HTTP/2, gRPC-Web and Connect: try `grpcurl -plaintext HOST:PORT list` (without \
     -plaintext over TLS), or\n",
    "curl -d '{}' -H 'content-type: application/json' http://HOST:PORT/readout.v1.MeetingService/ListMeetings\n",
    "README says more: ",
    env!("CARGO_PKG_REPOSITORY"),
    "#readme\n"
);

/// The content type of gRPC.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The header that lists the content types which POST may have.
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// Serves the protocols on a service of gRPC.
#[derive(Debug, Clone)]
pub struct Http<S> {
    grpc: S,
    guard: Arc<Guard>,
}

impl<S> Http<S> {
    /// Wraps a service of gRPC.
    pub fn new(grpc: S, guard: Guard) -> Self {
        Self { grpc, guard: Arc::new(guard) }
    }
}

/// The form of the response to a call.
enum Answer {
    Grpc(Codec),
    GrpcWeb(Codec, bool),
    Unary(Codec),
    Stream(Codec),
    Lines,
}

/// A request after its conversion: a call of gRPC, or the answer to one that is none.
enum Routed {
    Call(Box<http::Request<Body>>, Answer),
    Answered(http::Response<Body>),
}

impl<S> Service<http::Request<Body>> for Http<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.grpc.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let is_head = request.method() == HttpMethod::HEAD;
        let converted = match self.guard.refusal(&request) {
            Some(reason) => Routed::Answered(forbidden(&request, &reason)),
            None => convert(request),
        };
        match converted {
            Routed::Call(request, Answer::Grpc(Codec::Proto)) => Box::pin(self.grpc.call(*request)),
            Routed::Call(request, answer) => {
                let response = self.grpc.call(*request);
                Box::pin(async move {
                    let response = answer.form(response.await?).await;
                    Ok(if is_head { without_body(response) } else { response })
                })
            }
            Routed::Answered(response) => {
                tracing::debug!(status = %response.status(), "not a call");
                Box::pin(async move { Ok(if is_head { without_body(response) } else { response }) })
            }
        }
    }
}

impl Answer {
    /// Converts a response of gRPC to this form.
    async fn form(self, mut response: http::Response<Body>) -> http::Response<Body> {
        match self {
            Self::Grpc(codec) => {
                if let Ok(value) = HeaderValue::try_from(format!("application/grpc+{}", codec.name())) {
                    response.headers_mut().insert(CONTENT_TYPE, value);
                }
                response
            }
            Self::GrpcWeb(codec, is_text) => grpc_web::response(response, &codec, is_text),
            Self::Unary(codec) => unary_response(response, &codec).await,
            Self::Stream(codec) => stream_response(response, &codec),
            Self::Lines => lines_response(response),
        }
    }

    /// The answer to a request that is refused here, in this form.
    fn refused(&self, status: Status) -> http::Response<Body> {
        match self {
            Self::Unary(_) | Self::Lines => error_response(&status, &HeaderMap::new(), &HeaderMap::new()),
            Self::Stream(codec) => stream_response(status.into_http(), codec),
            Self::Grpc(_) | Self::GrpcWeb(..) => {
                let mut response = status.into_http();
                encode(response.headers_mut());
                match self {
                    Self::GrpcWeb(codec, is_text) => grpc_web::response(response, codec, *is_text),
                    _ => response,
                }
            }
        }
    }
}

/// Converts a request.
fn convert(request: http::Request<Body>) -> Routed {
    let spoken = protocol::spoken(request.headers());
    // A request with too large headers has lost them. Its call is refused in the layers.
    let is_marked = header_limit::is_marked(&request);
    let rpc = Rpc::of(request.uri().path());
    match (request.method(), spoken) {
        (&HttpMethod::POST, Some((protocol, codec))) => call(request, protocol, codec, rpc),
        (&HttpMethod::POST, None) => {
            let mut response = text(StatusCode::UNSUPPORTED_MEDIA_TYPE, PORT_SPEAKS);
            response.headers_mut().insert(ACCEPT_POST, protocol::ACCEPTED);
            Routed::Answered(response)
        }
        (&HttpMethod::GET | &HttpMethod::HEAD, _) if is_marked => {
            let (mut head, _) = request.into_parts();
            head.method = HttpMethod::POST;
            let request = http::Request::from_parts(head, Body::empty());
            call(request, CallProtocol::ConnectUnary, Codec::Json, None)
        }
        (&HttpMethod::GET | &HttpMethod::HEAD, _) => match rpc {
            Some(rpc) if rpc.allows_get() => match get::to_post(request) {
                Ok((request, codec)) => call(request, CallProtocol::ConnectUnary, codec, Some(rpc)),
                Err(status) => Routed::Answered(Answer::Unary(Codec::Json).refused(status)),
            },
            Some(_) => Routed::Answered(not_allowed(None)),
            None if request.uri().path() == openapi::PATH => {
                let mut response = http::Response::new(Body::new(Once::of(openapi::text())));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Routed::Answered(response)
            }
            None => Routed::Answered(text(StatusCode::NOT_FOUND, PORT_SPEAKS)),
        },
        _ => Routed::Answered(not_allowed(rpc)),
    }
}

/// Converts a call.
fn call(request: http::Request<Body>, protocol: CallProtocol, codec: Codec, rpc: Option<&'static Rpc>) -> Routed {
    let (is_stream, receives_stream) = rpc.map_or((false, false), |rpc| (rpc.sends_stream, rpc.receives_stream));
    let answer = match protocol {
        CallProtocol::Grpc => Answer::Grpc(codec.clone()),
        CallProtocol::GrpcWeb { is_text } => Answer::GrpcWeb(codec.clone(), is_text),
        // A stream of lines is no part of Connect: curl and scripts read it.
        CallProtocol::ConnectUnary if is_stream && !receives_stream && codec == Codec::Json => Answer::Lines,
        CallProtocol::ConnectUnary => Answer::Unary(codec.clone()),
        CallProtocol::ConnectStream => Answer::Stream(codec.clone()),
    };
    if let Codec::Other(name) = &codec {
        return unsupported_codec(name, &answer);
    }
    let is_http2 = request.version() > Version::HTTP_11;
    if protocol == CallProtocol::Grpc && !is_http2 {
        let mut response = text(StatusCode::UPGRADE_REQUIRED, PORT_SPEAKS);
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("HTTP/2.0"));
        return Routed::Answered(response);
    }
    // A unary call has a message in its body, a stream has messages in envelopes.
    let is_misplaced = match answer {
        Answer::Unary(_) => is_stream || receives_stream,
        Answer::Stream(_) => rpc.is_some() && !is_stream && !receives_stream,
        _ => false,
    };
    if is_misplaced {
        let mut response = text(StatusCode::UNSUPPORTED_MEDIA_TYPE, PORT_SPEAKS);
        let accepted = match answer {
            Answer::Unary(_) => "application/connect+json, application/connect+proto",
            _ => "application/json, application/proto",
        };
        response.headers_mut().insert(ACCEPT_POST, HeaderValue::from_static(accepted));
        return Routed::Answered(response);
    }
    if receives_stream && !is_http2 {
        return Routed::Answered(answer.refused(needs_http2()));
    }
    let (mut head, body) = request.into_parts();
    let converted = match protocol {
        CallProtocol::Grpc => {
            head.headers.insert(CONTENT_TYPE, GRPC);
            Ok(())
        }
        CallProtocol::GrpcWeb { .. } => Ok(()),
        CallProtocol::ConnectUnary => headers::to_grpc(&mut head.headers, false),
        CallProtocol::ConnectStream => headers::to_grpc(&mut head.headers, true),
    };
    if let Err(status) = converted {
        return Routed::Answered(answer.refused(status));
    }
    if let Answer::Lines = answer {
        // Lines are not compressed one by one.
        head.headers.remove("grpc-accept-encoding");
    }
    let form = MessageForm {
        json: rpc.filter(|_| codec == Codec::Json).map(|rpc| rpc.types.clone()),
        is_unframed: protocol == CallProtocol::ConnectUnary,
    };
    let mut request = http::Request::from_parts(head, body);
    if let CallProtocol::GrpcWeb { is_text } = protocol {
        request = grpc_web::to_grpc(request, is_text);
    }
    if form.json.is_some() || form.is_unframed {
        request.extensions_mut().insert(form.clone());
        if rpc.is_none_or(|rpc| !rpc.is_of_contract) {
            request = request.map(|body| Body::new(SmallRequest::new(body, form)));
        }
    }
    Routed::Call(Box::new(request), answer)
}

/// The response to a client with another encoding of messages.
fn unsupported_codec(name: &str, answer: &Answer) -> Routed {
    let problem = format!("messages are encoded as proto or json, not as {}", quoted(name));
    if let Answer::Stream(_) = answer {
        let mut response = text(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{problem}\n{PORT_SPEAKS}"));
        response.headers_mut().insert(ACCEPT_POST, protocol::ACCEPTED);
        return Routed::Answered(response);
    }
    Routed::Answered(answer.refused(malformed(&problem)))
}

/// The response to a request of a foreign web page.
fn forbidden(request: &http::Request<Body>, reason: &str) -> http::Response<Body> {
    let answer = match protocol::spoken(request.headers()) {
        Some((CallProtocol::Grpc, codec)) => Answer::Grpc(codec),
        Some((CallProtocol::GrpcWeb { is_text }, codec)) => Answer::GrpcWeb(codec, is_text),
        Some((CallProtocol::ConnectUnary | CallProtocol::ConnectStream, codec)) => Answer::Unary(codec),
        None => return text(StatusCode::FORBIDDEN, format!("{reason}\n")),
    };
    answer.refused(host_not_allowed(reason))
}

fn not_allowed(rpc: Option<&Rpc>) -> http::Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, PORT_SPEAKS);
    let allowed = if rpc.is_some_and(Rpc::allows_get) { "GET, HEAD, POST" } else { "POST" };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A response in plain text.
fn text(status: StatusCode, body: impl Into<String>) -> http::Response<Body> {
    let mut response = http::Response::new(Body::new(Once::of(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The response to HEAD: that to GET, with its length and without its body.
fn without_body(response: http::Response<Body>) -> http::Response<Body> {
    let length = http_body::Body::size_hint(response.body()).exact();
    let mut response = response.map(|_| Body::empty());
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}
