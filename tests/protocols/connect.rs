//! Unary calls in Connect.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use prost::Message;
use readout::{
    config,
    pb::{GetParticipantRequest, ListParticipantsResponse, Participant},
};
use serde_json::{Value, json};
use tonic::codegen::http::{StatusCode, Version};

use super::{CREATE_PARTICIPANT, GET_PARTICIPANT, LIST_MEETINGS, LIST_PARTICIPANTS};
use crate::support::{
    Service, cluster,
    http::{Answer, VERSIONS, post_json, send},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTO: (&str, &str) = ("content-type", "application/proto");

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text).expect("gzip");
    text
}

/// Checks an error: its HTTP status, code and reason. Returns its message.
#[track_caller]
fn error(answer: &Answer, status: u16, code: &str, reason: &str) -> String {
    let error = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{error}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((error["code"].as_str(), error["reason"].as_str()), (Some(code), Some(reason)), "{error}");
    assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
    assert_eq!(error["details"][0]["debug"]["reason"], reason);
    error["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn json_call_writes_and_reads_records() {
    let service = Service::start().await;
    for version in VERSIONS {
        let body = r#"{"participant": {"kind": "PERSON", "displayName": "Kerim Veliyev", "labels": {"a": "b"}}}"#;
        let created = post_json(service.address, version, CREATE_PARTICIPANT, body).await;
        assert_eq!((created.status, created.header("content-type")), (StatusCode::OK, "application/json"));
        assert!(!created.header("readout-position").is_empty() && !created.header("x-request-id").is_empty());
        assert_eq!(created.header("content-length"), created.body.len().to_string());
        let created = created.json();
        assert_eq!((&created["kind"], &created["revision"]), (&json!("PERSON"), &json!("1")), "{created}");
        assert!(created["createTime"].as_str().is_some_and(|time| time.ends_with('Z')));
        let read = json!({ "name": created["name"] }).to_string();
        let read = post_json(service.address, version, GET_PARTICIPANT, read).await;
        assert_eq!(read.json(), created);
        let body = r#"{"filter": "region = \"AZ\""}"#;
        let listed = post_json(service.address, version, LIST_MEETINGS, body).await;
        assert_eq!(listed.status, StatusCode::OK);
        assert!(listed.json()["asOf"].is_string() && listed.json().get("meetings").is_none());
    }
    service.stop().await;
}

#[tokio::test]
async fn proto_call_is_answered_in_proto() {
    let service = Service::start().await;
    let person = service.add_person("Kerim Veliyev").await.0.name;
    let request = GetParticipantRequest { name: person.clone(), ..Default::default() }.encode_to_vec();
    for version in VERSIONS {
        let answer = send(service.address, version, "POST", GET_PARTICIPANT, &[PROTO], request.clone()).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/proto"));
        assert_eq!(Participant::decode(answer.body.as_slice()).unwrap().name, person);
        let empty = send(service.address, version, "POST", LIST_PARTICIPANTS, &[PROTO], "").await;
        assert_eq!(ListParticipantsResponse::decode(empty.body.as_slice()).unwrap().participants.len(), 1);
        let wrong = send(service.address, version, "POST", GET_PARTICIPANT, &[PROTO], "\u{1}").await;
        error(&wrong, 400, "invalid_argument", "MALFORMED_MESSAGE");
    }
    service.stop().await;
}

#[tokio::test]
async fn error_names_the_fields_and_their_faults() {
    let service = Service::start().await;
    for version in VERSIONS {
        let answer = post_json(service.address, version, GET_PARTICIPANT, "{}").await;
        let message = error(&answer, 400, "invalid_argument", "INVALID_FIELD");
        assert!(message.starts_with("INVALID_FIELD: name: "), "{message}");
        assert_eq!(answer.json()["details"][1]["debug"]["fieldViolations"][0]["field"], "name");
        let missing = format!(r#"{{"name": "participants/{}"}}"#, uuid::Uuid::now_v7());
        let answer = post_json(service.address, version, GET_PARTICIPANT, missing).await;
        error(&answer, 404, "not_found", "RESOURCE_NOT_FOUND");
        let answer = post_json(service.address, version, "/readout.v1.ParticipantService/GetPerson", "{}").await;
        let message = error(&answer, 501, "unimplemented", "UNKNOWN_METHOD");
        assert!(message.contains("did you mean"), "{message}");
    }
    service.stop().await;
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let service = Service::start().await;
    for (body, expected, field) in [
        ("", "EOF while parsing a value, column 0", ""),
        (r#"{"filter": "a""#, "EOF while parsing an object, column 14", ""),
        ("{\n\"filter\": \"a\",\n}", "trailing comma at line 3 column 1", ""),
        ("{} {}", "trailing characters, column 4", ""),
        ("[]", "must be an object, not []", ""),
        (r#"{"filter": 5}"#, "filter must be a string, not 5", "filter"),
        (r#"{"filters": ""}"#, "filters is not a field of ListMeetingsRequest: filter is the nearest", "filters"),
        (r#"{"view": "ALL"}"#, "view must be a value of", "view"),
        (r#"{"view": 1.5}"#, "view must be the name of a value, not 1.5", "view"),
        (r#"{"pageSize": 99999999999}"#, "pageSize must be a whole number from -2147483648 to 2147483647", "pageSize"),
        (r#"{"pageSize": 1, "page_size": 1}"#, "pageSize is given twice", "pageSize"),
    ] {
        let answer = post_json(service.address, Version::HTTP_11, LIST_MEETINGS, body).await;
        let message = error(&answer, 400, "invalid_argument", "MALFORMED_MESSAGE");
        assert!(message.contains(expected), "{body}: {message}");
        let violation = &answer.json()["details"][1]["debug"]["fieldViolations"][0]["field"];
        assert_eq!(violation.as_str().unwrap_or_default(), field, "{body}");
    }
    for body in [r#"{"view": "FULL", "pageSize": "10"}"#, r#"{"view": 2, "page_size": 10}"#, r#"{"pageSize": null}"#] {
        let answer = post_json(service.address, Version::HTTP_11, LIST_MEETINGS, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}: {}", answer.text());
    }
    service.stop().await;
}

#[tokio::test]
async fn timeout_and_version_are_checked() {
    let service = Service::start().await;
    let call = async |headers: &[(&str, &str)]| {
        let headers = [&[JSON], headers].concat();
        send(service.address, Version::HTTP_2, "POST", LIST_PARTICIPANTS, &headers, "{}").await
    };
    let answer = call(&[("connect-protocol-version", "1"), ("connect-timeout-ms", "60000")]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    error(&call(&[("connect-timeout-ms", "0")]).await, 504, "deadline_exceeded", "DEADLINE");
    let message = error(&call(&[("connect-timeout-ms", "soon")]).await, 400, "invalid_argument", "INVALID_FIELD");
    assert!(message.contains("connect-timeout-ms"), "{message}");
    let message = error(&call(&[("connect-protocol-version", "2")]).await, 400, "invalid_argument", "INVALID_FIELD");
    assert!(message.contains("connect-protocol-version: must be 1"), "{message}");
    service.stop().await;
}

#[tokio::test]
async fn messages_may_be_compressed_both_ways() {
    let service = Service::start().await;
    service.add_person("Kerim Veliyev").await;
    for version in VERSIONS {
        let plain = post_json(service.address, version, LIST_PARTICIPANTS, "{}").await;
        let headers = [JSON, ("content-encoding", "gzip"), ("accept-encoding", "br, gzip")];
        let answer = send(service.address, version, "POST", LIST_PARTICIPANTS, &headers, gzip(b"{}")).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (StatusCode::OK, "gzip"));
        let text: Value = serde_json::from_slice(&gunzip(&answer.body)).unwrap();
        assert_eq!(text, plain.json());
        let headers = [PROTO, ("content-encoding", "zstd"), ("accept-encoding", "zstd")];
        let body = zstd::encode_all(&b""[..], 1).unwrap();
        let answer = send(service.address, version, "POST", LIST_PARTICIPANTS, &headers, body).await;
        assert_eq!(answer.header("content-encoding"), "zstd");
        let message = zstd::decode_all(answer.body.as_slice()).unwrap();
        assert_eq!(ListParticipantsResponse::decode(message.as_slice()).unwrap().participants.len(), 1);
        let headers = [JSON, ("content-encoding", "br")];
        let answer = send(service.address, version, "POST", LIST_PARTICIPANTS, &headers, "{}").await;
        error(&answer, 501, "unimplemented", "UNSUPPORTED_COMPRESSION");
        let headers = [JSON, ("content-encoding", "gzip")];
        let answer = send(service.address, version, "POST", LIST_PARTICIPANTS, &headers, "{}").await;
        error(&answer, 400, "invalid_argument", "MALFORMED_MESSAGE");
    }
    service.stop().await;
}

#[tokio::test]
async fn requests_are_bounded_as_those_of_grpc() {
    let service = Service::start().await;
    const LIMIT: usize = 8 * 1024 * 1024;
    let padded = |bytes: usize| format!("{}{}", "{}", " ".repeat(bytes - 2));
    for version in VERSIONS {
        let answer = post_json(service.address, version, LIST_MEETINGS, padded(LIMIT)).await;
        assert_eq!(answer.status, StatusCode::OK);
        let answer = post_json(service.address, version, LIST_MEETINGS, padded(LIMIT + 1)).await;
        error(&answer, 429, "resource_exhausted", "MESSAGE_TOO_LARGE");
    }
    // A bomb of compressed space.
    let bomb = gzip(padded(LIMIT + 1).as_bytes());
    let headers = [JSON, ("content-encoding", "gzip")];
    let answer = send(service.address, Version::HTTP_11, "POST", LIST_MEETINGS, &headers, bomb).await;
    error(&answer, 429, "resource_exhausted", "MESSAGE_TOO_LARGE");
    let names = |count: usize| format!(r#"{{"names":[{}]}}"#, vec![r#""a""#; count].join(","));
    let path = "/readout.v1.ParticipantService/BatchGetParticipants";
    let answer = post_json(service.address, Version::HTTP_11, path, names(2_001)).await;
    let message = error(&answer, 400, "invalid_argument", "INVALID_FIELD");
    assert!(message.contains("names: must have at most 1000 items"), "{message}");
    let nested = "{\"filter\":".repeat(500_000);
    let answer = post_json(service.address, Version::HTTP_11, LIST_MEETINGS, nested).await;
    error(&answer, 400, "invalid_argument", "MALFORMED_MESSAGE");
    service.add_person("Kerim Veliyev").await;
    service.stop().await;
}

#[tokio::test]
async fn roles_hold_in_every_protocol() {
    let access = config::Access { api_tokens: true, ..Default::default() };
    let service = Service::start_as(cluster::database().await, config::Service { access, ..Default::default() }).await;
    for version in VERSIONS {
        let answer = post_json(service.address, version, LIST_MEETINGS, "{}").await;
        error(&answer, 401, "unauthenticated", "CREDENTIALS_MISSING");
        // Not even the body of a caller without credentials is read.
        let answer = post_json(service.address, version, LIST_MEETINGS, "no JSON").await;
        error(&answer, 401, "unauthenticated", "CREDENTIALS_MISSING");
        let health = post_json(service.address, version, "/grpc.health.v1.Health/Check", "{}").await;
        assert_eq!(health.json(), json!({"status": "SERVING"}));
    }
    service.stop().await;
}

#[tokio::test]
async fn too_large_headers_are_refused_in_connect() {
    let service = Service::start().await;
    let padding = "x".repeat(20_000);
    for version in VERSIONS {
        let headers = [JSON, ("padding", padding.as_str())];
        let answer = send(service.address, version, "POST", LIST_MEETINGS, &headers, "{}").await;
        error(&answer, 429, "resource_exhausted", "HEADERS_TOO_LARGE");
        let path = format!("{LIST_MEETINGS}?encoding=json&message=%7B%7D&padding={padding}");
        let answer = send(service.address, version, "GET", &path, &[], "").await;
        error(&answer, 429, "resource_exhausted", "HEADERS_TOO_LARGE");
    }
    service.stop().await;
}

#[tokio::test]
async fn health_and_its_errors_are_json_too() {
    let service = Service::start().await;
    const CHECK: &str = "/grpc.health.v1.Health/Check";
    for version in VERSIONS {
        let answer = post_json(service.address, version, CHECK, r#"{"service": "nothing"}"#).await;
        error(&answer, 404, "not_found", "RESOURCE_NOT_FOUND");
        let answer = post_json(service.address, version, CHECK, r#"{"servce": ""}"#).await;
        error(&answer, 400, "invalid_argument", "MALFORMED_MESSAGE");
        let answer = post_json(service.address, version, CHECK, format!(r#"{{"service":"{}"}}"#, "x".repeat(20_000)));
        error(&answer.await, 429, "resource_exhausted", "MESSAGE_TOO_LARGE");
        let path = format!("{CHECK}?encoding=json&message=%7B%7D");
        let answer = send(service.address, version, "GET", &path, &[], "").await;
        assert_eq!(answer.json(), json!({"status": "SERVING"}));
    }
    service.stop().await;
}
