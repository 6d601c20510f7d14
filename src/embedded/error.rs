//! The errors of the embedded database. Each message says how to correct the cause.

use std::{io, path::PathBuf, time::Duration};

/// An error of the embedded database.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no PostgreSQL server ({minimum} or newer) is installed: install one \
         (`apt install postgresql`, `dnf install postgresql-server` or `brew install postgresql@17`), \
         name its directory with --postgres-bin, or name a running server with DATABASE_URL"
    )]
    NoServer { minimum: u32 },

    #[error(
        "{} holds no PostgreSQL server ({minimum} or newer): --postgres-bin takes the directory \
         that contains initdb, pg_ctl and postgres", dir.display()
    )]
    NoServerIn { dir: PathBuf, minimum: u32 },

    #[error(
        "data directory {} was made by PostgreSQL {needed}, but only {found} is installed: \
         install the PostgreSQL {needed} server, or dump the data with version {needed} \
         (pg_dump) and restore it into a new --data-dir", dir.display()
    )]
    OtherVersion { dir: PathBuf, needed: String, found: String },

    #[error(
        "data directory {} is in use by another readout (pid {pid}), and one service uses it at a time: \
         stop that one, give several services one DATABASE_URL, or keep other records in another --data-dir",
        dir.display()
    )]
    InUse { dir: PathBuf, pid: String },

    #[error("the database in data directory {} is still starting: try again", dir.display())]
    Starting { dir: PathBuf },

    #[error(
        "data directory {} can be changed by other users (mode {mode:04o}), and so can all records: \
         run `chmod go-w {}`", dir.display(), dir.display()
    )]
    WritableDataDir { dir: PathBuf, mode: u32 },

    #[error(
        "data directory {} is shared with other users (mode {mode:04o}): choose a directory in it, \
         such as --data-dir {}", dir.display(), dir.join("readout").display()
    )]
    SharedDataDir { dir: PathBuf, mode: u32 },

    #[error(
        "{} belongs to user {owner}, and user {user} uses it: start readout as its owner, \
         run `chown {user} {}`, or choose another --data-dir", dir.display(), dir.display()
    )]
    WrongOwner { dir: PathBuf, owner: u32, user: u32 },

    #[error(
        "other users can replace {}, because they can change {} (mode {mode:04o}): \
         run `chmod go-w {}`, or choose another --data-dir", dir.display(), parent.display(), parent.display()
    )]
    WritableParent { dir: PathBuf, parent: PathBuf, mode: u32 },

    #[error(
        "user {owner}, to whom {} belongs, can replace {}: \
         start readout as that user, or choose another --data-dir", parent.display(), dir.display()
    )]
    ForeignParent { dir: PathBuf, parent: PathBuf, owner: u32 },

    #[error(
        "{} is {problem}, and readout does not follow links in its data directory: \
         move it away, or choose another --data-dir", path.display()
    )]
    NotPrivate { path: PathBuf, problem: &'static str },

    #[error(
        "{} exists but is not a PostgreSQL cluster: move it away, \
         or choose another directory with --data-dir", dir.display()
    )]
    NotACluster { dir: PathBuf },

    #[error(
        "user {user} cannot enter {}, and the database never runs as root: \
         run `chmod o+x` on it, choose another --data-dir, or do not start readout as root", dir.display()
    )]
    NotReachable { user: String, dir: PathBuf },

    #[error(
        "readout runs as root, which PostgreSQL refuses, and there is neither a user `postgres` \
         nor `nobody` to run it as: start readout as an ordinary user"
    )]
    NoAccount,

    #[error(
        "no directory is short enough for a Unix socket ({limit} bytes, {} tried last): \
         choose a shorter --data-dir or TMPDIR", dir.display()
    )]
    SocketPath { dir: PathBuf, limit: usize },

    #[error("initdb could not create a database: {output}")]
    Initdb { output: String },

    #[error(
        "postgres (pid {pid}), left in {} by an earlier readout, does not stop: \
         end that process, then start again", dir.display()
    )]
    Orphan { pid: u32, dir: PathBuf },

    #[error("postgres ended while it was starting ({status}); {} says:\n{tail}", log.display())]
    Ended { status: String, log: PathBuf, tail: String },

    #[error("postgres did not answer within {after:?}; {} says:\n{tail}", log.display())]
    Silent { after: Duration, log: PathBuf, tail: String },

    #[error("the embedded database refused a connection")]
    Database(#[from] sqlx::Error),

    #[error("cannot create the data directory {}: choose another with --data-dir", dir.display())]
    NoDataDir { dir: PathBuf, source: io::Error },

    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl EmbeddedError {
    /// Adds an action and a path to an I/O error: `.map_err(EmbeddedError::io("read", &path))`.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
