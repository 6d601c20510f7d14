//! A standby is promoted.

use std::ffi::OsStr;

use futures_util::future::join_all;
use readout::pb::{
    CreateParticipantRequest, ErrorReason, change_service_client::ChangeServiceClient,
    participant_service_client::ParticipantServiceClient, watch_changes_response::Event,
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{
    database_connection::socket,
    instances::{Fleet, InstanceAddress, Own},
    postgres_programs::run,
    proxy::Proxy,
    run::{Outcome, Recording},
    run_options::Plan,
    writer::connect,
};
use crate::support::{
    data_dir::{DataDir, eventually},
    follow::{Watch, all, beginning, number},
    make, reason_of,
    stored_records::execute,
};

/// A synchronous standby takes over when the primary is killed. The epoch continues.
pub async fn promoted(plan: Plan) -> Outcome {
    let pair = Pair::start(true).await;
    let fleet = pair.fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    recording.wait_for_writes(100).await;
    pair.fail_over().await;
    recording.wait_for_writes(100).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    pair.stop().await;
    outcome
}

/// A standby without the last changes takes over, and more new changes are written at once than were lost. Watchers
/// must receive the end of the epoch, and no change that follows on lost ones.
pub async fn promoted_without_its_tail(_: Plan) -> Outcome {
    let pair = Pair::start(false).await;
    let fleet = pair.fleet().await;
    let mut watches = Vec::new();
    for address in fleet.addresses().into_iter().chain(fleet.addresses()) {
        let changes = ChangeServiceClient::new(connect(&address).await.expect("the instance listens"));
        watches.push(Watch::begin(&changes, all(beginning())).await.expect("a watch"));
    }
    let address = fleet.instances[0].address();
    write(&address, "Before", KEPT).await;
    pair.disconnect().await;
    write(&address, "Lost", LOST).await;
    for watch in &mut watches {
        watch.changes(KEPT + LOST).await;
    }
    pair.fail_over().await;
    write(&address, "After", 3 * LOST).await;

    let mut outcome = Outcome { histories: 1, changes: KEPT + 3 * LOST, failures: Vec::new() };
    for watch in &mut watches {
        let ended = loop {
            match watch.next().await {
                Ok(Event::Change(change)) => break Err(format!("{} was sent after lost changes", change.position)),
                Ok(_) => {}
                Err(status) if reason_of(&status) == ErrorReason::EpochChanged => break Ok(()),
                Err(status) => break Err(format!("a watch ended: {status:?}")),
            }
        };
        outcome.failures.extend(ended.err());
    }
    for address in fleet.addresses() {
        let changes = ChangeServiceClient::new(connect(&address).await.expect("the instance listens"));
        let mut watch = Watch::begin(&changes, all(beginning())).await.expect("a watch");
        let received: Vec<_> = watch.caught_up().await.iter().map(number).collect();
        let expected: Vec<_> = (1..=(KEPT + 3 * LOST) as i64).collect();
        outcome = outcome.require(received == expected, || format!("{received:?}"));
    }
    fleet.stop().await;
    pair.stop().await;
    outcome
}

const KEPT: usize = 40;
const LOST: usize = 10;

/// Creates this many participants at once, each with retries.
async fn write(address: &InstanceAddress, prefix: &str, count: usize) {
    let channel = connect(address).await.expect("the instance listens");
    let create = async |number| {
        let name = format!("{prefix} {number}");
        let participant = Some(make::person(&name, "AZ"));
        let request = CreateParticipantRequest { participant, request_id: name, ..Default::default() };
        eventually("the write succeeds", async || {
            ParticipantServiceClient::new(channel.clone()).create_participant(request.clone()).await.is_ok()
        })
        .await;
    };
    join_all((0..count).map(create)).await;
}

/// Waits until a query with this parameter returns 1.
async fn wait_for_one(database: &PgConnectOptions, query: &'static str, parameter: &str) {
    let mut connection = PgConnection::connect_with(database).await.expect("the database answers");
    eventually(query, async || {
        let count: i64 = sqlx::query_scalar(query).bind(parameter).fetch_one(&mut connection).await.expect("a row");
        count == 1
    })
    .await;
}

/// A primary with a standby, and a proxy that leads to one of them.
pub struct Pair {
    primary: Own,
    pub standby: Own,
    proxy: Proxy,
}

impl Pair {
    /// Starts a pair. A synchronous standby has everything that was acknowledged.
    pub async fn start(is_synchronous: bool) -> Self {
        let primary = Own::start(&[]).await;
        let dir = DataDir::new();
        let data = dir.path().join("postgres");
        let into = ["--checkpoint=fast", "--write-recovery-conf", "--pgdata"].map(OsStr::new);
        run("pg_basebackup", &primary.database(), into.into_iter().chain([data.as_ref()])).await;
        dir.give_to_owner_of(&primary.dir);
        let standby = Own::take(dir, &[]).await;

        if is_synchronous {
            execute(&primary.database(), "alter system set synchronous_standby_names = '*'").await;
            execute(&primary.database(), "select pg_reload_conf()").await;
        }
        let state = if is_synchronous { "sync" } else { "async" };
        let states = "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = $1";
        wait_for_one(&primary.database(), states, state).await;
        let proxy = Proxy::to(socket(&primary.database())).await;
        Self { primary, standby, proxy }
    }

    async fn fleet(&self) -> Fleet {
        let url = self.proxy.url("readout");
        Fleet::at(url.parse().expect("a url"), [&url, &url], &[]).await
    }

    /// Cuts the primary off and kills it, and promotes the standby.
    async fn fail_over(&self) {
        self.proxy.go_down();
        self.primary.dir.kill_servers();
        execute(&self.standby.database(), "select pg_promote()").await;
        self.proxy.lead_to(socket(&self.standby.database()));
        self.proxy.come_up();
    }

    /// Ends the replication: the standby receives no further changes.
    async fn disconnect(&self) {
        execute(&self.standby.database(), "alter system set primary_conninfo = ''").await;
        execute(&self.standby.database(), "select pg_reload_conf()").await;
        let count = "select 1 - count(*) from pg_stat_replication where state = $1";
        wait_for_one(&self.primary.database(), count, "streaming").await;
    }

    pub async fn stop(self) {
        self.standby.stop().await;
        self.primary.stop().await;
    }
}
