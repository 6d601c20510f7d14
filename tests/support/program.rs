//! The `readout` program, run as a separate process.

use std::{env, ffi::OsStr, fs, net::SocketAddr, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::watch,
};
use tonic::transport::Channel;

use super::{
    data_dir::{DataDir, signal, within_timeout},
    service::connect,
};

/// A running `readout`, and its log.
pub struct Program {
    child: Child,
    log: watch::Receiver<Vec<Value>>,
}

impl Program {
    /// Starts a service on a free port, with a private database in the directory and these arguments.
    pub fn start(dir: &DataDir, args: &[&str]) -> Self {
        let mut command = command(["serve"].iter().chain(args));
        command.env("READOUT_LISTEN", "127.0.0.1:0").env("READOUT_DATA_DIR", dir.path());
        // The reaper finds processes by their working directory.
        Self::spawn(command.current_dir(dir.path()))
    }

    /// Starts the same service and waits until it serves.
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

    /// Starts the same service without waiting.
    pub fn spawn_on(url: &str) -> Self {
        Self::spawn(&mut command(["serve", "--listen", "127.0.0.1:0", "--database-url", url]))
    }

    /// Starts a service on an existing database with further arguments, and waits until it serves. It ends with the
    /// directory at the latest.
    pub async fn serve_beside(dir: &DataDir, url: &str, args: &[&str]) -> Self {
        let mut command = command(["serve", "--database-url", url].iter().chain(args));
        command.env("READOUT_LISTEN", "127.0.0.1:0");
        let program = Self::spawn(command.current_dir(dir.path()));
        program.address().await;
        program
    }

    /// Runs a command whose standard error is a log in JSON.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the program was built");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (sender, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                sender.send_modify(|log| log.push(line));
            }
        });
        Self { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("not waited for yet")
    }

    /// A memory figure of the process in KiB, such as `VmRSS`; see proc_pid_status(5).
    pub fn memory_kib(&self, of: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(of)).expect("Linux reports the figure");
        line.trim_matches(|character: char| !character.is_ascii_digit()).parse().expect("a number")
    }

    /// Waits until the service serves and returns its address.
    pub async fn address(&self) -> SocketAddr {
        let line = self.logged("serving").await;
        line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// Opens a connection to the service.
    pub async fn channel(&self) -> Channel {
        connect(self.address().await).await
    }

    /// Waits for a log line with this message.
    pub async fn logged(&self, message: &str) -> Value {
        let mut log = self.log.clone();
        let matches = |line: &&Value| line["message"] == message;
        let lines = within_timeout(message, log.wait_for(|log| log.iter().any(|line| matches(&line)))).await;
        match lines {
            Ok(lines) => lines.iter().find(matches).cloned().expect("just seen"),
            Err(_) => panic!("ended without {message:?}: {:#?}", self.log.borrow()),
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name).expect("sh is there");
    }

    /// Waits for the end of the process. Returns its exit code (`None` if it was killed) and its whole log.
    pub async fn ended(mut self) -> (Option<i32>, Vec<Value>) {
        let status = within_timeout("the program ends", self.child.wait()).await.expect("a child process");
        while self.log.changed().await.is_ok() {}
        (status.code(), self.log.borrow().clone())
    }

    /// Ends the process with SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child process");
    }

    /// Ends the process with SIGTERM and expects a clean exit.
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
        Self::spawn(command(args))
    }

    /// Starts the program with one environment variable set.
    pub fn start_with(variable: (&str, &str), args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = command(args);
        command.env(variable.0, variable.1);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().expect("the program was built");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next line, as JSON.
    pub async fn line(&mut self) -> Value {
        within_timeout("a line", self.next_line()).await
    }

    /// The next line, as JSON, however long it takes.
    pub async fn next_line(&mut self) -> Value {
        let line = self.lines.next_line().await.expect("readable").expect("another line");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Ends the process with SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child process");
    }

    /// Ends the process with SIGTERM. Returns its exit code and its further output.
    pub async fn terminate(mut self) -> (Option<i32>, String) {
        signal(self.child.id().expect("not waited for yet"), "TERM").expect("sh is there");
        let mut rest = String::new();
        let read = self.lines.get_mut().read_to_string(&mut rest);
        within_timeout("the output ends", read).await.expect("readable");
        let status = within_timeout("the program ends", self.child.wait()).await.expect("a child process");
        (status.code(), rest)
    }

    /// Closes its standard output, and returns its exit code once it has ended.
    pub fn close(self) -> impl Future<Output = Option<i32>> {
        let Self { mut child, lines } = self;
        drop(lines);
        async move { within_timeout("the program ends", child.wait()).await.expect("a child process").code() }
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
        let mut child = command.kill_on_drop(true).spawn().expect("the program was built");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next line.
    pub async fn line(&mut self) -> String {
        within_timeout("a line", self.lines.next_line()).await.expect("readable").expect("another line")
    }

    /// Waits for the end of the process and returns its exit code.
    pub async fn ended(mut self) -> Option<i32> {
        within_timeout("the program ends", self.child.wait()).await.expect("a child process").code()
    }
}

/// The messages of a log, one per line.
pub fn messages(log: &[Value]) -> String {
    log.iter().map(|line| line["message"].as_str().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The exit code and output of a finished run.
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

/// Runs the program to its end, with one environment variable set.
pub async fn run_with(variable: (&str, &str), args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    let mut command = command(args);
    command.env(variable.0, variable.1);
    finish(command, b"").await
}

async fn finish(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("the program was built");
    let mut stdin = child.stdin.take().expect("piped");
    let write = async move {
        // The program may end without reading its input.
        let _ = stdin.write_all(input).await;
    };
    let (_, output) = within_timeout("the program ends", async { tokio::join!(write, child.wait_with_output()) }).await;
    let output = output.expect("a child process");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `readout` without any configuration from the environment. `READOUT_BIN` names another build of it.
pub fn command(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env::var_os("READOUT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_readout").into()));
    command.args(args).env_remove("DATABASE_URL");
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"READOUT_") {
            command.env_remove(name);
        }
    }
    // Aliases would be changes of their own, at a time that a test does not know.
    command.env("READOUT_PARTICIPANT_MATCHING", "exact");
    command
}
