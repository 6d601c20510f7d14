//! The client programs of PostgreSQL.

use std::{ffi::OsStr, fs, path::PathBuf};

use sqlx::postgres::PgConnectOptions;
use tokio::process::Command;

/// Runs a PostgreSQL program on a database.
pub async fn run(program: &str, database: &PgConnectOptions, args: impl IntoIterator<Item = &OsStr>) {
    let socket = database.get_socket().expect("a socket");
    let mut command = Command::new(bin().join(program));
    command.arg("--host").arg(socket).args(["--port", &database.get_port().to_string()]);
    command.args(["--username", database.get_username()]);
    if program != "pg_basebackup" {
        command.args(["--dbname", database.get_database().expect("a name")]);
    }
    let output = command.args(args).kill_on_drop(true).output().await.expect("the program is installed");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The directory of the newest installed version; empty if there is none, so that the PATH decides.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    newest.map_or_else(PathBuf::new, |newest| format!("/usr/lib/postgresql/{newest}/bin").into())
}
