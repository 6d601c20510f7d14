//! The private cluster of a run, without fsync and with 4 GiB of shared buffers.

use std::sync::atomic::{AtomicU32, Ordering};

use readout::{
    embedded::{Embedded, Options},
    store::schema::migrate::migrate,
};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

use super::data_dir::DataDir;

/// A failed run needs no recovery. A production server with a million meetings keeps them in memory.
const SETTINGS: [(&str, &str); 8] = [
    ("shared_buffers", "4GB"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("autovacuum", "off"),
    ("max_wal_size", "2GB"),
    ("maintenance_work_mem", "512MB"),
    // See `plan`.
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_format", "json"),
];

struct Cluster {
    embedded: Embedded,
    directory: DataDir,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

async fn cluster() -> &'static Cluster {
    let start = || async {
        let directory = DataDir::new();
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let options = Options { settings, ..Options::default() };
        let embedded = Embedded::start(directory.path(), options).await.expect("PostgreSQL starts");
        Cluster { embedded, directory }
    };
    CLUSTER.get_or_init(start).await
}

/// The directory of the cluster. It is removed at the end of the run, even if the run is killed.
pub async fn directory() -> &'static DataDir {
    &cluster().await.directory
}

/// A new database with the schema of this version.
pub async fn database() -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let admin = cluster().await.embedded.connect_options();
    let name = format!("scale_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect(&admin).await;
    execute(&mut connection, &format!("create database {name}")).await;
    connection.close().await.expect("closed");
    let database = admin.database(&name);
    migrate(&database).await.expect("migrated");
    database
}

/// The url of a database, for a program that takes it on its command line.
pub async fn url(database: &PgConnectOptions) -> String {
    let url = cluster().await.embedded.url();
    url.replace("///readout?", &format!("///{}?", database.get_database().expect("named")))
}

pub async fn connect(database: &PgConnectOptions) -> PgConnection {
    database.connect().await.expect("the database answers")
}

pub async fn execute(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(connection).await.expect(statement);
}
