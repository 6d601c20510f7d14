//! The database takes its time.

use std::time::Duration;

use futures_util::future::join_all;
use readout::{
    config::{self, Bounds},
    pb::{BatchGetParticipantsRequest, ErrorReason},
};
use sqlx::{ConnectOptions, Connection};
use tonic::{Code, Status};

use super::{list, read, recovers, write};
use crate::support::{
    Service, cluster,
    data_dir::eventually,
    hold_up::{hold_up, waiting},
    reason_of,
};

const CALL_TIMEOUT: Duration = Duration::from_millis(500);

async fn impatient() -> Service {
    let bounds = Bounds { call_timeout: CALL_TIMEOUT, ..Default::default() };
    Service::start_as(cluster::database().await, config::Service { bounds, ..Default::default() }).await
}

#[track_caller]
fn is_late(status: &Status) {
    assert_eq!((status.code(), reason_of(status)), (Code::DeadlineExceeded, ErrorReason::Deadline), "{status:?}");
}

#[tokio::test]
async fn a_write_that_is_not_done_in_time_says_so_while_reads_go_on() {
    let service = impatient().await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");
    let held = hold_up(&service).await;
    let late = async {
        is_late(&write(client, "New").await.expect_err("held up"));
    };
    let meanwhile = async {
        waiting(&service, 1).await;
        assert_eq!(read(client, &known).await.expect("it is there"), known);
        assert_eq!(list(client).await.expect("a list").len(), 1);
    };
    tokio::join!(late, meanwhile);
    held.close().await.expect("closed");
    recovers(client, "New").await;
}

#[tokio::test]
async fn reads_that_nobody_waits_for_any_more_leave_their_connections() {
    let service = impatient().await;
    let client = &service.participants;
    let known = write(client, "Known").await.expect("written");
    let mut held = service.database.connect().await.expect("it answers");
    sqlx::raw_sql("begin; lock table participant in access exclusive mode").execute(&mut held).await.expect("locked");
    let names = vec![known.name.clone()];
    let request = BatchGetParticipantsRequest { names, ..Default::default() };
    // More than there are connections.
    let late = join_all((0..20).map(|_| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.batch_get_participants(request).await }
    }));
    for late in late.await {
        is_late(&late.expect_err("held up"));
    }
    let at_work = "
        select count(*)
        from pg_stat_activity
        where datname = current_database() and application_name = 'readout' and wait_event_type = 'Lock'";
    eventually("nothing is worked on", async || service.count(at_work).await == 0).await;
    held.close().await.expect("closed");
    assert_eq!(read(client, &known).await.expect("it is there"), known);
    recovers(client, "New").await;
}
