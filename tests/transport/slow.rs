//! Those who come and say little: at each stage they are not waited for longer than that.

use std::time::Duration;

use readout::config::{self, Bounds, Transport};
use tempfile::tempdir;
use tonic::transport::Channel;

use super::{call, certificates, serve};
use crate::support::{
    Service,
    authority::Authority,
    cluster,
    data_dir::eventually,
    frames::{END_HEADERS, HEADERS, PREFACE, Wire, frame, headers},
};

const GET: &str = "/readout.v1.ArticleService/GetArticle";

fn impatient() -> Transport {
    let soon = Duration::from_millis(200);
    Transport { handshake_timeout: soon, keepalive: soon, keepalive_timeout: soon, ..Default::default() }
}

/// Others are served. On a busy machine one of their calls may take longer than such a service allows.
async fn assert_others_are_served(connect: impl AsyncFn() -> Channel) {
    eventually("a call is answered", async || call(connect().await).await.is_ok()).await;
}

#[tokio::test]
async fn half_a_greeting_is_not_waited_for() {
    let service = serve(impatient()).await;
    for said in [&b""[..], b"P", &PREFACE[..PREFACE.len() - 1]] {
        let mut wire = Wire::silent(service.address).await;
        wire.write(said).await.unwrap();
        assert_eq!(wire.end().await, Some(0));
    }
    // A client that speaks something else is not even waited for.
    let patient = serve(Transport::default()).await;
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nXX", &[22, 3, 1, 0, 200, 1], &[0; 3]] {
        let mut wire = Wire::silent(patient.address).await;
        wire.write(said).await.unwrap();
        assert_eq!(wire.end().await, None);
    }
    assert_others_are_served(async || service.channel().await).await;
    patient.stop().await;
    service.stop().await;
}

#[tokio::test]
async fn half_a_handshake_of_tls_is_not_waited_for() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new());
    let transport = Transport { tls: certificates(dir.path(), &authority, None), ..impatient() };
    let config = config::Service { transport, ..Default::default() };
    let connect = async |address| authority.connect(address, None).await.unwrap();
    let service = Service::start_over(cluster::database().await, config, connect).await;
    // A record of 200 bytes, of which some come.
    for said in [&b""[..], &[22], &[22, 3, 1, 0, 200, 1, 0, 0]] {
        let mut wire = Wire::silent(service.address).await;
        wire.write(said).await.unwrap();
        assert_eq!(wire.end().await, None);
    }
    assert_others_are_served(async || authority.connect(service.address, None).await.unwrap()).await;
    service.stop().await;
}

/// They cannot answer whether they are still there.
#[tokio::test]
async fn half_a_frame_of_settings_or_headers_ends_with_the_keepalive() {
    let service = serve(impatient()).await;
    let call = frame(HEADERS, END_HEADERS, 1, &headers(GET, &[]));
    for said in [&[0, 0, 6, 4][..], &frame(HEADERS, 0, 1, &headers(GET, &[])), &call[..call.len() - 1]] {
        let mut wire = Wire::greeted(service.address).await;
        wire.write(said).await.unwrap();
        wire.end().await;
    }
    assert_others_are_served(async || service.channel().await).await;
    service.stop().await;
}

#[tokio::test]
async fn a_message_that_does_not_come_ends_with_its_call() {
    let bounds = Bounds { call_timeout: Duration::from_millis(200), ..Default::default() };
    let config = config::Service { bounds, ..Default::default() };
    let service = Service::start_as(cluster::database().await, config).await;
    for method in [GET, "/readout.v1.ChangeService/WatchChanges", "/grpc.health.v1.Health/Check"] {
        let mut wire = Wire::greeted(service.address).await;
        wire.write(&frame(HEADERS, END_HEADERS, 1, &headers(method, &[]))).await.unwrap();
        // Five bytes announce a message of 200, of which one comes.
        wire.write(&frame(0, 0, 1, &[0, 0, 0, 0, 200, 1])).await.unwrap();
        let answer = wire.until(|frame| frame.kind == HEADERS).await.expect("an answer");
        assert_eq!((answer.stream, answer.payload[0]), (1, 0x88), "{method}");
    }
    assert_others_are_served(async || service.channel().await).await;
    service.stop().await;
}
