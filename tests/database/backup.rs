//! Backups are PostgreSQL's own. After a restore, `readout admin new-epoch` starts a new epoch: a cursor from the lost
//! history is refused instead of resuming at unrelated changes.

use std::{ffi::OsStr, fs};

use readout::pb::{ErrorReason, ListParticipantsRequest, watch_changes_request::Start};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tonic::{Code, Status};

use crate::{
    faults::{instances::Own, postgres_programs},
    support::{
        Service, cluster,
        data_dir::{DataDir, eventually},
        follow::{Watch, all},
        program::run,
        reason_of,
        stored_records::scalar,
    },
};

async fn add_people(service: &Service, names: &[&str]) -> String {
    let mut position = String::new();
    for name in names {
        position = service.add_person(name).await.1;
    }
    position
}

async fn names(service: &Service) -> Vec<String> {
    let list = service.participants.clone().list_participants(ListParticipantsRequest::default()).await.unwrap();
    list.into_inner().participants.into_iter().map(|participant| participant.display_name).collect()
}

/// Begins a new epoch, as an operator does.
async fn new_epoch(database: &PgConnectOptions) -> String {
    let url = database.to_url_lossy().to_string();
    let ran = run(["admin", "new-epoch", "--database-url", &url]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.trim_end().to_owned()
}

/// The error of a watch that starts after `position`.
async fn watch_error(service: &Service, position: &str) -> Status {
    let mut watch = Watch::begin(&service.changes, all(Start::After(position.to_owned()))).await;
    match &mut watch {
        Ok(watch) => watch.next().await.unwrap_err(),
        Err(status) => status.clone(),
    }
}

async fn assert_epoch_changed(service: &Service, position: &str) {
    let status = watch_error(service, position).await;
    assert_eq!((status.code(), reason_of(&status)), (Code::FailedPrecondition, ErrorReason::EpochChanged));
}

/// Writes A and B, dumps the database, and writes C. Returns a database into which the dump is restored, and the lost
/// position of C.
async fn restored_dump() -> (PgConnectOptions, String) {
    let service = Service::start().await;
    add_people(&service, &["A", "B"]).await;
    let dir = DataDir::new();
    let dump = dir.path().join("readout.dump");
    let out = ["--format=custom", "--file"].map(OsStr::new);
    postgres_programs::run("pg_dump", &service.database, out.into_iter().chain([dump.as_ref()])).await;
    let lost = add_people(&service, &["C"]).await;
    service.stop().await;

    let database = cluster::empty_database().await;
    let quietly = ["--no-owner", "--exit-on-error"].map(OsStr::new);
    postgres_programs::run("pg_restore", &database, quietly.into_iter().chain([dump.as_ref()])).await;
    (database, lost)
}

#[tokio::test]
async fn restored_dump_has_a_new_epoch_even_if_the_operator_begins_none() {
    let (database, lost) = restored_dump().await;
    let service = Service::start_on(database).await;
    assert_epoch_changed(&service, &lost).await;
    let added = add_people(&service, &["D"]).await;
    assert!(added.ends_with(".3"), "{added}");
    assert_ne!(added, lost);
    service.stop().await;
}

#[tokio::test]
async fn restored_dump_refuses_cursors_of_the_former_epoch() {
    let (database, lost) = restored_dump().await;
    let epoch = new_epoch(&database).await;
    let service = Service::start_on(database).await;
    assert_eq!(names(&service).await, ["A", "B"]);
    assert_epoch_changed(&service, &lost).await;
    assert_eq!(add_people(&service, &["D"]).await, format!("{epoch}.3"));
    service.stop().await;
}

#[tokio::test]
async fn point_in_time_recovery_refuses_cursors_of_the_former_epoch() {
    let (archive, target) = (DataDir::new(), DataDir::new());
    let keep = format!("cp %p {}/%f", archive.as_str());
    let primary = Own::start(&[("archive_mode", "on"), ("archive_command", &keep), ("wal_level", "replica")]).await;
    archive.give_to_owner_of(&primary.dir);
    let service = Service::start_on(primary.database()).await;
    add_people(&service, &["A"]).await;
    let data = target.path().join("postgres");
    let copy = ["--checkpoint=fast", "--pgdata"].map(OsStr::new);
    postgres_programs::run("pg_basebackup", &primary.database(), copy.into_iter().chain([data.as_ref()])).await;
    add_people(&service, &["B"]).await;
    let time: String = scalar(&primary.database(), "select clock_timestamp()::text").await;
    let lost = add_people(&service, &["C"]).await;
    let segment: String = scalar(&primary.database(), "select pg_walfile_name(pg_switch_wal())").await;
    eventually("the log is archived", async || archive.path().join(&segment).exists()).await;
    service.stop().await;

    // The recovery settings, as an operator writes them into the new cluster.
    let restore = format!(
        "restore_command = 'cp {}/%f %p'\nrecovery_target_time = '{time}'\nrecovery_target_action = 'promote'\n",
        archive.as_str()
    );
    fs::write(data.join("postgresql.auto.conf"), restore).unwrap();
    fs::write(data.join("recovery.signal"), "").unwrap();
    target.give_to_owner_of(&primary.dir);
    primary.stop().await;
    let restored = Own::take(target, &[]).await;
    eventually("the recovery has ended", async || {
        !scalar::<bool>(&restored.database(), "select pg_is_in_recovery()").await
    })
    .await;

    let epoch = new_epoch(&restored.database()).await;
    let service = Service::start_on(restored.database()).await;
    assert_eq!(names(&service).await, ["A", "B"]);
    assert_epoch_changed(&service, &lost).await;
    assert_eq!(add_people(&service, &["D"]).await, format!("{epoch}.3"));
    service.stop().await;
    restored.stop().await;
}
