//! The default data directory of the private database, when no flag names one.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    data_dir::{DataDir, kill},
    program::{self, Program, run},
};

/// The user `nobody`: it exists on every machine and owns nothing.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id is installed");
    output.stdout == b"0\n"
}

/// Copies the program to a place where every user can run it, and creates a home directory for `NOBODY` next to it.
fn install_program(dir: &DataDir) -> (PathBuf, PathBuf) {
    let (program, home) = (dir.path().join("readout"), dir.path().join("home"));
    fs::copy(env!("CARGO_BIN_EXE_readout"), &program).expect("the program was built");
    fs::create_dir(&home).expect("the test owns it");
    fs::set_permissions(&home, Permissions::from_mode(0o700)).expect("the test owns it");
    if is_root() {
        chown(&home, Some(NOBODY), Some(NOBODY)).expect("as root");
    }
    (program, home)
}

/// A command with exactly this environment, run by a user other than root.
fn unprivileged(program: &Path, args: &[&str], environment: &[(&str, &Path)]) -> Command {
    let mut command = with_environment(program, args, environment);
    if is_root() {
        use std::os::unix::process::CommandExt;
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A command with exactly this environment and a `PATH`.
fn with_environment(program: &Path, args: &[&str], environment: &[(&str, &Path)]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(environment.iter().copied()).current_dir("/");
    command.env("PATH", env::var_os("PATH").unwrap_or_default());
    command
}

/// The data directory that `readout config` prints.
fn configured(mut command: Command) -> PathBuf {
    let output = command.output().expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = text.lines().find_map(|line| line.strip_prefix("READOUT_DATA_DIR="));
    line.unwrap_or_else(|| panic!("no data directory: {text} {}", String::from_utf8_lossy(&output.stderr))).into()
}

#[tokio::test]
async fn service_of_a_user_keeps_its_data_in_the_users_home() {
    let dir = DataDir::new();
    let (program, home) = install_program(&dir);
    let elsewhere = home.join("data");
    for (environment, data_dir) in [
        (vec![("HOME", home.as_path())], home.join(".local/share/readout")),
        (vec![("HOME", home.as_path()), ("XDG_DATA_HOME", &elsewhere)], elsewhere.join("readout")),
        // The XDG base directory specification says to ignore relative paths.
        (vec![("HOME", home.as_path()), ("XDG_DATA_HOME", Path::new("data"))], home.join(".local/share/readout")),
        (vec![("XDG_DATA_HOME", elsewhere.as_path())], elsewhere.join("readout")),
    ] {
        assert_eq!(configured(unprivileged(&program, &["config"], &environment)), data_dir, "{environment:?}");
        let command = unprivileged(&program, &["serve", "--listen", "127.0.0.1:0"], &environment);
        let service = Program::spawn(&mut command.into());
        service.address().await;
        assert!(data_dir.join("postgres/PG_VERSION").is_file(), "{environment:?}");
        service.stop().await;
    }
}

#[tokio::test]
async fn service_without_a_home_directory_names_the_flag_to_set() {
    if !is_root() {
        return;
    }
    let dir = DataDir::new();
    let (program, _) = install_program(&dir);
    // The user database names a home for `nobody` that does not exist and cannot be created.
    let command = unprivileged(&program, &["serve", "--listen", "127.0.0.1:0"], &[]);
    let (code, log) = Program::spawn(&mut command.into()).ended().await;
    assert_eq!(code, Some(1), "{log:#?}");
    let message = program::messages(&log);
    assert!(message.contains("cannot create the data directory /"), "{message}");
    assert!(message.contains("--data-dir"), "{message}");
}

#[tokio::test]
async fn service_of_root_keeps_its_data_in_var_lib() {
    if !is_root() {
        return;
    }
    let dir = DataDir::new();
    let (program, home) = install_program(&dir);
    chown(&home, Some(0), Some(0)).expect("as root");
    let xdg = home.join("data");
    for environment in
        [vec![], vec![("HOME", home.as_path())], vec![("HOME", home.as_path()), ("XDG_DATA_HOME", xdg.as_path())]]
    {
        let configured = configured(with_environment(&program, &["config"], &environment));
        assert_eq!(configured, Path::new("/var/lib/readout"), "{environment:?}");
    }

    let Some(command) = with_empty_var_lib(&program, "serve --listen 127.0.0.1:0", &home) else { return };
    let service = Program::spawn(&mut command.into());
    service.address().await;
    kill(service.pid());
}

#[tokio::test]
async fn data_directory_of_an_earlier_release_stays_in_use() {
    if !is_root() {
        return;
    }
    let dir = DataDir::new();
    let (program, home) = install_program(&dir);
    let earlier = home.join(".local/share/readout");
    fs::create_dir_all(earlier.join("postgres")).expect("the test owns it");
    fs::write(earlier.join("postgres/PG_VERSION"), "15\n").expect("the test owns it");
    let Some(command) = with_empty_var_lib(&program, "config", &home) else { return };
    assert_eq!(configured(command), earlier);
}

/// A command of root with an empty `/var/lib` of its own: a mount and a process namespace keep the test away from this
/// machine's data and processes. `None` if this root may not make namespaces.
fn with_empty_var_lib(program: &Path, args: &str, home: &Path) -> Option<Command> {
    let namespace = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"];
    let mount = "mount -t tmpfs tmpfs /var/lib";
    let possible = Command::new("unshare").args(namespace).arg(mount).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("not run: this root may not make namespaces");
        return None;
    }
    let mut command = with_environment(Path::new("unshare"), &namespace, &[("HOME", home)]);
    command.arg(format!("{mount} && exec {} {args}", program.display()));
    Some(command)
}

#[tokio::test]
async fn commands_work_while_a_service_uses_the_same_data_directory() {
    let dir = DataDir::new();
    let service = Program::serve(&dir).await;
    let created = run(["token", "create", "press-desk", "--role", "reader", "--data-dir", dir.as_str()]).await;
    assert_eq!(created.code, Some(0), "{created:?}");
    let listed = run(["token", "list", "--data-dir", dir.as_str()]).await;
    assert!(listed.stdout.contains("press-desk"), "{listed:?}");
    let migrated = run(["migrate", "--data-dir", dir.as_str()]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    service.stop().await;
    let listed = run(["token", "list", "--data-dir", dir.as_str()]).await;
    assert!(listed.stdout.contains("press-desk"), "the same database: {listed:?}");
}
