//! Assembles messages from the frames of a body (gRPC over HTTP/2, length-prefixed messages).

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Body as _;
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, http::HeaderMap},
};

use super::{
    account::Account,
    chunks::Chunks,
    decompress::{Compression, decompress},
};
use crate::{
    model::rules::wire_limits::{self, RequestType},
    service::{
        error::ServiceError,
        message_form::{MessageForm, from_json},
        status::{MESSAGE_BYTES, malformed},
    },
};

/// The bytes before each message: the compressed flag and the length.
const PREFIX: usize = 5;

/// The bytes by which a message without a stated length is announced.
const UNFRAMED_STEP: usize = 64 * 1024;

/// Reads the messages of one body.
pub struct MessageReader {
    body: Body,
    form: MessageForm,
    request: RequestType,
    compression: Option<Compression>,
    /// Bytes that were received and belong to the next message, or to the rest of this one.
    received: Bytes,
    prefix: [u8; PREFIX],
    /// The bytes of the prefix that were read. Zero between two messages.
    prefix_len: usize,
    /// The bytes after the prefix that were read.
    message_len: usize,
    /// The length in the prefix, once it is being charged.
    announced: usize,
    /// True if there may be any number of messages, at any time.
    is_stream: bool,
    chunks: Chunks,
    early_checks: EarlyChecks,
    account: Account,
    /// A message that is checked, and is being charged.
    checked: Option<Vec<Bytes>>,
    is_refused: bool,
    /// The body is one message without a prefix, which has not been read to its end.
    is_unframed: bool,
}

/// Checks the start of a large message while it arrives or is decompressed, each time that four times the bytes are
/// there. One that has too many items is refused by its first bytes.
#[derive(Debug, Clone, Copy)]
struct EarlyChecks {
    request: RequestType,
    /// The bytes at which the next check is due.
    next: usize,
}

/// The treatment of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It is kept and checked.
    Check,
    /// It is not kept.
    Skip,
}

impl EarlyChecks {
    /// The bytes of the first check.
    const FIRST: usize = 64 * 1024;

    fn of(request: RequestType) -> Self {
        Self { request, next: Self::FIRST }
    }

    /// Checks the first bytes of a message that has at most `len` bytes.
    fn check(&mut self, start: &Chunks, len: usize) -> Result<(), Status> {
        if start.len() >= self.next {
            self.next = 4 * start.len();
            wire_limits::check_start(self.request, &start.slices(), len).map_err(ServiceError::from)?;
        }
        Ok(())
    }
}

/// The state of the message that is being read.
enum Assembled {
    /// It is whole and checked. Holds the bytes that it takes, decoded too.
    Whole(Vec<Bytes>, usize),
    /// It has begun, and its length is known.
    Announced(usize),
    /// More bytes are needed.
    Part,
}

/// A part of a body.
#[derive(Debug)]
pub enum Part {
    /// A checked message with its prefix, uncompressed.
    Message(Vec<Bytes>),
    /// The trailers at the end of a body.
    Trailers(HeaderMap),
}

impl MessageReader {
    /// `compression` is that of the messages whose compressed flag is set.
    pub fn new(
        body: Body,
        form: MessageForm,
        request: RequestType,
        compression: Option<Compression>,
        account: Account,
    ) -> Self {
        Self {
            is_unframed: form.is_unframed,
            body,
            form,
            request,
            compression,
            received: Bytes::new(),
            prefix: [0; PREFIX],
            prefix_len: 0,
            message_len: 0,
            announced: 0,
            is_stream: account.is_patient(),
            chunks: Chunks::default(),
            early_checks: EarlyChecks::of(request),
            account,
            checked: None,
            is_refused: false,
        }
    }

    /// True if the reader has refused the body. Any other error is one of the connection.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Reads up to the end of the next message. `None` at the end of the body. Nothing can be read after an error.
    pub fn poll_part(&mut self, context: &mut Context<'_>, content: Content) -> Poll<Option<Result<Part, Status>>> {
        loop {
            if let Err(error) = ready!(self.account.poll_charged(context)) {
                return self.refuse(error.into());
            }
            if let Some(message) = self.checked.take() {
                self.account.begin_next();
                return Poll::Ready(Some(Ok(Part::Message(message))));
            }
            match self.assemble(content) {
                Ok(Assembled::Whole(message, bytes)) => {
                    self.account.charge(bytes);
                    self.checked = Some(message);
                    continue;
                }
                Ok(Assembled::Announced(bytes)) => {
                    self.account.charge(bytes);
                    continue;
                }
                Ok(Assembled::Part) => {}
                Err(status) => return self.refuse(status),
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                // A unary request, and a message that has begun, must arrive in time.
                if self.prefix_len == 0 && self.is_stream {
                    return Poll::Pending;
                }
                let error = ready!(self.account.poll_late(context, self.announced));
                return self.refuse(error.into());
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None if self.is_unframed => match self.end_unframed() {
                    Ok((message, bytes)) => {
                        self.account.charge(bytes);
                        self.checked = Some(message);
                        continue;
                    }
                    Err(status) => return self.refuse(status),
                },
                None if self.prefix_len == 0 => return Poll::Ready(None),
                None => return self.refuse(malformed("the body ends within a message")),
            };
            match frame.into_data().map_err(http_body::Frame::into_trailers) {
                Ok(data) => self.received = data,
                // Trailers that HTTP/1.1 sends after a message without a prefix say nothing.
                Err(Ok(_)) if self.is_unframed => {}
                Err(Ok(trailers)) if self.prefix_len == 0 => return Poll::Ready(Some(Ok(Part::Trailers(trailers)))),
                Err(Ok(_)) => return self.refuse(malformed("the body ends within a message")),
                Err(Err(_)) => {}
            }
        }
    }

    fn refuse(&mut self, status: Status) -> Poll<Option<Result<Part, Status>>> {
        self.is_refused = true;
        self.received = Bytes::new();
        self.chunks = Chunks::default();
        Poll::Ready(Some(Err(status)))
    }

    /// Takes what was received of a message without a prefix. Its length is announced before it is read, if the client
    /// states it, and in steps otherwise.
    fn assemble_unframed(&mut self) -> Result<Assembled, Status> {
        let read = self.chunks.len() + self.received.len();
        let stated =
            http_body::Body::size_hint(&self.body).exact().map_or(0, |rest| read.saturating_add(rest as usize));
        if read.max(stated) > MESSAGE_BYTES {
            return Err(ServiceError::RequestTooLarge.into());
        }
        if read.max(stated) > self.announced {
            self.announced = stated.max(read.next_multiple_of(UNFRAMED_STEP));
            return Ok(Assembled::Announced(self.announced));
        }
        self.chunks.push(mem::take(&mut self.received));
        if self.compression.is_none() && self.form.json.is_none() {
            self.early_checks.check(&self.chunks, MESSAGE_BYTES)?;
        }
        Ok(Assembled::Part)
    }

    /// Takes the message whose body has ended.
    fn end_unframed(&mut self) -> Result<(Vec<Bytes>, usize), Status> {
        self.is_unframed = false;
        match self.finish(self.compression.is_some())? {
            Assembled::Whole(message, bytes) => Ok((message, bytes)),
            Assembled::Announced(_) | Assembled::Part => Err(malformed("the body ends within a message")),
        }
    }

    /// Takes what was received.
    fn assemble(&mut self, content: Content) -> Result<Assembled, Status> {
        if self.is_unframed {
            return self.assemble_unframed();
        }
        while !self.received.is_empty() {
            if self.prefix_len == 0
                && content == Content::Check
                && self.form.json.is_none()
                && let Some(message) = self.whole_frame()
            {
                let measure = wire_limits::check(self.request, &[&message[PREFIX..]]).map_err(ServiceError::from)?;
                let bytes = message.len() + measure.memory;
                return Ok(Assembled::Whole(vec![message], bytes));
            }
            let Some((is_compressed, len)) = self.read_prefix()? else { return Ok(Assembled::Part) };
            if self.announced != len && content == Content::Check {
                self.announced = len;
                return Ok(Assembled::Announced(len));
            }
            let piece = self.received.split_to(self.received.len().min(len - self.message_len));
            self.message_len += piece.len();
            if content == Content::Check {
                self.chunks.push(piece);
            }
            if self.message_len < len {
                if !is_compressed && self.form.json.is_none() {
                    self.early_checks.check(&self.chunks, len)?;
                }
                return Ok(Assembled::Part);
            }
            (self.prefix_len, self.message_len, self.announced) = (0, 0, 0);
            if content == Content::Check {
                return self.finish(is_compressed);
            }
        }
        Ok(Assembled::Part)
    }

    /// Takes an uncompressed message that was received in one frame, as most are. It is not copied.
    fn whole_frame(&mut self) -> Option<Bytes> {
        let (prefix, rest) = self.received.split_first_chunk::<PREFIX>()?;
        let [0, len @ ..] = *prefix else { return None };
        let len = u32::from_be_bytes(len) as usize;
        (len <= rest.len().min(MESSAGE_BYTES)).then(|| self.received.split_to(PREFIX + len))
    }

    /// Reads the prefix; `None` if it is incomplete. Returns the compressed flag and the length.
    fn read_prefix(&mut self) -> Result<Option<(bool, usize)>, Status> {
        let missing = self.received.len().min(PREFIX - self.prefix_len);
        self.prefix[self.prefix_len..][..missing].copy_from_slice(&self.received.split_to(missing));
        self.prefix_len += missing;
        if self.prefix_len < PREFIX {
            return Ok(None);
        }
        let [flag, len @ ..] = self.prefix;
        let is_compressed = match (flag, self.compression) {
            (0, _) => false,
            (1, Some(_)) => true,
            (1, None) => return Err(malformed("its compressed flag is set, and the call states no grpc-encoding")),
            (flag, _) => return Err(malformed(&format!("its compressed flag is {flag}, neither 0 nor 1"))),
        };
        match u32::from_be_bytes(len) as usize {
            len if len > MESSAGE_BYTES => Err(ServiceError::RequestTooLarge.into()),
            len => Ok(Some((is_compressed, len))),
        }
    }

    /// Decompresses, converts and checks a whole message.
    fn finish(&mut self, is_compressed: bool) -> Result<Assembled, Status> {
        let mut message = mem::take(&mut self.chunks);
        self.early_checks = EarlyChecks::of(self.request);
        if let Some(compression) = self.compression.filter(|_| is_compressed) {
            let mut early_checks = self.early_checks;
            let is_json = self.form.json.is_some();
            let check = |start: &Chunks| if is_json { Ok(()) } else { early_checks.check(start, MESSAGE_BYTES) };
            message = decompress(compression, message.into_vec(), check)?;
        }
        if let Some(types) = &self.form.json {
            let json = message.into_vec();
            let json = if let [whole] = json.as_slice() { whole.clone() } else { json.concat().into() };
            message = Chunks::default();
            message.push(from_json(&json, &types.request)?.into());
        }
        let len = (message.len() as u32).to_be_bytes();
        let chunks = message.into_vec();
        let measure = wire_limits::check(self.request, &chunks).map_err(ServiceError::from)?;
        let bytes = chunks.iter().map(Bytes::len).sum::<usize>() + measure.memory;
        let prefix = Bytes::copy_from_slice(&[[0].as_slice(), &len].concat());
        Ok(Assembled::Whole(std::iter::once(prefix).chain(chunks).collect(), bytes))
    }
}
