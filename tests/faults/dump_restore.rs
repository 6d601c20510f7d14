//! The database is dumped and restored.

use std::ffi::OsStr;

use readout::pb::{ErrorReason, change_service_client::ChangeServiceClient, watch_changes_request::Start};
use tonic::Code;

use super::{
    instances::{Fleet, InstanceAddress},
    postgres_programs::run,
    run::{Outcome, Recording},
    run_options::Plan,
    writer::connect,
};
use crate::support::{
    cluster,
    data_dir::DataDir,
    follow::{Watch, all, now},
    reason_of,
    stored_records::execute,
};

/// Dumped during writes and restored twice: with a new epoch, as documented, and without one. No watch may resume from
/// a position of the ended history.
pub async fn restored(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let recording = Recording::begin(&fleet, plan).await;
    let dir = DataDir::new();
    let dump = dir.path().join("dump.sql");
    recording.wait_for_writes(100).await;
    run("pg_dump", &fleet.database, [OsStr::new("--file"), dump.as_ref()]).await;
    recording.wait_for_writes(50).await;
    let early = Start::After(recording.shared.position(1));
    let mut outcome = recording.end().await;
    let changes = ChangeServiceClient::new(connect(&fleet.addresses()[0]).await.expect("the instance listens"));
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
        let address = &fleet.addresses()[1];
        outcome.failures.extend(not_refused(address, late.clone()).await);
        // Without a new epoch the service detects the restore only by the position of a lost change.
        outcome.failures.extend(not_refused(address, early.clone()).await);
        let recording = Recording::begin(&fleet, plan).await;
        recording.wait_for_writes(100).await;
        outcome = outcome.merge(recording.end().await);
        fleet.stop().await;
    }
    outcome
}

/// Returns a failure unless a watch from this start is refused because the epoch has changed.
async fn not_refused(address: &InstanceAddress, start: Start) -> Option<String> {
    let changes = ChangeServiceClient::new(connect(address).await.expect("the instance listens"));
    match Watch::begin(&changes, all(start.clone())).await {
        Ok(_) => Some(format!("{start:?} belongs to an ended history and was accepted")),
        Err(status) => {
            let is_refused =
                (status.code(), reason_of(&status)) == (Code::FailedPrecondition, ErrorReason::EpochChanged);
            (!is_refused).then(|| format!("{start:?} was refused as {status:?}"))
        }
    }
}
