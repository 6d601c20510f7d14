//! The embedded database, used when no `DATABASE_URL` is given: a private PostgreSQL cluster in one directory. The
//! installed server programs run it, it is reached through a Unix socket only, and it starts and stops with the
//! service.
//!
//! `server_programs` finds the programs, `os_user` decides which user runs them, `cluster` owns the directory, `socket` the
//! socket's directory, and `server` the running process. `default_dir` chooses the default data directory, and
//! `private_path` keeps other users out of it.

mod cluster;
mod default_dir;
mod error;
mod os_user;
mod private_path;
mod server;
mod server_programs;
mod socket;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::{cluster::Cluster, server::Server};
pub use self::{cluster::running, default_dir::default_data_dir, error::EmbeddedError};

/// The pause between two attempts to restart a lost database: doubled each time, from the first up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A server that ran this long was healthy: the pauses start again from the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// The settings of an embedded database.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of `initdb`, `pg_ctl` and `postgres`. Default: the newest version in the usual places.
    pub postgres_bin: Option<PathBuf>,
    /// Further server settings, name and value, which override Readout's own.
    pub settings: Vec<(String, String)>,
    /// The time for a server to answer. Crash recovery does not count: the server answers meanwhile that it is
    /// starting.
    pub start_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { postgres_bin: None, settings: Vec::new(), start_timeout: Duration::from_secs(60) }
    }
}

/// A PostgreSQL cluster that Readout owns, with its server running. A task watches the server and restarts it when it
/// ends.
///
/// Dropped without [`stop`](Self::stop), it still asks the server to shut down, without waiting for it.
#[derive(Debug)]
pub struct Embedded {
    connect_options: PgConnectOptions,
    url: String,
    // a message and a drop both mean "stop", so nothing is sent while `self` lives
    stop: oneshot::Sender<()>,
    watcher: JoinHandle<()>,
}

impl Embedded {
    /// Locks `data_dir`, creates a cluster there unless there is one, stops a server that a killed service left behind,
    /// starts one, waits until it accepts connections, and creates the database `readout` if it is missing.
    ///
    /// # Errors
    /// The directory cannot be used, no fitting PostgreSQL is installed, or the server does not start. Each error says
    /// how to correct it.
    pub async fn start(data_dir: &Path, options: Options) -> Result<Self, EmbeddedError> {
        let cluster = Arc::new(Cluster::open(data_dir, options).await?);
        let server = Server::start(&cluster).await?;
        if let Err(error) = create_database(&cluster).await {
            server.stop().await;
            return Err(error.into());
        }

        let (stop, stopped) = oneshot::channel();
        Ok(Self {
            connect_options: cluster.connect_options().database(cluster::NAME),
            url: cluster.url(),
            stop,
            watcher: tokio::spawn(watch(cluster, server, stopped)),
        })
    }

    /// Connects through the private socket as the cluster's superuser, `readout`, to the database `readout`.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.connect_options.clone()
    }

    /// The URL for other tools: `psql <url>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shuts the server down and waits until it has ended: within 30 seconds by a fast shutdown, else by an immediate
    /// one, which loses no data but costs a recovery at the next start. Open connections are cut: close the pool first.
    pub async fn stop(self) {
        // the watcher ends early only with its runtime, and then the drop of `Server` has requested the shutdown
        let _ = self.stop.send(());
        let _ = self.watcher.await;
    }
}

async fn create_database(cluster: &Cluster) -> Result<(), sqlx::Error> {
    let mut connection = cluster.connect_options().connect().await?;
    let exists = sqlx::query_scalar::<_, i32>("select 1 from pg_database where datname = $1")
        .bind(cluster::NAME)
        .fetch_optional(&mut connection)
        .await?;
    if exists.is_none() {
        sqlx::query("create database readout").execute(&mut connection).await?;
    }
    connection.close().await
}

/// Restarts the server whenever it ends, until a stop is requested.
async fn watch(cluster: Arc<Cluster>, mut server: Server, mut stop: oneshot::Receiver<()>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        tokio::select! {
            biased;
            _ = &mut stop => return server.stop().await,
            status = server.ended() => tracing::error!(status, "the embedded database ended; restarting it"),
        }
        if started.elapsed() > HEALTHY_AFTER {
            pause = FIRST_PAUSE;
        }

        let restarted = tokio::select! {
            biased;
            _ = &mut stop => None,
            server = restart(&cluster, &mut pause) => Some(server),
        };
        match restarted {
            Some(restarted) => server = restarted,
            // the dropped attempt may have started a server: clear it like one of a killed service
            None => {
                if let Err(error) = cluster.clear().await {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the embedded database may still be running"
                    );
                }
                return;
            }
        }
    }
}

async fn restart(cluster: &Arc<Cluster>, pause: &mut Duration) -> Server {
    loop {
        sleep(*pause).await;
        *pause = MAX_PAUSE.min(*pause * 2);
        match Server::start(cluster).await {
            Ok(server) => {
                tracing::info!("the embedded database was restarted");
                return server;
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    ?pause,
                    "the embedded database could not be restarted; trying again"
                );
            }
        }
    }
}
