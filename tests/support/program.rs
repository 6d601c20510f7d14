//! The real program, as a process of its own.

use std::{env, ffi::OsStr, fs, net::SocketAddr, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::watch,
};
use tonic::transport::Channel;

use super::{
    data_dir::{DataDir, patiently, signal},
    service::connect,
};

/// A running `readout`, and what it has logged so far.
pub struct Program {
    child: Child,
    log: watch::Receiver<Vec<Value>>,
}

impl Program {
    /// Starts a service on a free port, with a private database in the directory and these arguments.
    pub fn start(dir: &DataDir, args: &[&str]) -> Self {
        let mut command = command(["serve"].iter().chain(args));
        command.env("READOUT_LISTEN", "127.0.0.1:0").env("READOUT_DATA_DIR", dir.path());
        // Where it is found by whoever tidies up.
        Self::spawn(command.current_dir(dir.path()))
    }

    /// The same, and waits until it serves.
    pub async fn serve(dir: &DataDir) -> Self {
        let program = Self::start(dir, &[]);
        program.address().await;
        program
    }

    /// Starts a service on a free port and an existing database, and waits until it serves.
    pub async fn serve_on(url: &str) -> Self {
        let program = Self::spawn_on(url);
        program.address().await;
        program
    }

    /// The same, without waiting.
    pub fn spawn_on(url: &str) -> Self {
        Self::spawn(&mut command(["serve", "--listen", "127.0.0.1:0", "--database-url", url]))
    }

    /// The same with further arguments; gone with the directory at the latest.
    pub async fn serve_beside(dir: &DataDir, url: &str, args: &[&str]) -> Self {
        let mut command = command(["serve", "--database-url", url].iter().chain(args));
        command.env("READOUT_LISTEN", "127.0.0.1:0");
        let program = Self::spawn(command.current_dir(dir.path()));
        program.address().await;
        program
    }

    /// Runs a command that logs as a service does.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it was built");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (told, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                told.send_modify(|log| log.push(line));
            }
        });
        Self { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("not waited for yet")
    }

    /// What Linux tells of its memory, as `VmRSS`, in KiB: proc_pid_status(5).
    pub fn memory_kib(&self, of: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(of)).expect("Linux tells");
        line.trim_matches(|one: char| !one.is_ascii_digit()).parse().expect("a number")
    }

    /// Where it serves, once it does.
    pub async fn address(&self) -> SocketAddr {
        let line = self.logged("serving").await;
        line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// A connection to it.
    pub async fn channel(&self) -> Channel {
        connect(self.address().await).await
    }

    /// Waits for a log line with this message.
    pub async fn logged(&self, message: &str) -> Value {
        let mut log = self.log.clone();
        let is_it = |line: &&Value| line["message"] == message;
        let lines = patiently(message, log.wait_for(|log| log.iter().any(|line| is_it(&line)))).await;
        match lines {
            Ok(lines) => lines.iter().find(is_it).cloned().expect("just seen"),
            Err(_) => panic!("ended without {message:?}: {:#?}", self.log.borrow()),
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name).expect("sh is there");
    }

    /// Waits for its end; its exit code, none if it was killed, and all that it has logged.
    pub async fn ended(mut self) -> (Option<i32>, Vec<Value>) {
        let status = patiently("the program ends", self.child.wait()).await.expect("ours");
        while self.log.changed().await.is_ok() {}
        (status.code(), self.log.borrow().clone())
    }

    /// Ends it without notice.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("ours");
    }

    /// Ends it as one should.
    pub async fn stop(self) {
        self.signal("TERM");
        let (code, log) = self.ended().await;
        assert_eq!(code, Some(0), "{log:#?}");
    }
}

/// A run of the program whose standard output is read line by line.
pub struct Reader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Reader {
    pub fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().expect("it was built");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next line, as JSON.
    pub async fn line(&mut self) -> Value {
        let line = patiently("a line", self.lines.next_line()).await.expect("ours").expect("it goes on");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Ends it without notice.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("ours");
    }
}

/// A run of the program whose standard error is read line by line.
pub struct StderrReader {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl StderrReader {
    pub fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = command(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("it was built");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next line.
    pub async fn line(&mut self) -> String {
        patiently("a line", self.lines.next_line()).await.expect("ours").expect("it has not ended")
    }

    /// Waits for its end; its exit code.
    pub async fn ended(mut self) -> Option<i32> {
        patiently("the program ends", self.child.wait()).await.expect("ours").code()
    }
}

/// The messages of a log, one a line.
pub fn messages(log: &[Value]) -> String {
    log.iter().map(|line| line["message"].as_str().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// What a run of the program left.
#[derive(Debug, PartialEq)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program to its end.
pub async fn run(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    run_with_input(args, b"").await
}

/// Runs the program to its end, with this standard input.
pub async fn run_with_input(args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &[u8]) -> Ran {
    finish(command(args), input).await
}

/// Runs the program to its end, with a variable in its environment.
pub async fn run_with(variable: (&str, &str), args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    let mut command = command(args);
    command.env(variable.0, variable.1);
    finish(command, b"").await
}

async fn finish(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("it was built");
    let mut stdin = child.stdin.take().expect("piped");
    let write = async move {
        // It may end without reading.
        let _ = stdin.write_all(input).await;
    };
    let (_, output) = patiently("the program ends", async { tokio::join!(write, child.wait_with_output()) }).await;
    let output = output.expect("ours");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `readout` with nothing from the environment that would configure it.
fn command(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_readout"));
    command.args(args).env_remove("DATABASE_URL");
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"READOUT_") {
            command.env_remove(name);
        }
    }
    command
}
