//! GET and HEAD of Connect.

use tonic::codegen::http::StatusCode;

use super::{CREATE_PARTICIPANT, LIST_PARTICIPANTS, WATCH_CHANGES};
use crate::support::{
    Service,
    http::{VERSIONS, post_json, send},
};

#[tokio::test]
async fn get_reads_as_post_does() {
    let service = Service::start().await;
    service.add_person("Kerim Veliyev").await;
    // A query of eight kilobytes.
    let labels = (0..90).map(|index| format!(r#"displayName != "{index:080}""#)).collect::<Vec<_>>().join(" AND ");
    for filter in [String::new(), labels] {
        let message = serde_json::json!({ "filter": filter.replace("displayName", "display_name") }).to_string();
        let encoded: String = message.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let encoded = if message.len() > 1_000 {
            assert!(message.len() > 8_000, "{}", message.len());
            message.replace('%', "%25").replace('"', "%22").replace(' ', "+").replace('\\', "%5C")
        } else {
            encoded
        };
        let path = format!("{LIST_PARTICIPANTS}?connect=v1&encoding=json&message={encoded}");
        for version in VERSIONS {
            let posted = post_json(service.address, version, LIST_PARTICIPANTS, message.clone()).await;
            let answer = send(service.address, version, "GET", &path, &[], "").await;
            assert_eq!((answer.status, answer.text()), (posted.status, posted.text()));
            let head = send(service.address, version, "HEAD", &path, &[], "").await;
            assert_eq!((head.status, head.text()), (answer.status, ""));
            assert_eq!(head.header("content-length"), answer.body.len().to_string());
            assert_eq!(head.header("content-type"), answer.header("content-type"));
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn get_of_a_write_or_a_stream_is_refused() {
    let service = Service::start().await;
    for version in VERSIONS {
        for path in [CREATE_PARTICIPANT, WATCH_CHANGES] {
            let query = format!("{path}?encoding=json&message=%7B%7D");
            let answer = send(service.address, version, "GET", &query, &[], "").await;
            assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"), "{path}");
        }
        for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
            let answer = send(service.address, version, method, LIST_PARTICIPANTS, &[], "").await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(answer.header("allow"), "GET, HEAD, POST");
        }
        for query in ["", "?encoding=json", "?message=%7B%7D", "?encoding=xml&message=a", "?encoding=json&message=%7B"]
        {
            let answer = send(service.address, version, "GET", &format!("{LIST_PARTICIPANTS}{query}"), &[], "").await;
            assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::BAD_REQUEST, &"invalid_argument".into()));
            let head = send(service.address, version, "HEAD", &format!("{LIST_PARTICIPANTS}{query}"), &[], "").await;
            assert_eq!((head.status, head.text()), (StatusCode::BAD_REQUEST, ""));
        }
        let answer = send(service.address, version, "GET", "/nothing", &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.text().contains("gRPC-Web and Connect"));
    }
    service.stop().await;
}
