//! Slow clients: each stage of a connection or call has a timeout.

use std::time::Duration;

use readout::config::{self, CallLimits, Transport};
use tempfile::tempdir;
use tonic::transport::Channel;

use super::{call, certificates, serve};
use crate::support::{
    Service,
    certificate_authority::Authority,
    cluster,
    data_dir::eventually,
    frames::{END_HEADERS, HEADERS, PREFACE, Wire, frame, headers},
};

const GET: &str = "/readout.v1.ArticleService/GetArticle";

fn short_timeouts() -> Transport {
    let soon = Duration::from_millis(200);
    Transport { handshake_timeout: soon, keepalive: soon, keepalive_timeout: soon, ..Default::default() }
}

/// Waits until a call succeeds. On a busy machine a single call may exceed the short timeouts.
async fn assert_others_are_served(connect: impl AsyncFn() -> Channel) {
    eventually("a call is answered", async || call(connect().await).await.is_ok()).await;
}

#[tokio::test]
async fn incomplete_preface_is_closed_after_the_handshake_timeout() {
    let service = serve(short_timeouts()).await;
    for sent in [&b""[..], b"P", &PREFACE[..PREFACE.len() - 1]] {
        let mut wire = Wire::silent(service.address).await;
        wire.write(sent).await.unwrap();
        assert_eq!(wire.end().await, Some(0));
    }
    // Bytes of another protocol are answered without waiting.
    let default_service = serve(Transport::default()).await;
    for sent in [&b"GET / HTTP/3.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nXX", &[22, 3, 1, 0, 200, 1], &[0; 3]] {
        let mut wire = Wire::silent(default_service.address).await;
        wire.write(sent).await.unwrap();
        assert_eq!(wire.end().await, None);
    }
    assert_others_are_served(async || service.channel().await).await;
    default_service.stop().await;
    service.stop().await;
}

#[tokio::test]
async fn incomplete_tls_handshake_is_closed_after_the_handshake_timeout() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let transport = Transport { tls: certificates(dir.path(), &authority, None), ..short_timeouts() };
    let config = config::Service { transport, ..Default::default() };
    let connect = async |address| authority.connect(address, None).await.unwrap();
    let service = Service::start_over(cluster::database().await, config, connect).await;
    // The start of a record of 200 bytes.
    for sent in [&b""[..], &[22], &[22, 3, 1, 0, 200, 1, 0, 0]] {
        let mut wire = Wire::silent(service.address).await;
        wire.write(sent).await.unwrap();
        assert_eq!(wire.end().await, None);
    }
    assert_others_are_served(async || authority.connect(service.address, None).await.unwrap()).await;
    service.stop().await;
}

/// Such a client cannot answer the keepalive ping.
#[tokio::test]
async fn connection_with_an_incomplete_frame_is_closed_by_keepalive() {
    let service = serve(short_timeouts()).await;
    let call = frame(HEADERS, END_HEADERS, 1, &headers(GET, &[]));
    for sent in [&[0, 0, 6, 4][..], &frame(HEADERS, 0, 1, &headers(GET, &[])), &call[..call.len() - 1]] {
        let mut wire = Wire::greeted(service.address).await;
        wire.write(sent).await.unwrap();
        wire.end().await;
    }
    assert_others_are_served(async || service.channel().await).await;
    service.stop().await;
}

#[tokio::test]
async fn incomplete_request_message_ends_at_the_call_timeout() {
    let bounds = CallLimits { call_timeout: Duration::from_millis(200), ..Default::default() };
    let config = config::Service { bounds, ..Default::default() };
    let service = Service::start_as(cluster::database().await, config).await;
    for method in [GET, "/readout.v1.ChangeService/WatchChanges", "/grpc.health.v1.Health/Check"] {
        let mut wire = Wire::greeted(service.address).await;
        wire.write(&frame(HEADERS, END_HEADERS, 1, &headers(method, &[]))).await.unwrap();
        // Five bytes announce a message of 200 bytes, of which one is sent.
        wire.write(&frame(0, 0, 1, &[0, 0, 0, 0, 200, 1])).await.unwrap();
        let answer = wire.until(|frame| frame.kind == HEADERS).await.expect("an answer");
        assert_eq!((answer.stream, answer.payload[0]), (1, 0x88), "{method}");
    }
    assert_others_are_served(async || service.channel().await).await;
    service.stop().await;
}
