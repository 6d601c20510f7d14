//! A standby takes over.

use std::ffi::OsStr;

use futures_util::future::join_all;
use readout::pb::{
    CreateParticipantRequest, ErrorReason, change_service_client::ChangeServiceClient,
    participant_service_client::ParticipantServiceClient, watch_changes_response::Event,
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{
    fleet::{Door, Fleet, Own},
    plan::Plan,
    programs::run,
    proxy::Proxy,
    recorder::{Outcome, Recording},
    wire::socket,
    writer::connect,
};
use crate::support::{
    contents::execute,
    data_dir::{DataDir, eventually},
    follow::{Watch, all, beginning, number},
    make, reason_of,
};

/// A synchronous standby takes over when the primary is killed: no epoch ends.
pub async fn promoted(plan: Plan) -> Outcome {
    let pair = Pair::start(true).await;
    let fleet = pair.fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    recording.more(100).await;
    pair.fail_over().await;
    recording.more(100).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    pair.stop().await;
    outcome
}

/// A standby takes over that had not got all, and others write at once: more than was lost. Whoever watches is told
/// that the epoch has ended, and nothing that follows on what was lost.
pub async fn promoted_without_its_tail(_: Plan) -> Outcome {
    let pair = Pair::start(false).await;
    let fleet = pair.fleet().await;
    let mut watches = Vec::new();
    for door in fleet.doors().into_iter().chain(fleet.doors()) {
        let changes = ChangeServiceClient::new(connect(&door).await.expect("it listens"));
        watches.push(Watch::begin(&changes, all(beginning())).await.expect("a watch"));
    }
    let door = fleet.instances[0].door();
    write(&door, "Before", KEPT).await;
    pair.part().await;
    write(&door, "Lost", LOST).await;
    for watch in &mut watches {
        watch.changes(KEPT + LOST).await;
    }
    pair.fail_over().await;
    write(&door, "After", 3 * LOST).await;

    let mut outcome = Outcome { histories: 1, changes: KEPT + 3 * LOST, wrong: Vec::new() };
    for watch in &mut watches {
        let ended = loop {
            match watch.next().await {
                Ok(Event::Change(change)) => break Err(format!("{} was told after what was lost", change.position)),
                Ok(_) => {}
                Err(status) if reason_of(&status) == ErrorReason::EpochChanged => break Ok(()),
                Err(status) => break Err(format!("a watch ended: {status:?}")),
            }
        };
        outcome.wrong.extend(ended.err());
    }
    for door in fleet.doors() {
        let changes = ChangeServiceClient::new(connect(&door).await.expect("it listens"));
        let mut watch = Watch::begin(&changes, all(beginning())).await.expect("a watch");
        let told: Vec<_> = watch.caught_up().await.iter().map(number).collect();
        outcome = outcome.require(told == (1..=(KEPT + 3 * LOST) as i64).collect::<Vec<_>>(), || format!("{told:?}"));
    }
    fleet.stop().await;
    pair.stop().await;
    outcome
}

const KEPT: usize = 40;
const LOST: usize = 10;

/// So many writes at once, each as often as it takes.
async fn write(door: &Door, what: &str, count: usize) {
    let channel = connect(door).await.expect("it listens");
    let one = async |number| {
        let name = format!("{what} {number}");
        let participant = Some(make::person(&name, "AZ"));
        let request = CreateParticipantRequest { participant, request_id: name, ..Default::default() };
        eventually("it is written", async || {
            ParticipantServiceClient::new(channel.clone()).create_participant(request.clone()).await.is_ok()
        })
        .await;
    };
    join_all((0..count).map(one)).await;
}

/// Waits until a query about a state answers one.
async fn becomes_one(database: &PgConnectOptions, query: &'static str, state: &str) {
    let mut connection = PgConnection::connect_with(database).await.expect("it answers");
    eventually(query, async || {
        let count: i64 = sqlx::query_scalar(query).bind(state).fetch_one(&mut connection).await.expect("one");
        count == 1
    })
    .await;
}

/// A primary with a standby, and the wire that leads to one of them.
pub struct Pair {
    primary: Own,
    pub standby: Own,
    proxy: Proxy,
}

impl Pair {
    /// With a standby that has all that was acknowledged, or not.
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
        becomes_one(&primary.database(), states, state).await;
        let proxy = Proxy::to(socket(&primary.database())).await;
        Self { primary, standby, proxy }
    }

    async fn fleet(&self) -> Fleet {
        let url = self.proxy.url("readout");
        Fleet::at(url.parse().expect("a url"), [&url, &url], &[]).await
    }

    /// Nothing reaches the primary any more; it is killed, and the standby becomes one.
    async fn fail_over(&self) {
        self.proxy.go_down();
        self.primary.dir.kill_servers();
        execute(&self.standby.database(), "select pg_promote()").await;
        self.proxy.lead_to(socket(&self.standby.database()));
        self.proxy.come_up();
    }

    /// What is written from here on, the standby does not get.
    async fn part(&self) {
        execute(&self.standby.database(), "alter system set primary_conninfo = ''").await;
        execute(&self.standby.database(), "select pg_reload_conf()").await;
        let gone = "select 1 - count(*) from pg_stat_replication where state = $1";
        becomes_one(&self.primary.database(), gone, "streaming").await;
    }

    pub async fn stop(self) {
        self.standby.stop().await;
        self.primary.stop().await;
    }
}
