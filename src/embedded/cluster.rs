//! The data directory: its lock, the cluster, the socket's directory, and the cleanup after a killed service.
//!
//! ```text
//! <data_dir>/lock              locked while the cluster is open; holds the pid of the owner
//!            postgres/         the cluster
//!            postgres.new.N/   an unfinished initdb
//!            postgres.log      the log of the server; .1 is the rotated one
//!            run/              the socket, unless its path would be too long
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::{
    net::UnixStream,
    process::Command,
    time::{sleep, timeout},
};

use super::{
    EmbeddedError, Options,
    os_user::{OsUser, is_root},
    private_path::{Kind, check_entry, check_owner, open_data_dir, open_file, read_short, remove_entry},
    server_programs::Binaries,
    socket::{self, PORT, SocketDir},
};

/// The cluster's superuser and its only database.
pub(super) const NAME: &str = "readout";

/// The pause between two polls of a state that sends no notification.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// The character types to try, in order. Collation is always bytewise `C`. The character type decides which characters
/// are letters, for `lower` and for trigrams. Plain `C` is last: it has no letters outside of ASCII, so none in a
/// Cyrillic name.
const CHARACTER_TYPES: [&str; 3] = ["C.UTF-8", "en_US.UTF-8", "C"];

/// Maximum bytes of `PG_VERSION`, such as `15`, and of `postmaster.pid`, which has some short lines and two paths.
const MAX_VERSION_BYTES: u64 = 16;
const MAX_PID_FILE_BYTES: u64 = 16 * 1024;

/// An open data directory, locked by this process.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) options: Options,
    /// The cluster itself, `<data_dir>/postgres`.
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    dir: PathBuf,
    socket: SocketDir,
    account: OsUser,
    binaries: Binaries,
    // the last field, so that it is dropped last
    _lock: Lock,
}

impl Cluster {
    /// Locks the directory, and creates a cluster unless there is one. Does not start a server.
    pub(super) async fn open(data_dir: &Path, options: Options) -> Result<Self, EmbeddedError> {
        // If this user is root, the unprivileged user of the database must be able to traverse the directory.
        let dir = open_data_dir(data_dir, if is_root() { 0o711 } else { 0o700 })?;
        let (data, log) = (dir.join("postgres"), dir.join("postgres.log"));
        // All checks come before anything is created in the directory.
        let cluster = check_entry(&data, Kind::Directory)?;
        let account = OsUser::for_cluster(cluster.as_ref())?;
        check_owner(&dir, account.uid())?;
        if cluster.is_some() {
            check_owner(&data, account.uid())?;
        }
        check_entry(&dir.join("lock"), Kind::File)?;
        check_entry(&log, Kind::File)?;
        check_entry(&dir.join("run"), Kind::Directory)?;
        let lock = lock(&dir)?;

        let only = options.postgres_bin.as_deref();
        let pg_version = read_short(&data.join("PG_VERSION"), MAX_VERSION_BYTES);
        let binaries = match &pg_version {
            Ok(version) => Binaries::for_cluster(only, &data, version.trim())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Binaries::newest(only)?,
            Err(_) => return Err(EmbeddedError::NotACluster { dir: data }),
        };
        account.check_reach(&binaries.program("initdb"), &dir)?;

        let cluster = Self {
            log,
            socket: SocketDir::create(&dir, &account)?,
            options,
            data,
            dir,
            account,
            binaries,
            _lock: lock,
        };
        cluster.remove_unfinished()?;
        if pg_version.is_err() {
            cluster.initdb().await?;
        }
        Ok(cluster)
    }

    /// A command of the server's programs, run as the account of the cluster.
    pub(super) fn command(&self, program: &str) -> std::process::Command {
        let mut command = self.account.command(&self.binaries.program(program), &self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(super) fn socket_dir(&self) -> &Path {
        self.socket.path()
    }

    /// Connects to the database `postgres`, which every cluster has.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        connect_options(self.socket_dir()).database("postgres")
    }

    /// The URL of the database `readout`, with the socket's directory percent-encoded.
    pub(super) fn url(&self) -> String {
        let mut host = String::new();
        for byte in self.socket_dir().as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' => host.push(char::from(*byte)),
                _ => host.push_str(&format!("%{byte:02X}")),
            }
        }
        format!("postgresql:///{NAME}?user={NAME}&host={host}")
    }

    /// Creates the cluster under a temporary name and renames it: a kill in between leaves nothing that looks like a
    /// cluster.
    async fn initdb(&self) -> Result<(), EmbeddedError> {
        if self.data.exists() {
            return Err(EmbeddedError::NotACluster { dir: self.data.clone() });
        }
        tracing::info!(dir = %self.data.display(), server = %self.binaries, "creating a database");
        // an initdb of a killed service may still run: the pid keeps its directory distinct from this one
        let unfinished = self.dir.join(format!("postgres.new.{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(EmbeddedError::io("create", &unfinished))?;
        self.account.take_ownership(&unfinished)?;

        let mut error_output = String::new();
        for character_type in CHARACTER_TYPES {
            let mut command = self.command("initdb");
            command
                .arg("--pgdata")
                .arg(&unfinished)
                .args(["--username", NAME])
                // access is controlled by the socket's directory, mode 0700
                .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"])
                .args(["--lc-ctype", character_type])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let output = Command::from(command)
                .kill_on_drop(true)
                .output()
                .await
                .map_err(EmbeddedError::io("run", self.binaries.program("initdb")))?;
            if output.status.success() {
                fs::rename(&unfinished, &self.data).map_err(EmbeddedError::io("rename", &unfinished))?;
                return sync(&self.dir);
            }
            error_output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if !error_output.contains("locale") {
                break;
            }
        }
        self.remove_unfinished()?;
        Err(EmbeddedError::Initdb { output: error_output })
    }

    fn remove_unfinished(&self) -> Result<(), EmbeddedError> {
        let entries = fs::read_dir(&self.dir).map_err(EmbeddedError::io("read", &self.dir))?;
        for entry in entries.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"postgres.new") {
                fs::remove_dir_all(entry.path()).map_err(EmbeddedError::io("remove", entry.path()))?;
            }
        }
        Ok(())
    }

    /// Stops a server that a killed service left behind, and removes files that would keep a server from starting.
    ///
    /// The caller holds the lock and runs no server itself, so any server here was left behind.
    pub(super) async fn clear(&self) -> Result<(), EmbeddedError> {
        self.stop_orphan().await?;
        self.socket.clear(self.account.uid())
    }

    async fn stop_orphan(&self) -> Result<(), EmbeddedError> {
        let pid_file = self.data.join("postmaster.pid");
        let content = match read_short(&pid_file, MAX_PID_FILE_BYTES) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(EmbeddedError::io("read", &pid_file)(error)),
        };
        let pid = content.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
        let socket_dir = socket_dir(&content).unwrap_or_default();

        if let Some(pid) = pid {
            if !self.pg_ctl(&["status"]).await? {
                // the process has ended: postgres replaces the file itself, after it checks the shared memory named
                // there
                return Ok(());
            }
            if self.is_postmaster(pid, socket_dir).await {
                self.stop_postmaster(pid, socket_dir).await?;
            }
        }
        // the file is torn by a power cut, left by a zombie, or its pid belongs to another program: postgres would
        // refuse to start. If sessions are still alive, the shared memory that they hold keeps it from starting all the
        // same
        remove_entry(&self.data, self.account.uid(), "postmaster.pid").map_err(EmbeddedError::io("remove", pid_file))
    }

    async fn stop_postmaster(&self, pid: u32, socket_dir: &str) -> Result<(), EmbeddedError> {
        tracing::warn!(pid, "stopping a database that an earlier readout left running");
        for (mode, time_limit) in [("fast", Duration::from_secs(30)), ("immediate", Duration::from_secs(10))] {
            // not `--wait`, which would also wait for a zombie
            self.pg_ctl(&["stop", "--no-wait", "--mode", mode]).await?;
            let ended = async {
                while self.is_postmaster(pid, socket_dir).await {
                    sleep(POLL).await;
                }
            };
            if timeout(time_limit, ended).await.is_ok() {
                return Ok(());
            }
        }
        Err(EmbeddedError::Orphan { pid, dir: self.data.clone() })
    }

    /// True if the process is the server of this directory, and not another one that has reused its pid.
    async fn is_postmaster(&self, pid: u32, socket_dir: &str) -> bool {
        let process = Path::new("/proc").join(pid.to_string());
        if let Ok(directory) = process.join("cwd").read_link() {
            return directory == self.data && fs::read(process.join("comm")).is_ok_and(|name| name == b"postgres\n");
        }
        // without /proc: ask the kernel for the pid of the process that listens on the socket
        let socket = Path::new(socket_dir).join(socket::FILE);
        let listener = UnixStream::connect(socket).await.and_then(|stream| stream.peer_cred());
        listener.is_ok_and(|credentials| credentials.pid().is_some_and(|listener| listener.cast_unsigned() == pid))
    }

    /// Runs `pg_ctl`. True if it succeeds.
    async fn pg_ctl(&self, arguments: &[&str]) -> Result<bool, EmbeddedError> {
        let mut command = self.command("pg_ctl");
        command.arg("--pgdata").arg(&self.data).args(arguments);
        let status =
            Command::from(command).status().await.map_err(EmbeddedError::io("run", self.binaries.program("pg_ctl")))?;
        Ok(status.success())
    }
}

fn connect_options(socket_dir: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(PORT)
        .username(NAME)
        .database(NAME)
        .ssl_mode(PgSslMode::Disable)
        // otherwise a violated constraint logs the whole row, which a later erasure cannot remove from the log
        .options([("log_error_verbosity", "terse")])
}

/// Connects to the database `readout` of a cluster whose server another process runs, for commands that run next to a
/// service. The caller must be the user of that process, or root: others cannot enter the socket's directory.
///
/// # Errors
/// No server runs there, or its directory cannot be read.
pub fn running(data_dir: &Path) -> Result<PgConnectOptions, EmbeddedError> {
    let pid_file = data_dir.join("postgres/postmaster.pid");
    let content = read_short(&pid_file, MAX_PID_FILE_BYTES).map_err(EmbeddedError::io("read", &pid_file))?;
    let socket_dir = socket_dir(&content).ok_or_else(|| EmbeddedError::Starting { dir: data_dir.to_owned() })?;
    Ok(connect_options(Path::new(socket_dir)))
}

/// The socket's directory, as `postmaster.pid` names it. Its lines: pid, data directory, start time, port, socket
/// directory, and others.
fn socket_dir(postmaster_pid: &str) -> Option<&str> {
    postmaster_pid.lines().nth(4).filter(|dir| !dir.is_empty())
}

/// The lock of a data directory.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Unlocks explicitly. A program that another thread is starting holds a copy of the file descriptor for a moment,
    /// so closing this one would leave the directory locked until that copy is closed.
    fn drop(&mut self) {
        // If that fails, closing the file still releases the lock.
        let _ = self.0.unlock();
    }
}

/// Locks the data directory, and writes the pid of this process into the lock file.
fn lock(dir: &Path) -> Result<Lock, EmbeddedError> {
    let path = dir.join("lock");
    let mut file = open_file(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            return Err(EmbeddedError::InUse { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(EmbeddedError::io("lock", path)(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(EmbeddedError::io("write", path))?;
    Ok(Lock(file))
}

/// Makes a rename in `dir` survive a power cut.
fn sync(dir: &Path) -> Result<(), EmbeddedError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(EmbeddedError::io("sync", dir))
}
