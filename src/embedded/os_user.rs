//! The user that runs the database. PostgreSQL refuses root, so a service that runs as root runs its database as an
//! unprivileged user.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::{
        fs::{MetadataExt, fchown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use super::{EmbeddedError, private_path};

/// The users that may run the database of root, in order of preference.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The service's own user, or an unprivileged one if the service runs as root.
#[derive(Clone, Debug)]
pub(super) enum OsUser {
    Own,
    Other { name: String, uid: u32, gid: u32 },
}

impl OsUser {
    /// The account for a cluster whose directory has this metadata if it exists. An existing cluster stays with its
    /// owner: it may have been created before a user `postgres` existed.
    pub(super) fn for_cluster(cluster: Option<&Metadata>) -> Result<Self, EmbeddedError> {
        if !is_root() {
            return Ok(Self::Own);
        }
        if let Some(owner) = cluster
            && owner.uid() != 0
        {
            return Ok(Self::Other { name: owner.uid().to_string(), uid: owner.uid(), gid: owner.gid() });
        }
        CANDIDATES
            .iter()
            .find_map(|name| {
                Some(Self::Other { name: (*name).to_owned(), uid: id(&["-u", name])?, gid: id(&["-g", name])? })
            })
            .ok_or(EmbeddedError::NoAccount)
    }

    /// A command that runs as this user in `dir`, without the service's environment: neither its secrets nor a stray
    /// PGPORT or LC_ALL must reach the database.
    pub(super) fn command(&self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(dir).env_clear().env("LC_ALL", "C");
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Self::Other { uid, gid, .. } = self {
            // std also clears root's supplementary groups when it sets a uid without groups
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Makes this user the owner of a directory. Does not follow a link.
    pub(super) fn take_ownership(&self, path: &Path) -> Result<(), EmbeddedError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => private_path::open_dir(path)
                .and_then(|dir| fchown(dir, Some(*uid), Some(*gid)))
                .map_err(EmbeddedError::io("change the owner of", path)),
        }
    }

    /// The id of this user.
    pub(super) fn uid(&self) -> u32 {
        match self {
            Self::Own => private_path::own_uid(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// Checks that this user can enter every directory on the way. Otherwise obscure failures would follow later.
    pub(super) fn check_reach(&self, program: &Path, dir: &Path) -> Result<(), EmbeddedError> {
        let Self::Other { name, uid, gid } = self else {
            return Ok(());
        };
        let Err(error) = self.command(program, dir).arg("--version").output() else {
            return Ok(());
        };
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(EmbeddedError::io("run", program)(error));
        }
        Err(EmbeddedError::NotReachable {
            user: name.clone(),
            dir: first_unreachable(dir, *uid, *gid)
                .or_else(|| first_unreachable(program.parent()?, *uid, *gid))
                .unwrap_or_else(|| dir.to_owned()),
        })
    }
}

/// The outermost directory on the way to `dir` that the user may not search.
fn first_unreachable(dir: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let mut ancestors: Vec<_> = dir.ancestors().collect();
    ancestors.reverse();
    let unreachable = ancestors.into_iter().find(|ancestor| {
        fs::metadata(ancestor).is_ok_and(|directory| {
            let search = match (directory.uid() == uid, directory.gid() == gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            directory.mode() & search == 0
        })
    })?;
    Some(unreachable.to_owned())
}

pub(super) fn is_root() -> bool {
    private_path::own_uid() == 0
}

/// Runs `id` instead of reading `/etc/passwd`: it also knows users from LDAP and macOS directories.
fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
