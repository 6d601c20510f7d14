//! Reads the messages of a file or standard input on a separate thread, with backpressure from the consumer.

use std::{
    fmt,
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::Path,
    sync::Arc,
    thread,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use super::{
    decompress::unpacked,
    fault::Fault,
    framing::{Frame, Messages},
};
use crate::cli::console::Console;

/// The bounds of read-ahead: messages, and their total size in KiB. A larger message is read ahead alone.
const READ_AHEAD: usize = 16;
const READ_AHEAD_KIB: usize = 16 << 10;

/// The file and line where a message begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    pub file: Arc<str>,
    pub line: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A message in JSON.
#[derive(Debug)]
pub struct Message {
    pub location: Location,
    /// The text, or the fault of a malformed message.
    pub text: Result<String, Fault>,
    /// The share of the read-ahead budget, which is returned when the message is dropped.
    _permit: Option<OwnedSemaphorePermit>,
}

/// The messages of one input, in order.
#[derive(Debug)]
pub struct Reader {
    peeked: Option<Message>,
    rest: mpsc::Receiver<Message>,
}

/// Checks that a file exists and is not a directory. The file is not opened: a pipe can be opened only once.
pub fn check(path: &Path) -> io::Result<()> {
    match path.as_os_str() == "-" {
        true => Ok(()),
        false if fs::metadata(path)?.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => Ok(()),
    }
}

impl Reader {
    /// Opens a file, or standard input as `-`.
    pub fn open(path: &Path, console: &Console) -> io::Result<Self> {
        let (name, input): (Arc<str>, Box<dyn Read + Send>) = match path.as_os_str() == "-" {
            true => ("stdin".into(), Box::new(io::stdin())),
            false => (path.to_string_lossy().into(), Box::new(File::open(path)?)),
        };
        if path.as_os_str() == "-" && io::stdin().is_terminal() {
            console.say("reading messages from the terminal, up to ctrl-d");
        }
        let (messages, rest) = mpsc::channel(READ_AHEAD);
        let runtime = Handle::current();
        // Not a blocking task: the runtime would wait for its end, and a terminal may never reach the end of input.
        thread::Builder::new().name("messages".to_owned()).spawn(move || {
            let budget = Arc::new(Semaphore::new(READ_AHEAD_KIB));
            read(&name, input, |location, text| {
                let kib = text.as_ref().map_or(0, |text| text.len() / 1024 + 1).min(READ_AHEAD_KIB);
                // Does not fail: the request is at most the whole budget, and the semaphore is never closed.
                let permit = runtime.block_on(budget.clone().acquire_many_owned(kib as u32)).ok();
                messages.blocking_send(Message { location, text, _permit: permit }).is_ok()
            });
        })?;
        Ok(Self { peeked: None, rest })
    }

    /// Returns the next message; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Message> {
        match self.peeked.take() {
            Some(message) => Some(message),
            None => self.rest.recv().await,
        }
    }

    /// Returns the next message without consuming it.
    pub async fn peek(&mut self) -> Option<&Message> {
        if self.peeked.is_none() {
            self.peeked = self.rest.recv().await;
        }
        self.peeked.as_ref()
    }
}

/// Passes each message to `emit`, until it returns `false`.
fn read(name: &Arc<str>, input: Box<dyn Read + Send>, mut emit: impl FnMut(Location, Result<String, Fault>) -> bool) {
    let location = |line| Location { file: name.clone(), line };
    let messages = match unpacked(input) {
        Ok(input) => Messages::new(input),
        Err(error) => {
            emit(location(1), Err(Fault::new("cannot be read", format!("cannot be read: {error}"))));
            return;
        }
    };
    for Frame { line, text } in messages {
        if !emit(location(line), text) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn all(input: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let mut messages = Vec::new();
        read(&"x".into(), Box::new(Cursor::new(input.to_vec())), |location, text| {
            messages.push((location.line, text.map_err(|fault| fault.text)));
            true
        });
        messages
    }

    #[test]
    fn compressed_files_give_the_same_messages() {
        let plain = "{\"a\":1}\n{\n}\n";
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain.as_bytes()).expect("memory takes it");
        let gzip = encoder.finish().expect("memory takes it");
        let zstd = zstd::encode_all(plain.as_bytes(), 1).expect("memory takes it");
        let expected = [(1, Ok("{\"a\":1}".to_owned())), (2, Ok("{\n}".to_owned()))];
        for input in [plain.as_bytes(), &gzip, &zstd] {
            assert_eq!(all(input), expected);
        }
    }

    #[test]
    fn truncated_file_gives_its_whole_messages_and_an_error() {
        let plain: String = (0..10_000).map(|number| format!("{{\"number\": {number}}}\n")).collect();
        let zstd = zstd::encode_all(plain.as_bytes(), 1).expect("memory takes it");
        let messages = all(&zstd[..zstd.len() - 1]);
        let (last, whole) = messages.split_last().expect("some messages");
        assert!(last.1.as_ref().is_err_and(|error| error.contains("cut off")), "{last:?}");
        assert!(whole.iter().all(|(_, text)| text.is_ok()) && !whole.is_empty());
    }
}
