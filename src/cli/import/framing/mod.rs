//! Splits a text into messages: JSON objects, in sequence or in an array, each on one line or several. Resynchronises
//! after malformed JSON.

mod text_position;
mod valid_json;

use std::io::{self, ErrorKind, Read};

use serde::de::Deserialize;

use self::{text_position::TextPosition, valid_json::ValidJson};
use super::fault::{Fault, uri_in};
use crate::cli::json::shortened;

/// Maximum size of a message in bytes. A message has at most 8 MiB in its binary encoding; JSON may escape a byte as
/// six.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The size of a read, in bytes.
const CHUNK: usize = 64 << 10;

/// A message, or the fault of a malformed one.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first line, from 1.
    pub line: u64,
    pub text: Result<String, Fault>,
}

/// Iterates over the messages of an input. The buffer keeps the bytes of a message until the message is complete.
pub struct Messages<R> {
    input: R,
    longest: usize,
    /// Bytes of the input; those before `offset` have been consumed.
    buffer: Vec<u8>,
    /// The index of the next byte in `buffer`.
    offset: usize,
    position: TextPosition,
    context: Context,
    /// True if the end of the array may be in skipped text.
    may_have_left_array: bool,
    /// True at the end of the input, or after an error.
    has_ended: bool,
}

impl<R: Read> Iterator for Messages<R> {
    type Item = Frame;

    /// Returns the next message; `None` at the end of the input, or after an error of the input.
    fn next(&mut self) -> Option<Frame> {
        if self.has_ended {
            return None;
        }
        match self.find() {
            Ok(frame) => frame,
            Err(error) => {
                self.has_ended = true;
                Some(self.frame_here(Fault::new(
                    "cannot be read any further",
                    format!("cannot be read any further: {error}"),
                )))
            }
        }
    }
}

/// The point where reading continues after a malformed message.
enum Resumed {
    /// The next line that is not blank.
    NextLine,
    /// This line, after skipped lines.
    Line(u64),
    /// The end of the input.
    End {
        /// True if lines were skipped.
        has_skipped: bool,
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
        Self::with_limit(input, MAX_MESSAGE_BYTES)
    }

    fn with_limit(input: R, longest: usize) -> Self {
        let position = TextPosition { line: 1, column: 1 };
        Self {
            input,
            longest,
            buffer: Vec::new(),
            offset: 0,
            position,
            context: Context::Top,
            may_have_left_array: false,
            has_ended: false,
        }
    }

    fn find(&mut self) -> io::Result<Option<Frame>> {
        loop {
            self.skip_space()?;
            self.compact();
            let Some(byte) = self.peek()? else {
                self.has_ended = true;
                return Ok((self.context != Context::Top && !self.may_have_left_array).then(|| {
                    self.frame_here(Fault::new(
                        "an array does not end",
                        "the file ends within its array: expected `,` or `]` (is it cut off?)",
                    ))
                }));
            };
            match (byte, self.context) {
                (b'{', Context::Top | Context::ArrayStart | Context::Item) => return self.message().map(Some),
                // The array ended on a skipped line.
                (b'{', Context::AfterItem) if self.may_have_left_array => self.context = Context::Top,
                (b'{', Context::AfterItem) => {
                    self.context = Context::Item;
                    let problem = self.expected("`,` or `]` between the messages of an array");
                    return Ok(Some(self.frame_here(problem)));
                }
                (b'[', Context::Top) => {
                    self.context = Context::ArrayStart;
                    self.may_have_left_array = false;
                }
                (b']', Context::ArrayStart | Context::AfterItem) => self.context = Context::Top,
                (b',', Context::AfterItem) => self.context = Context::Item,
                (b']', Context::Item) => {
                    let problem = self.expected("a message after the comma");
                    let frame = self.frame_here(problem);
                    self.step(1);
                    self.context = Context::Top;
                    return Ok(Some(frame));
                }
                _ => return self.unexpected().map(Some),
            }
            if byte != b'{' {
                self.step(1);
            }
        }
    }

    /// Reads the message that begins here.
    fn message(&mut self) -> io::Result<Frame> {
        let (start, position) = (self.offset, self.position);
        let mut input = MessageInput { messages: self, start, error: None };
        let parsed = ValidJson::deserialize(&mut serde_json::Deserializer::from_reader(&mut input));
        let failed = input.error.take();
        let Err(error) = parsed else {
            let text = String::from_utf8(self.buffer[start..self.offset].to_vec());
            self.position = position.after(&self.buffer[start..self.offset]);
            if self.context != Context::Top {
                self.context = Context::AfterItem;
            }
            let fault = |_| Fault::new("not UTF-8", "is not UTF-8");
            return Ok(Frame { line: position.line, text: text.map_err(fault) });
        };
        let fault = match failed {
            Some(error) if error.kind() == ErrorKind::FileTooLarge => {
                Fault::new("too large", format!("is larger than {} bytes", self.longest))
            }
            Some(error) => return Err(error),
            None => self.malformed(&error, start, position),
        };
        let fault = fault.about(uri_in(&self.buffer[start..self.offset]).unwrap_or_default());
        self.offset = start;
        self.position = position;
        let resumed = match self.resume(position)? {
            // The message itself is cut off at the end of the input.
            Resumed::End { .. } if error.is_eof() => String::new(),
            Resumed::End { has_skipped: false } | Resumed::NextLine => String::new(),
            Resumed::End { has_skipped: true } => "; nothing after it is read".to_owned(),
            Resumed::Line(line) => format!("; continued at line {line}"),
        };
        Ok(Frame { line: position.line, text: Err(Fault { text: format!("{}{resumed}", fault.text), ..fault }) })
    }

    /// Describes the malformed message that begins at `start`.
    fn malformed(&self, error: &serde_json::Error, start: usize, position: TextPosition) -> Fault {
        let text = error.to_string();
        let problem = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
        let read = &self.buffer[start..self.offset];
        let problem = match problem {
            "invalid unicode code point" => "a string that is not UTF-8",
            problem => problem,
        };
        // serde_json counts lines from the beginning of the message, and columns in bytes. A line end is column 0 of
        // the next line.
        let (line, bytes) = match (error.line(), error.column()) {
            (line @ 2.., 0) => (line - 1, usize::MAX),
            (line, column) => (line.max(1), column.saturating_sub(1)),
        };
        let text = read.split(|byte| *byte == b'\n').nth(line - 1).unwrap_or_default();
        let before = String::from_utf8_lossy(&text[..bytes.min(text.len())]);
        let column = before.chars().count() + if line == 1 { position.column } else { 1 };
        let line = position.line + line as u64 - 1;
        let kind = format!("malformed JSON: {problem}");
        match error.is_eof() {
            true => Fault::new(&kind, format!("the file ends within this message (is it cut off?): {problem}")),
            false => Fault::new(&kind, format!("malformed JSON in line {line}, column {column}: {problem}")),
        }
    }

    /// Reports that no message begins here, and skips the rest of the line.
    fn unexpected(&mut self) -> io::Result<Frame> {
        let expected = match self.context {
            Context::Top => "a JSON object, or an array of objects",
            Context::ArrayStart | Context::Item => "a JSON object",
            Context::AfterItem => "`,` or `]` between the messages of an array",
        };
        // Reads enough of the line to quote it.
        while self.buffer.len() < self.offset + 64 && !self.buffer[self.offset..].contains(&b'\n') && self.fill()? {}
        let fault = self.expected(expected);
        let frame = self.frame_here(fault);
        self.skip_line()?;
        self.may_have_left_array = true;
        if self.context == Context::ArrayStart {
            // The bracket did not begin an array of messages: it may be a log line.
            self.context = Context::Top;
        }
        Ok(frame)
    }

    fn expected(&self, expected: &str) -> Fault {
        let rest = &self.buffer[self.offset..];
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len()).min(64);
        let is_text = std::str::from_utf8(&rest[..end]).map_or_else(|error| error.error_len().is_none(), |_| true);
        let found = shortened(&String::from_utf8_lossy(&rest[..end]), 24);
        let note = if is_text { "" } else { ", which is not UTF-8" };
        let TextPosition { line, column } = self.position;
        Fault::new(
            &format!("expected {expected}"),
            format!("malformed JSON in line {line}, column {column}: expected {expected}, found {found:?}{note}"),
        )
    }

    fn frame_here(&self, fault: Fault) -> Frame {
        Frame { line: self.position.line, text: Err(fault) }
    }

    /// Skips to the next line that can begin a message, after a malformed one that began at `position`. A line that is
    /// indented more, or begins like the rest of an object, belongs to the malformed message.
    fn resume(&mut self, position: TextPosition) -> io::Result<Resumed> {
        let mut has_skipped = false;
        loop {
            self.skip_line()?;
            self.compact();
            self.skip_space()?;
            let Some(byte) = self.peek()? else {
                self.has_ended = true;
                return Ok(Resumed::End { has_skipped: has_skipped || self.context != Context::Top });
            };
            let begins_message = match byte {
                b'{' => self.position.column <= position.column,
                b',' if self.context != Context::Top => {
                    self.step(1);
                    self.skip_space()?;
                    self.peek()? == Some(b'{') && self.position.column <= position.column
                }
                // The end of the array, or the next array.
                b']' | b'[' if self.context != Context::Top => self.position.column < position.column,
                b'}' | b'[' | b']' | b'"' | b',' | b':' => false,
                _ => self.position.column <= position.column,
            };
            if begins_message {
                self.context = match (byte, self.context) {
                    (b'[', _) | (_, Context::Top) => Context::Top,
                    (b']', _) => Context::AfterItem,
                    _ => Context::Item,
                };
                return Ok(if has_skipped { Resumed::Line(self.position.line) } else { Resumed::NextLine });
            }
            has_skipped = true;
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.offset == self.buffer.len() && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.buffer[self.offset]))
    }

    /// Reads a chunk. Returns `false` at the end of the input.
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

    /// Drops the consumed bytes when they are the larger part of the buffer, because the rest has to be moved.
    fn compact(&mut self) {
        if self.offset > self.buffer.len() / 2 {
            self.buffer.drain(..self.offset);
            self.offset = 0;
            if self.buffer.is_empty() && self.buffer.capacity() > 4 * CHUNK {
                self.buffer = Vec::new();
            }
        }
    }

    /// Passes bytes of the buffer.
    fn step(&mut self, count: usize) {
        let end = self.offset + count;
        self.position = self.position.after(&self.buffer[self.offset..end]);
        self.offset = end;
    }

    /// Skips white space and byte order marks, which some editors put at the beginning of a file.
    fn skip_space(&mut self) -> io::Result<()> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        while let Some(byte) = self.peek()? {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.step(1),
                _ if byte == MARK[0] => {
                    while self.buffer.len() < self.offset + MARK.len() && self.fill()? {}
                    if !self.buffer[self.offset..].starts_with(MARK) {
                        return Ok(());
                    }
                    // A byte order mark has no column.
                    self.offset += MARK.len();
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Skips the rest of the line, including its end.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if self.peek()?.is_none() {
                return Ok(());
            }
            match self.buffer[self.offset..].iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.step(end + 1);
                    return Ok(());
                }
                None => {
                    self.step(self.buffer.len() - self.offset);
                    self.compact();
                }
            }
        }
    }
}

/// Feeds the parser with the bytes of a message one at a time, and leaves them in the buffer.
struct MessageInput<'a, R> {
    messages: &'a mut Messages<R>,
    start: usize,
    /// The error that ended the input of the parser, if any.
    error: Option<io::Error>,
}

impl<R: Read> Read for MessageInput<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let next = match self.messages.offset - self.start >= self.messages.longest {
            true => Err(ErrorKind::FileTooLarge.into()),
            false => self.messages.peek(),
        };
        match next {
            Ok(Some(byte)) if !buf.is_empty() => {
                buf[0] = byte;
                self.messages.offset += 1;
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
