//! The database is stopped, killed, or has no connection left.

use std::{fs, path::PathBuf};

use futures_util::future::join_all;
use readout::pb::{WatchChangesRequest, watch_changes_request::Start, watch_changes_response::Event};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::Instant;

use super::{is_unavailable, list, read, recovers, write};
use crate::{
    faults::fleet::Own,
    support::{
        Service,
        contents::execute,
        data_dir::{PATIENCE, eventually, patiently, signal},
    },
};

/// The directory of a database that does not come back before it is put there again.
struct Away {
    there: PathBuf,
    away: PathBuf,
}

impl Away {
    fn take(own: &Own) -> Self {
        let away = Self { there: own.dir.path().join("postgres"), away: own.dir.path().join("away") };
        fs::rename(&away.there, &away.away).expect("ours");
        away
    }

    fn put_back(self) {
        fs::rename(self.away, self.there).expect("ours");
    }
}

/// While the database is away all calls say so, and soon; a watch goes on over it.
async fn is_survived(end: impl FnOnce(&Own)) {
    let own = Own::start(&[]).await;
    let service = Service::start_on(own.database()).await;
    let known = write(&service.participants, "Known").await.expect("written");
    let start = Some(Start::Origin(readout::pb::Origin::Now.into()));
    let request = WatchChangesRequest { start, ..Default::default() };
    let mut watch = service.changes.clone().watch_changes(request).await.expect("a watch").into_inner();

    end(&own);
    let away = Away::take(&own);
    eventually("the loss shows", async || read(&service.participants, &known).await.is_err()).await;
    let begun = Instant::now();
    let client = &service.participants;
    let (written, was_read, listed) = tokio::join!(write(client, "New"), read(client, &known), list(client));
    is_unavailable(&written.expect_err("it is away"));
    is_unavailable(&was_read.expect_err("it is away"));
    is_unavailable(&listed.expect_err("it is away"));
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());

    away.put_back();
    recovers(client, "New").await;
    let told = async {
        loop {
            let message = watch.message().await.expect("it goes on").expect("it goes on");
            if let Some(Event::Change(_)) = message.event {
                break;
            }
        }
    };
    patiently("the change is told", told).await;
    service.stop().await;
    own.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_database_is_told_and_found_again() {
    is_survived(|own| signal(own.dir.postmaster(), "INT").expect("sh is there")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_is_told_and_found_again() {
    is_survived(|own| own.dir.kill_servers()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_a_connection_left_is_told_until_there_is_one() {
    let own = Own::start(&[("max_connections", "40")]).await;
    let service = Service::start_on(own.database()).await;
    let known = write(&service.participants, "Known").await.expect("written");

    let taken = take_all(&own).await;
    let client = &service.participants;
    let (written, was_read) = tokio::join!(write(client, "New"), read(client, &known));
    is_unavailable(&written.expect_err("there is no connection"));
    is_unavailable(&was_read.expect_err("there is no connection"));

    join_all(taken.into_iter().map(Connection::close)).await;
    recovers(client, "New").await;
    service.stop().await;
    own.stop().await;
}

/// Takes the connections of the service away from it, and all others.
async fn take_all(own: &Own) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    for _ in 0..20 {
        while let Ok(connection) = own.database().application_name("stranger").connect().await {
            taken.push(connection);
        }
        let of_the_service =
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'readout'";
        let ended: i64 = sqlx::query_scalar(of_the_service).fetch_one(&mut taken[0]).await.expect("an answer");
        if ended == 0 {
            return taken;
        }
    }
    execute(&own.database(), "select 'the service comes first'").await;
    taken
}
