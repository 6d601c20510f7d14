//! The data directory: its lock, the cluster in it, the socket's directory, and what a killed service may have left behind.
//!
//! ```text
//! <data_dir>/lock              held for as long as the cluster is open; says who holds it
//!            postgres/         the cluster
//!            postgres.new.N/   an initdb that is not finished, or never will be
//!            postgres.log      what the server says, and .1, what it said before
//!            run/              the socket, unless its path would be too long
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
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
    account::Account,
    binaries::Binaries,
    socket::{self, PORT, SocketDir, remove_file},
};

/// The cluster's superuser and its only database.
pub(super) const NAME: &str = "readout";

/// Between two looks at something that gives no notice.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// Collation is bytewise `C` in every case. The character type decides what a letter is, for `lower` and for trigrams:
/// under plain `C` a Cyrillic name has no letters at all, so that comes last.
const CHARACTER_TYPES: [&str; 3] = ["C.UTF-8", "en_US.UTF-8", "C"];

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) options: Options,
    /// The cluster itself, `<data_dir>/postgres`.
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    dir: PathBuf,
    socket: SocketDir,
    account: Account,
    binaries: Binaries,
    // last, so that it is released last
    _lock: Lock,
}

impl Cluster {
    /// Takes the directory over, with a cluster in it and no server running.
    pub(super) async fn open(data_dir: &Path, options: Options) -> Result<Self, EmbeddedError> {
        let dir = prepare(data_dir)?;
        let lock = lock(&dir)?;
        let data = dir.join("postgres");
        let account = Account::for_cluster(&data)?;

        let only = options.postgres_bin.as_deref();
        let made_by = fs::read_to_string(data.join("PG_VERSION"));
        let binaries = match &made_by {
            Ok(version) => Binaries::for_cluster(only, &data, version.trim())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Binaries::newest(only)?,
            Err(_) => return Err(EmbeddedError::NotACluster { dir: data }),
        };
        account.check_reach(&binaries.program("initdb"), &dir)?;

        let cluster = Self {
            log: dir.join("postgres.log"),
            socket: SocketDir::create(&dir, &account)?,
            options,
            data,
            dir,
            account,
            binaries,
            _lock: lock,
        };
        cluster.remove_unfinished()?;
        if made_by.is_err() {
            cluster.initdb().await?;
        }
        Ok(cluster)
    }

    /// A command of the server's programs, as the right user.
    pub(super) fn command(&self, program: &str) -> std::process::Command {
        let mut command = self.account.command(&self.binaries.program(program), &self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(super) fn socket_dir(&self) -> &Path {
        self.socket.path()
    }

    /// To the database `postgres`, which every cluster has.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        connect_options(self.socket_dir()).database("postgres")
    }

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

    /// Makes the cluster elsewhere and renames it: a kill in the middle leaves nothing that looks like a cluster.
    async fn initdb(&self) -> Result<(), EmbeddedError> {
        if self.data.exists() {
            return Err(EmbeddedError::NotACluster { dir: self.data.clone() });
        }
        tracing::info!(dir = %self.data.display(), server = %self.binaries, "making a database");
        // an initdb that outlived its killed service may still be at work: it must not share a name with this one
        let unfinished = self.dir.join(format!("postgres.new.{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(EmbeddedError::io("create", &unfinished))?;
        self.account.give(&unfinished)?;

        let mut said = String::new();
        for character_type in CHARACTER_TYPES {
            let mut command = self.command("initdb");
            command
                .arg("--pgdata")
                .arg(&unfinished)
                .args(["--username", NAME])
                // whoever can enter the socket's directory, 0700, may connect
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
            said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if !said.contains("locale") {
                break;
            }
        }
        self.remove_unfinished()?;
        Err(EmbeddedError::Initdb { output: said })
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

    /// Leaves the cluster without a server, and without anything that would keep one from starting.
    ///
    /// Whoever calls this holds the lock and has no server of its own, so a server here was left by a killed service.
    pub(super) async fn clear(&self) -> Result<(), EmbeddedError> {
        self.stop_orphan().await?;
        self.socket.clear()
    }

    async fn stop_orphan(&self) -> Result<(), EmbeddedError> {
        let pid_file = self.data.join("postmaster.pid");
        let content = match fs::read_to_string(&pid_file) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(EmbeddedError::io("read", &pid_file)(error)),
        };
        let pid = content.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
        let socket_dir = socket_dir(&content).unwrap_or_default();

        if let Some(pid) = pid {
            if !self.pg_ctl(&["status"]).await? {
                // the process is gone; postgres replaces such a file itself, after checking the shared memory it names
                return Ok(());
            }
            if self.is_postmaster(pid, socket_dir).await {
                self.stop_postmaster(pid, socket_dir).await?;
            }
        }
        // torn by a power cut, left by a zombie, or its number belongs to some other program: postgres would refuse to
        // start. Sessions that are still alive keep it from starting all the same, by the shared memory they hold
        remove_file(&pid_file)
    }

    async fn stop_postmaster(&self, pid: u32, socket_dir: &str) -> Result<(), EmbeddedError> {
        tracing::warn!(pid, "stopping a database that an earlier readout left running");
        for (mode, patience) in [("fast", Duration::from_secs(30)), ("immediate", Duration::from_secs(10))] {
            // not `--wait`: that waits for a zombie, too
            self.pg_ctl(&["stop", "--no-wait", "--mode", mode]).await?;
            let gone = async {
                while self.is_postmaster(pid, socket_dir).await {
                    sleep(POLL).await;
                }
            };
            if timeout(patience, gone).await.is_ok() {
                return Ok(());
            }
        }
        Err(EmbeddedError::Orphan { pid, dir: self.data.clone() })
    }

    /// Whether the process is the server of this very directory, and not one that got its number later.
    async fn is_postmaster(&self, pid: u32, socket_dir: &str) -> bool {
        let process = Path::new("/proc").join(pid.to_string());
        if let Ok(directory) = process.join("cwd").read_link() {
            return directory == self.data && fs::read(process.join("comm")).is_ok_and(|name| name == b"postgres\n");
        }
        // without /proc: the kernel knows who listens on the socket
        let socket = Path::new(socket_dir).join(socket::FILE);
        let listener = UnixStream::connect(socket).await.and_then(|stream| stream.peer_cred());
        listener.is_ok_and(|credentials| credentials.pid().is_some_and(|listener| listener.cast_unsigned() == pid))
    }

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
        // else a violated constraint writes the whole row into the server's log, where no later erasure reaches it
        .options([("log_error_verbosity", "terse")])
}

/// The database `readout` of a cluster whose server another process runs, for commands that work beside a service. The
/// caller is that process's user, or root: nobody else can enter the socket's directory.
///
/// # Errors
/// No server runs there, or its directory cannot be read.
pub fn running(data_dir: &Path) -> Result<PgConnectOptions, EmbeddedError> {
    let pid_file = data_dir.join("postgres/postmaster.pid");
    let content = fs::read_to_string(&pid_file).map_err(EmbeddedError::io("read", &pid_file))?;
    let socket_dir = socket_dir(&content).ok_or_else(|| EmbeddedError::Starting { dir: data_dir.to_owned() })?;
    Ok(connect_options(Path::new(socket_dir)))
}

/// The socket's directory, as `postmaster.pid` names it. Its lines: pid, data directory, start time, port, socket
/// directory, and others.
fn socket_dir(postmaster_pid: &str) -> Option<&str> {
    postmaster_pid.lines().nth(4).filter(|dir| !dir.is_empty())
}

/// Makes the data directory unless it exists, and returns its absolute path.
fn prepare(data_dir: &Path) -> Result<PathBuf, EmbeddedError> {
    if !data_dir.is_dir() {
        fs::create_dir_all(data_dir).map_err(|source| EmbeddedError::NoDataDir { dir: data_dir.to_owned(), source })?;
        // another user, which the database runs as if this one is root, must be able to pass through
        let mode = if super::account::is_root() { 0o711 } else { 0o700 };
        fs::set_permissions(data_dir, Permissions::from_mode(mode))
            .map_err(EmbeddedError::io("change the mode of", data_dir))?;
    }
    data_dir.canonicalize().map_err(EmbeddedError::io("open", data_dir))
}

/// The lock of a data directory.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Said in words: a program that another thread is just starting has a copy of the file for a moment, and closing
    /// ours would leave the directory locked until it closes its own.
    fn drop(&mut self) {
        // Closing is what is left if that fails.
        let _ = self.0.unlock();
    }
}

fn lock(dir: &Path) -> Result<Lock, EmbeddedError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(EmbeddedError::io("open", &path))?;
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
