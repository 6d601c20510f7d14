//! `readout` on a terminal of its own: a pseudo-terminal, whose other side types keys and reads the screen.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::Stdio,
    thread,
};

use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, tcgetattr},
};
use tokio::{
    process::{Child, Command},
    sync::watch,
};

use super::{
    data_dir::{signal, within_timeout},
    program::command,
};

/// A program on a terminal, which is the controlling terminal of its session.
pub struct Terminal {
    child: Child,
    /// The side of the user.
    keyboard: File,
    /// Keeps the terminal open when the program has ended, and has its mode.
    line: File,
    screen: watch::Receiver<String>,
    /// The end of the text that was expected last.
    seen: usize,
}

impl Terminal {
    /// Starts the program.
    pub fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::start_with(("TERM", "dumb"), args)
    }

    /// Starts the program below a shell, which leads the session: the program can be suspended.
    pub fn start_below_a_shell(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::spawn(("TERM", "dumb"), &["sh", "-c", "\"$0\" \"$@\"; exit $?"], args)
    }

    /// Starts the program with one environment variable set.
    pub fn start_with(variable: (&str, &str), args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::spawn(variable, &[], args)
    }

    fn spawn(variable: (&str, &str), shell: &[&str], args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&user).expect("granted");
        unlockpt(&user).expect("unlocked");
        let path: PathBuf = ptsname(&user, Vec::new()).expect("a name").into_string().expect("ASCII").into();
        let no_controlling_terminal = i32::try_from(OFlags::NOCTTY.bits()).expect("a flag");
        let open = || {
            let opened = OpenOptions::new().read(true).write(true).custom_flags(no_controlling_terminal).open(&path);
            opened.expect("the terminal opens")
        };
        let line = open();
        let program = command(args);
        let mut session = Command::new("setsid");
        session.arg("--ctty").args(shell).arg(program.as_std().get_program()).args(program.as_std().get_args());
        for (name, value) in program.as_std().get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.env(variable.0, variable.1);
        session.stdin(Stdio::from(open())).stdout(Stdio::from(open())).stderr(Stdio::from(open()));
        let child = session.kill_on_drop(true).spawn().expect("setsid is there, and the program was built");

        let keyboard = File::from(user);
        let mut shown = keyboard.try_clone().expect("a descriptor");
        let (sender, screen) = watch::channel(String::new());
        thread::spawn(move || {
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(read @ 1..) = shown.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, line, screen, seen: 0 }
    }

    /// Types these keys.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until the screen shows this text after the text that was expected before, and returns all between them.
    pub async fn shows(&mut self, text: &str) -> String {
        let seen = self.seen;
        let what = format!("{text:?} is shown");
        let found = self.screen.wait_for(|screen| screen.get(seen..).is_some_and(|rest| rest.contains(text)));
        let screen = within_timeout(&what, found).await.expect("the terminal is open").clone();
        let between = &screen[seen..];
        let between = &between[..between.find(text).expect("just found")];
        self.seen = seen + between.len() + text.len();
        between.to_owned()
    }

    /// All that the screen has shown.
    pub fn screen(&self) -> String {
        self.screen.borrow().clone()
    }

    /// The mode of the terminal.
    pub fn mode(&self) -> Termios {
        tcgetattr(&self.line).expect("a terminal")
    }

    /// True if the terminal reads lines and shows what is typed, as it does for a shell.
    pub fn reads_lines(&self) -> bool {
        self.mode().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Continues the suspended programs of the session.
    pub fn resume(&self) {
        let group = format!("-{}", self.child.id().expect("not waited for yet"));
        let sent = std::process::Command::new("kill").args(["-CONT", "--", &group]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Sends a signal to the program.
    pub fn signal(&self, name: &str) {
        signal(self.child.id().expect("not waited for yet"), name).expect("sh is there");
    }

    /// Waits for the end of the program, and returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        within_timeout("the program ends", self.child.wait()).await.expect("a child process").code()
    }
}
