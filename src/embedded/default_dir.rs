//! Chooses the default data directory.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::os_user;

/// `/var/lib/readout` for root, else the platform's directory for a user's application data: on Linux
/// `$XDG_DATA_HOME/readout` or `~/.local/share/readout` (XDG Base Directory Specification).
///
/// For root it is not in the home: root's database runs as another user, who cannot enter root's home.
///
/// Release 0.1.0 also chose `~/.local/share/readout` for root and on macOS. A database that it created stays in use.
pub fn default_data_dir() -> PathBuf {
    let dir = if os_user::is_root() { system_dir() } else { user_dir() };
    let earlier = xdg_dir().filter(|earlier| has_cluster(earlier) && !has_cluster(&dir));
    earlier.unwrap_or(dir)
}

fn system_dir() -> PathBuf {
    PathBuf::from("/var/lib/readout")
}

/// A user without a home gets the system's directory, to which the user must have access.
fn user_dir() -> PathBuf {
    if cfg!(target_os = "macos") {
        return home().map_or_else(system_dir, |home| home.join("Library/Application Support/readout"));
    }
    xdg_dir().unwrap_or_else(system_dir)
}

fn xdg_dir() -> Option<PathBuf> {
    // The specification ignores relative paths.
    let data_home = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    Some(data_home.or_else(|| Some(home()?.join(".local/share")))?.join("readout"))
}

/// `HOME`, or if that is unset the home in the user database.
fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}

fn has_cluster(dir: &Path) -> bool {
    dir.join("postgres/PG_VERSION").is_file()
}
