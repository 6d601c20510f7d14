//! The status that tells each refusal: the only place that names status codes.

mod access;
mod message;
mod store;

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

pub use self::message::encode as encode_message;
use super::{
    error::ServiceError,
    method,
    read::stream_lifetime::{EndReason, Ended},
};
use crate::{
    model::{meeting::MOST_REPORTS, query::filter::FilterError, rules::Violations, text::quoted::shown},
    pb::ErrorReason,
};

/// Largest message, sent or received.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// Headers of a status together, as HTTP/2 counts them (RFC 9113, 6.5.2). Common clients accept 8 KiB (grpcio, grpc-java),
/// of which the other headers of an answer have the rest.
const MOST_HEADER_BYTES: usize = 7 * 1024 + 512;

/// Bytes that an error repeats of a position.
const LONGEST_POSITION: usize = 300;

/// What is told at the end of the service.
const STOPPING: &str = "the service is stopping";

/// The header that tells which compressions are known.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// The domain of our reasons.
const DOMAIN: &str = "readout.v1";

impl From<ServiceError> for Status {
    fn from(refusal: ServiceError) -> Self {
        use ErrorReason as Reason;
        match refusal {
            ServiceError::Invalid(violations) => invalid(violations),
            ServiceError::Filter(error) => filter(&error),
            ServiceError::Order(error) => field(Reason::InvalidOrder, "order_by", &error.to_string()),
            ServiceError::PageToken => field(
                Reason::InvalidPageToken,
                "page_token",
                "was not given out by this service, or for a request with other fields",
            ),
            ServiceError::SameParticipant(name) => {
                let description = "must be another participant than source";
                field_with(Reason::SameParticipant, "target", description, [("name", name)])
            }
            ServiceError::RequestIdReused(id) => status(
                Code::InvalidArgument,
                Reason::RequestIdReused,
                format!("the request id {id:?} was used before with another body"),
                [("request_id", id)],
            ),
            ServiceError::NotFound(name) => {
                status(Code::NotFound, Reason::ResourceNotFound, format!("{name} does not exist"), [("name", name)])
            }
            ServiceError::NotThen(name) => {
                let message = format!("{name} did not exist at read_time");
                status(Code::NotFound, Reason::ResourceNotFound, message, [("name", name)])
            }
            ServiceError::DuplicateId(name) => {
                status(Code::AlreadyExists, Reason::DuplicateId, format!("{name} exists already"), [("name", name)])
            }
            ServiceError::DuplicateArticle { name, uri } => status(
                Code::AlreadyExists,
                Reason::DuplicateArticle,
                format!("{name} has the uri {} already", shown(&uri)),
                [("name", name), ("uri", uri)],
            ),
            ServiceError::DuplicateExternalId { name, scheme, value } => status(
                Code::AlreadyExists,
                Reason::DuplicateExternalId,
                format!("{name} has the external id {} of {scheme} already", shown(&value)),
                [("name", name), ("scheme", scheme), ("value", value)],
            ),
            ServiceError::DuplicateReport(name) => status(
                Code::AlreadyExists,
                Reason::DuplicateReport,
                format!("the article gave the same report before: {name}"),
                [("name", name)],
            ),
            ServiceError::ArticleDiffers { name, uri } => status(
                Code::AlreadyExists,
                Reason::ArticleDiffers,
                format!("{name} has the uri {} and other content: set allow_update to revise it", shown(&uri)),
                [("name", name), ("uri", uri)],
            ),
            ServiceError::AlreadyDeleted(name) => {
                let message = format!("{name} was deleted before");
                status(Code::NotFound, Reason::AlreadyDeleted, message, [("name", name)])
            }
            ServiceError::NotDeleted(name) => {
                status(Code::AlreadyExists, Reason::NotDeleted, format!("{name} is not deleted"), [("name", name)])
            }
            ServiceError::Deleted(name) => {
                let message = format!("{name} is deleted: undelete it first");
                status(Code::FailedPrecondition, Reason::ResourceDeleted, message, [("name", name)])
            }
            ServiceError::MergedAway { name, survivor } => {
                let message = format!("{name} was merged away: write to {survivor}");
                let metadata = [("name", name), ("survivor", survivor)];
                status(Code::FailedPrecondition, Reason::MergedAway, message, metadata)
            }
            ServiceError::AlreadyRetracted(name) => {
                let message = format!("{name} was retracted before");
                status(Code::FailedPrecondition, Reason::AlreadyRetracted, message, [("name", name)])
            }
            ServiceError::NotMerged(name) => {
                let message = format!("{name} was not merged into the meeting that is split");
                status(Code::FailedPrecondition, Reason::NotMerged, message, [("name", name)])
            }
            ServiceError::LeavesNothing(name) => {
                let message = format!("{name} would be left without an active report");
                status(Code::FailedPrecondition, Reason::LeavesNothing, message, [("name", name)])
            }
            ServiceError::NoActiveReport(name) => {
                let message = format!("no active report tells of {name}");
                status(Code::FailedPrecondition, Reason::NoActiveReport, message, [("name", name)])
            }
            ServiceError::StillNamed { name, by } => still_named(name, by),
            ServiceError::EtagMismatch { name, etag } => status(
                Code::Aborted,
                Reason::EtagMismatch,
                format!("the etag is not that of {name} as it is: read it again"),
                [("name", name), ("etag", etag)],
            ),
            ServiceError::TooManyReports(name) => status(
                Code::FailedPrecondition,
                Reason::TooManyReports,
                format!("{name} has {MOST_REPORTS} reports, and cannot have more"),
                [("name", name), ("limit", MOST_REPORTS.to_string())],
            ),
            ServiceError::TooLarge => too_large("the answer is"),
            ServiceError::Cursor => field(Reason::InvalidCursor, "cursor", "was not given out by this service"),
            ServiceError::CursorOfAnotherFilter => {
                field(Reason::CursorOfAnotherFilter, "cursor", "was given out for another filter")
            }
            ServiceError::Position { field, mut position } => {
                position.truncate(position.floor_char_boundary(LONGEST_POSITION));
                let description = format!("must be a position such as 5c9e71d0.1207, not {}", shown(&position));
                field_with(Reason::InvalidPosition, field, &description, [("position", position)])
            }
            ServiceError::CursorExpired { oldest_cursor, oldest_time } => status(
                Code::OutOfRange,
                Reason::CursorExpired,
                "changes after the start are no longer kept",
                [("oldest_cursor", oldest_cursor), ("oldest_time", oldest_time)],
            ),
            ServiceError::InFuture(head) => status(
                Code::OutOfRange,
                Reason::PositionInFuture,
                "the start is later than the newest change",
                [("position", head)],
            ),
            ServiceError::EpochChanged(epoch) => status(
                Code::FailedPrecondition,
                Reason::EpochChanged,
                "the database was restored or lost changes since: list again, then watch from as_of",
                [("epoch", epoch)],
            ),
            ServiceError::NotReached(position) => retry_later_with(
                Reason::PositionNotReached,
                "what is read does not have the position yet",
                [("position", position)],
            ),
            ServiceError::Defect => defect(),
            ServiceError::Contention => {
                status(Code::Aborted, Reason::Contention, "other writes to the same records went first", [])
            }
            ServiceError::Late => late(),
            ServiceError::Denied(denied) => access::denied(denied),
            ServiceError::UnknownMethod(path) => unknown_method(&path),
            ServiceError::Stopping => retry_later(Reason::ShuttingDown, STOPPING),
            ServiceError::Ended(Ended { why, resume }) => match why {
                EndReason::Stopping => retry_later_with(Reason::ShuttingDown, STOPPING, resume),
                EndReason::Life => retry_later_with(Reason::StreamLife, "the stream has had its time", resume),
            },
            ServiceError::Overloaded => overloaded(),
            ServiceError::Store(error) => store::failed(&error),
        }
    }
}

/// The names of the codes, each at its number (gRPC, statuscodes.md).
pub const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The reason of a status, for the log: its message may hold what was sent.
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The status of a message that is no protobuf.
pub fn malformed(why: &str) -> Status {
    status(Code::InvalidArgument, ErrorReason::MalformedMessage, format!("not a valid message: {why}"), [])
}

/// The status of an unexpected failure. What happened is in the log.
pub fn defect() -> Status {
    status(Code::Internal, ErrorReason::Defect, "a defect of the service: see its log", [])
}

/// Completes a status that came from below the handlers, without a reason, for a call of the method at this path.
pub fn complete(bare: Status, path: &str) -> Status {
    if !bare.details().is_empty() {
        return bare;
    }
    match bare.code() {
        Code::Ok => bare,
        // tonic's word for a message over the limit; gRPC's is RESOURCE_EXHAUSTED.
        Code::OutOfRange | Code::ResourceExhausted => too_large("the message is"),
        Code::Unimplemented if bare.message().contains("compressed") => {
            let message = "the message is compressed in a way that is not known here";
            let mut told = status(Code::Unimplemented, ErrorReason::UnsupportedCompression, message, []);
            if let Some(known) = bare.metadata().get(ACCEPT_ENCODING) {
                told.metadata_mut().insert(ACCEPT_ENCODING, known.clone());
            }
            told
        }
        Code::Unimplemented => unknown_method(path),
        Code::DeadlineExceeded | Code::Cancelled => status(bare.code(), ErrorReason::Deadline, bare.message(), []),
        Code::Unavailable => retry_later(ErrorReason::ShuttingDown, bare.message()),
        // The word of health for a service that it does not know: anybody may ask, and it is no defect.
        Code::NotFound => status(bare.code(), ErrorReason::ResourceNotFound, bare.message(), []),
        // Our own have details: this is tonic's word for a body that is no sequence of whole messages.
        Code::Internal => malformed(bare.message()),
        code => {
            tracing::warn!(?code, message = bare.message(), "a status without a reason");
            status(code, ErrorReason::Defect, bare.message(), [])
        }
    }
}

fn invalid(violations: Violations) -> Status {
    let (reason, untold) = (violations.reason(), violations.untold());
    let message = message::of_violations(&violations);
    let fields = violations.into_iter().map(|violation| FieldViolation::new(violation.field, violation.description));
    with_fields(info(reason, []), &message, fields.collect(), untold)
}

fn filter(error: &FilterError) -> Status {
    let mut metadata: Vec<_> =
        error.position().map(|position| ("position", position.to_string())).into_iter().collect();
    let mut reason = ErrorReason::InvalidFilter;
    if let Some((what, name, nearest)) = error.unknown() {
        reason = ErrorReason::UnknownFilterField;
        metadata.push((what, name.to_owned()));
        metadata.extend(nearest.map(|nearest| ("nearest", nearest.to_owned())));
    }
    field_with(reason, "filter", &error.to_string(), metadata)
}

fn field(reason: ErrorReason, field: &str, description: &str) -> Status {
    field_with(reason, field, description, [])
}

fn field_with(
    reason: ErrorReason,
    field: &str,
    description: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let message = message::with_reason(reason, &format!("{field}: {description}"));
    with_fields(info(reason, metadata), &message, vec![FieldViolation::new(field, description)], 0)
}

fn still_named(name: String, by: Vec<String>) -> Status {
    let message = format!("{name} cannot be deleted while others name it, see the details");
    let description = format!("names {name}");
    let mut details = info(ErrorReason::StillNamed, [("name", name)]);
    let reason = ErrorReason::StillNamed.as_str_name();
    let violations: Vec<_> =
        by.into_iter().map(|subject| PreconditionViolation::new(reason, subject, description.as_str())).collect();
    details.set_precondition_failure(violations);
    with_details(Code::FailedPrecondition, ErrorReason::StillNamed, &message, details)
}

fn too_large(what: &str) -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::MessageTooLarge,
        format!("{what} larger than {MESSAGE_BYTES} bytes"),
        [("limit_bytes", MESSAGE_BYTES.to_string())],
    )
}

fn unknown_method(path: &str) -> Status {
    let mut message = format!("there is no method {}", shown(path));
    if let Some(nearest) = method::nearest(path) {
        message.push_str(&format!("; did you mean {nearest:?}?"));
    }
    status(Code::Unimplemented, ErrorReason::UnknownMethod, message, [])
}

fn late() -> Status {
    status(Code::DeadlineExceeded, ErrorReason::Deadline, "the call took longer than it may", [])
}

fn overloaded() -> Status {
    retry_later(ErrorReason::Overloaded, "too much is asked of the service: repeat the call later")
}

fn retry_later(reason: ErrorReason, message: &str) -> Status {
    retry_later_with(reason, message, [])
}

fn retry_later_with(
    reason: ErrorReason,
    message: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    retry(Code::Unavailable, reason, message, metadata)
}

fn retry(
    code: Code,
    reason: ErrorReason,
    message: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let mut details = info(reason, metadata);
    details.set_retry_info(Some(Duration::from_secs(1)));
    with_details(code, reason, message, details)
}

fn status(
    code: Code,
    reason: ErrorReason,
    message: impl AsRef<str>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    with_details(code, reason, message.as_ref(), info(reason, metadata))
}

fn with_details(code: Code, reason: ErrorReason, message: &str, details: ErrorDetails) -> Status {
    Status::with_error_details(code, message::with_reason(reason, message), details)
}

/// The status for these fields and `untold` more, with as many of them as fit into the headers.
fn with_fields(details: ErrorDetails, message: &str, mut fields: Vec<FieldViolation>, mut untold: usize) -> Status {
    loop {
        let mut all = fields.clone();
        if untold > 0 {
            all.push(FieldViolation::new("", format!("and {untold} more")));
        }
        let mut details = details.clone();
        details.set_bad_request(all);
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        if fields.len() <= 1 || header_bytes(&status) <= MOST_HEADER_BYTES {
            return status;
        }
        fields.pop();
        untold += 1;
    }
}

/// The headers of a status as HTTP/2 counts them: each its name, its value and 32 bytes more.
fn header_bytes(status: &Status) -> usize {
    const NAMES: usize = "grpc-status".len() + "grpc-message".len() + "grpc-status-details-bin".len();
    const OVERHEAD: usize = NAMES + "99".len() + 3 * 32;
    OVERHEAD + encode_message(status.message().as_bytes()).len() + status.details().len().div_ceil(3) * 4
}

fn info(reason: ErrorReason, metadata: impl IntoIterator<Item = (&'static str, String)>) -> ErrorDetails {
    // Headers are bounded, see `Violations::MOST_BYTES`; a uri may be 2,048 bytes long, and that is the longest.
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(reason.as_str_name(), DOMAIN, metadata)
}
