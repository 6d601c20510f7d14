//! One running `postgres` process: its start, the check that it is ready, and its shutdown.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
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
    private_path::{open_file, open_to_read},
    socket::PORT,
};

/// Settings for a small machine. The others keep PostgreSQL's defaults, above all `fsync`.
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

/// The size at which the log is rotated, in bytes.
const LOG_LIMIT: u64 = 10 * 1024 * 1024;

/// The part of the log that an error quotes.
const TAIL_LINES: usize = 8;
const TAIL_BYTES: u64 = 8 * 1024;

/// SQLSTATE `cannot_connect_now`: starting, recovering, or shutting down.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// In the log of a server that cannot start because sessions of a killed one still run.
const SESSIONS_LEFT: &str = "pre-existing shared memory block";

/// Shutdowns by urgency: the signal, and the time it may take. See "Shutting Down the Server" in PostgreSQL's manual.
const SHUTDOWNS: [(&str, Duration); 2] = [("INT", Duration::from_secs(30)), ("QUIT", Duration::from_secs(10))];

#[derive(Debug)]
pub(super) struct Server {
    cluster: Arc<Cluster>,
    child: Child,
    /// The length of the log when this server started. The rest is its own output.
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
                // these sessions soon notice that their server has ended, and end too
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
        let (log, log_start) = open_log(&cluster.log)?;
        let log_for_stderr = log.try_clone().map_err(EmbeddedError::io("open", &cluster.log))?;

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
        // the last setting of a name wins, so that these cannot be overridden: `connect_options` relies on them
        set("listen_addresses", "");
        set("port", &PORT.to_string());
        set("unix_socket_directories", &format!("\"{}\"", cluster.socket_dir().display()));
        // a group of its own, so that Ctrl-C in the terminal ends the service first, which then ends its database
        command.process_group(0).stdout(log).stderr(log_for_stderr);

        let child = Command::from(command).spawn().map_err(EmbeddedError::io("run postgres on", &cluster.data))?;
        Ok(Self { cluster: Arc::clone(cluster), child, log_start })
    }

    async fn ready(&mut self) -> Result<(), EmbeddedError> {
        let options = self.cluster.connect_options();
        let start_timeout = self.cluster.options.start_timeout;
        let mut deadline = Instant::now() + start_timeout;
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
                    // crash recovery has no time limit: interrupted, it would only start again
                    deadline = Instant::now() + start_timeout;
                    if !std::mem::replace(&mut recovering, true) {
                        tracing::info!("the embedded database is still starting");
                    }
                }
                Ok(Err(error @ sqlx::Error::Database(_))) => return Err(error.into()),
                // the server does not listen yet
                Ok(Err(_)) if Instant::now() < deadline => {}
                Ok(Err(_)) | Err(_) => {
                    return Err(EmbeddedError::Silent {
                        after: start_timeout,
                        log: self.cluster.log.clone(),
                        tail: self.log_tail(),
                    });
                }
            }
            sleep(POLL).await;
        }
    }

    /// Waits for the end of the process, and returns its exit status.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    pub(super) async fn stop(mut self) {
        for (signal, time_limit) in SHUTDOWNS {
            let Some(kill) = self.kill_command(signal) else {
                return;
            };
            if let Err(error) = Command::from(kill).status().await {
                tracing::warn!(%error, signal, "cannot signal the embedded database");
            }
            if timeout(time_limit, self.child.wait()).await.is_ok() {
                return;
            }
            tracing::warn!(signal, patience = ?time_limit, "the embedded database does not stop; sending a stronger signal");
        }
        // its sessions notice and end; the next start recovers from the log of committed transactions
        if let Err(error) = self.child.kill().await {
            tracing::error!(%error, "cannot end the embedded database");
        }
    }

    /// `None` once the end of the process was observed. Until then its pid cannot belong to another process.
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

/// Covers a panic and a cancelled start: requests the shutdown, without waiting for it. Killing the process would be
/// simpler, but would cost a recovery at the next start.
impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut kill) = self.kill_command("INT") {
            let _ = kill.status();
        }
    }
}

/// Opens the log for appending, after rotating a long one. Returns its length.
fn open_log(path: &Path) -> Result<(File, u64), EmbeddedError> {
    if fs::symlink_metadata(path).is_ok_and(|log| log.len() > LOG_LIMIT) {
        fs::rename(path, path.with_extension("log.1")).map_err(EmbeddedError::io("rename", path))?;
    }
    let log = open_file(path, OpenOptions::new().append(true))?;
    let length = log.metadata().map_err(EmbeddedError::io("read", path))?.len();
    Ok((log, length))
}

/// The last lines that the log has after `start`.
fn tail(path: &Path, start: u64) -> io::Result<String> {
    let mut log = open_to_read(path)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
