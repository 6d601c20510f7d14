//! Requests of HTTP/1.1 that are no calls, and other protocols, get an answer which says what the port serves.

use std::net::SocketAddr;

use readout::config::Transport;
use tempfile::tempdir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::{certificates, serve, serve_tls, tls};
use crate::support::{certificate_authority::Authority, data_dir::within_timeout, frames::PREFACE};

/// Writes a request in pieces and reads the answer to its end.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8], piece: usize) -> String {
    for piece in request.chunks(piece) {
        stream.write_all(piece).await.expect("the connection is not reset");
        stream.flush().await.expect("the connection is not reset");
    }
    let mut answer = Vec::new();
    within_timeout("an answer", stream.read_to_end(&mut answer)).await.expect("the connection is not reset");
    String::from_utf8(answer).expect("text")
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("the service listens")
}

/// Checks the head of an answer and returns its body.
#[track_caller]
fn body(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("HTTP/1.1 426 Upgrade Required"));
    let headers: Vec<&str> = lines.collect();
    for expected in ["Connection: close, upgrade", "Upgrade: HTTP/2.0", "Content-Type: text/plain; charset=utf-8"] {
        assert!(headers.contains(&expected), "{answer}");
    }
    assert_eq!(headers.iter().filter(|header| header.starts_with("Date: ")).count(), 1, "{answer}");
    body
}

#[track_caller]
fn assert_names_the_protocol(body: &str) {
    for word in ["gRPC over HTTP/2", "grpcurl", "README"] {
        assert!(body.contains(word), "{body:?}");
    }
}

/// Checks the status of an answer and returns its body.
#[track_caller]
fn body_of<'a>(answer: &'a str, status: &str) -> &'a str {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(head.split(' ').nth(1) == Some(status), "{answer:?}");
    body
}

#[tokio::test]
async fn other_protocol_is_answered_with_426_however_it_is_fragmented() {
    let service = serve(Transport::default()).await;
    for request in [&b"GET /\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"] {
        for piece in [1, 7, 1_000] {
            let answer = ask(connect(service.address).await, request, piece).await;
            assert_names_the_protocol(body(&answer));
        }
    }
    service.add_person("Kerim Veliyev").await;
    service.stop().await;
}

#[tokio::test]
async fn http1_request_that_is_no_call_is_answered_however_it_is_fragmented() {
    let service = serve(Transport::default()).await;
    let grpc = "POST /readout.v1.MeetingService/GetMeeting HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/grpc\r\nContent-Length: 0\r\n\r\n";
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", "415"),
        ("PUT / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "405"),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "405"),
        ("GET / HTTP/1.0\r\n\r\n", "404"),
        (grpc, "426"),
    ] {
        for piece in [1, 7, 1_000] {
            let answer = ask(connect(service.address).await, request.as_bytes(), piece).await;
            assert_names_the_protocol(body_of(&answer, status));
        }
    }
    service.add_person("Kerim Veliyev").await;
    service.stop().await;
}

#[tokio::test]
async fn http1_head_request_is_answered_without_a_body() {
    let service = serve(Transport::default()).await;
    let get = ask(connect(service.address).await, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 100).await;
    let head = ask(connect(service.address).await, b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n", 100).await;
    assert_eq!(body_of(&head, "404"), "");
    let length = format!("content-length: {}\r\n", body_of(&get, "404").len());
    assert!(head.contains(&length) && get.contains(&length), "{head}");
    service.stop().await;
}

/// Many clients send their whole request before they read.
#[tokio::test]
async fn http1_client_that_sends_a_large_body_first_reads_the_answer() {
    let service = serve(Transport::default()).await;
    let size = 64 * 1024 * 1024;
    let mut request = format!("POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    request.resize(request.len() + size, b'x');
    let answer = ask(connect(service.address).await, &request, 1024 * 1024).await;
    assert_names_the_protocol(body_of(&answer, "415"));
    service.stop().await;
}

#[tokio::test]
async fn http1_request_with_an_endless_head_is_answered() {
    let soon = std::time::Duration::from_secs(2);
    let service = serve(Transport { handshake_timeout: soon, ..Default::default() }).await;
    let answer = ask(connect(service.address).await, b"GET / HTTP/1.1\r\nHost: loc", 100).await;
    assert_names_the_protocol(body(&answer));
    service.stop().await;
    let service = serve(Transport::default()).await;
    let endless = [&b"GET / HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(20_000)].concat();
    let answer = ask(connect(service.address).await, &endless, 4_096).await;
    body_of(&answer, "431");
    service.stop().await;
}

#[tokio::test]
async fn service_stops_without_waiting_for_http1_clients() {
    let service = serve(Transport::default()).await;
    let mut begun = connect(service.address).await;
    begun.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut answered = connect(service.address).await;
    answered.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    answered.read_u8().await.unwrap();
    within_timeout("the service stops", service.stop()).await;
}

#[tokio::test]
async fn http1_request_over_tls_is_answered_over_tls() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let service = serve_tls(certificates(dir.path(), &authority, None), &authority, None).await;
    for alpn in [&["http/1.1"][..], &[], &["h2"]] {
        let stream = tls::connect_over(&authority, service.address, alpn).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = ask(stream, request, 10).await;
        assert_names_the_protocol(body_of(&answer, "404"));
    }
    // HTTP/2 over TLS must be negotiated by ALPN.
    for alpn in [&["http/1.1"][..], &[]] {
        let stream = tls::connect_over(&authority, service.address, alpn).await.unwrap();
        let answer = ask(stream, PREFACE, 100).await;
        assert!(body(&answer).contains("(ALPN)"), "{answer}");
    }
    service.stop().await;
}

#[tokio::test]
async fn plaintext_client_of_a_tls_port_gets_an_explanation() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let service = serve_tls(certificates(dir.path(), &authority, None), &authority, None).await;
    let answer = ask(connect(service.address).await, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 10).await;
    assert!(body(&answer).starts_with("This port speaks TLS"), "{answer}");
    // HTTP/2 clients show the debug data of a GOAWAY.
    let mut stream = connect(service.address).await;
    stream.write_all(PREFACE).await.unwrap();
    let mut answer = [0; 9 + 17 + 20];
    within_timeout("an answer", stream.read_exact(&mut answer)).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).ends_with("this port speaks TLS"), "{answer:?}");
    drop(stream);
    service.stop().await;
}

/// TLS libraries recognise an answer that starts with "HTTP" as plaintext and report it.
#[tokio::test]
async fn tls_client_of_a_plaintext_port_gets_an_http_answer() {
    let service = serve(Transport::default()).await;
    let hello = [&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3][..], &[7; 194]].concat();
    for piece in [1, 1_000] {
        let answer = ask(connect(service.address).await, &hello, piece).await;
        body(&answer);
    }
    service.stop().await;
}
