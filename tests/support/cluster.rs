//! The database cluster that all tests of a run share. It is made at first use and removed when the run ends, also
//! when the run is killed.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use readout::{
    embedded::{Embedded, Options},
    store::schema::migrate::migrate,
};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};

use super::data_dir::DataDir;

const TEMPLATE: &str = "readout_template";

struct Cluster {
    admin: PgConnectOptions,
    _runtime: tokio::runtime::Runtime,
    _embedded: Embedded,
    // Statics are never dropped: the reaper of the directory removes it when the process ends.
    _directory: DataDir,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Creates a database with the schema of this version.
pub async fn database() -> PgConnectOptions {
    database_from(TEMPLATE).await
}

/// Creates a database without any schema.
pub async fn empty_database() -> PgConnectOptions {
    database_from("template0").await
}

async fn database_from(template: &str) -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let admin = admin().await;
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    // PostgreSQL refuses to copy a template that another session uses.
    let _making = MAKING.lock().await;
    let mut connection = admin.connect().await.expect("the cluster answers");
    let statement = format!("create database {name} template {template}");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.expect("a new database");
    connection.close().await.expect("closed");
    admin.clone().database(&name)
}

async fn admin() -> &'static PgConnectOptions {
    let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start)).await.expect("started");
    &cluster.admin
}

fn start() -> Cluster {
    let directory = DataDir::new();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let settings = [("fsync", "off"), ("synchronous_commit", "off"), ("max_connections", "400"), ("autovacuum", "off")];
    let options = Options {
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Options::default()
    };
    let embedded = runtime.block_on(async {
        let embedded = Embedded::start(directory.path(), options).await.expect("PostgreSQL starts");
        let admin = embedded.connect_options();
        let mut connection = admin.connect().await.expect("the cluster answers");
        sqlx::query("create database readout_template").execute(&mut connection).await.expect("the template");
        connection.close().await.expect("closed");
        migrate(&admin.database(TEMPLATE)).await.expect("migrated");
        embedded
    });
    Cluster { admin: embedded.connect_options(), _runtime: runtime, _embedded: embedded, _directory: directory }
}
