//! Graceful shutdown: the service reports that it stops, then closes, and idle streams do not delay it.

use std::time::Duration;

use futures_util::stream;
use readout::pb::{ListMeetingsRequest, meeting_service_client::MeetingServiceClient};
use tonic::{Request, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    data_dir::{DataDir, within_timeout},
    program::Program,
    raw::{self, Bytes},
    service::connect,
};

#[tokio::test]
async fn stopping_service_reports_not_serving_and_serves_during_the_drain_delay() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--drain-delay", "600"]);
    let address = service.address().await;
    let mut health = HealthClient::new(connect(address).await);
    let mut statuses = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(statuses.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    service.signal("TERM");
    let status = within_timeout("a health status", statuses.message()).await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::NotServing);
    // A client that connects after the signal is served too.
    let mut meetings = MeetingServiceClient::new(connect(address).await);
    meetings.list_meetings(ListMeetingsRequest::default()).await.unwrap();
    service.signal("TERM");
    let (code, _) = service.ended().await;
    assert_eq!(code, Some(128 + 15));
}

#[tokio::test]
async fn idle_reflection_stream_does_not_delay_shutdown() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--drain-timeout", "600"]);
    let mut open = Vec::new();
    for version in ["v1", "v1alpha"] {
        let mut client = Grpc::new(service.channel().await);
        client.ready().await.unwrap();
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let idle = Request::new(stream::pending::<Vec<u8>>());
        open.push(client.streaming(idle, PathAndQuery::try_from(path).unwrap(), Bytes).await.unwrap());
    }
    service.stop().await;
}

#[tokio::test]
async fn watch_without_a_request_does_not_delay_shutdown() {
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--drain-timeout", "600"]);
    let watching = tokio::spawn(raw::hesitant(service.channel().await, "readout.v1.ChangeService/WatchChanges"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    service.stop().await;
    within_timeout("the end of the watch", watching).await.unwrap();
}
