//! Data directories that other users can change or replace, and links in them, are refused.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use readout::embedded::{Embedded, EmbeddedError};

use super::embedded::{options, start};
use crate::support::data_dir::DataDir;

/// A user and a group that are not those of the tests.
const OTHER: u32 = 65_533;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the test owns it");
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it exists").mode() & 0o7777
}

/// Creates a subdirectory with this mode.
fn subdirectory(dir: &Path, name: &str, mode: u32) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir(&path).expect("the test owns the directory");
    set_mode(&path, mode);
    path
}

/// Starts a database, which is refused, and checks that nothing was created. Returns the error and its message.
async fn refused(dir: &Path) -> (EmbeddedError, String) {
    let before = names(dir);
    let error = Embedded::start(dir, options()).await.expect_err("refused");
    assert_eq!(names(dir), before, "{error}");
    let message = error.to_string();
    (error, message)
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directory_that_others_may_write_to_is_refused() {
    let dir = DataDir::new();
    for (number, wrong) in [0o777, 0o770, 0o707, 0o720, 0o702, 0o2775].into_iter().enumerate() {
        let data = subdirectory(dir.path(), &format!("data{number}"), wrong);
        let (error, message) = refused(&data).await;
        assert!(matches!(error, EmbeddedError::WritableDataDir { .. }), "{error}");
        for part in [format!("(mode {wrong:04o})"), format!("chmod go-w {}", data.display())] {
            assert!(message.contains(&part), "{part:?} is missing in: {message}");
        }
        assert_eq!(mode(&data), wrong, "unchanged");
    }
    // A shared directory such as /tmp keeps its mode: the remedy is another directory.
    let shared = subdirectory(dir.path(), "shared", 0o1777);
    let (error, message) = refused(&shared).await;
    assert!(matches!(error, EmbeddedError::SharedDataDir { .. }), "{error}");
    assert!(!message.contains("chmod") && message.contains("--data-dir"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn store_whose_directory_becomes_writable_is_refused_until_it_is_private_again() {
    let dir = DataDir::with_database().await;
    start(dir.path()).await.stop().await;
    for wrong in [0o777, 0o773] {
        set_mode(dir.path(), wrong);
        refused(dir.path()).await;
    }
    // PostgreSQL itself checks its cluster.
    set_mode(dir.path(), 0o711);
    set_mode(&dir.path().join("postgres"), 0o770);
    let error = Embedded::start(dir.path(), options()).await.expect_err("refused").to_string();
    assert!(error.contains("has invalid permissions"), "{error}");
    set_mode(&dir.path().join("postgres"), 0o700);
    start(dir.path()).await.stop().await;
}

/// Release 0.1.0 made data directories with mode 0711 as root and 0700 otherwise, or used one that it found.
#[tokio::test(flavor = "multi_thread")]
async fn data_directories_of_an_earlier_release_open() {
    let dir = DataDir::new();
    let modes = if is_root() { [0o711, 0o755, 0o751] } else { [0o700, 0o750, 0o755] };
    for (number, mode) in modes.into_iter().enumerate() {
        let data = dir.put_database(&format!("data{number}")).await;
        // The umask gave the lock its mode.
        fs::write(data.join("lock"), "1\n").expect("the test owns it");
        set_mode(&data.join("lock"), 0o664);
        set_mode(&data, mode);
        start(&data).await.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_data_directories_are_private() {
    let dir = DataDir::new();
    let data = dir.path().join("a/b/data");
    start(&data).await.stop().await;
    let expected = if is_root() { 0o711 } else { 0o700 };
    assert_eq!(mode(&data), expected);
    assert_eq!(mode(&dir.path().join("a")) & 0o022, 0);
    assert_eq!(mode(&data.join("lock")), 0o600);
    assert_eq!(mode(&data.join("postgres.log")), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn parent_in_which_others_can_replace_the_data_directory_is_refused() {
    let dir = DataDir::new();
    let parent = subdirectory(dir.path(), "parent", 0o755);
    let data = subdirectory(&parent, "data", 0o711);
    let below = parent.join("missing/data");
    for wrong in [0o777, 0o757, 0o703] {
        set_mode(&parent, wrong);
        for data in [&data, &below] {
            let (error, message) = refused(data).await;
            assert!(matches!(error, EmbeddedError::WritableParent { .. }), "{error}");
            for part in [format!("(mode {wrong:04o})"), format!("chmod go-w {}", parent.display())] {
                assert!(message.contains(&part), "{part:?} is missing in: {message}");
            }
        }
        assert!(!below.exists());
    }
    // The group of this user, as distributions with a group for each user make it.
    set_mode(&parent, 0o775);
    start(&data).await.stop().await;
    // The sticky bit keeps others from replacing it, as in /tmp.
    set_mode(&parent, 0o1777);
    start(&data).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_other_users_are_refused() {
    if !is_root() {
        return;
    }
    let dir = DataDir::new();
    let parent = subdirectory(dir.path(), "parent", 0o755);
    let data = subdirectory(&parent, "data", 0o711);
    let give = |path: &Path, uid, gid| chown(path, Some(uid), Some(gid)).expect("as root");

    give(&data, OTHER, OTHER);
    let (error, message) = refused(&data).await;
    assert!(matches!(error, EmbeddedError::WrongOwner { owner: OTHER, user: 0, .. }), "{error}");
    assert!(message.contains(&format!("chown 0 {}", data.display())), "{message}");
    give(&data, 0, 0);

    // A store of a user belongs to that user, with its cluster. Root runs the database as that user.
    let store = dir.put_database("store").await;
    start(&store).await.stop().await;
    let cluster = fs::metadata(store.join("postgres")).expect("it exists");
    give(&store, cluster.uid(), cluster.gid());
    start(&store).await.stop().await;
    let (error, _) = {
        give(&store.join("postgres"), OTHER, OTHER);
        refused(&store).await
    };
    assert!(matches!(error, EmbeddedError::WrongOwner { user: 0, .. }), "{error}");

    give(&parent, OTHER, OTHER);
    let (error, _) = refused(&data).await;
    assert!(matches!(error, EmbeddedError::ForeignParent { owner: OTHER, .. }), "{error}");

    // The members of another group can replace the directory.
    give(&parent, 0, OTHER);
    set_mode(&parent, 0o775);
    let (error, _) = refused(&data).await;
    assert!(matches!(error, EmbeddedError::WritableParent { .. }), "{error}");
    set_mode(&parent, 0o755);
    start(&data).await.stop().await;
}

/// A link in the place of a file would let its maker choose a file that the service truncates, as root.
#[tokio::test(flavor = "multi_thread")]
async fn links_in_the_data_directory_are_refused_and_not_followed() {
    let dir = DataDir::with_database().await;
    start(dir.path()).await.stop().await;
    let elsewhere = subdirectory(dir.path(), "elsewhere", 0o755);
    for name in ["lock", "postgres.log", "run", "postgres"] {
        let (entry, moved) = (dir.path().join(name), elsewhere.join(name));
        fs::rename(&entry, &moved).expect("the test owns it");
        let before = fs::metadata(&moved).expect("it exists");
        // A link to what was there, a dangling link, and a link to a file that does not belong to the service.
        for target in [moved.as_path(), Path::new("missing"), Path::new("/etc/passwd")] {
            symlink(target, &entry).expect("the test owns it");
            let (error, message) = refused(dir.path()).await;
            assert!(matches!(error, EmbeddedError::NotPrivate { .. }), "{error}");
            assert!(message.starts_with(&format!("{} is a symbolic link", entry.display())), "{message}");
            fs::remove_file(&entry).expect("the test owns it");
        }
        let after = fs::metadata(&moved).expect("it exists");
        assert_eq!((after.len(), after.mode(), after.uid()), (before.len(), before.mode(), before.uid()), "{name}");
        fs::rename(&moved, &entry).expect("the test owns it");
    }
    fs::remove_dir(elsewhere).expect("empty");
    start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_entries_in_the_place_of_files_are_refused() {
    let dir = DataDir::new();
    for name in ["lock", "postgres.log"] {
        let entry = dir.path().join(name);
        fs::write(dir.path().join("precious"), "text").expect("the test owns it");
        fs::hard_link(dir.path().join("precious"), &entry).expect("the test owns it");
        let (_, message) = refused(dir.path()).await;
        assert!(message.contains("is a hard link"), "{message}");
        assert_eq!(fs::read(dir.path().join("precious")).expect("it exists"), b"text");
        fs::remove_file(&entry).expect("the test owns it");

        fs::create_dir(&entry).expect("the test owns it");
        let (_, message) = refused(dir.path()).await;
        assert!(message.contains("is not a file"), "{message}");
        fs::remove_dir(&entry).expect("the test owns it");

        // A pipe would block whoever opens it.
        assert!(Command::new("mkfifo").arg(&entry).status().expect("mkfifo is there").success());
        let (_, message) = refused(dir.path()).await;
        assert!(message.contains("is not a file"), "{message}");
        fs::remove_file(&entry).expect("the test owns it");
    }
    for name in ["run", "postgres"] {
        fs::write(dir.path().join(name), "").expect("the test owns it");
        let (_, message) = refused(dir.path()).await;
        assert!(message.contains("is not a directory"), "{message}");
        fs::remove_file(dir.path().join(name)).expect("the test owns it");
    }
}

/// The user of the database owns the cluster, and can put links into it.
#[tokio::test(flavor = "multi_thread")]
async fn links_in_the_cluster_are_not_followed() {
    let dir = DataDir::with_database().await;
    let (version, secret) = (dir.path().join("postgres/PG_VERSION"), dir.path().join("secret"));
    fs::write(&secret, "s3cret\n").expect("the test owns it");
    fs::remove_file(&version).expect("the test owns it");
    symlink(&secret, &version).expect("the test owns it");
    let error = Embedded::start(dir.path(), options()).await.expect_err("refused");
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");

    fs::remove_file(&version).expect("the test owns it");
    assert!(Command::new("mkfifo").arg(&version).status().expect("mkfifo is there").success());
    let error = Embedded::start(dir.path(), options()).await.expect_err("refused");
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_directory_of_another_user_is_refused() {
    let dir = DataDir::with_database().await;
    let run = subdirectory(dir.path(), "run", 0o755);
    if is_root() {
        // As `/run` of a service that is given `/` as its directory.
        let error = Embedded::start(dir.path(), options()).await.expect_err("refused");
        assert!(matches!(error, EmbeddedError::WrongOwner { owner: 0, .. }), "{error}");
        assert_eq!((mode(&run), fs::metadata(&run).expect("it exists").uid()), (0o755, 0));
    }
    // A start that was killed leaves this mode.
    set_mode(&run, 0o700);
    start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn link_to_the_data_directory_is_followed_if_its_way_is_private() {
    let dir = DataDir::new();
    let data = subdirectory(dir.path(), "data", 0o711);
    let links = subdirectory(dir.path(), "links", 0o1777);
    for (name, target) in [("relative", Path::new("../data")), ("absolute", data.as_path())] {
        symlink(target, links.join(name)).expect("the test owns it");
        start(&links.join(name)).await.stop().await;
    }
    symlink("loop", links.join("loop")).expect("the test owns it");
    let error = Embedded::start(&links.join("loop"), options()).await.expect_err("refused");
    assert!(matches!(error, EmbeddedError::NoDataDir { .. }), "{error}");
    if is_root() {
        // Anyone can make a link in a directory such as /tmp.
        std::os::unix::fs::lchown(links.join("relative"), Some(OTHER), Some(OTHER)).expect("as root");
        let (error, _) = refused(&links.join("relative")).await;
        assert!(matches!(error, EmbeddedError::ForeignParent { owner: OTHER, .. }), "{error}");
    }
    set_mode(&links, 0o777);
    let (error, _) = refused(&links.join("absolute")).await;
    assert!(matches!(error, EmbeddedError::WritableParent { .. }), "{error}");
}
