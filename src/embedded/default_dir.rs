//! The data directory of a service that names none.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::account;

/// `/var/lib/readout` for root, else the platform's directory for a user's application data: on Linux
/// `$XDG_DATA_HOME/readout` or `~/.local/share/readout` (XDG Base Directory Specification).
///
/// Root's database runs as another user, who cannot enter root's home.
///
/// Release 0.1.0 chose `~/.local/share/readout` for root and on macOS too. A database that it made stays in use.
pub fn default_data_dir() -> PathBuf {
    let dir = if account::is_root() { system_dir() } else { user_dir() };
    let earlier = xdg_dir().filter(|earlier| has_cluster(earlier) && !has_cluster(&dir));
    earlier.unwrap_or(dir)
}

fn system_dir() -> PathBuf {
    PathBuf::from("/var/lib/readout")
}

/// Of a user without a home there is only the system's directory, which the user has to have been given.
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

/// `HOME`, or the home in the user database where that is unset.
fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}

fn has_cluster(dir: &Path) -> bool {
    dir.join("postgres/PG_VERSION").is_file()
}
