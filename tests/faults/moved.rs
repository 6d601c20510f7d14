//! The database is dumped and restored.

use std::ffi::OsStr;

use readout::pb::{ErrorReason, change_service_client::ChangeServiceClient, watch_changes_request::Start};
use tonic::Code;

use super::{
    fleet::{Door, Fleet},
    plan::Plan,
    programs::run,
    recorder::{Outcome, Recording},
    writer::connect,
};
use crate::support::{
    cluster,
    contents::execute,
    data_dir::DataDir,
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
