//! Two instances of the service, each a process, on one database.

use std::net::SocketAddr;

use readout::embedded::{Embedded, Options};
use sqlx::{ConnectOptions, PgPool, postgres::PgConnectOptions};
use tokio::sync::watch;

use crate::support::{
    cluster,
    data_dir::{DataDir, eventually},
    program::Program,
};

/// Where an instance is to be found, also after it was started again.
pub type Door = watch::Receiver<SocketAddr>;

/// A watch that hears nothing for so many seconds gets a sign of life.
const HEARTBEAT: &str = "0.2";

/// The instances, and a way to their database that no fault is in.
pub struct Fleet {
    pub instances: Vec<Instance>,
    pub database: PgConnectOptions,
}

/// One instance.
pub struct Instance {
    url: String,
    args: Vec<String>,
    program: Option<Program>,
    door: watch::Sender<SocketAddr>,
    // After the program, which it would wait for.
    dir: DataDir,
}

impl Fleet {
    /// On a database of its own, in the cluster of all tests.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with further arguments.
    pub async fn start_with(args: &[&str]) -> Self {
        Self::on(cluster::database().await, args).await
    }

    /// On this database.
    pub async fn on(database: PgConnectOptions, args: &[&str]) -> Self {
        let url = database.to_url_lossy().to_string();
        Self::at(database, [&url, &url], args).await
    }

    /// On this database, which each instance reaches by a url of its own.
    pub async fn at(database: PgConnectOptions, urls: [&str; 2], args: &[&str]) -> Self {
        let [one, other] = urls.map(|url| Instance::start(url, args));
        let (one, other) = tokio::join!(one, other);
        Self { instances: vec![one, other], database }
    }

    pub fn doors(&self) -> Vec<Door> {
        self.instances.iter().map(|instance| instance.door.subscribe()).collect()
    }

    /// A way to the database.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect_with(self.database.clone()).await.expect("it answers")
    }

    /// Ends all.
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
        let (door, dir) = (watch::Sender::new(nowhere), DataDir::new());
        let mut instance = Self { url: url.to_owned(), args, program: None, door, dir };
        instance.start_again().await;
        instance
    }

    /// Starts it at another address, once it was killed.
    pub async fn start_again(&mut self) {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let program = Program::serve_beside(&self.dir, &self.url, &args).await;
        self.door.send_replace(program.address().await);
        self.program = Some(program);
    }

    /// Ends it without notice.
    pub async fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            program.kill().await;
        }
    }

    /// Stops its process where it stands.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        self.program.as_ref().expect("it runs").signal(name);
    }

    pub fn door(&self) -> Door {
        self.door.subscribe()
    }
}

/// A cluster that may be ended. It is brought back, as a service manager would.
pub struct Own {
    pub dir: DataDir,
    embedded: Embedded,
}

impl Own {
    /// With a database in it.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::take(DataDir::with_database().await, settings).await
    }

    /// On the cluster that is in the directory.
    pub async fn take(dir: DataDir, settings: &[(&str, &str)]) -> Self {
        // The machine does not fail: what was written, though not synced, outlives all processes.
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

    /// Waits until it answers.
    pub async fn is_back(&self) {
        eventually("the database is back", async || self.database().connect().await.is_ok()).await;
    }

    pub async fn stop(self) {
        self.embedded.stop().await;
    }
}
