//! A directory for a private database, and the processes that work in it, which Linux tells.

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

/// Much longer than anything takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the end of its input, ends all that works in the directory, and removes it. Asked to quit, a server still
/// gives back its shared memory.
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

/// An empty directory; gone with all its processes when it is dropped, and also when the tests are killed.
pub struct DataDir {
    path: PathBuf,
    reaper: Child,
}

impl DataDir {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("readout-test-").tempdir().expect("a directory");
        let path = directory.keep().canonicalize().expect("it is there");
        // As root the database runs as somebody else, who has to get in.
        fs::set_permissions(&path, Permissions::from_mode(0o711)).expect("ours");
        let reaper = Command::new("sh")
            .args(["-c", REAPER, "reaper"])
            .arg(&path)
            // Ctrl-C in the terminal is not meant for it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh is there");
        Self { path, reaper }
    }

    /// With a database in it that has the schema of this version, and no server.
    pub async fn with_database() -> Self {
        let dir = Self::new();
        dir.put_database("").await;
        dir
    }

    /// Makes a directory below this one, with such a database in it.
    pub async fn put_database(&self, below: &str) -> PathBuf {
        let path = self.path.join(below);
        fs::create_dir_all(&path).expect("ours");
        fs::set_permissions(&path, Permissions::from_mode(0o711)).expect("ours");
        // A copy of the first one: initdb waits for the disk.
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

    /// Gives all that is in it to whom the database of another directory runs as: as root, that is not us.
    pub fn give_to_owner_of(&self, other: &Self) {
        let owner = fs::metadata(other.path.join("postgres")).expect("it is there");
        let owner = format!("{}:{}", owner.uid(), owner.gid());
        let given = Command::new("chown").args(["-R", &owner]).arg(&self.path).status().expect("chown is there");
        assert!(given.success());
    }

    /// For a command line.
    pub fn as_str(&self) -> &str {
        self.path.to_str().expect("made of ASCII")
    }

    /// The server and its sessions.
    pub fn servers(&self) -> Vec<u32> {
        let data = self.path.join("postgres");
        fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|directory| directory == data))
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// The server itself.
    pub fn postmaster(&self) -> u32 {
        let content = fs::read_to_string(self.path.join("postgres/postmaster.pid")).expect("a server runs");
        let pid = content.lines().next().expect("a line").parse().expect("a number");
        assert!(self.servers().contains(&pid), "not a process of this test");
        pid
    }

    /// Ends the server and its sessions, without notice.
    pub fn kill_servers(&self) {
        self.servers().into_iter().for_each(kill);
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Closes its input first.
        let _ = self.reaper.wait();
    }
}

/// Ends a process of ours without notice. One that is gone already is none.
pub fn kill(pid: u32) {
    signal(pid, "KILL").expect("sh is there");
}

/// Sends a signal to a process of ours.
pub fn signal(pid: u32, name: &str) -> io::Result<()> {
    let kill = format!("kill -{name} {pid}");
    Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().map(drop)
}

/// Waits for the end of something that should end.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Looks again and again at something that gives no notice.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patiently(what, looking).await;
}
