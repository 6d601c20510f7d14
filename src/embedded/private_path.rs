//! Checks that other users can neither write to the data directory nor replace it, and that nothing in it is a link.
//!
//! PostgreSQL checks the owner and the mode of its cluster. The data directory also holds files that this process
//! writes, as root if it runs as root, so that the directories above it are checked too. After these checks only one
//! other user can change what a path names: that of the database, if this process is root and the directory belongs to
//! that user. So files and directories are opened without following links, and checked once they are open.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, OFlags},
    process::{getegid, geteuid},
};

use super::EmbeddedError;

/// Maximum number of symbolic links in a path: the limit of Linux.
const MAX_LINKS: usize = 40;

/// The mode of new directories above the data directory: other users, such as that of the database, may pass through.
const PARENT_MODE: u32 = 0o755;

/// The bits of a mode that let others write: the group and everyone.
const WRITABLE: u32 = 0o022;

/// Members of a group that owns a directory can write to it.
const GROUP_WRITABLE: u32 = 0o020;

/// Everyone can write to a directory.
const WORLD_WRITABLE: u32 = 0o002;

/// In a directory with this bit, only the owner of an entry can replace it.
const STICKY: u32 = 0o1000;

/// The flags with which every entry is opened: a link is an error, and a pipe is not waited for.
const NO_FOLLOW: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// The user id that this process acts with.
pub(super) fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// The permission bits of a mode.
pub(super) fn bits(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// Creates the data directory unless it exists, with this mode. Returns its path without links.
pub(super) fn open_data_dir(dir: &Path, mode: u32) -> Result<PathBuf, EmbeddedError> {
    let no_dir = |source| EmbeddedError::NoDataDir { dir: dir.to_owned(), source };
    let (mut path, missing) = Walk::from(dir).map_err(no_dir)?.resolve(dir)?;
    let Some((last, parents)) = missing.split_last() else {
        check_mode(&path)?;
        return Ok(path);
    };
    for parent in parents {
        path.push(parent);
        DirBuilder::new().mode(PARENT_MODE).create(&path).map_err(no_dir)?;
    }
    path.push(last);
    DirBuilder::new().mode(mode).create(&path).map_err(no_dir)?;
    // The umask can have removed bits.
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(no_dir)?;
    Ok(path)
}

/// Checks a directory that is to hold private files, such as that of temporary files, and returns its path without
/// links.
pub(super) fn open_parent(dir: &Path) -> Result<PathBuf, EmbeddedError> {
    let io = |source| EmbeddedError::Io { action: "open", path: dir.to_owned(), source };
    let (path, missing) = Walk::from(dir).map_err(io)?.resolve(dir)?;
    match missing.is_empty() {
        true => check_parent(&path, None, dir).map(|()| path),
        false => Err(io(io::ErrorKind::NotFound.into())),
    }
}

/// Checks that a directory belongs to this user or to that of the database, who is another one if this process is root.
pub(super) fn check_owner(dir: &Path, database_uid: u32) -> Result<(), EmbeddedError> {
    let owner = fs::symlink_metadata(dir).map_err(EmbeddedError::io("open", dir))?.uid();
    if [own_uid(), database_uid].contains(&owner) {
        return Ok(());
    }
    // A service of that user may run here. Its lock says so, and root may join its database.
    match lock_holder(&dir.join("lock")) {
        Some(pid) => Err(EmbeddedError::InUse { dir: dir.to_owned(), pid }),
        None => Err(EmbeddedError::WrongOwner { dir: dir.to_owned(), owner, user: own_uid() }),
    }
}

fn check_mode(dir: &Path) -> Result<(), EmbeddedError> {
    let metadata = fs::symlink_metadata(dir).map_err(EmbeddedError::io("open", dir))?;
    match bits(&metadata) {
        mode if mode & WRITABLE == 0 => Ok(()),
        // Such as /tmp: its mode must not change.
        mode if mode & STICKY != 0 => Err(EmbeddedError::SharedDataDir { dir: dir.to_owned(), mode }),
        mode => Err(EmbeddedError::WritableDataDir { dir: dir.to_owned(), mode }),
    }
}

/// Checks that only this user and root can replace an entry of a directory: `child`, or one that this user creates.
fn check_parent(parent: &Path, child: Option<(&Path, &Metadata)>, dir: &Path) -> Result<(), EmbeddedError> {
    let metadata = fs::symlink_metadata(parent).map_err(EmbeddedError::io("open", parent))?;
    let (mode, owner, uid) = (bits(&metadata), metadata.uid(), own_uid());
    // Root does not write where another user decides about the path. For other users this is PostgreSQL's rule: they
    // risk only what is theirs, and in a sandbox even `/` can seem to belong to another user.
    if uid == 0 && owner != 0 {
        return Err(EmbeddedError::ForeignParent { parent: parent.to_owned(), owner, dir: dir.to_owned() });
    }
    // Distributions give each user a group of its own, and let it write. Root's group can do what root can.
    let is_own_group = [0, getegid().as_raw()].contains(&metadata.gid());
    let is_writable = mode & WORLD_WRITABLE != 0 || (mode & GROUP_WRITABLE != 0 && !is_own_group);
    if is_writable && mode & STICKY == 0 {
        return Err(EmbeddedError::WritableParent { parent: parent.to_owned(), mode, dir: dir.to_owned() });
    }
    match child.filter(|(_, child)| is_writable && ![0, uid].contains(&child.uid())) {
        Some((path, child)) => {
            Err(EmbeddedError::ForeignParent { parent: path.to_owned(), owner: child.uid(), dir: dir.to_owned() })
        }
        None => Ok(()),
    }
}

/// Resolves a path one component at a time, and checks each directory on the way.
struct Walk {
    path: PathBuf,
    rest: VecDeque<OsString>,
    links: usize,
}

impl Walk {
    fn from(dir: &Path) -> io::Result<Self> {
        let mut walk = Self { path: PathBuf::from("/"), rest: VecDeque::new(), links: 0 };
        walk.prepend(&std::path::absolute(dir)?);
        Ok(walk)
    }

    fn prepend(&mut self, path: &Path) {
        for component in path.components().rev() {
            if !matches!(component, Component::RootDir | Component::CurDir) {
                self.rest.push_front(component.as_os_str().to_owned());
            }
        }
    }

    /// The path of the last component that exists, and the components that do not. Errors name `dir`.
    fn resolve(mut self, dir: &Path) -> Result<(PathBuf, Vec<OsString>), EmbeddedError> {
        let no_dir = |source: io::Error| EmbeddedError::NoDataDir { dir: dir.to_owned(), source };
        while let Some(name) = self.rest.pop_front() {
            if name == ".." {
                self.path.pop();
                continue;
            }
            let path = self.path.join(&name);
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    check_parent(&self.path, None, dir)?;
                    self.rest.push_front(name);
                    break;
                }
                Err(error) => return Err(no_dir(error)),
            };
            check_parent(&self.path, Some((&path, &metadata)), dir)?;
            if metadata.is_symlink() {
                self.links += 1;
                if self.links > MAX_LINKS {
                    return Err(no_dir(io::Error::other("too many symbolic links")));
                }
                let target = fs::read_link(&path).map_err(no_dir)?;
                if target.is_absolute() {
                    self.path = PathBuf::from("/");
                }
                self.prepend(&target);
            } else if metadata.is_dir() {
                self.path = path;
            } else {
                return Err(no_dir(io::ErrorKind::NotADirectory.into()));
            }
        }
        Ok((self.path, self.rest.into()))
    }
}

/// The type that an entry of the data directory must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
}

/// Checks that an entry of the data directory is missing, or a file or directory of its own: neither a link nor another
/// name of a file elsewhere. Returns its metadata.
pub(super) fn check_entry(path: &Path, kind: Kind) -> Result<Option<Metadata>, EmbeddedError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EmbeddedError::io("open", path)(error)),
    };
    check_kind(path, &metadata, kind).map(|()| Some(metadata))
}

fn check_kind(path: &Path, metadata: &Metadata, kind: Kind) -> Result<(), EmbeddedError> {
    let problem = match kind {
        _ if metadata.is_symlink() => "a symbolic link",
        Kind::Directory if metadata.is_dir() => return Ok(()),
        Kind::Directory => "not a directory",
        Kind::File if !metadata.is_file() => "not a file",
        Kind::File if metadata.nlink() > 1 => "a hard link to another file",
        Kind::File => return Ok(()),
    };
    Err(EmbeddedError::NotPrivate { path: path.to_owned(), problem })
}

/// Opens a file of the data directory for reading and writing or for appending, and creates it with mode 0600. Neither
/// follows a link.
pub(super) fn open_file(path: &Path, options: &mut OpenOptions) -> Result<File, EmbeddedError> {
    check_entry(path, Kind::File)?;
    let flags = NO_FOLLOW.bits().cast_signed();
    let io = |error| EmbeddedError::io("open", path)(error);
    let file = options.create(true).mode(0o600).custom_flags(flags).open(path).map_err(io)?;
    // Again: the entry can be another one since.
    check_kind(path, &file.metadata().map_err(io)?, Kind::File)?;
    Ok(file)
}

/// Opens a file for reading. Follows no link, and does not wait for the writer of a pipe.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file")),
    }
}

/// Removes an entry of a directory that belongs to this user. A missing entry is not an error.
pub(super) fn remove_entry(dir: &Path, owner: u32, name: &str) -> io::Result<()> {
    let dir = open_dir(dir)?;
    // Otherwise a link in the place of the directory would let its maker remove entries of others.
    if dir.metadata()?.uid() != owner {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
        Err(rustix::io::Errno::NOENT) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a directory without following a link.
pub(super) fn open_dir(path: &Path) -> io::Result<File> {
    let flags = NO_FOLLOW.union(OFlags::DIRECTORY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a short file that another user may have written. Follows no link.
pub(super) fn read_short(path: &Path, max_bytes: u64) -> io::Result<String> {
    io::read_to_string(io::Read::take(open_to_read(path)?, max_bytes))
}

/// The pid in a lock file that another process has locked. `None` if it is free or cannot be read.
fn lock_holder(path: &Path) -> Option<String> {
    let file = open_to_read(path).ok()?;
    let is_locked = matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock));
    is_locked.then(|| io::read_to_string(io::Read::take(file, 20)).unwrap_or_default().trim().to_owned())
}
