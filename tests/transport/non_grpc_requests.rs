//! HTTP/2 requests that are no calls.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::bytes::Bytes;
use readout::pb::ErrorReason;
use tokio::net::TcpStream;
use tonic::{
    Code, Status,
    codegen::http::{HeaderMap, Method, Request, StatusCode},
};

use super::serve;
use crate::support::Refused;

const GET: &str = "readout.v1.ArticleService/GetArticle";

/// An HTTP response.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn request(address: SocketAddr, method: &str, path: &str, content_type: Option<&str>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("the service listens");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = Request::builder().method(method).uri(format!("http://{address}/{path}"));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let request = request.body(Full::<Bytes>::from(vec![0; 5])).expect("a request");
    let (head, body) = client.send_request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    let body = String::from_utf8(body.to_vec()).expect("text");
    Answer { status: head.status, headers: head.headers, body }
}

#[track_caller]
fn assert_names_the_protocol(answer: &Answer) {
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    for word in ["gRPC over HTTP/2", "grpcurl", "README"] {
        assert!(answer.body.contains(word), "{:?}", answer.body);
    }
}

#[tokio::test]
async fn content_type_of_another_protocol_is_refused_with_415() {
    let service = serve(Default::default()).await;
    for content_type in [
        None,
        Some(""),
        Some("application/connect"),
        Some("application/connect+cbor"),
        Some("application/grpcx"),
        Some("text/html; charset=utf-8"),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        for path in [GET, "grpc.health.v1.Health/Check", "nothing/here", ""] {
            let answer = request(service.address, "POST", path, content_type).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type:?} {path}");
            let accepted = answer.headers["accept-post"].to_str().expect("text");
            assert!(accepted.starts_with("application/json, application/proto"), "{accepted}");
            assert!(!answer.headers.contains_key("grpc-status"));
            assert_names_the_protocol(&answer);
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn grpc_content_type_is_accepted_with_a_suffix_and_parameters() {
    let service = serve(Default::default()).await;
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;a=b", "Application/GRPC+Proto"]
    {
        let answer = request(service.address, "POST", GET, Some(content_type)).await;
        assert_eq!(answer.status, StatusCode::OK, "{content_type}");
        let status = Status::from_header_map(&answer.headers).expect("a status");
        assert_eq!(Refused::from(status), Refused::invalid(["name"]), "{content_type}");
    }
    service.stop().await;
}

/// These are gRPC calls, whose clients expect a gRPC status.
#[tokio::test]
async fn message_encoding_other_than_proto_and_json_is_refused_with_a_grpc_status() {
    let service = serve(Default::default()).await;
    for content_type in ["application/grpc+cbor", "application/grpc+thrift; a=b"] {
        let answer = request(service.address, "POST", GET, Some(content_type)).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""), "{content_type}");
        let status = Status::from_header_map(&answer.headers).expect("a status");
        assert!(status.message().contains("encoded as proto or json"), "{status}");
        assert_eq!(Refused::from(status), Refused::with(Code::InvalidArgument, ErrorReason::MalformedMessage));
    }
    service.stop().await;
}

#[tokio::test]
async fn method_other_than_get_and_post_is_refused_with_405() {
    let service = serve(Default::default()).await;
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FETCH"] {
        for content_type in [None, Some("application/grpc")] {
            let answer = request(service.address, method, GET, content_type).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(answer.headers["allow"], "GET, HEAD, POST");
            assert_names_the_protocol(&answer);
        }
    }
    service.stop().await;
}
