//! Foreign web pages cannot call an open service on a loopback address through the browser of its user.

use readout::{config, pb::ErrorReason};
use tonic::{
    Code,
    codegen::http::{StatusCode, Version},
};

use super::{LIST_MEETINGS, LIST_PARTICIPANTS};
use crate::support::{
    Refused, Service, cluster,
    http::{VERSIONS, send},
};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn request_to_another_host_name_is_refused() {
    let http = config::Http { allowed_hosts: vec!["readout.internal".to_owned()], ..Default::default() };
    let service = Service::start_as(cluster::database().await, config::Service { http, ..Default::default() }).await;
    for (host, is_allowed) in [
        ("localhost:50051", true),
        ("127.0.0.1", true),
        ("[::1]:50051", true),
        ("readout.internal", true),
        ("evil.example", false),
        ("10.0.0.1:50051", false),
    ] {
        let status = if is_allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
        let headers = [JSON, ("host", host)];
        for version in VERSIONS {
            let answer = send(service.address, version, "POST", LIST_MEETINGS, &headers, "{}").await;
            assert_eq!(answer.status, status, "{host} {version:?}");
        }
        for (method, path) in [("GET", "/"), ("GET", "/nothing"), ("OPTIONS", LIST_MEETINGS)] {
            let answer = send(service.address, Version::HTTP_11, method, path, &headers[1..], "").await;
            assert_eq!(answer.status == StatusCode::FORBIDDEN, !is_allowed, "{host} {path}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn request_from_another_site_is_refused() {
    let service = Service::start().await;
    for (origin, status) in [
        ("http://localhost:3000", StatusCode::OK),
        ("https://evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
    ] {
        for version in VERSIONS {
            let answer = send(service.address, version, "POST", LIST_MEETINGS, &[JSON, ("origin", origin)], "{}").await;
            assert_eq!(answer.status, status, "{origin}");
            let path = format!("{LIST_PARTICIPANTS}?encoding=json&message=%7B%7D");
            let answer = send(service.address, version, "GET", &path, &[("origin", origin)], "").await;
            assert_eq!(answer.status, status, "{origin}");
        }
    }
    service.stop().await;
}

/// The credentials are the defence of a service that asks for them.
#[tokio::test]
async fn service_that_asks_for_credentials_may_have_any_name() {
    let access = config::Access { api_tokens: true, ..Default::default() };
    let service = Service::start_as(cluster::database().await, config::Service { access, ..Default::default() }).await;
    let headers = [JSON, ("host", "readout.example"), ("origin", "https://app.example")];
    let answer = send(service.address, Version::HTTP_11, "POST", LIST_MEETINGS, &headers, "{}").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    service.stop().await;
}

#[tokio::test]
async fn grpc_client_of_another_host_name_gets_a_status() {
    let service = Service::start().await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", service.address)).unwrap();
    let channel = channel.origin("http://evil.example".parse().unwrap()).connect().await.unwrap();
    let status = super::super::transport::call(channel).await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::with(Code::PermissionDenied, ErrorReason::HostNotAllowed));
    service.stop().await;
}
