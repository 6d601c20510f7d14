//! Connections of HTTP/1.1.

use readout::config::Transport;
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::codegen::http::{StatusCode, Version};

use super::{LIST_MEETINGS, WATCH_CHANGES};
use crate::{
    support::{
        certificate_authority::Authority,
        data_dir::within_timeout,
        http::{VERSIONS, begin, request, whole},
    },
    transport::{certificates, serve, serve_tls, tls},
};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn connection_serves_several_requests() {
    let service = serve(Transport::default()).await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!("POST {LIST_MEETINGS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    for body in ["Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"] {
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\"}") {
            answer.push(char::from(within_timeout("an answer", stream.read_u8()).await.unwrap()));
        }
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    service.stop().await;
}

/// A client may wait for permission before it sends its body.
#[tokio::test]
async fn expectation_is_answered_before_the_body_is_read() {
    let service = serve(Transport::default()).await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "POST {LIST_MEETINGS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut permission = [0; 25];
    within_timeout("a permission", stream.read_exact(&mut permission)).await.unwrap();
    assert_eq!(&permission, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    let mut status = [0; 15];
    within_timeout("an answer", stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    service.stop().await;
}

#[tokio::test]
async fn calls_pass_over_tls() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let service = serve_tls(certificates(dir.path(), &authority, None), &authority, None).await;
    for version in VERSIONS {
        let alpn: &[&str] = if version == Version::HTTP_2 { &["h2"] } else { &["http/1.1"] };
        let stream = tls::connect_over(&authority, service.address, alpn).await.unwrap();
        let call = request(service.address, "POST", LIST_MEETINGS, &[JSON], "{}");
        let answer = whole(begin(stream, version, call).await).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text().starts_with("{\"asOf\":"), "{}", answer.text());
    }
    service.stop().await;
}

#[tokio::test]
async fn body_that_does_not_arrive_ends_its_call() {
    let mut config = readout::config::Service::default();
    config.bounds.arrival_timeout = std::time::Duration::from_millis(200);
    let database = crate::support::cluster::database().await;
    let service = crate::support::Service::start_as(database, config).await;
    for length in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let head = format!(
            "POST {LIST_MEETINGS} HTTP/1.1\r\nHost: a.localhost\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within_timeout("an answer", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("\"DEADLINE\""), "{answer}");
    }
    service.stop().await;
}

#[tokio::test]
async fn open_watches_end_with_the_service() {
    let service = serve(Transport::default()).await;
    let stream = TcpStream::connect(service.address).await.unwrap();
    let watch = begin(
        stream,
        Version::HTTP_11,
        request(service.address, "POST", WATCH_CHANGES, &[JSON], r#"{"origin": "NOW"}"#),
    )
    .await;
    let (answer, ()) = tokio::join!(whole(watch), within_timeout("the service stops", service.stop()));
    let last = answer.text().lines().last().expect("a line").to_owned();
    assert!(last.contains("SHUTTING_DOWN"), "{last}");
}
