//! Builds statuses with their details: the `ErrorInfo`, field violations and retry delays. Their size is bounded.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::message;
use crate::pb::ErrorReason;

/// Maximum total bytes of the headers of a status, as HTTP/2 counts them (RFC 9113, 6.5.2). Common clients accept 8 KiB
/// (grpcio, grpc-java); the rest is left for the other headers of a response.
const MAX_HEADER_BYTES: usize = 7 * 1024 + 512;

/// The domain of the reasons in `ErrorInfo`.
const DOMAIN: &str = "readout.v1";

/// An INVALID_ARGUMENT status for one field of the request.
pub(super) fn field(reason: ErrorReason, field: &str, description: &str) -> Status {
    field_with(reason, field, description, [])
}

/// As `field`, with metadata for the `ErrorInfo`.
pub(super) fn field_with(
    reason: ErrorReason,
    field: &str,
    description: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let message = message::with_reason(reason, &format!("{field}: {description}"));
    with_fields(info(reason, metadata), &message, vec![FieldViolation::new(field, description)], 0)
}

/// An UNAVAILABLE status; the client may retry after a second.
pub(super) fn retry_later(reason: ErrorReason, message: &str) -> Status {
    retry_later_with(reason, message, [])
}

/// As `retry_later`, with metadata for the `ErrorInfo`.
pub(super) fn retry_later_with(
    reason: ErrorReason,
    message: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    retry(Code::Unavailable, reason, message, metadata)
}

/// A status with a retry delay of a second.
pub(super) fn retry(
    code: Code,
    reason: ErrorReason,
    message: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let mut details = info(reason, metadata);
    details.set_retry_info(Some(Duration::from_secs(1)));
    with_details(code, reason, message, details)
}

/// A status with a reason and metadata.
pub(super) fn status(
    code: Code,
    reason: ErrorReason,
    message: impl AsRef<str>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    with_details(code, reason, message.as_ref(), info(reason, metadata))
}

/// A status with a reason in its message, and prepared details.
pub(super) fn with_details(code: Code, reason: ErrorReason, message: &str, details: ErrorDetails) -> Status {
    Status::with_error_details(code, message::with_reason(reason, message), details)
}

/// A status with as many of these fields as fit into the headers, and the number of the rest. `omitted` further fields
/// were left out before.
pub(super) fn with_fields(
    details: ErrorDetails,
    message: &str,
    mut fields: Vec<FieldViolation>,
    mut omitted: usize,
) -> Status {
    loop {
        let mut all = fields.clone();
        if omitted > 0 {
            all.push(FieldViolation::new("", format!("and {omitted} more")));
        }
        let mut details = details.clone();
        details.set_bad_request(all);
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        if fields.len() <= 1 || header_bytes(&status) <= MAX_HEADER_BYTES {
            return status;
        }
        fields.pop();
        omitted += 1;
    }
}

/// The bytes of a status's headers as HTTP/2 counts them: for each header its name, its value and 32 bytes.
fn header_bytes(status: &Status) -> usize {
    const NAMES: usize = "grpc-status".len() + "grpc-message".len() + "grpc-status-details-bin".len();
    const OVERHEAD: usize = NAMES + "99".len() + 3 * 32;
    OVERHEAD + message::encode(status.message().as_bytes()).len() + status.details().len().div_ceil(3) * 4
}

/// Details with an `ErrorInfo`.
pub(super) fn info(reason: ErrorReason, metadata: impl IntoIterator<Item = (&'static str, String)>) -> ErrorDetails {
    // The headers stay within their bound: the longest value is a uri of 2,048 bytes. See `Violations::MAX_BYTES`.
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(reason.as_str_name(), DOMAIN, metadata)
}
