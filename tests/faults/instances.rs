//! Two instances of the service, each in its own process, on one database.

use std::net::SocketAddr;

use readout::embedded::{Embedded, Options};
use sqlx::{ConnectOptions, PgPool, postgres::PgConnectOptions};
use tokio::sync::watch;

use crate::support::{
    cluster,
    data_dir::{DataDir, eventually},
    program::Program,
};

/// The address of an instance. It changes when the instance is restarted.
pub type InstanceAddress = watch::Receiver<SocketAddr>;

/// The silence in seconds after which a watch gets a heartbeat.
const HEARTBEAT: &str = "0.2";

/// The instances, and a connection to their database that bypasses all faults.
pub struct Fleet {
    pub instances: Vec<Instance>,
    pub database: PgConnectOptions,
}

/// A service process.
pub struct Instance {
    url: String,
    args: Vec<String>,
    program: Option<Program>,
    address: watch::Sender<SocketAddr>,
    // Dropped after the program, whose end the directory waits for.
    dir: DataDir,
}

impl Fleet {
    /// Starts on a database of its own, in the cluster that all tests share.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts on a database of its own with further arguments.
    pub async fn start_with(args: &[&str]) -> Self {
        Self::on(cluster::database().await, args).await
    }

    /// Starts on this database.
    pub async fn on(database: PgConnectOptions, args: &[&str]) -> Self {
        let url = database.to_url_lossy().to_string();
        Self::at(database, [&url, &url], args).await
    }

    /// Starts on this database; each instance reaches it by its own url.
    pub async fn at(database: PgConnectOptions, urls: [&str; 2], args: &[&str]) -> Self {
        let [first, second] = urls.map(|url| Instance::start(url, args));
        let (first, second) = tokio::join!(first, second);
        Self { instances: vec![first, second], database }
    }

    pub fn addresses(&self) -> Vec<InstanceAddress> {
        self.instances.iter().map(|instance| instance.address.subscribe()).collect()
    }

    /// A connection pool on the database.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect_with(self.database.clone()).await.expect("the database answers")
    }

    /// Ends all instances with SIGKILL.
    pub async fn stop(self) {
        for mut instance in self.instances {
            instance.kill().await;
        }
    }
}

impl Instance {
    async fn start(url: &str, args: &[&str]) -> Self {
        let args = ["--feed-heartbeat", HEARTBEAT].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let (address, dir) = (watch::Sender::new(nowhere), DataDir::new());
        let mut instance = Self { url: url.to_owned(), args, program: None, address, dir };
        instance.restart().await;
        instance
    }

    /// Restarts the instance at another address after it was killed.
    pub async fn restart(&mut self) {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let program = Program::serve_beside(&self.dir, &self.url, &args).await;
        self.address.send_replace(program.address().await);
        self.program = Some(program);
    }

    /// Ends the instance with SIGKILL.
    pub async fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            program.kill().await;
        }
    }

    /// Suspends the process.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Resumes the process.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        self.program.as_ref().expect("the instance runs").signal(name);
    }

    pub fn address(&self) -> InstanceAddress {
        self.address.subscribe()
    }
}

/// A cluster that a test may end. It is restarted, as a service manager would do.
pub struct Own {
    pub dir: DataDir,
    embedded: Embedded,
}

impl Own {
    /// Starts a cluster with a database.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::take(DataDir::with_database().await, settings).await
    }

    /// Starts the cluster that is in the directory.
    pub async fn take(dir: DataDir, settings: &[(&str, &str)]) -> Self {
        // The machine does not fail: what was written survives all processes without fsync.
        let settings = [("fsync", "off"), ("max_connections", "200")].iter().chain(settings);
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let options = Options { settings, ..Options::default() };
        let embedded = Embedded::start(dir.path(), options).await.expect("PostgreSQL starts");
        Self { dir, embedded }
    }

    pub fn database(&self) -> PgConnectOptions {
        self.embedded.connect_options()
    }

    pub fn url(&self) -> &str {
        self.embedded.url()
    }

    /// Waits until the database answers.
    pub async fn is_back(&self) {
        eventually("the database is back", async || self.database().connect().await.is_ok()).await;
    }

    pub async fn stop(self) {
        self.embedded.stop().await;
    }
}
