//! One running `postgres`: how it is started, when it counts as started, and how it is stopped.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sqlx::{ConnectOptions, Connection};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    EmbeddedError,
    cluster::{Cluster, POLL},
    socket::PORT,
};

/// For a small machine; whatever is not named keeps PostgreSQL's default, `fsync` above all.
const SETTINGS: [(&str, &str); 9] = [
    ("shared_buffers", "128MB"),
    ("max_connections", "100"),
    ("wal_compression", "on"),
    // queries are short: compiling them would cost more than running them
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] "),
    ("log_min_messages", "warning"),
    ("log_checkpoints", "off"),
];

const LOG_LIMIT: u64 = 10 * 1024 * 1024;

/// How much of the log an error quotes.
const TAIL_LINES: usize = 8;
const TAIL_BYTES: u64 = 8 * 1024;

/// SQLSTATE `cannot_connect_now`: starting, recovering, or shutting down.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// What a server says while sessions of a killed one still run.
const SESSIONS_LEFT: &str = "pre-existing shared memory block";

/// Shutdowns by urgency: signal, and how long it may take. See "Shutting Down the Server" in PostgreSQL's manual.
const SHUTDOWNS: [(&str, Duration); 2] = [("INT", Duration::from_secs(30)), ("QUIT", Duration::from_secs(10))];

#[derive(Debug)]
pub(super) struct Server {
    cluster: Arc<Cluster>,
    child: Child,
    /// The log's length when this server started: what follows is its own.
    log_start: u64,
}

impl Server {
    /// Starts a server on a cluster that may still have an abandoned one, and waits until it accepts connections.
    pub(super) async fn start(cluster: &Arc<Cluster>) -> Result<Self, EmbeddedError> {
        cluster.clear().await?;
        let give_up = Instant::now() + cluster.options.start_timeout;
        loop {
            let mut server = Self::spawn(cluster)?;
            match server.ready().await {
                Ok(()) => return Ok(server),
                // they notice soon that their server is gone, and end
                Err(EmbeddedError::Ended { tail, .. }) if tail.contains(SESSIONS_LEFT) && Instant::now() < give_up => {
                    sleep(POLL * 4).await;
                }
                Err(error) => {
                    server.stop().await;
                    return Err(error);
                }
            }
        }
    }

    fn spawn(cluster: &Arc<Cluster>) -> Result<Self, EmbeddedError> {
        let (log, log_start) = open_log(&cluster.log).map_err(EmbeddedError::io("open", &cluster.log))?;
        let log_too = log.try_clone().map_err(EmbeddedError::io("open", &cluster.log))?;

        let mut command = cluster.command("postgres");
        command.arg("-D").arg(&cluster.data);
        let mut set = |name: &str, value: &str| {
            command.arg("-c").arg(format!("{name}={value}"));
        };
        for (name, value) in SETTINGS {
            set(name, value);
        }
        for (name, value) in &cluster.options.settings {
            set(name, value);
        }
        // the last one wins: these are what `connect_options` relies on
        set("listen_addresses", "");
        set("port", &PORT.to_string());
        set("unix_socket_directories", &format!("\"{}\"", cluster.socket_dir().display()));
        // a group of its own, so that Ctrl-C in the terminal ends the service first, which then ends its database
        command.process_group(0).stdout(log).stderr(log_too);

        let child = Command::from(command).spawn().map_err(EmbeddedError::io("run postgres on", &cluster.data))?;
        Ok(Self { cluster: Arc::clone(cluster), child, log_start })
    }

    async fn ready(&mut self) -> Result<(), EmbeddedError> {
        let options = self.cluster.connect_options();
        let patience = self.cluster.options.start_timeout;
        let mut deadline = Instant::now() + patience;
        let mut recovering = false;
        loop {
            let attempt = tokio::select! {
                status = self.ended() => return Err(EmbeddedError::Ended {
                    status,
                    log: self.cluster.log.clone(),
                    tail: self.log_tail(),
                }),
                attempt = timeout_at(deadline, options.connect()) => attempt,
            };
            match attempt {
                Ok(Ok(connection)) => return Ok(connection.close().await?),
                Ok(Err(sqlx::Error::Database(answer))) if answer.code().as_deref() == Some(CANNOT_CONNECT_NOW) => {
                    // recovery after a crash takes what it takes; interrupted, it would only start over
                    deadline = Instant::now() + patience;
                    if !std::mem::replace(&mut recovering, true) {
                        tracing::info!("the embedded database is still starting");
                    }
                }
                Ok(Err(error @ sqlx::Error::Database(_))) => return Err(error.into()),
                // nobody listens yet
                Ok(Err(_)) if Instant::now() < deadline => {}
                Ok(Err(_)) | Err(_) => {
                    return Err(EmbeddedError::Silent {
                        after: patience,
                        log: self.cluster.log.clone(),
                        tail: self.log_tail(),
                    });
                }
            }
            sleep(POLL).await;
        }
    }

    /// Waits for the end of the process and says how it ended.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    pub(super) async fn stop(mut self) {
        for (signal, patience) in SHUTDOWNS {
            let Some(kill) = self.kill_command(signal) else {
                return;
            };
            if let Err(error) = Command::from(kill).status().await {
                tracing::warn!(%error, signal, "cannot signal the embedded database");
            }
            if timeout(patience, self.child.wait()).await.is_ok() {
                return;
            }
            tracing::warn!(signal, ?patience, "the embedded database does not stop; insisting");
        }
        // its sessions notice and end; the next start recovers from the log of committed transactions
        if let Err(error) = self.child.kill().await {
            tracing::error!(%error, "cannot end the embedded database");
        }
    }

    /// `None` once the process is known to have ended. Until then its number cannot belong to another one.
    fn kill_command(&self, signal: &str) -> Option<std::process::Command> {
        let pid = self.child.id()?;
        let mut command = self.cluster.command("pg_ctl");
        command.args(["kill", signal, &pid.to_string()]);
        Some(command)
    }

    fn log_tail(&self) -> String {
        tail(&self.cluster.log, self.log_start).unwrap_or_else(|error| format!("(unreadable: {error})"))
    }
}

/// For a panic, or a start that is called off: asks for the shutdown, without waiting for it. Killing the process here
/// would be simpler, but would cost a recovery at the next start.
impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut kill) = self.kill_command("INT") {
            let _ = kill.status();
        }
    }
}

/// Opens the log for appending, after putting a long one aside.
fn open_log(path: &Path) -> io::Result<(File, u64)> {
    if fs::metadata(path).is_ok_and(|log| log.len() > LOG_LIMIT) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = log.metadata()?.len();
    Ok((log, length))
}

fn tail(path: &Path, start: u64) -> io::Result<String> {
    let mut log = File::open(path)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
