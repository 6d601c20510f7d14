//! The embedded database: durability, isolation, and refused directories.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use readout::embedded::{Embedded, EmbeddedError, Options};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::support::data_dir::DataDir;

#[tokio::test(flavor = "multi_thread")]
async fn embedded_database_keeps_its_data_across_restarts() {
    let dir = DataDir::new();

    let database = start(dir.path()).await;
    let mut connection = connect(&database).await;
    execute(&mut connection, "create table article as select 'Bakı' as dateline").await;
    connection.close().await.expect("close");
    database.stop().await;
    assert_eq!(dir.servers(), [0; 0], "stopping leaves no process behind");

    let database = start(dir.path()).await;
    let mut connection = connect(&database).await;
    assert_eq!(text(&mut connection, "select dateline from article").await, "Bakı");
    database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_database_is_durable_private_and_sorts_by_bytes() {
    let dir = DataDir::with_database().await;
    let database = Embedded::start(dir.path(), Options::default()).await.expect("start");
    let mut connection = connect(&database).await;

    let settings = [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
    ];
    for (name, expected) in settings {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .expect("setting");
        assert_eq!(value, expected, "{name}");
    }
    let sorted = text(&mut connection, "select string_agg(x, '' order by x) from unnest('{é,a,B}'::text[]) x").await;
    assert_eq!(sorted, "Baé");
    assert_eq!(text(&mut connection, "select lower('ВӘЛИЕВ')").await, "вәлиев", "letters beyond ASCII are letters");

    let mode = |path: &str| fs::metadata(dir.path().join(path)).expect(path).permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("postgres"), mode("postgres.log")), (0o700, 0o700, 0o600));
    database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_database_url_is_accepted_by_other_clients() {
    let dir = DataDir::new();
    let unusual = dir.put_database("a b&c").await;
    let database = start(&unusual).await;
    let options: PgConnectOptions = database.url().parse().expect("a url");
    let mut connection = options.connect().await.expect("connect");
    assert_eq!(text(&mut connection, "select current_user || '/' || current_database()").await, "readout/readout");
    database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directory_in_use_is_refused_until_it_is_free() {
    let dir = DataDir::with_database().await;
    let database = start(dir.path()).await;

    let error = Embedded::start(dir.path(), options()).await.expect_err("in use");
    assert!(matches!(error, EmbeddedError::InUse { .. }), "{error}");
    let expected = format!("is in use by another readout (pid {})", std::process::id());
    assert!(error.to_string().contains(&expected), "{error}");
    connect(&database).await;

    database.stop().await;
    start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_of_another_major_version_is_refused_with_instructions() {
    let dir = DataDir::new();
    fs::create_dir(dir.path().join("postgres")).expect("create");
    fs::write(dir.path().join("postgres/PG_VERSION"), "9.6\n").expect("write");

    let error = Embedded::start(dir.path(), options()).await.expect_err("other version").to_string();
    for part in
        ["was made by PostgreSQL 9.6", "is installed", "install the PostgreSQL 9.6 server", "pg_dump", "--data-dir"]
    {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_directory_without_a_server_is_refused() {
    let dir = DataDir::new();
    let options = Options { postgres_bin: Some(dir.path().to_owned()), ..options() };
    let error = Embedded::start(&dir.path().join("data"), options).await.expect_err("no server");
    assert!(matches!(error, EmbeddedError::NoServerIn { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_that_is_not_a_cluster_is_refused_and_left_alone() {
    let dir = DataDir::new();
    let precious = dir.path().join("postgres/precious");
    fs::create_dir(dir.path().join("postgres")).expect("create");
    fs::write(&precious, "text").expect("write");

    let error = Embedded::start(dir.path(), options()).await.expect_err("not a cluster");
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error}");
    assert!(precious.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_an_interrupted_initdb_are_removed() {
    let dir = DataDir::new();
    for name in ["postgres.new", "postgres.new.1"] {
        fs::create_dir_all(dir.path().join(name).join("base")).expect("create");
        // initdb writes this file early, long before the cluster is usable
        fs::write(dir.path().join(name).join("PG_VERSION"), "15\n").expect("write");
    }

    start(dir.path()).await.stop().await;

    let mut names: Vec<_> = fs::read_dir(dir.path())
        .expect("read")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
        .collect();
    names.sort();
    assert_eq!(names, ["lock", "postgres", "postgres.log", "run"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_that_postgres_refuses_is_reported_with_the_log_tail() {
    let dir = DataDir::with_database().await;
    let options = Options { settings: vec![("max_connections".into(), "many".into())], ..Options::default() };
    let error = Embedded::start(dir.path(), options).await.expect_err("refused");
    assert!(matches!(error, EmbeddedError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("max_connections"), "{error}");
    start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_log_is_rotated_at_the_start() {
    let dir = DataDir::with_database().await;
    let log = dir.path().join("postgres.log");
    fs::File::create(&log).expect("create").set_len(11 * 1024 * 1024).expect("grow");
    start(dir.path()).await.stop().await;
    assert_eq!(fs::metadata(dir.path().join("postgres.log.1")).expect("aside").len(), 11 * 1024 * 1024);
    assert!(fs::metadata(&log).expect("log").len() < 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_moves_elsewhere_when_its_path_is_too_long() {
    let dir = DataDir::new();
    let long = dir.put_database(&"a".repeat(100)).await;
    let database = start(&long).await;
    let socket_dir = database.connect_options().get_socket().expect("a socket").clone();
    assert!(!socket_dir.starts_with(dir.path()));
    assert_eq!(fs::metadata(&socket_dir).expect("socket directory").permissions().mode() & 0o777, 0o700);
    connect(&database).await;
    database.stop().await;
    assert!(!socket_dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn start_as_root_names_the_directory_that_the_database_cannot_enter() {
    let dir = DataDir::new();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).expect("create");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("mode");

    match Embedded::start(&closed.join("data"), options()).await {
        Err(error @ EmbeddedError::NotReachable { .. }) => {
            let expected = format!("cannot enter {}, ", closed.canonicalize().expect("path").display());
            assert!(error.to_string().contains(&expected), "{error}");
        }
        Err(error) => panic!("{error}"),
        // without root, the database runs as the same user and can enter
        Ok(database) => database.stop().await,
    }
}

pub fn options() -> Options {
    Options { settings: vec![("fsync".into(), "off".into())], ..Options::default() }
}

pub async fn start(dir: &Path) -> Embedded {
    Embedded::start(dir, options()).await.expect("start")
}

pub async fn connect(database: &Embedded) -> PgConnection {
    database.connect_options().connect().await.expect("connect")
}

pub async fn execute(connection: &mut PgConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.expect(statement);
}

pub async fn text(connection: &mut PgConnection, query: &'static str) -> String {
    sqlx::query_scalar(query).fetch_one(connection).await.expect(query)
}
