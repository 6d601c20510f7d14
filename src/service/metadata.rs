//! The metadata that callers send with a request: `readout-actor`, on whose behalf they act, and `grpc-timeout`, the
//! time that they wait.

use std::time::Duration;

use tonic::{Request, codegen::http::HeaderMap, metadata::MetadataMap};

use super::{error::ServiceError, layer::request_id::RequestId, peer::Peer};
use crate::{
    access::{Denied, Principal},
    model::{
        role::Role,
        rules::{Path, Violations},
        text::quoted::quoted,
    },
    store::origin::Origin,
};

/// Request metadata: the person or program on whose behalf the caller acts.
const ACTOR: &str = "readout-actor";
/// Maximum length of the actor, in characters.
const MAX_ACTOR_LENGTH: usize = 128;

/// The actor of a request. It is recorded with every change, and request ids are unique per actor.
///
/// The actor is the authenticated principal. An admin may name another actor, recorded as `actor via principal`. If the
/// service asks for no credentials and grants every role to all callers, the named actor is recorded without a check.
///
/// # Errors
/// `Invalid` for malformed metadata, `Denied` if the caller may not name another actor.
pub fn actor<T>(request: &Request<T>) -> Result<String, ServiceError> {
    // `layer::access` adds the principal to every request.
    let principal = request.extensions().get::<Principal>().ok_or(ServiceError::Defect)?;
    let Some(claimed) = claimed_actor(request.metadata())? else { return Ok(principal.name.to_string()) };
    match principal {
        Principal { is_open: true, .. } => Ok(claimed.to_owned()),
        Principal { role: Role::Admin, name, .. } => Ok(format!("{claimed} via {name}")),
        Principal { role, .. } => Err(Denied::ActorNotAllowed(*role).into()),
    }
}

/// The origin of a write in the audit log.
///
/// # Errors
/// `Defect` if the layers have not added the principal.
pub fn origin<T>(request: &Request<T>, method: &'static str) -> Result<Origin, ServiceError> {
    let extensions = request.extensions();
    let principal = extensions.get::<Principal>().ok_or(ServiceError::Defect)?;
    Ok(Origin {
        principal: principal.name.clone(),
        peer: extensions.get::<Peer>().map(|peer| peer.address.ip()),
        method,
        call_id: extensions.get::<RequestId>().map(RequestId::as_str).unwrap_or_default().into(),
        reason: String::new(),
        related: None,
    })
}

/// The actor that the metadata names.
fn claimed_actor(metadata: &MetadataMap) -> Result<Option<&str>, Violations> {
    let Some(value) = metadata.get(ACTOR) else { return Ok(None) };
    let bytes = value.as_bytes();
    // `to_str` accepts a tab beside visible ASCII.
    let actor = value.to_str().ok().filter(|text| !text.contains('\t')).unwrap_or_default();
    let mut violations = Violations::default();
    if actor.trim().is_empty() || actor.len() > MAX_ACTOR_LENGTH {
        violations.add(
            &Path::ROOT.field(ACTOR),
            format!(
                "must have 1 to {MAX_ACTOR_LENGTH} visible ASCII characters, not {} bytes: {}",
                bytes.len(),
                quoted(&String::from_utf8_lossy(bytes))
            ),
        );
    }
    violations.into_result().map(|()| Some(actor))
}

/// Request metadata: the time that the caller waits, as up to eight digits and a unit (gRPC over HTTP2, Timeout).
const TIMEOUT: &str = "grpc-timeout";

/// The time that the caller waits for the answer.
///
/// # Errors
/// A malformed value is rejected, as in grpc-go: ignoring it would let the call outlast its caller.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Violations> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let duration = value.to_str().ok().and_then(parse_timeout);
    let mut violations = Violations::default();
    if duration.is_none() {
        let sent = quoted(&String::from_utf8_lossy(value.as_bytes()));
        violations
            .add(&Path::ROOT.field(TIMEOUT), format!("must be up to eight digits and a unit, as 1500m, not {sent}"));
    }
    violations.into_result().map(|()| duration)
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = number.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(60 * 60),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(number)
}

/// The time that the caller waits, less 5 % for the way back.
pub fn remaining_time(metadata: &MetadataMap) -> Option<Duration> {
    Some(timeout(metadata.as_ref()).ok()??.mul_f64(0.95))
}
