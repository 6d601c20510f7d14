//! Streams that the service ends early, and the tokens from which clients resume them.

use std::time::Duration;

use readout::{
    config::{self, CallLimits},
    pb::{
        ErrorReason, ListParticipantsRequest, WatchChangesRequest, watch_changes_request::Start,
        watch_changes_response::Event,
    },
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Service, cluster, metadata_of, reason_of};

/// Asserts that the service ended a stream early, for this reason and with a retry delay.
#[track_caller]
fn assert_ended(status: &Status, reason: ErrorReason) {
    assert_eq!((status.code(), reason_of(status)), (Code::Unavailable, reason), "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
}

/// Watches to the end of the stream. Returns the names of the changes and the resume cursor of the final status.
async fn watch(service: &Service, start: Start, reason: ErrorReason) -> (Vec<String>, String) {
    let request = WatchChangesRequest { start: Some(start), ..Default::default() };
    let mut watch = service.changes.clone().watch_changes(request).await.unwrap().into_inner();
    let (mut names, mut last) = (Vec::new(), String::new());
    loop {
        match watch.message().await {
            Ok(message) => {
                let message = message.expect("a stream that ends early does not look complete");
                last = message.cursor;
                if let Some(Event::Change(change)) = message.event {
                    names.push(change.name);
                }
            }
            Err(status) => {
                assert_ended(&status, reason);
                let cursor = metadata_of(&status, "cursor");
                assert_eq!(cursor, last);
                return (names, cursor);
            }
        }
    }
}

#[tokio::test]
async fn watch_that_reaches_its_lifetime_resumes_from_its_cursor() {
    let bounds = CallLimits { stream_life: Duration::from_millis(500), ..Default::default() };
    let service = Service::start_as(cluster::database().await, config::Service { bounds, ..Default::default() }).await;
    let (first, _) = service.add_person("First").await;
    let beginning = Start::Origin(readout::pb::Origin::Beginning.into());
    let (names, cursor) = watch(&service, beginning, ErrorReason::StreamLife).await;
    assert_eq!(names, [first.name]);
    let (second, _) = service.add_person("Second").await;
    let (names, _) = watch(&service, Start::Cursor(cursor), ErrorReason::StreamLife).await;
    assert_eq!(names, [second.name]);
}

#[tokio::test]
async fn list_stream_cut_by_shutdown_resumes_from_its_page_token() {
    let service = Service::start().await;
    for number in 0..40 {
        service.add_person(&format!("Person {number}")).await;
    }
    let request = ListParticipantsRequest { page_size: 1, ..Default::default() };
    let mut stream = service.participants.clone().stream_participants(request.clone()).await.unwrap().into_inner();
    let mut names = Vec::new();
    let mut take = |chunk: readout::pb::ListParticipantsResponse| {
        names.extend(chunk.participants.into_iter().map(|participant| participant.name));
    };
    take(stream.message().await.unwrap().expect("a chunk"));
    let second = Service::start_on(service.database.clone()).await;
    let stopped = tokio::spawn(service.stop());
    let token = loop {
        match stream.message().await {
            // Chunks in flight still arrive, possibly all of them.
            Ok(Some(chunk)) => take(chunk),
            Ok(None) => break String::new(),
            Err(status) => {
                assert_ended(&status, ErrorReason::ShuttingDown);
                break metadata_of(&status, "page_token");
            }
        }
    };
    if !token.is_empty() {
        let rest = ListParticipantsRequest { page_token: token, ..request };
        let mut rest = second.participants.clone().stream_participants(rest).await.unwrap().into_inner();
        while let Some(chunk) = rest.message().await.unwrap() {
            take(chunk);
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!((count, names.len()), (40, 40));
    stopped.await.unwrap();
}

#[tokio::test]
async fn watch_cut_by_shutdown_receives_a_resume_cursor() {
    let service = Service::start().await;
    let mut changes = service.changes.clone();
    let (person, _) = service.add_person("Kerim Veliyev").await;
    let start = Some(Start::Origin(readout::pb::Origin::Beginning.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    let mut watch = changes.watch_changes(request).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Change(change)) if change.name == person.name));
    let caught_up = watch.message().await.unwrap().unwrap();
    let stopped = tokio::spawn(service.stop());
    let status = watch.message().await.unwrap_err();
    assert_ended(&status, ErrorReason::ShuttingDown);
    assert_eq!(metadata_of(&status, "cursor"), caught_up.cursor);
    stopped.await.unwrap();
}
