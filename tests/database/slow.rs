//! Deadlines while the database is slow.

use std::time::Duration;

use futures_util::future::join_all;
use readout::{
    config::{self, CallLimits},
    pb::{BatchGetParticipantsRequest, ErrorReason},
};
use sqlx::{ConnectOptions, Connection};
use tonic::{Code, Status};

use super::{assert_recovers, list, read, write};
use crate::support::{
    Service,
    block_commits::{block_commits, waiting},
    cluster,
    data_dir::eventually,
    reason_of,
};

const CALL_TIMEOUT: Duration = Duration::from_millis(500);

async fn short_deadline() -> Service {
    let bounds = CallLimits { call_timeout: CALL_TIMEOUT, ..Default::default() };
    Service::start_as(cluster::database().await, config::Service { bounds, ..Default::default() }).await
}

#[track_caller]
fn assert_deadline_exceeded(status: &Status) {
    assert_eq!((status.code(), reason_of(status)), (Code::DeadlineExceeded, ErrorReason::Deadline), "{status:?}");
}

#[tokio::test]
async fn a_write_past_its_deadline_is_refused_while_reads_are_answered() {
    let service = short_deadline().await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");
    let held = block_commits(&service).await;
    let blocked = async {
        assert_deadline_exceeded(&write(client, "New").await.expect_err("the write is blocked"));
    };
    let meanwhile = async {
        waiting(&service, 1).await;
        assert_eq!(read(client, &known).await.expect("the participant exists"), known);
        assert_eq!(list(client).await.expect("a list").len(), 1);
    };
    tokio::join!(blocked, meanwhile);
    held.close().await.expect("closed");
    assert_recovers(client, "New").await;
}

#[tokio::test]
async fn reads_past_their_deadline_release_their_connections() {
    let service = short_deadline().await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");
    let mut held = service.database.connect().await.expect("a connection");
    sqlx::raw_sql("begin; lock table participant in access exclusive mode").execute(&mut held).await.expect("locked");
    let names = vec![known.name.clone()];
    let request = BatchGetParticipantsRequest { names, ..Default::default() };
    // More reads than the pool has connections.
    let reads = join_all((0..20).map(|_| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.batch_get_participants(request).await }
    }));
    for outcome in reads.await {
        assert_deadline_exceeded(&outcome.expect_err("the read is blocked"));
    }
    let waiting_backends = "
        select count(*)
        from pg_stat_activity
        where datname = current_database() and application_name = 'readout' and wait_event_type = 'Lock'";
    eventually("no statement waits", async || service.count(waiting_backends).await == 0).await;
    held.close().await.expect("closed");
    assert_eq!(read(client, &known).await.expect("the participant exists"), known);
    assert_recovers(client, "New").await;
}
