//! The database is moved: dumped and restored, or a standby takes over.

use std::{ffi::OsStr, fs, os::unix::fs::MetadataExt, path::PathBuf, process::Command};

use readout::pb::{ErrorReason, change_service_client::ChangeServiceClient, watch_changes_request::Start};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tonic::Code;

use super::{
    fleet::{Door, Fleet, Own},
    plan::Plan,
    proxy::Proxy,
    recorder::{Outcome, Recording},
    wire::socket,
    writer::connect,
};
use crate::support::{
    cluster,
    contents::execute,
    data_dir::{DataDir, eventually},
    follow::{Watch, all, now},
    reason_of,
};

/// Dumped while others write, and restored twice: as one should, with a new epoch, and without. Nobody goes on from a
/// place in the history that has ended.
pub async fn restored(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let recording = Recording::begin(&fleet, plan).await;
    let dir = DataDir::new();
    let dump = dir.path().join("dump.sql");
    recording.more(100).await;
    run("pg_dump", &fleet.database, [OsStr::new("--file"), dump.as_ref()]).await;
    recording.more(50).await;
    let early = Start::After(recording.shared.position(1));
    let mut outcome = recording.end().await;
    let changes = ChangeServiceClient::new(connect(&fleet.doors()[0]).await.expect("it listens"));
    let mut watch = Watch::begin(&changes, all(now())).await.expect("a watch");
    watch.caught_up().await;
    let late = Start::Cursor(watch.cursor.clone());
    fleet.stop().await;

    for is_new_epoch in [true, false] {
        let database = cluster::empty_database().await;
        let quietly = ["--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file"].map(OsStr::new);
        run("psql", &database, quietly.into_iter().chain([dump.as_ref()])).await;
        if is_new_epoch {
            execute(&database, "update feed set epoch = 'restored'").await;
        }
        let fleet = Fleet::on(database, &[]).await;
        let door = &fleet.doors()[1];
        outcome.wrong.extend(not_refused(door, late.clone()).await);
        // Without a new epoch somebody must have come with what was lost.
        outcome.wrong.extend(not_refused(door, early.clone()).await);
        let recording = Recording::begin(&fleet, plan).await;
        recording.more(100).await;
        outcome = outcome.and(recording.end().await);
        fleet.stop().await;
    }
    outcome
}

/// What is wrong if nobody is told that the epoch has changed.
async fn not_refused(door: &Door, start: Start) -> Option<String> {
    let changes = ChangeServiceClient::new(connect(door).await.expect("it listens"));
    match Watch::begin(&changes, all(start.clone())).await {
        Ok(_) => Some(format!("{start:?} is of a history that has ended, and was taken")),
        Err(status) => {
            let is_refused =
                (status.code(), reason_of(&status)) == (Code::FailedPrecondition, ErrorReason::EpochChanged);
            (!is_refused).then(|| format!("{start:?} was refused as {status:?}"))
        }
    }
}

/// A synchronous standby takes over when the primary is killed: no epoch ends.
pub async fn promoted(plan: Plan) -> Outcome {
    let pair = Pair::start().await;
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

/// A primary with a synchronous standby, and the wire that leads to one of them.
struct Pair {
    primary: Own,
    standby: Own,
    proxy: Proxy,
}

impl Pair {
    async fn start() -> Self {
        let primary = Own::start(&[]).await;
        let dir = DataDir::new();
        let data = dir.path().join("postgres");
        let into = ["--checkpoint=fast", "--write-recovery-conf", "--pgdata"].map(OsStr::new);
        run("pg_basebackup", &primary.database(), into.into_iter().chain([data.as_ref()])).await;
        // As root we are not whom the database runs as.
        let owner = fs::metadata(primary.dir.path().join("postgres")).expect("it is there");
        let owner = format!("{}:{}", owner.uid(), owner.gid());
        let given = Command::new("chown").args(["-R", &owner]).arg(&data).status().expect("chown is there");
        assert!(given.success());
        let standby = Own::take(dir, &[]).await;

        execute(&primary.database(), "alter system set synchronous_standby_names = '*'").await;
        execute(&primary.database(), "select pg_reload_conf()").await;
        let mut connection = PgConnection::connect_with(&primary.database()).await.expect("it answers");
        eventually("the standby is synchronous", async || {
            let states = "select count(*) from pg_stat_replication where sync_state = 'sync'";
            let count: i64 = sqlx::query_scalar(states).fetch_one(&mut connection).await.expect("one");
            count == 1
        })
        .await;
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

    async fn stop(self) {
        self.standby.stop().await;
        self.primary.stop().await;
    }
}

/// Runs a program of PostgreSQL on a database.
async fn run(program: &str, database: &PgConnectOptions, args: impl IntoIterator<Item = &OsStr>) {
    let socket = database.get_socket().expect("it has one");
    let mut command = tokio::process::Command::new(bin().join(program));
    command.arg("--host").arg(socket).args(["--port", &database.get_port().to_string()]);
    command.args(["--username", database.get_username()]);
    if program != "pg_basebackup" {
        command.args(["--dbname", database.get_database().expect("it has a name")]);
    }
    let output = command.args(args).kill_on_drop(true).output().await.expect("it is installed");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Where the newest programs are.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    newest.map_or_else(PathBuf::new, |newest| format!("/usr/lib/postgresql/{newest}/bin").into())
}
