//! What connections may be, at the edge of each bound.

use std::{error::Error, time::Duration};

use readout::{
    config::Transport,
    pb::{CreateParticipantRequest, ErrorReason, participant_service_client::ParticipantServiceClient},
};

use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{call, serve};
use crate::support::{
    Refused, Service,
    data_dir::eventually,
    follow,
    frames::{END_HEADERS, Frame, GOAWAY, HEADERS, RST_STREAM, SETTINGS, Wire, frame, headers},
    make,
};

const WATCH: &str = "/readout.v1.ChangeService/WatchChanges";
const LIST: &str = "/readout.v1.ArticleService/ListArticles";

/// A connection that the service has answered; nothing if it was closed instead.
async fn taken_in(service: &Service) -> Option<Wire> {
    let mut wire = Wire::greeted(service.address).await;
    wire.until(|frame| frame.kind == SETTINGS).await.map(|_| wire)
}

/// A client that is told to go away may give up a call which it has not sent; it has not failed, and may be repeated.
fn unsent(status: Status) -> Result<(), Status> {
    if status.source().is_some() { Ok(()) } else { Err(status) }
}

#[tokio::test]
async fn one_more_connection_is_closed_at_once_and_the_others_go_on() {
    for transport in [
        Transport { max_connections: 3, ..Default::default() },
        Transport { max_connections_per_address: 3, ..Default::default() },
    ] {
        // Its own clients have one.
        let service = serve(transport).await;
        let second = taken_in(&service).await.expect("room for a second");
        let _third = taken_in(&service).await.expect("room for a third");
        for _ in 0..3 {
            assert!(taken_in(&service).await.is_none(), "a fourth");
        }
        service.add_person("Kerim Veliyev").await;
        drop(second);
        eventually("room again", async || taken_in(&service).await.is_some()).await;
        service.stop().await;
    }
}

/// Else there could be any number of those whose other end has not heard of theirs.
#[tokio::test]
async fn a_connection_has_its_place_until_it_is_closed() {
    let service = serve(Transport { max_connections: 2, ..Default::default() }).await;
    let mut rude = Wire::silent(service.address).await;
    rude.write(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rude.end().await, None);
    assert!(taken_in(&service).await.is_none(), "a third");
    drop(rude);
    eventually("room again", async || taken_in(&service).await.is_some()).await;
    service.stop().await;
}

/// Nobody who asks has credentials.
#[tokio::test]
async fn a_question_about_health_is_short() {
    let service = serve(Transport::default()).await;
    let channel = service.channel().await;
    for (length, code, reason) in [
        (900, Code::NotFound, ErrorReason::ResourceNotFound),
        (2_000, Code::ResourceExhausted, ErrorReason::MessageTooLarge),
    ] {
        let request = HealthCheckRequest { service: "x".repeat(length) };
        let refused = HealthClient::new(channel.clone()).check(request).await.expect_err("there is none");
        assert_eq!(Refused::from(refused), Refused::with(code, reason));
    }
    service.stop().await;
}

#[tokio::test]
async fn open_calls_of_a_connection_are_bounded() {
    let service = serve(Transport { max_concurrent_streams: 2, ..Default::default() }).await;
    let mut wire = taken_in(&service).await.expect("room");
    for stream in [1, 3, 5] {
        // Its message does not come.
        wire.write(&frame(HEADERS, END_HEADERS, stream, &headers(WATCH, &[]))).await.unwrap();
    }
    let refused = wire.until(|frame| frame.kind == RST_STREAM).await.expect("the connection goes on");
    // REFUSED_STREAM: it may be tried again.
    assert_eq!((refused.stream, refused.payload), (5, vec![0, 0, 0, 7]));
    service.stop().await;
}

#[tokio::test]
async fn headers_are_bounded_and_the_connection_outlives_those_that_are_too_large() {
    let service = serve(Transport { max_header_bytes: 2_000, ..Default::default() }).await;
    let mut wire = taken_in(&service).await.expect("room");
    let others: usize = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", LIST),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    .iter()
    .map(|(name, value)| name.len() + value.len() + 32)
    .sum();
    let fits = 2_000 - 1 - others - "padding".len() - 32;
    for (stream, length, status) in [(1, fits, b"200"), (3, fits + 1, b"431"), (5, fits, b"200")] {
        let padding = "x".repeat(length);
        let block = headers(LIST, &[("padding", &padding)]);
        // END_STREAM: there is no message.
        wire.write(&frame(HEADERS, END_HEADERS | 1, stream, &block)).await.unwrap();
        let is_answer = |frame: &Frame| frame.kind == HEADERS && frame.stream == stream;
        let answer = wire.until(is_answer).await.expect("the connection goes on");
        // 200 is in the static table (RFC 7541, A), 431 is not.
        let is_ok = answer.payload[0] == 0x88;
        assert_eq!(is_ok, status == b"200", "{length}: {answer:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_connection_without_a_call_is_closed_and_one_with_a_call_is_not() {
    let timeout = Duration::from_millis(200);
    let service = serve(Transport { idle_timeout: timeout, handshake_timeout: timeout, ..Default::default() }).await;
    let mut watch = service.watch(follow::all(follow::now())).await;
    for _ in 0..3 {
        // It does not even say that it has understood.
        let mut idle = taken_in(&service).await.expect("room");
        assert_eq!(idle.end().await, Some(0));
    }
    service.add_person("Kerim Veliyev").await;
    watch.change().await;
    drop(watch);
    service.stop().await;
}

#[tokio::test]
async fn an_old_connection_takes_no_further_calls_and_those_that_are_open_go_on() {
    let service = serve(Transport { connection_age: Duration::from_millis(200), ..Default::default() }).await;
    let mut watch = service.watch(follow::all(follow::now())).await;
    let channel = service.channel().await;
    for _ in 0..3 {
        let mut old = taken_in(&service).await.expect("room");
        let aged = old.until(|frame| frame.kind == GOAWAY);
        tokio::pin!(aged);
        loop {
            tokio::select! {
                frame = &mut aged => break assert!(frame.is_some()),
                answer = call(channel.clone()) => answer.or_else(unsent).unwrap(),
            }
        }
    }
    // That of the watch is old too.
    let person = Some(make::person("Kerim Veliyev", "AZ"));
    let request = CreateParticipantRequest { participant: person, ..Default::default() };
    ParticipantServiceClient::new(service.channel().await).create_participant(request).await.unwrap();
    watch.change().await;
    drop(watch);
    service.stop().await;
}
