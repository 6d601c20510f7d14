//! The directory of the Unix socket, which is the only way in: whoever can enter it may connect, and nobody else can.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{EmbeddedError, account::Account};

/// Without TCP the port is only a part of the socket's file name.
pub(super) const PORT: u16 = 5432;

/// The name that PostgreSQL gives its socket: `.s.PGSQL.` and the port.
pub(super) const FILE: &str = ".s.PGSQL.5432";

/// `sun_path` without its closing zero.
const PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where the socket is: beside the data, or, when that path is too long for one, in a directory of its own.
#[derive(Debug)]
pub(super) struct SocketDir {
    path: PathBuf,
    temporary: bool,
}

impl SocketDir {
    pub(super) fn create(data_dir: &Path, account: &Account) -> Result<Self, EmbeddedError> {
        let mut socket_dir = Self { path: data_dir.join("run"), temporary: false };
        if !can_hold_socket(&socket_dir.path) {
            socket_dir = Self { path: temporary_dir()?, temporary: true };
        } else if !socket_dir.path.is_dir() {
            create_private_dir(&socket_dir.path).map_err(EmbeddedError::io("create", &socket_dir.path))?;
        }
        fs::set_permissions(&socket_dir.path, Permissions::from_mode(0o700))
            .map_err(EmbeddedError::io("change the mode of", &socket_dir.path))?;
        account.give(&socket_dir.path)?;
        Ok(socket_dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what a killed server left: like `postmaster.pid`, the socket's lock file names a process that may be
    /// another one by now, and postgres would believe it.
    pub(super) fn clear(&self) -> Result<(), EmbeddedError> {
        remove_file(&self.path.join(FILE))?;
        remove_file(&self.path.join(format!("{FILE}.lock")))
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Short enough, and without what would need quoting in `unix_socket_directories`.
fn can_hold_socket(dir: &Path) -> bool {
    dir.join(FILE).as_os_str().len() <= PATH_LIMIT
        && dir.to_str().is_some_and(|text| !text.contains(['"', ',']) && text.trim() == text)
}

fn temporary_dir() -> Result<PathBuf, EmbeddedError> {
    let parent = std::env::temp_dir();
    let mut number = 0_u64;
    loop {
        let dir = parent.join(format!("readout-{}-{number}", std::process::id()));
        if !can_hold_socket(&dir) {
            return Err(EmbeddedError::SocketPath { dir, limit: PATH_LIMIT });
        }
        // creating, never reusing: a directory that is already there may be somebody else's
        match create_private_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(EmbeddedError::io("create", dir)(error)),
        }
    }
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes a file; a missing file is no error.
pub(super) fn remove_file(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(EmbeddedError::io("remove", path)(error)),
        _ => Ok(()),
    }
}
