//! Behaviour while the database is stopped, killed, or out of connections.

use std::{fs, path::PathBuf};

use futures_util::future::join_all;
use readout::pb::{WatchChangesRequest, watch_changes_request::Start, watch_changes_response::Event};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::Instant;

use super::{assert_recovers, assert_unavailable, list, read, write};
use crate::{
    faults::instances::Own,
    support::{
        Service,
        data_dir::{PATIENCE, eventually, signal, within_timeout},
        stored_records::execute,
    },
};

/// The data directory of a database, moved away so that the database cannot restart until it is put back.
struct MovedDirectory {
    original: PathBuf,
    moved: PathBuf,
}

impl MovedDirectory {
    fn take(own: &Own) -> Self {
        let directory = Self { original: own.dir.path().join("postgres"), moved: own.dir.path().join("away") };
        fs::rename(&directory.original, &directory.moved).expect("the directory is moved");
        directory
    }

    fn put_back(self) {
        fs::rename(self.moved, self.original).expect("the directory is put back");
    }
}

/// Asserts that calls fail fast with `DATABASE_UNAVAILABLE` while the database is gone, that they recover, and that an
/// open watch survives.
async fn assert_survives(end: impl FnOnce(&Own)) {
    let own = Own::start(&[]).await;
    let service = Service::start_on(own.database()).await;
    let known = write(&service.participants, "Known").await.expect("written");
    let start = Some(Start::Origin(readout::pb::Origin::Now.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    let mut watch = service.changes.clone().watch_changes(request).await.expect("a watch").into_inner();

    end(&own);
    let directory = MovedDirectory::take(&own);
    eventually("the loss shows", async || read(&service.participants, &known).await.is_err()).await;
    let start_time = Instant::now();
    let client = &service.participants;
    let (written, fetched, listed) = tokio::join!(write(client, "New"), read(client, &known), list(client));
    assert_unavailable(&written.expect_err("the database is gone"));
    assert_unavailable(&fetched.expect_err("the database is gone"));
    assert_unavailable(&listed.expect_err("the database is gone"));
    assert!(start_time.elapsed() < PATIENCE / 4, "{:?}", start_time.elapsed());

    directory.put_back();
    assert_recovers(client, "New").await;
    let delivered = async {
        loop {
            let message = watch.message().await.expect("the watch continues").expect("the watch continues");
            if let Some(Event::Change(_)) = message.event {
                break;
            }
        }
    };
    within_timeout("the change is delivered", delivered).await;
    service.stop().await;
    own.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reports_a_stopped_database_and_recovers() {
    assert_survives(|own| signal(own.dir.postmaster(), "INT").expect("the signal is sent")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reports_a_killed_database_and_recovers() {
    assert_survives(|own| own.dir.kill_servers()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reports_a_database_out_of_connections_and_recovers() {
    let own = Own::start(&[("max_connections", "40")]).await;
    let service = Service::start_on(own.database()).await;
    let known = write(&service.participants, "Known").await.expect("written");

    let connections = take_all(&own).await;
    let client = &service.participants;
    let (written, fetched) = tokio::join!(write(client, "New"), read(client, &known));
    assert_unavailable(&written.expect_err("there is no connection"));
    assert_unavailable(&fetched.expect_err("there is no connection"));

    join_all(connections.into_iter().map(Connection::close)).await;
    assert_recovers(client, "New").await;
    service.stop().await;
    own.stop().await;
}

/// Takes every connection of the database, those of the service included.
async fn take_all(own: &Own) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    for _ in 0..20 {
        while let Ok(connection) = own.database().application_name("stranger").connect().await {
            taken.push(connection);
        }
        let terminate_service =
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'readout'";
        let ended: i64 = sqlx::query_scalar(terminate_service).fetch_one(&mut taken[0]).await.expect("an answer");
        if ended == 0 {
            return taken;
        }
    }
    execute(&own.database(), "select 'the service comes first'").await;
    taken
}
