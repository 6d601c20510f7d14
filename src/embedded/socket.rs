//! The directory of the Unix socket, which is the only way to connect. Its mode is the access control: a user who can
//! enter it can connect.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    EmbeddedError,
    os_user::OsUser,
    private_path::{self, Kind, bits, check_entry, own_uid},
};

/// The port. Without TCP it is only a part of the socket's file name.
pub(super) const PORT: u16 = 5432;

/// The name that PostgreSQL gives its socket: `.s.PGSQL.` and the port.
pub(super) const FILE: &str = ".s.PGSQL.5432";

/// Maximum length of the path of a Unix socket, in bytes: `sun_path` without its final zero byte.
const PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The directory of the socket: in the data directory, or in a temporary one if that path is too long.
#[derive(Debug)]
pub(super) struct SocketDir {
    path: PathBuf,
    temporary: bool,
}

impl SocketDir {
    pub(super) fn create(data_dir: &Path, account: &OsUser) -> Result<Self, EmbeddedError> {
        let mut socket_dir = Self { path: data_dir.join("run"), temporary: false };
        if !can_hold_socket(&socket_dir.path) {
            socket_dir = Self { path: temporary_dir()?, temporary: true };
        } else if check_entry(&socket_dir.path, Kind::Directory)?.is_none() {
            create_private_dir(&socket_dir.path).map_err(EmbeddedError::io("create", &socket_dir.path))?;
        }
        let opened = private_path::open_dir(&socket_dir.path).and_then(|dir| Ok((dir.metadata()?, dir)));
        let (metadata, dir) = opened.map_err(EmbeddedError::io("open", &socket_dir.path))?;
        // A new one belongs to this user and has mode 0700, also after a start that was killed.
        let is_new = metadata.uid() == own_uid() && bits(&metadata) == 0o700;
        if metadata.uid() != account.uid() && !is_new {
            let (owner, user) = (metadata.uid(), account.uid());
            return Err(EmbeddedError::WrongOwner { dir: socket_dir.path.clone(), owner, user });
        }
        dir.set_permissions(Permissions::from_mode(0o700))
            .map_err(EmbeddedError::io("change the mode of", &socket_dir.path))?;
        account.take_ownership(&socket_dir.path)?;
        Ok(socket_dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the files of a killed server. Like `postmaster.pid`, the socket's lock file names a pid that another
    /// process may have reused, and postgres would then refuse to start.
    pub(super) fn clear(&self, owner: u32) -> Result<(), EmbeddedError> {
        let remove = |name: &str| private_path::remove_entry(&self.path, owner, name);
        remove(FILE)
            .and_then(|()| remove(&format!("{FILE}.lock")))
            .map_err(EmbeddedError::io("remove files from", &self.path))
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// True if the path is short enough, and has no characters that need quoting in `unix_socket_directories`.
fn can_hold_socket(dir: &Path) -> bool {
    dir.join(FILE).as_os_str().len() <= PATH_LIMIT
        && dir.to_str().is_some_and(|text| !text.contains(['"', ',']) && text.trim() == text)
}

fn temporary_dir() -> Result<PathBuf, EmbeddedError> {
    let parent = private_path::open_parent(&std::env::temp_dir())?;
    let mut number = 0_u64;
    loop {
        let dir = parent.join(format!("readout-{}-{number}", std::process::id()));
        if !can_hold_socket(&dir) {
            return Err(EmbeddedError::SocketPath { dir, limit: PATH_LIMIT });
        }
        // never reuse an existing directory: it may belong to another user
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
