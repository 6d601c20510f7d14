//! Admission control: calls above a limit are shed, with a reason and a retry delay.

use std::time::Duration;

use readout::{
    config::{self, CallLimits, Pools},
    pb::{ErrorReason, GetParticipantRequest, ListMeetingsRequest, WatchChangesRequest, watch_changes_request::Start},
};
use sqlx::Connection;
use sqlx::{ConnectOptions, PgConnection};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::support::{Service, block_commits::waiting, cluster, data_dir::eventually, raw, reason_of};

async fn start(bounds: CallLimits, pools: Pools) -> Service {
    Service::start_as(cluster::database().await, config::Service { bounds, pools, ..Default::default() }).await
}

/// Blocks reads of meetings until the connection is closed.
async fn block_meetings(service: &Service) -> PgConnection {
    let mut connection = service.database.connect().await.unwrap();
    sqlx::raw_sql("begin; lock table meeting in access exclusive mode").execute(&mut connection).await.unwrap();
    connection
}

#[track_caller]
fn assert_shed(status: &Status) {
    assert_eq!((status.code(), reason_of(status)), (Code::Unavailable, ErrorReason::Overloaded), "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
}

async fn list(service: &Service) -> Result<(), Status> {
    service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.map(drop)
}

#[tokio::test]
async fn query_that_waits_longer_than_max_wait_is_shed() {
    let bounds = CallLimits { max_wait: Duration::from_millis(50), ..Default::default() };
    let service = start(bounds, Pools { pool_pages: 1, ..Default::default() }).await;
    let blocker = block_meetings(&service).await;
    let first = list(&service);
    let second = async {
        waiting(&service, 1).await;
        assert_shed(&list(&service).await.unwrap_err());
        blocker.close().await.unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap();
    list(&service).await.unwrap();
}

#[tokio::test]
async fn call_above_max_calls_is_shed_at_once_and_health_checks_are_exempt() {
    let service = start(CallLimits { max_calls: 1, ..Default::default() }, Pools::default()).await;
    let blocker = block_meetings(&service).await;
    let first = list(&service);
    let others = async {
        waiting(&service, 1).await;
        assert_shed(&list(&service).await.unwrap_err());
        let name = "participants/0198c0de-0000-7000-8000-000000000000".into();
        let request = GetParticipantRequest { name, ..Default::default() };
        assert_shed(&service.participants.clone().get_participant(request).await.unwrap_err());
        let mut health = HealthClient::new(service.channel().await);
        health.check(HealthCheckRequest::default()).await.unwrap();
        blocker.close().await.unwrap();
    };
    let (first, ()) = tokio::join!(first, others);
    first.unwrap();
    list(&service).await.unwrap();
}

async fn watch(service: &Service) -> Result<Streaming<readout::pb::WatchChangesResponse>, Status> {
    let start = Some(Start::Origin(readout::pb::Origin::Now.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    Ok(service.changes.clone().watch_changes(request).await?.into_inner())
}

#[tokio::test]
async fn stream_above_max_streams_is_shed_until_another_ends() {
    let service = start(CallLimits { max_streams: 1, ..Default::default() }, Pools::default()).await;
    let mut open = watch(&service).await.unwrap();
    open.message().await.unwrap();
    assert_shed(&watch(&service).await.unwrap_err());
    list(&service).await.unwrap();
    drop(open);
    eventually("a stream slot is free", async || watch(&service).await.is_ok()).await;
}

#[tokio::test]
async fn queued_query_ends_at_its_deadline() {
    let bounds = CallLimits { max_wait: Duration::from_secs(60), ..Default::default() };
    let service = start(bounds, Pools { pool_pages: 1, ..Default::default() }).await;
    let blocker = block_meetings(&service).await;
    let first = list(&service);
    let second = async {
        waiting(&service, 1).await;
        let timeout = [("grpc-timeout", "50m")];
        let method = "readout.v1.MeetingService/ListMeetings";
        let answer = raw::ask(service.address, method, &timeout).await;
        assert_eq!(answer["grpc-status"], (Code::DeadlineExceeded as i32).to_string());
        blocker.close().await.unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap();
}

#[tokio::test]
async fn unsent_requests_do_not_block_other_calls() {
    let service =
        start(CallLimits { max_wait: Duration::from_millis(50), ..Default::default() }, Pools::default()).await;
    // More requests than may be in progress at once.
    let mut slow = Vec::new();
    for _ in 0..12 {
        let channel = service.channel().await;
        slow.extend((0..50).map(|_| raw::hesitant(channel.clone(), "readout.v1.ParticipantService/GetParticipant")));
    }
    let slow = futures_util::future::join_all(slow);
    tokio::pin!(slow);
    let read = async {
        for _ in 0..20 {
            let name = "participants/0198c0de-0000-7000-8000-000000000000".into();
            let request = GetParticipantRequest { name, ..Default::default() };
            let missing = service.participants.clone().get_participant(request).await.unwrap_err();
            assert_eq!(missing.code(), Code::NotFound);
        }
    };
    tokio::select! {
        _ = &mut slow => panic!("a request without a message was answered"),
        () = read => {}
    }
}
