//! The private cluster of a run, with fsync on. It is made at first use and removed when the run ends, even when the
//! run is killed.

use std::sync::atomic::{AtomicU32, Ordering};

use readout::{
    embedded::{Embedded, Options},
    store::schema::migrate::migrate,
};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

use super::data_dir::DataDir;

struct Cluster {
    embedded: Embedded,
    directory: DataDir,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

async fn cluster() -> &'static Cluster {
    let start = || async {
        let directory = DataDir::new();
        // The defaults that users get.
        let embedded = Embedded::start(directory.path(), Options::default()).await.expect("PostgreSQL starts");
        Cluster { embedded, directory }
    };
    CLUSTER.get_or_init(start).await
}

/// A new database with the schema of this version.
pub async fn database() -> PgConnectOptions {
    let database = empty_database().await;
    migrate(&database).await.expect("migrated");
    database
}

/// A new database without tables.
pub async fn empty_database() -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let admin = cluster().await.embedded.connect_options();
    let name = format!("bench_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect(&admin).await;
    execute(&mut connection, format!("create database {name}")).await;
    connection.close().await.expect("closed");
    admin.database(&name)
}

/// The url of a database, for a program that takes it on its command line.
pub async fn url(database: &PgConnectOptions) -> String {
    let url = cluster().await.embedded.url();
    url.replace("///readout?", &format!("///{}?", database.get_database().expect("named")))
}

/// The log of the server.
pub async fn log() -> String {
    let path = cluster().await.directory.path().join("postgres.log");
    std::fs::read_to_string(path).expect("readable")
}

/// Seconds of processor time that the cluster and this process have used so far.
pub async fn processor_seconds() -> f64 {
    let servers = cluster().await.directory.servers();
    servers.into_iter().chain([std::process::id()]).map(seconds_of).sum()
}

/// Processor time of a process, in seconds. Linux counts hundredths of a second; see proc_pid_stat(5).
fn seconds_of(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

pub async fn connect(database: &PgConnectOptions) -> PgConnection {
    database.connect().await.expect("the database answers")
}

pub async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone())).execute(connection).await.expect(&statement);
}

/// Returns the single value of a query.
pub async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(query.to_owned())).fetch_one(connection).await.expect(query)
}
