//! Calls from the web pages of other origins.

use readout::config;
use tonic::codegen::http::StatusCode;

use super::LIST_MEETINGS;
use crate::support::{
    Service, cluster,
    http::{Answer, VERSIONS, send},
};

async fn serve(origins: &[&str]) -> Service {
    let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let http = config::Http { cors_origins, ..Default::default() };
    Service::start_as(cluster::database().await, config::Service { http, ..Default::default() }).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn pages_of_configured_origins_may_call() {
    for origins in [&["https://app.example", "https://b.example"][..], &["*"]] {
        let service = serve(origins).await;
        for version in VERSIONS {
            let preflight = [
                ("origin", "https://app.example"),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "content-type,connect-protocol-version,readout-actor"),
            ];
            let answer = send(service.address, version, "OPTIONS", LIST_MEETINGS, &preflight, "").await;
            assert_eq!(answer.status, StatusCode::OK);
            let allowed = if origins == ["*"] { "*" } else { "https://app.example" };
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
            assert!(answer.header("access-control-allow-headers").contains("readout-actor"));
            assert!(answer.header("access-control-allow-methods").contains("POST"));
            let call = [JSON, ("origin", "https://app.example")];
            let answer = send(service.address, version, "POST", LIST_MEETINGS, &call, "{}").await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, allowed));
            assert!(answer.header("access-control-expose-headers").contains("readout-position"));
            let error = send(service.address, version, "POST", LIST_MEETINGS, &call, "{").await;
            assert_eq!((error.status, error.header("access-control-allow-origin")), (StatusCode::BAD_REQUEST, allowed));
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn other_origins_get_no_permission() {
    let permission = |answer: &Answer| answer.headers.contains_key("access-control-allow-origin");
    for origins in [&[][..], &["https://app.example"]] {
        let service = serve(origins).await;
        for version in VERSIONS {
            for origin in ["https://evil.example", "http://localhost:3000", "null"] {
                let preflight = [("origin", origin), ("access-control-request-method", "POST")];
                let answer = send(service.address, version, "OPTIONS", LIST_MEETINGS, &preflight, "").await;
                assert!(!permission(&answer), "{origin}");
                let answer =
                    send(service.address, version, "POST", LIST_MEETINGS, &[JSON, ("origin", origin)], "{}").await;
                assert!(!permission(&answer), "{origin}");
            }
        }
        service.stop().await;
    }
}
