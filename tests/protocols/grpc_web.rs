//! Calls in gRPC-Web.

use base64::{Engine, prelude::BASE64_STANDARD};
use prost::Message;
use readout::pb::{GetParticipantRequest, Origin, Participant, WatchChangesRequest, watch_changes_request::Start};
use tonic::codegen::http::StatusCode;

use super::{GET_PARTICIPANT, LIST_PARTICIPANTS, WATCH_CHANGES};
use crate::support::{
    Service,
    http::{Answer, VERSIONS, envelope, send},
};

/// The message and the trailers of a response.
#[track_caller]
fn parts(answer: &Answer) -> (Vec<u8>, String) {
    let envelopes = answer.envelopes();
    let [(0, message), (0x80, trailers)] = envelopes.as_slice() else { panic!("{envelopes:?}") };
    (message.clone(), String::from_utf8(trailers.clone()).expect("text"))
}

#[tokio::test]
async fn call_is_answered_with_its_trailers_in_the_body() {
    let service = Service::start().await;
    let person = service.add_person("Kerim Veliyev").await.0.name;
    let proto = GetParticipantRequest { name: person.clone(), ..Default::default() }.encode_to_vec();
    for version in VERSIONS {
        for content_type in ["application/grpc-web", "application/grpc-web+proto"] {
            let (headers, body) = ([("content-type", content_type)], envelope(0, &proto));
            let answer = send(service.address, version, "POST", GET_PARTICIPANT, &headers, body).await;
            assert_eq!(answer.header("content-type"), "application/grpc-web+proto");
            let (message, trailers) = parts(&answer);
            assert_eq!(Participant::decode(message.as_slice()).unwrap().name, person);
            assert_eq!(trailers, "grpc-status: 0\r\n");
        }
        let headers = [("content-type", "application/grpc-web+json")];
        let body = envelope(0, format!(r#"{{"name": "{person}"}}"#));
        let answer = send(service.address, version, "POST", GET_PARTICIPANT, &headers, body).await;
        assert!(String::from_utf8(parts(&answer).0).unwrap().contains(r#""displayName":"Kerim Veliyev""#));
        let headers = [("content-type", "application/grpc-web-text")];
        let text = BASE64_STANDARD.encode(envelope(0, &proto));
        let mut answer = send(service.address, version, "POST", GET_PARTICIPANT, &headers, text).await;
        assert_eq!(answer.header("content-type"), "application/grpc-web-text+proto");
        let groups = answer.body.chunks(4);
        answer.body = groups.flat_map(|group| BASE64_STANDARD.decode(group).expect("base64")).collect();
        assert_eq!(Participant::decode(parts(&answer).0.as_slice()).unwrap().name, person);
    }
    service.stop().await;
}

#[tokio::test]
async fn errors_are_those_of_grpc() {
    let service = Service::start().await;
    for version in VERSIONS {
        for (content_type, body, code, reason) in [
            ("application/grpc-web", envelope(0, ""), "3", "INVALID_FIELD"),
            ("application/grpc-web", b"\0\0\0".to_vec(), "3", "MALFORMED_MESSAGE"),
            ("application/grpc-web-text", b"!!!!".to_vec(), "3", "MALFORMED_MESSAGE"),
            ("application/grpc-web-text", b"AAAAAA".to_vec(), "3", "MALFORMED_MESSAGE"),
            ("application/grpc-web+thrift", b"".to_vec(), "3", "MALFORMED_MESSAGE"),
        ] {
            let headers = [("content-type", content_type)];
            let answer = send(service.address, version, "POST", GET_PARTICIPANT, &headers, body).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("grpc-status"), code, "{content_type} {:?}", answer);
            assert!(answer.header("grpc-message").starts_with(reason), "{}", answer.header("grpc-message"));
        }
        let watch = WatchChangesRequest { start: Some(Start::Origin(Origin::Now.into())), ..Default::default() };
        let watch = watch.encode_to_vec();
        let headers = [("content-type", "application/grpc-web"), ("grpc-timeout", "300m")];
        let answer = send(service.address, version, "POST", WATCH_CHANGES, &headers, envelope(0, watch)).await;
        let (_, trailers) = answer.envelopes().pop().expect("the trailers");
        assert!(String::from_utf8(trailers).unwrap().contains("grpc-status: 4\r\n"));
        let headers = [("content-type", "application/grpc-web"), ("grpc-accept-encoding", "gzip")];
        let answer = send(service.address, version, "POST", LIST_PARTICIPANTS, &headers, envelope(0, "")).await;
        assert_eq!((answer.header("grpc-encoding"), answer.envelopes()[0].0), ("gzip", 1));
    }
    service.stop().await;
}
