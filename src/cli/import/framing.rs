//! Finds the messages in a text: JSON objects, one after another or in an array, each over one line or many.

mod checked;
mod place;

use std::io::{self, ErrorKind, Read};

use serde::de::Deserialize;

use self::{checked::Checked, place::TextPosition};
use super::fault::{Fault, uri_in};
use crate::cli::json::shortened;

/// The longest message that is read, in bytes. A message has at most 8 MiB; JSON may write a character in six.
pub const LONGEST: usize = 64 << 20;

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// A message, or what stands in the place of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// The line where it begins, from 1.
    pub line: u64,
    pub text: Result<String, Fault>,
}

/// The messages of an input. Bytes are kept from the beginning of a message on until it is complete.
pub struct Messages<R> {
    input: R,
    longest: usize,
    /// Bytes that were read, from a place before `at` on.
    buffer: Vec<u8>,
    /// The next byte to look at.
    at: usize,
    place: TextPosition,
    context: Context,
    /// `true`: the end of the array may have been passed over, together with text that is no message.
    may_have_left_array: bool,
    /// `true`: the input has ended, or is not to be read any further.
    has_ended: bool,
}

/// The place where reading continues after a malformed message.
enum Resumed {
    /// At the next line that is not blank.
    NextLine,
    /// At this line.
    At(u64),
    /// At the end.
    Nowhere {
        /// `true`: lines were passed over.
        is_lost: bool,
    },
}

/// The tokens that may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    /// A message, an array of messages, or the end.
    Top,
    /// The first message of an array, or its end.
    ArrayStart,
    /// A message after a comma.
    Item,
    /// A comma, or the end of the array.
    AfterItem,
}

impl<R: Read> Messages<R> {
    pub fn new(input: R) -> Self {
        Self::with_limit(input, LONGEST)
    }

    fn with_limit(input: R, longest: usize) -> Self {
        let place = TextPosition { line: 1, column: 1 };
        Self {
            input,
            longest,
            buffer: Vec::new(),
            at: 0,
            place,
            context: Context::Top,
            may_have_left_array: false,
            has_ended: false,
        }
    }

    /// The next message; none at the end. After an input that cannot be read any further, none.
    pub fn next(&mut self) -> Option<Piece> {
        if self.has_ended {
            return None;
        }
        match self.find() {
            Ok(piece) => piece,
            Err(error) => {
                self.has_ended = true;
                Some(self.piece_here(Fault::new(
                    "cannot be read any further",
                    format!("cannot be read any further: {error}"),
                )))
            }
        }
    }

    fn find(&mut self) -> io::Result<Option<Piece>> {
        loop {
            self.skip_space()?;
            self.forget();
            let Some(byte) = self.peek()? else {
                self.has_ended = true;
                return Ok((self.context != Context::Top && !self.may_have_left_array).then(|| {
                    self.piece_here(Fault::new(
                        "an array does not end",
                        "the file ends within its array: expected `,` or `]` (is it cut off?)",
                    ))
                }));
            };
            match (byte, self.context) {
                (b'{', Context::Top | Context::ArrayStart | Context::Item) => return self.message().map(Some),
                // The array has ended on a line that was passed over.
                (b'{', Context::AfterItem) if self.may_have_left_array => self.context = Context::Top,
                (b'{', Context::AfterItem) => {
                    self.context = Context::Item;
                    let problem = self.expected("`,` or `]` between the messages of an array");
                    return Ok(Some(self.piece_here(problem)));
                }
                (b'[', Context::Top) => {
                    self.context = Context::ArrayStart;
                    self.may_have_left_array = false;
                }
                (b']', Context::ArrayStart | Context::AfterItem) => self.context = Context::Top,
                (b',', Context::AfterItem) => self.context = Context::Item,
                (b']', Context::Item) => {
                    let problem = self.expected("a message after the comma");
                    let piece = self.piece_here(problem);
                    self.step(1);
                    self.context = Context::Top;
                    return Ok(Some(piece));
                }
                _ => return self.no_message().map(Some),
            }
            if byte != b'{' {
                self.step(1);
            }
        }
    }

    /// Reads a message, which begins here.
    fn message(&mut self) -> io::Result<Piece> {
        let (start, place) = (self.at, self.place);
        let mut tape = Tape { messages: self, start, error: None };
        let checked = Checked::deserialize(&mut serde_json::Deserializer::from_reader(&mut tape));
        let failed = tape.error.take();
        let Err(error) = checked else {
            let text = String::from_utf8(self.buffer[start..self.at].to_vec());
            self.place = place.after(&self.buffer[start..self.at]);
            if self.context != Context::Top {
                self.context = Context::AfterItem;
            }
            let fault = |_| Fault::new("not UTF-8", "is not UTF-8");
            return Ok(Piece { line: place.line, text: text.map_err(fault) });
        };
        let fault = match failed {
            Some(error) if error.kind() == ErrorKind::FileTooLarge => {
                Fault::new("too large", format!("is larger than {} bytes", self.longest))
            }
            Some(error) => return Err(error),
            None => self.malformed(&error, start, place),
        };
        let fault = fault.about(uri_in(&self.buffer[start..self.at]).unwrap_or_default());
        self.at = start;
        self.place = place;
        let resumed = match self.resume(place)? {
            // It is the message itself that reaches to the end.
            Resumed::Nowhere { .. } if error.is_eof() => String::new(),
            Resumed::Nowhere { is_lost: false } | Resumed::NextLine => String::new(),
            Resumed::Nowhere { is_lost: true } => "; nothing after it is read".to_owned(),
            Resumed::At(line) => format!("; continued at line {line}"),
        };
        Ok(Piece { line: place.line, text: Err(Fault { text: format!("{}{resumed}", fault.text), ..fault }) })
    }

    /// Describes a message that begins at `start` and is no JSON.
    fn malformed(&self, error: &serde_json::Error, start: usize, place: TextPosition) -> Fault {
        let text = error.to_string();
        let problem = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
        let read = &self.buffer[start..self.at];
        let problem = match problem {
            "invalid unicode code point" => "a string that is not UTF-8",
            problem => problem,
        };
        // serde_json counts lines from the beginning of the message, and columns in bytes; a line end is column 0 of the
        // line after it.
        let (line, bytes) = match (error.line(), error.column()) {
            (line @ 2.., 0) => (line - 1, usize::MAX),
            (line, column) => (line.max(1), column.saturating_sub(1)),
        };
        let text = read.split(|byte| *byte == b'\n').nth(line - 1).unwrap_or_default();
        let before = String::from_utf8_lossy(&text[..bytes.min(text.len())]);
        let column = before.chars().count() + if line == 1 { place.column } else { 1 };
        let line = place.line + line as u64 - 1;
        let kind = format!("malformed JSON: {problem}");
        match error.is_eof() {
            true => Fault::new(&kind, format!("the file ends within this message (is it cut off?): {problem}")),
            false => Fault::new(&kind, format!("malformed JSON in line {line}, column {column}: {problem}")),
        }
    }

    /// Reports that no message begins here, and passes over the rest of the line.
    fn no_message(&mut self) -> io::Result<Piece> {
        let expected = match self.context {
            Context::Top => "a JSON object, or an array of objects",
            Context::ArrayStart | Context::Item => "a JSON object",
            Context::AfterItem => "`,` or `]` between the messages of an array",
        };
        // Enough of the line to show.
        while self.buffer.len() < self.at + 64 && !self.buffer[self.at..].contains(&b'\n') && self.fill()? {}
        let fault = self.expected(expected);
        let piece = self.piece_here(fault);
        self.skip_line()?;
        self.may_have_left_array = true;
        if self.context == Context::ArrayStart {
            // It was no array of messages: the line of a log may begin with a bracket.
            self.context = Context::Top;
        }
        Ok(piece)
    }

    fn expected(&self, expected: &str) -> Fault {
        let rest = &self.buffer[self.at..];
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len()).min(64);
        let is_text = std::str::from_utf8(&rest[..end]).map_or_else(|error| error.error_len().is_none(), |_| true);
        let found = shortened(&String::from_utf8_lossy(&rest[..end]), 24);
        let note = if is_text { "" } else { ", which is not UTF-8" };
        let TextPosition { line, column } = self.place;
        Fault::new(
            &format!("expected {expected}"),
            format!("malformed JSON in line {line}, column {column}: expected {expected}, found {found:?}{note}"),
        )
    }

    fn piece_here(&self, fault: Fault) -> Piece {
        Piece { line: self.place.line, text: Err(fault) }
    }

    /// Goes to the next message after a malformed one that began at `place`: to a line that can begin one. A line that is
    /// indented more, or begins as the rest of an object does, belongs to the malformed one.
    fn resume(&mut self, place: TextPosition) -> io::Result<Resumed> {
        let mut has_skipped = false;
        loop {
            self.skip_line()?;
            self.forget();
            self.skip_space()?;
            let Some(byte) = self.peek()? else {
                self.has_ended = true;
                return Ok(Resumed::Nowhere { is_lost: has_skipped || self.context != Context::Top });
            };
            let is_next = match byte {
                b'{' => self.place.column <= place.column,
                b',' if self.context != Context::Top => {
                    self.step(1);
                    self.skip_space()?;
                    self.peek()? == Some(b'{') && self.place.column <= place.column
                }
                // The end of the array, or the next array.
                b']' | b'[' if self.context != Context::Top => self.place.column < place.column,
                b'}' | b'[' | b']' | b'"' | b',' | b':' => false,
                _ => self.place.column <= place.column,
            };
            if is_next {
                self.context = match (byte, self.context) {
                    (b'[', _) | (_, Context::Top) => Context::Top,
                    (b']', _) => Context::AfterItem,
                    _ => Context::Item,
                };
                return Ok(if has_skipped { Resumed::At(self.place.line) } else { Resumed::NextLine });
            }
            has_skipped = true;
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.at == self.buffer.len() && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.buffer[self.at]))
    }

    /// Reads more. `false`: there is no more.
    fn fill(&mut self) -> io::Result<bool> {
        let len = self.buffer.len();
        self.buffer.resize(len + CHUNK, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[len..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(len + *read.as_ref().unwrap_or(&0));
        read.map(|read| read > 0)
    }

    /// Drops the bytes that were passed, once they are more than the others: these have to be moved.
    fn forget(&mut self) {
        if self.at > self.buffer.len() / 2 {
            self.buffer.drain(..self.at);
            self.at = 0;
            if self.buffer.is_empty() && self.buffer.capacity() > 4 * CHUNK {
                self.buffer = Vec::new();
            }
        }
    }

    /// Passes bytes that are there.
    fn step(&mut self, count: usize) {
        let end = self.at + count;
        self.place = self.place.after(&self.buffer[self.at..end]);
        self.at = end;
    }

    /// Passes white space, and byte order marks, with which some editors begin a file.
    fn skip_space(&mut self) -> io::Result<()> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        while let Some(byte) = self.peek()? {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.step(1),
                _ if byte == MARK[0] => {
                    while self.buffer.len() < self.at + MARK.len() && self.fill()? {}
                    if !self.buffer[self.at..].starts_with(MARK) {
                        return Ok(());
                    }
                    // It takes no column.
                    self.at += MARK.len();
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Passes the rest of the line, with its end.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if self.peek()?.is_none() {
                return Ok(());
            }
            match self.buffer[self.at..].iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.step(end + 1);
                    return Ok(());
                }
                None => {
                    self.step(self.buffer.len() - self.at);
                    self.forget();
                }
            }
        }
    }
}

/// Gives the parser the bytes of a message, and keeps them.
struct Tape<'a, R> {
    messages: &'a mut Messages<R>,
    start: usize,
    /// Why the parser got no more, other than the end.
    error: Option<io::Error>,
}

impl<R: Read> Read for Tape<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let failed = match self.messages.at - self.start >= self.messages.longest {
            true => Err(ErrorKind::FileTooLarge.into()),
            false => self.messages.peek(),
        };
        match failed {
            Ok(Some(byte)) if !buf.is_empty() => {
                buf[0] = byte;
                self.messages.at += 1;
                Ok(1)
            }
            Ok(_) => Ok(0),
            Err(error) => {
                let kind = error.kind();
                self.error = Some(error);
                Err(kind.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
