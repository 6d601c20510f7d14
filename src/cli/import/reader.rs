//! The messages of an input, read by a thread of its own and only as fast as they are used.

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
    fault::Fault,
    framing::{Messages, Piece},
    unpack::unpacked,
};
use crate::cli::console::Console;

/// Messages that are read ahead, and their KiB: of larger ones, one at a time.
const AHEAD: usize = 16;
const AHEAD_KIB: usize = 16 << 10;

/// The place where a message begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct At {
    pub file: Arc<str>,
    pub line: u64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A message in JSON.
#[derive(Debug)]
pub struct Message {
    pub at: At,
    /// Its text, or why it could not be read.
    pub text: Result<String, Fault>,
    /// Its share of what may be read ahead, for as long as its text is kept.
    _room: Option<OwnedSemaphorePermit>,
}

/// The messages of one input, in order.
#[derive(Debug)]
pub struct Reader {
    peeked: Option<Message>,
    rest: mpsc::Receiver<Message>,
}

/// Checks that there is such a file. It is not opened: a pipe can be opened only once.
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
        let (messages, rest) = mpsc::channel(AHEAD);
        let runtime = Handle::current();
        // Not one of the runtime's threads: its end would be waited for, and a terminal may never end.
        thread::Builder::new().name("messages".to_owned()).spawn(move || {
            let budget = Arc::new(Semaphore::new(AHEAD_KIB));
            read(&name, input, |at, text| {
                let kib = text.as_ref().map_or(0, |text| text.len() / 1024 + 1).min(AHEAD_KIB);
                // As many as fit; and the budget is never closed.
                let room = runtime.block_on(budget.clone().acquire_many_owned(kib as u32)).ok();
                messages.blocking_send(Message { at, text, _room: room }).is_ok()
            });
        })?;
        Ok(Self { peeked: None, rest })
    }

    /// The next message; none at the end. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<Message> {
        match self.peeked.take() {
            Some(message) => Some(message),
            None => self.rest.recv().await,
        }
    }

    /// The next message, which stays the next one.
    pub async fn peek(&mut self) -> Option<&Message> {
        if self.peeked.is_none() {
            self.peeked = self.rest.recv().await;
        }
        self.peeked.as_ref()
    }
}

/// Gives each message to `give`, until it refuses one.
fn read(name: &Arc<str>, input: Box<dyn Read + Send>, mut give: impl FnMut(At, Result<String, Fault>) -> bool) {
    let at = |line| At { file: name.clone(), line };
    let mut messages = match unpacked(input) {
        Ok(input) => Messages::new(input),
        Err(error) => {
            give(at(1), Err(Fault::new("cannot be read", format!("cannot be read: {error}"))));
            return;
        }
    };
    while let Some(Piece { line, text }) = messages.next() {
        if !give(at(line), text) {
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
        read(&"x".into(), Box::new(Cursor::new(input.to_vec())), |at, text| {
            messages.push((at.line, text.map_err(|fault| fault.text)));
            true
        });
        messages
    }

    #[test]
    fn a_packed_file_is_read_as_the_plain_one() {
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
    fn a_truncated_file_gives_its_whole_messages_and_an_error() {
        let plain: String = (0..10_000).map(|number| format!("{{\"number\": {number}}}\n")).collect();
        let zstd = zstd::encode_all(plain.as_bytes(), 1).expect("memory takes it");
        let messages = all(&zstd[..zstd.len() - 1]);
        let (last, whole) = messages.split_last().expect("some messages");
        assert!(last.1.as_ref().is_err_and(|error| error.contains("cut off")), "{last:?}");
        assert!(whole.iter().all(|(_, text)| text.is_ok()) && !whole.is_empty());
    }
}
