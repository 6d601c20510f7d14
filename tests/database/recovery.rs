//! The embedded database: recovery from crashes, and shutdown without leftover processes or files.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    process::Command,
};

use sqlx::{ConnectOptions, Connection};

use crate::{
    database::embedded::{connect, execute, start, text},
    support::data_dir::{DataDir, eventually, kill, within_timeout},
};

#[tokio::test(flavor = "multi_thread")]
async fn killed_database_server_is_restarted_with_its_commits() {
    let dir = DataDir::with_database().await;
    let database = start(dir.path()).await;
    let mut connection = connect(&database).await;
    execute(&mut connection, "create table kept as select 'yes' as answer").await;
    // a busy session outlives its server for a while and keeps the next server from starting
    let mut busy = connect(&database).await;
    let busy = tokio::spawn(async move {
        let _ = sqlx::query("select count(*) from generate_series(1, 5000000)").execute(&mut busy).await;
    });
    eventually("the session is busy", async || {
        let query = "select count(*)::text from pg_stat_activity
                     where query like '%generate_series%' and pid <> pg_backend_pid()";
        text(&mut connect(&database).await, query).await == "1"
    })
    .await;

    for _ in 0..2 {
        let killed = dir.postmaster();
        kill(killed);
        eventually("another server answers", async || database.connect_options().connect().await.is_ok()).await;
        assert_ne!(dir.postmaster(), killed);
    }
    assert_eq!(text(&mut connect(&database).await, "select answer from kept").await, "yes");
    busy.await.expect("busy session");
    database.stop().await;
    assert_eq!(dir.servers(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_stop_between_crash_and_restart_leaves_no_process() {
    let dir = DataDir::with_database().await;
    let database = start(dir.path()).await;
    kill(dir.postmaster());
    database.stop().await;
    eventually("no process is left", async || dir.servers().is_empty()).await;
    start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_stop_cuts_open_connections() {
    let dir = DataDir::with_database().await;
    let database = start(dir.path()).await;
    let mut connection = connect(&database).await;
    within_timeout("stopping does not wait for clients", database.stop()).await;
    assert_eq!(dir.servers(), [0; 0]);
    connection.ping().await.expect_err("the connection is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_drop_without_stop_shuts_the_server_down() {
    let dir = DataDir::with_database().await;
    drop(start(dir.path()).await);
    eventually("no process is left", async || dir.servers().is_empty()).await;
}

#[test]
fn runtime_end_shuts_the_embedded_server_down() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let dir = runtime.block_on(DataDir::with_database());
    let database = runtime.block_on(start(dir.path()));
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(eventually("no process is left", async || dir.servers().is_empty()));
    drop(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_lock_files_block_no_start_and_their_process_is_left_alone() {
    let dir = DataDir::with_database().await;
    let database = start(dir.path()).await;
    let pid_file = dir.path().join("postgres/postmaster.pid");
    let content = fs::read_to_string(&pid_file).expect("read");
    database.stop().await;

    // the bystander runs as the database's user, because postgres ignores processes of other users
    let owner = fs::metadata(pid_file.with_file_name("PG_VERSION")).expect("metadata").uid();
    let mut bystander = Command::new("sleep");
    bystander.arg("600").uid(owner).current_dir("/");
    let mut bystander = bystander.spawn().expect("spawn");
    let (_, rest) = content.split_once('\n').expect("lines");
    for content in [format!("{}\n{rest}", bystander.id()), "garbage".to_owned(), String::new()] {
        fs::write(&pid_file, &content).expect("write");
        fs::write(dir.path().join("run/.s.PGSQL.5432.lock"), &content).expect("write");
        let database = start(dir.path()).await;
        connect(&database).await;
        database.stop().await;
    }
    assert!(bystander.try_wait().expect("wait").is_none(), "the bystander still runs");
    bystander.kill().expect("kill");
    bystander.wait().expect("wait");
}
