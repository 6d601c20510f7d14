//! A directory for a private database, and the processes that work in it, as `/proc` lists them.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use readout::{
    embedded::{Embedded, Options},
    store::schema::migrate::migrate,
};
use tokio::sync::OnceCell;

/// Much longer than any step takes: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the end of its input, ends every process that works in the directory, and removes the directory. SIGQUIT
/// comes first, because a server then still releases its shared memory.
const REAPER: &str = r#"
cat >/dev/null
[ -e /proc/self ] || kill -QUIT "$(head -n 1 "$1/postgres/postmaster.pid")"
signal=QUIT
while :; do
  found=
  for process in /proc/[0-9]*; do
    case $(readlink "$process/cwd") in
      "$1" | "$1"/*) found="$found ${process#/proc/}" ;;
    esac
  done
  [ "$found" ] || break
  kill -$signal $found
  [ $signal = KILL ] || sleep 0.2
  waited=x$waited
  [ $waited = xxxxxxxxxxxxxxxxxxxx ] && signal=KILL
done
rm -rf "$1"
"#;

/// An empty directory. Its processes and files are removed when it is dropped, even if the tests are killed.
pub struct DataDir {
    path: PathBuf,
    reaper: Child,
}

impl DataDir {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("readout-test-").tempdir().expect("a directory");
        let path = directory.keep().canonicalize().expect("the directory exists");
        // When the tests run as root, the database runs as another user, who must be able to enter.
        fs::set_permissions(&path, Permissions::from_mode(0o711)).expect("permitted");
        let reaper = Command::new("sh")
            .args(["-c", REAPER, "reaper"])
            .arg(&path)
            // A group of its own, so that Ctrl-C in the terminal does not end the reaper.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh is there");
        Self { path, reaper }
    }

    /// Makes a directory with a database that has the schema of this version, without a running server.
    pub async fn with_database() -> Self {
        let dir = Self::new();
        dir.put_database("").await;
        dir
    }

    /// Makes a subdirectory with such a database.
    pub async fn put_database(&self, below: &str) -> PathBuf {
        let path = self.path.join(below);
        fs::create_dir_all(&path).expect("created");
        fs::set_permissions(&path, Permissions::from_mode(0o711)).expect("permitted");
        // Later ones are copies of the first one, because initdb waits for the disk.
        static FIRST: OnceCell<DataDir> = OnceCell::const_new();
        let first = FIRST.get_or_init(async || {
            let dir = Self::new();
            let settings = vec![("fsync".to_owned(), "off".to_owned())];
            let options = Options { settings, ..Options::default() };
            let embedded = Embedded::start(&dir.path, options).await.expect("PostgreSQL starts");
            migrate(&embedded.connect_options()).await.expect("migrated");
            embedded.stop().await;
            dir
        });
        let first = first.await.path.join("postgres");
        let copied = Command::new("cp").arg("-a").args([&first, &path.join("postgres")]).status();
        assert!(copied.expect("cp is there").success());
        path
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives all files to the user who owns the database of another directory, which is another user if the tests run
    /// as root. If there is a database, only its files: the directory around it belongs to the user who starts it.
    pub fn give_to_owner_of(&self, other: &Self) {
        let owner = fs::metadata(other.path.join("postgres")).expect("the database exists");
        let owner = format!("{}:{}", owner.uid(), owner.gid());
        let database = self.path.join("postgres");
        let given = if database.exists() { &database } else { &self.path };
        let status = Command::new("chown").args(["-R", &owner]).arg(given).status().expect("chown is there");
        assert!(status.success());
    }

    /// The path, for a command line.
    pub fn as_str(&self) -> &str {
        self.path.to_str().expect("made of ASCII")
    }

    /// The process ids of the server and its sessions.
    pub fn servers(&self) -> Vec<u32> {
        let data = self.path.join("postgres");
        fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|directory| directory == data))
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// The process id of the server itself.
    pub fn postmaster(&self) -> u32 {
        let content = fs::read_to_string(self.path.join("postgres/postmaster.pid")).expect("a server runs");
        let pid = content.lines().next().expect("a line").parse().expect("a number");
        assert!(self.servers().contains(&pid), "not a process of this test");
        pid
    }

    /// Ends the server and its sessions with SIGKILL.
    pub fn kill_servers(&self) {
        self.servers().into_iter().for_each(kill);
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // `wait` closes the reaper's input first.
        let _ = self.reaper.wait();
    }
}

/// Ends a process of this test with SIGKILL. A process that has ended already is not an error.
pub fn kill(pid: u32) {
    signal(pid, "KILL").expect("sh is there");
}

/// Sends a signal to a process of this test.
pub fn signal(pid: u32, name: &str) -> io::Result<()> {
    let kill = format!("kill -{name} {pid}");
    Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().map(drop)
}

/// Waits for a future, and fails the test after `PATIENCE`.
pub async fn within_timeout<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Polls a condition that sends no notification until it holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within_timeout(what, looking).await;
}
