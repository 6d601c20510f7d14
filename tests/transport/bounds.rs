//! Limits of connections, each tested at its edge.

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
    frames::{END_HEADERS, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, Wire, frame, headers},
    make,
};

const WATCH: &str = "/readout.v1.ChangeService/WatchChanges";

/// Connects; `None` if the service closes the connection instead of sending its SETTINGS.
async fn try_connect(service: &Service) -> Option<Wire> {
    let mut wire = Wire::greeted(service.address).await;
    wire.until(|frame| frame.kind == SETTINGS).await.map(|_| wire)
}

/// Ignores the failure of a call that the client gave up unsent after a GOAWAY: it may be repeated.
fn ignore_unsent(status: Status) -> Result<(), Status> {
    if status.source().is_some() { Ok(()) } else { Err(status) }
}

/// Connects, and begins a call that stays open.
async fn try_call(service: &Service) -> Option<Wire> {
    let mut wire = try_connect(service).await?;
    let call = headers("/readout.v1.ParticipantService/GetParticipant", &[]);
    let begun = [frame(HEADERS, END_HEADERS, 1, &call), frame(PING, 0, 0, &[0; 8])].concat();
    wire.write(&begun).await.ok()?;
    wire.until(|frame| frame.kind == PING).await.map(|_| wire)
}

#[tokio::test]
async fn connection_above_the_limit_is_closed_at_once_and_others_stay_open() {
    for transport in [
        Transport { max_connections: 3, ..Default::default() },
        Transport { max_connections_per_address: 3, ..Default::default() },
    ] {
        let service = serve(transport).await;
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(try_call(&service).await.expect("a connection within the limit"));
        }
        for _ in 0..3 {
            assert!(try_connect(&service).await.is_none(), "the fourth was accepted");
        }
        drop(open.pop());
        eventually("a connection is accepted again", async || try_connect(&service).await.is_some()).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn connections_without_a_call_keep_nobody_out() {
    for transport in [
        Transport { max_connections: 8, ..Default::default() },
        Transport { max_connections_per_address: 8, ..Default::default() },
    ] {
        // The clients of `service` share one connection.
        let service = serve(transport).await;
        service.add_person("Kerim Veliyev").await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            idle.push(Wire::silent(service.address).await);
            idle.extend(try_connect(&service).await);
        }
        // Connections that never had a call lose their slots before one that had.
        service.add_person("Anar Kerimov").await;
        let client = service.channel().await;
        drop((idle, client));
        service.stop().await;
    }
}

/// Health checks need no credentials, so that their size is limited.
#[tokio::test]
async fn health_check_with_a_long_service_name_is_refused() {
    let service = serve(Transport::default()).await;
    let channel = service.channel().await;
    for (length, code, reason) in [
        (900, Code::NotFound, ErrorReason::ResourceNotFound),
        (2_000, Code::ResourceExhausted, ErrorReason::MessageTooLarge),
    ] {
        let request = HealthCheckRequest { service: "x".repeat(length) };
        let refused = HealthClient::new(channel.clone()).check(request).await.expect_err("there is no such service");
        assert_eq!(Refused::from(refused), Refused::with(code, reason));
    }
    service.stop().await;
}

#[tokio::test]
async fn concurrent_calls_of_a_connection_are_limited() {
    let service = serve(Transport { max_concurrent_streams: 2, ..Default::default() }).await;
    let mut wire = try_connect(&service).await.expect("accepted");
    for stream in [1, 3, 5] {
        // The request message is never sent.
        wire.write(&frame(HEADERS, END_HEADERS, stream, &headers(WATCH, &[]))).await.unwrap();
    }
    let refused = wire.until(|frame| frame.kind == RST_STREAM).await.expect("the connection stays open");
    // REFUSED_STREAM: the client may retry.
    assert_eq!((refused.stream, refused.payload), (5, vec![0, 0, 0, 7]));
    service.stop().await;
}

/// The library closes a connection that has too many small frames unread.
#[tokio::test]
async fn small_messages_of_all_the_calls_that_a_connection_may_have_are_read() {
    const BEGIN: [u8; 1] = [0];
    const REST: [u8; 4] = [0; 4];
    let transport = Transport::default();
    let streams: Vec<u32> = (0..transport.max_concurrent_streams).map(|call| 2 * call + 1).collect();
    let service = serve(transport).await;
    let mut wire = try_connect(&service).await.expect("accepted");
    let block = headers("/readout.v1.ArticleService/GetArticle", &[]);
    let begun = |&stream: &u32| [frame(HEADERS, END_HEADERS, stream, &block), frame(0, 0, stream, &BEGIN)].concat();
    wire.write(&streams.iter().flat_map(begun).collect::<Vec<u8>>()).await.unwrap();
    let ended = |&stream: &u32| frame(0, 1, stream, &REST);
    wire.write(&streams.iter().flat_map(ended).collect::<Vec<u8>>()).await.unwrap();
    for _ in &streams {
        wire.until(|frame| frame.kind == HEADERS).await.expect("an answer to each call");
    }
    service.stop().await;
}

#[tokio::test]
async fn idle_connection_is_closed_and_one_with_a_call_stays_open() {
    let timeout = Duration::from_millis(200);
    let service = serve(Transport { idle_timeout: timeout, handshake_timeout: timeout, ..Default::default() }).await;
    let mut watch = service.watch(follow::all(follow::now())).await;
    for _ in 0..3 {
        // The client does not even acknowledge the SETTINGS.
        let mut idle = try_connect(&service).await.expect("accepted");
        assert_eq!(idle.end().await, Some(0));
    }
    service.add_person("Kerim Veliyev").await;
    watch.change().await;
    drop(watch);
    service.stop().await;
}

#[tokio::test]
async fn aged_connection_gets_goaway_and_its_open_calls_continue() {
    let service = serve(Transport { connection_age: Duration::from_millis(200), ..Default::default() }).await;
    let mut watch = service.watch(follow::all(follow::now())).await;
    let channel = service.channel().await;
    for _ in 0..3 {
        let mut old = try_connect(&service).await.expect("accepted");
        let aged = old.until(|frame| frame.kind == GOAWAY);
        tokio::pin!(aged);
        loop {
            tokio::select! {
                frame = &mut aged => break assert!(frame.is_some()),
                answer = call(channel.clone()) => answer.or_else(ignore_unsent).unwrap(),
            }
        }
    }
    // The connection of the watch is old too.
    let person = Some(make::person("Kerim Veliyev", "AZ"));
    let request = CreateParticipantRequest { participant: person, ..Default::default() };
    ParticipantServiceClient::new(service.channel().await).create_participant(request).await.unwrap();
    watch.change().await;
    drop(watch);
    service.stop().await;
}
