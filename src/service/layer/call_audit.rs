//! The part of one call that the audit log needs: its caller, method and id, and the names in the request of a read.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock, atomic::Ordering},
};

use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        Bytes,
        http::{self, Extensions, HeaderMap},
    },
};
use tonic_types::StatusExt;

use super::request_id::RequestId;
use crate::{
    access::Admitted,
    audit::{AuditLevel, AuditLog, AuditedCall, printable},
    service::{method::Method, peer::Peer},
    store::origin::MAX_NAMES,
};

/// Maximum bytes of a message in which names are looked for.
const MAX_SCANNED: usize = 64 * 1024;

/// A call that may be put into the audit log.
#[derive(Debug)]
pub struct CallAudit {
    log: AuditLog,
    /// The principal, once the credentials hold.
    pub principal: Option<Arc<str>>,
    address: IpAddr,
    method: String,
    request_id: Option<RequestId>,
    /// For a read that is audited: the names in its request.
    names: Option<RequestedNames>,
    is_read: bool,
}

impl CallAudit {
    /// Notes what the audit log needs of a request.
    pub fn new(log: AuditLog, request: &http::Request<Body>) -> Self {
        let path = request.uri().path();
        let is_read = log.level() == AuditLevel::Reads && Method::of(path).is_some_and(|method| !method.is_write());
        let peer = request.extensions().get::<Peer>();
        Self {
            log,
            principal: None,
            address: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip()),
            method: method_name(path).to_owned(),
            request_id: request.extensions().get::<RequestId>().cloned(),
            names: None,
            is_read,
        }
    }

    fn call(&self) -> AuditedCall<'_> {
        AuditedCall {
            principal: self.principal.as_deref(),
            address: self.address,
            method: &self.method,
            request_id: self.request_id.as_ref().map(RequestId::as_str).unwrap_or_default(),
        }
    }

    /// Notes the caller, and records the first use of its token. The request gets the place for its names.
    pub fn admitted(&mut self, admitted: &Admitted, extensions: &mut Extensions) {
        self.principal = Some(admitted.principal.name.clone());
        if self.is_read {
            let names = RequestedNames::default();
            extensions.insert(names.clone());
            self.names = Some(names);
        }
        if let Some(token) = &admitted.unused_token
            && !token.is_used.swap(true, Ordering::Relaxed)
            && !self.log.token_used(&self.call(), token.id)
        {
            token.is_used.store(false, Ordering::Relaxed);
        }
    }

    /// Records a refusal, if the status is one for the caller's credentials.
    pub fn refused(&self, status: &Status) {
        record_refusal(&self.log, &self.call(), status);
    }

    /// Records the answer of the services. The status is in the headers if the call failed before a message.
    pub fn answered(&self, headers: &HeaderMap) {
        let failed = headers.contains_key("grpc-status").then(|| Status::from_header_map(headers)).flatten();
        if let Some(status) = failed.as_ref().filter(|status| status.code() != Code::Ok) {
            self.refused(status);
        }
        if self.is_read {
            let outcome = failed.map_or_else(|| "OK".to_owned(), |status| outcome(&status));
            let names = self.names.as_ref().map(RequestedNames::joined).unwrap_or_default();
            self.log.read(&self.call(), &outcome, names);
        }
    }
}

/// Records that a call or a part of it was refused, if the status is one for the caller's credentials.
pub fn record_refusal(log: &AuditLog, call: &AuditedCall<'_>, status: &Status) {
    if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) {
        let info = status.get_details_error_info();
        let name = info.as_ref().and_then(|info| info.metadata.get("name"));
        log.refused(call, &outcome(status), name.map_or("", String::as_str));
    }
}

/// The full name of the method at a path, as events have it. Paths without a method have one name: otherwise callers
/// without credentials could fill the log with kinds of refusals.
fn method_name(path: &str) -> &str {
    match Method::of(path) {
        Some(method) => method.path.trim_start_matches('/'),
        None if path.starts_with("/grpc.reflection.") => "grpc.reflection",
        None => "unknown",
    }
}

/// The reason of a status, or its code if it has none.
fn outcome(status: &Status) -> String {
    if status.code() == Code::Ok {
        return "OK".to_owned();
    }
    let info = status.get_details_error_info();
    info.map_or_else(|| format!("{:?}", status.code()), |info| info.reason)
}

/// The names in the request of a read, joined by commas. The layer that reads the message fills it.
#[derive(Debug, Clone, Default)]
pub struct RequestedNames(Arc<OnceLock<String>>);

impl RequestedNames {
    /// Finds the names in a message with its prefix.
    pub fn read(&self, chunks: &[Bytes], method: &Method) {
        let names = match chunks {
            [only] => find_names(only, method),
            chunks if chunks.iter().map(Bytes::len).sum::<usize>() <= MAX_SCANNED => {
                find_names(&chunks.concat(), method)
            }
            _ => String::new(),
        };
        // A request has one message.
        let _ = self.0.set(names);
    }

    fn joined(&self) -> String {
        self.0.get().cloned().unwrap_or_default()
    }
}

/// Bytes of the prefix of a message: the compression flag and the length.
const PREFIX: usize = 5;

/// The values of the fields with names, at most `MAX_NAMES`.
fn find_names(message: &[u8], method: &Method) -> String {
    let mut rest = message.get(PREFIX..).unwrap_or_default();
    let (mut names, mut count) = (String::new(), 0);
    while count < MAX_NAMES
        && let Some(field) = next_field(&mut rest)
    {
        if let (number, Some(value)) = field
            && method.name_fields.contains(&number)
            && let Ok(name) = std::str::from_utf8(value)
        {
            names.push_str(if count == 0 { "" } else { "," });
            names.push_str(&printable(name));
            count += 1;
        }
    }
    names
}

/// Takes a field from the front of a message: its number, and the bytes of a length-delimited one.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
    if rest.is_empty() {
        return None;
    }
    let (number, wire) = decode_key(rest).ok()?;
    if wire != WireType::LengthDelimited {
        skip_field(wire, number, rest, DecodeContext::default()).ok()?;
        return Some((number, None));
    }
    let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((number, Some(value)))
}
