//! Streams in Connect, and as lines of JSON.

use http_body_util::BodyExt;
use prost::Message;
use readout::pb::{
    IngestStoriesRequest, IngestStoriesResponse, Origin, WatchChangesRequest, WatchChangesResponse,
    watch_changes_request::Start,
};
use serde_json::Value;
use tokio::net::TcpStream;
use tonic::codegen::http::{StatusCode, Version};

use super::{GET_PARTICIPANT, INGEST_STORIES, LIST_PARTICIPANTS, WATCH_CHANGES};
use crate::support::{
    Service,
    http::{Answer, VERSIONS, begin, envelope, post_json, request, send},
    stories,
};

/// A watch of what comes.
const NOW: &str = r#"{"origin": "NOW"}"#;
const STREAM_MEETINGS: &str = "/readout.v1.MeetingService/StreamMeetings";
const JSON: (&str, &str) = ("content-type", "application/connect+json");
const PROTO: (&str, &str) = ("content-type", "application/connect+proto");

/// The messages of a stream of JSON, and its end.
#[track_caller]
fn messages(answer: &Answer) -> (Vec<Value>, Value) {
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/connect+json"));
    let mut envelopes = answer.envelopes();
    let (flags, end) = envelopes.pop().expect("the end of the stream");
    assert_eq!(flags, 2);
    let json = |text: &[u8]| serde_json::from_slice(text).expect("JSON");
    (envelopes.iter().map(|(_, text)| json(text)).collect(), json(&end))
}

#[tokio::test]
async fn stream_ends_with_an_envelope() {
    let service = Service::start().await;
    service.ingest.clone().ingest_story(first_story()).await.unwrap();
    for version in VERSIONS {
        let answer = send(service.address, version, "POST", STREAM_MEETINGS, &[JSON], envelope(0, "{}")).await;
        let (meetings, end) = messages(&answer);
        assert!(!meetings.is_empty() && end.get("error").is_none(), "{end}");
        let body = envelope(0, r#"{"filter": "nothing = 5"}"#);
        let answer = send(service.address, version, "POST", STREAM_MEETINGS, &[JSON], body).await;
        let (meetings, end) = messages(&answer);
        assert!(meetings.is_empty());
        assert_eq!(
            (&end["error"]["code"], &end["error"]["reason"]),
            (&"invalid_argument".into(), &"UNKNOWN_FILTER_FIELD".into())
        );
        let answer = send(service.address, version, "POST", STREAM_MEETINGS, &[JSON], envelope(0, "{")).await;
        assert_eq!(messages(&answer).1["error"]["reason"], "MALFORMED_MESSAGE");
        for cut in [&b""[..], b"\0\0\0\0\x02", b"\0\0\0\0\x02{", b"\0\0"] {
            let answer = send(service.address, version, "POST", STREAM_MEETINGS, &[JSON], cut).await;
            assert_eq!(messages(&answer).1["error"]["reason"], "MALFORMED_MESSAGE", "{cut:?}");
        }
    }
    service.stop().await;
}

fn first_story() -> readout::pb::IngestStoryRequest {
    readout::pb::IngestStoryRequest { story: Some(stories::story(&stories::azernews_line())), ..Default::default() }
}

#[tokio::test]
async fn watch_streams_json_while_changes_are_made() {
    let service = Service::start().await;
    for (version, content_type) in
        [(Version::HTTP_11, "application/json"), (Version::HTTP_2, "application/json"), (Version::HTTP_11, JSON.1)]
    {
        let is_lines = content_type == "application/json";
        let body = if is_lines { NOW.into() } else { envelope(0, NOW) };
        let headers = [("content-type", content_type)];
        let stream = TcpStream::connect(service.address).await.unwrap();
        let watch = request(service.address, "POST", WATCH_CHANGES, &headers, body);
        let response = begin(stream, version, watch).await;
        assert_eq!(response.status(), StatusCode::OK);
        let expected = if is_lines { "application/x-ndjson" } else { JSON.1 };
        assert_eq!(response.headers()["content-type"], expected);
        let mut body = response.into_body();
        let person = service.add_person("Kerim Veliyev").await.0.name;
        let mut text = String::new();
        while !text.contains(&person) {
            let frame = body.frame().await.expect("a change").expect("a change");
            text.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
        }
        if is_lines {
            for line in text.lines() {
                serde_json::from_str::<Value>(line).expect("a line of JSON");
            }
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn stream_of_lines_reports_errors() {
    let service = Service::start().await;
    for version in VERSIONS {
        let answer = post_json(service.address, version, WATCH_CHANGES, r#"{"cursor": "nothing"}"#).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (StatusCode::BAD_REQUEST, &"INVALID_CURSOR".into()));
        let answer = post_json(service.address, version, WATCH_CHANGES, "{").await;
        assert_eq!((answer.status, &answer.json()["reason"]), (StatusCode::BAD_REQUEST, &"MALFORMED_MESSAGE".into()));
        // The deadline passes once the stream has begun.
        let headers = [("content-type", "application/json"), ("connect-timeout-ms", "300")];
        let answer = send(service.address, version, "POST", WATCH_CHANGES, &headers, NOW).await;
        let last = answer.text().lines().last().expect("a line");
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!((answer.status, &last["error"]["reason"]), (StatusCode::OK, &"DEADLINE".into()), "{last}");
    }
    service.stop().await;
}

#[tokio::test]
async fn bidirectional_stream_works_over_http2_and_names_it_over_http1() {
    let service = Service::start().await;
    let story = stories::azernews_line();
    let json = envelope(0, format!(r#"{{"story": {story}}}"#));
    let answer = send(service.address, Version::HTTP_2, "POST", INGEST_STORIES, &[JSON], json.clone()).await;
    let (answers, end) = messages(&answer);
    assert!(answers.len() == 1 && answers[0].get("result").is_some(), "{answers:?} {end}");
    let message = stories::request(&stories::story(&story)).encode_to_vec();
    let two = [envelope(0, &message), envelope(0, IngestStoriesRequest::default().encode_to_vec())].concat();
    let answer = send(service.address, Version::HTTP_2, "POST", INGEST_STORIES, &[PROTO], two).await;
    let envelopes = answer.envelopes();
    assert_eq!(envelopes.iter().map(|(flags, _)| *flags).collect::<Vec<_>>(), [0, 0, 2]);
    IngestStoriesResponse::decode(envelopes[0].1.as_slice()).unwrap();
    let answer = send(service.address, Version::HTTP_11, "POST", INGEST_STORIES, &[JSON], json).await;
    let (answers, end) = messages(&answer);
    assert!(answers.is_empty());
    assert_eq!((&end["error"]["code"], &end["error"]["reason"]), (&"unimplemented".into(), &"NEEDS_HTTP2".into()));
    assert!(end["error"]["message"].as_str().unwrap().contains("HTTP/2"));
    let headers = [("content-type", "application/grpc-web+proto")];
    let answer = send(service.address, Version::HTTP_11, "POST", INGEST_STORIES, &headers, "").await;
    assert_eq!(answer.header("grpc-status"), "12");
    assert!(answer.header("grpc-message").contains("HTTP/2"));
    service.stop().await;
}

#[tokio::test]
async fn stream_of_proto_is_that_of_grpc() {
    let service = Service::start().await;
    let start = Some(Start::Origin(Origin::Beginning.into()));
    let request = WatchChangesRequest { start, ..Default::default() }.encode_to_vec();
    let headers = [PROTO, ("connect-timeout-ms", "300")];
    let watch = send(service.address, Version::HTTP_11, "POST", WATCH_CHANGES, &headers, envelope(0, request)).await;
    let mut envelopes = watch.envelopes();
    let (flags, end) = envelopes.pop().unwrap();
    let end: Value = serde_json::from_slice(&end).unwrap();
    assert_eq!((flags, &end["error"]["code"]), (2, &"deadline_exceeded".into()));
    for (flags, message) in envelopes {
        assert_eq!(flags, 0);
        WatchChangesResponse::decode(message.as_slice()).unwrap();
    }
    service.stop().await;
}

#[tokio::test]
async fn content_types_of_unary_calls_and_streams_are_not_mixed_up() {
    let service = Service::start().await;
    for version in VERSIONS {
        for (path, content_type, accepted) in [
            (GET_PARTICIPANT, JSON.1, "application/json, application/proto"),
            (LIST_PARTICIPANTS, PROTO.1, "application/json, application/proto"),
            (WATCH_CHANGES, "application/proto", "application/connect+json, application/connect+proto"),
            (INGEST_STORIES, "application/json", "application/connect+json, application/connect+proto"),
        ] {
            let headers = [("content-type", content_type)];
            let answer = send(service.address, version, "POST", path, &headers, "").await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path} {content_type}");
            assert_eq!(answer.header("accept-post"), accepted);
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn reflection_answers_in_connect() {
    let service = Service::start().await;
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let body = envelope(0, r#"{"listServices": ""}"#);
    let answer = send(service.address, Version::HTTP_2, "POST", path, &[JSON], body).await;
    let (answers, end) = messages(&answer);
    assert!(answers[0].to_string().contains("readout.v1.MeetingService"), "{answers:?} {end}");
    service.stop().await;
}
