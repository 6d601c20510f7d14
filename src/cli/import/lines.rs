//! The lines of an input, plain or gzip, read by a thread of its own and only as fast as they are used.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
    thread,
};

use flate2::bufread::MultiGzDecoder;
use tokio::sync::mpsc;

/// The longest line that is read, in bytes. A message has at most 8 MiB; JSON may write a character in six.
const LONGEST: usize = 64 << 20;

/// Lines that are read ahead.
const AHEAD: usize = 16;

/// Where a line stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct At {
    file: Arc<str>,
    line: u64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub at: At,
    /// Its text, or why it could not be read.
    pub text: Result<String, String>,
}

/// The lines of one input, in order.
#[derive(Debug)]
pub struct Lines {
    peeked: Option<Line>,
    rest: mpsc::Receiver<Line>,
}

/// Whether there is such a file. It is not opened: a pipe can be opened only once.
pub fn check(path: &Path) -> io::Result<()> {
    match path.as_os_str() == "-" {
        true => Ok(()),
        false if fs::metadata(path)?.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => Ok(()),
    }
}

impl Lines {
    /// Opens a file, or standard input as `-`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (name, input): (Arc<str>, Box<dyn Read + Send>) = match path.as_os_str() == "-" {
            true => ("stdin".into(), Box::new(io::stdin())),
            false => (path.to_string_lossy().into(), Box::new(File::open(path)?)),
        };
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let (lines, rest) = mpsc::channel(AHEAD);
        // Not one of the runtime's threads: its end would be waited for, and a terminal may never end.
        thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || read(&name, input, gzip, |line| lines.blocking_send(line).is_ok()))?;
        Ok(Self { peeked: None, rest })
    }

    /// The next line; none at the end. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<Line> {
        match self.peeked.take() {
            Some(line) => Some(line),
            None => self.rest.recv().await,
        }
    }

    /// The next line, which stays the next one.
    pub async fn peek(&mut self) -> Option<&Line> {
        if self.peeked.is_none() {
            self.peeked = self.rest.recv().await;
        }
        self.peeked.as_ref()
    }
}

/// Gives each line to `give`, until it refuses one.
fn read(name: &Arc<str>, input: impl Read, gzip: bool, mut give: impl FnMut(Line) -> bool) {
    let mut number = 0;
    let mut at = || {
        number += 1;
        At { file: name.clone(), line: number }
    };
    let mut input = match decompressed(input, gzip) {
        Ok(input) => input,
        Err(error) => {
            give(Line { at: at(), text: Err(format!("cannot be read: {error}")) });
            return;
        }
    };
    loop {
        let at = at();
        let text = match read_line(&mut input, LONGEST) {
            Ok(None) => return,
            Ok(Some(Ok(text))) if text.trim().is_empty() => continue,
            Ok(Some(text)) => text,
            Err(error) => {
                give(Line { at, text: Err(format!("cannot be read any further: {error}")) });
                return;
            }
        };
        if !give(Line { at, text }) {
            return;
        }
    }
}

/// The input as it is, or unpacked if it is called, or looks like, gzip.
fn decompressed<'a>(input: impl Read + 'a, gzip: bool) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut input = BufReader::new(input);
    Ok(match gzip || input.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        true => Box::new(BufReader::new(MultiGzDecoder::new(input))),
        false => Box::new(input),
    })
}

/// The next line, or what is wrong with it; none at the end.
fn read_line(input: &mut impl BufRead, longest: usize) -> io::Result<Option<Result<String, String>>> {
    let mut line = Vec::new();
    if input.by_ref().take(longest as u64 + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > longest && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(format!("is longer than {longest} bytes"))));
    }
    Ok(Some(match String::from_utf8(line) {
        // Some editors begin a file with a byte order mark.
        Ok(text) => Ok(match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        }),
        Err(error) => Err(format!("is not UTF-8: {}", error.utf8_error())),
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn all(input: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Vec::new();
        read(&"x".into(), input, false, |line| {
            lines.push((line.at.line, line.text));
            true
        });
        lines
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    #[test]
    fn blank_lines_are_left_out_and_counted() {
        let lines = all("\u{feff}a\n\n \r\nb\nc".as_bytes());
        let expected = [(1, "a\n"), (4, "b\n"), (5, "c")];
        assert_eq!(lines, expected.map(|(number, text)| (number, Ok(text.to_owned()))));
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_may_have_several_members() {
        let packed = [gzip("a\nb\n"), gzip("c\n")].concat();
        assert_eq!(all(&packed), all(b"a\nb\nc\n"));
    }

    #[test]
    fn a_broken_line_does_not_end_the_input() {
        let lines = all(b"a\n\xff\nb\n");
        assert_eq!(lines.len(), 3);
        assert!(lines[1].1.as_ref().unwrap_err().starts_with("is not UTF-8"), "{lines:?}");
    }

    #[test]
    fn a_truncated_file_is_told_after_its_last_good_line() {
        let whole = gzip(&"a line of the file\n".repeat(10_000));
        let lines = all(&whole[..whole.len() / 2]);
        let (last, good) = lines.split_last().expect("some lines");
        assert!(last.1.is_err() && good.iter().all(|(_, text)| text.is_ok()));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit() {
        let mut input: &[u8] = b"1234\n12345\n123456\nend";
        let mut next = || read_line(&mut input, 5).expect("memory is read");
        assert_eq!(next(), Some(Ok("1234\n".to_owned())));
        assert_eq!(next(), Some(Ok("12345\n".to_owned())));
        assert_eq!(next(), Some(Err("is longer than 5 bytes".to_owned())));
        assert_eq!(next(), Some(Ok("end".to_owned())));
        assert_eq!(next(), None);
    }
}
