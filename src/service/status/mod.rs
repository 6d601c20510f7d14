//! Converts errors to gRPC statuses; the only place that names status codes.
//!
//! Each status has a message and details: an `ErrorInfo` with an `ErrorReason`, and field violations or retry delays
//! where they apply. The size of a status is bounded, since it travels in headers.

mod access;
mod details;
mod identity;
mod message;
mod size;
mod store;

use tonic::{Code, Status};
use tonic_types::{FieldViolation, PreconditionViolation, StatusExt};

use self::details::{field, field_with, info, retry_later, retry_later_with, status, with_details, with_fields};
pub use self::message::encode as encode_message;
use super::{
    error::ServiceError,
    method,
    read::stream_lifetime::{EndReason, Ended},
};
use crate::{
    json::Mismatch,
    model::{meeting::MAX_REPORTS, query::filter::FilterError, rules::Violations, text::quoted::quoted},
    pb::ErrorReason,
};

/// Maximum bytes of a request message.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// Maximum bytes of a malformed position that an error repeats.
const MAX_POSITION_BYTES: usize = 300;

/// The message for clients while the service shuts down.
const STOPPING: &str = "the service is stopping";

/// The header that lists the supported compressions.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        use ErrorReason as Reason;
        match error {
            ServiceError::Invalid(violations) => invalid(violations),
            ServiceError::Filter(error) => filter(&error),
            ServiceError::Order(error) => field(Reason::InvalidOrder, "order_by", &error.to_string()),
            ServiceError::HeadersTooLarge { size, limit } => status(
                Code::ResourceExhausted,
                Reason::HeadersTooLarge,
                format!("the headers of the call have {size} bytes, and {limit} are allowed"),
                [("size_bytes", size.to_string()), ("limit_bytes", limit.to_string())],
            ),
            ServiceError::PageToken => field(
                Reason::InvalidPageToken,
                "page_token",
                "was not given out by this service, or for a request with other fields",
            ),
            ServiceError::SameParticipant { field, name } => {
                let other = if field == "target" { "source" } else { "participant" };
                let description = format!("must be another participant than {other}");
                field_with(Reason::SameParticipant, field, &description, [("name", name)])
            }
            ServiceError::Identity(conflict) => identity::refused(conflict),
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
                format!("{name} has the uri {} already", quoted(&uri)),
                [("name", name), ("uri", uri)],
            ),
            ServiceError::DuplicateExternalId { name, scheme, value } => status(
                Code::AlreadyExists,
                Reason::DuplicateExternalId,
                format!("{name} has the external id {} of {scheme} already", quoted(&value)),
                [("name", name), ("scheme", scheme), ("value", value)],
            ),
            ServiceError::DuplicateMeeting { name, scheme, value, other } => {
                duplicate_meeting([name, scheme, value, other])
            }
            ServiceError::DuplicateReport(name) => status(
                Code::AlreadyExists,
                Reason::DuplicateReport,
                format!("the article already has the same report: {name}"),
                [("name", name)],
            ),
            ServiceError::ArticleDiffers { name, uri } => status(
                Code::AlreadyExists,
                Reason::ArticleDiffers,
                format!("{name} has the uri {} and other content: set allow_update to revise it", quoted(&uri)),
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
            ServiceError::NoStoredText(name) => {
                let message = format!("no text of {name} is stored: there is nothing to erase");
                status(Code::FailedPrecondition, Reason::NoStoredText, message, [("name", name)])
            }
            ServiceError::TextHidden { name, role } => access::text_hidden(name, role),
            ServiceError::AlreadyRetracted(name) => {
                let message = format!("{name} was retracted before");
                status(Code::FailedPrecondition, Reason::AlreadyRetracted, message, [("name", name)])
            }
            ServiceError::NotBound { name, participation } => {
                let message = format!("the participation {} of {name} has no binding", quoted(&participation));
                let metadata = [("name", name), ("participation", participation)];
                status(Code::FailedPrecondition, Reason::NotBound, message, metadata)
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
                let message = format!("{name} has no active report");
                status(Code::FailedPrecondition, Reason::NoActiveReport, message, [("name", name)])
            }
            ServiceError::StillNamed { name, by } => still_named(name, by),
            ServiceError::EtagMismatch { name, etag } => status(
                Code::Aborted,
                Reason::EtagMismatch,
                format!("the etag is not the current one of {name}: read it again"),
                [("name", name), ("etag", etag)],
            ),
            ServiceError::TooManyReports(name) => status(
                Code::FailedPrecondition,
                Reason::TooManyReports,
                format!("{name} would have more than {MAX_REPORTS} reports"),
                [("name", name), ("limit", MAX_REPORTS.to_string())],
            ),
            ServiceError::DryRunTooLarge => size::dry_run(),
            ServiceError::RequestTooLarge => size::request(),
            ServiceError::TooManyItems(breach) => size::too_many(&breach),
            ServiceError::ReportsTooLarge(over) => size::reports(over),
            ServiceError::MeetingTooLarge(over) => size::meeting(over),
            ServiceError::AnswerTooLarge(over) => size::answer(over),
            ServiceError::SourcesTooLarge(over) => size::sources(over),
            ServiceError::TooMuchChanged(changed) => size::changed(&changed),
            ServiceError::ReportTooLarge(over) => size::report(over),
            ServiceError::Cursor => field(Reason::InvalidCursor, "cursor", "was not given out by this service"),
            ServiceError::CursorOfAnotherFilter => {
                field(Reason::CursorOfAnotherFilter, "cursor", "was given out for another filter")
            }
            ServiceError::Position { field, mut position } => {
                position.truncate(position.floor_char_boundary(MAX_POSITION_BYTES));
                let description = format!("must be a position such as 5c9e71d0.1207, not {}", quoted(&position));
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
            ServiceError::OutOfScope { scope, subject } => access::out_of_scope(scope, subject),
            ServiceError::UnknownMethod(path) => unknown_method(&path),
            ServiceError::Stopping => retry_later(Reason::ShuttingDown, STOPPING),
            ServiceError::Ended(Ended { reason, resume }) => match reason {
                EndReason::Stopping => retry_later_with(Reason::ShuttingDown, STOPPING, resume),
                EndReason::LifetimeOver => {
                    retry_later_with(Reason::StreamLife, "the stream has reached its maximum age", resume)
                }
            },
            ServiceError::NotArrived(time) => status(
                Code::DeadlineExceeded,
                Reason::Deadline,
                format!("the request did not arrive in whole within {} s", time.as_secs_f64()),
                [],
            ),
            ServiceError::Overloaded => overloaded(),
            ServiceError::Store(error) => store::failed(&error),
        }
    }
}

/// The names of status codes, indexed by number (gRPC, statuscodes.md).
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

/// The reason of a status, for the log. The message is not logged, since it may contain data of the request.
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The status of a message that cannot be decoded.
pub fn malformed(problem: &str) -> Status {
    status(Code::InvalidArgument, ErrorReason::MalformedMessage, format!("not a valid message: {problem}"), [])
}

/// The status of a JSON text that is not a message of the contract. It names the value, if there is one at fault.
pub fn mismatch(mismatch: &Mismatch) -> Status {
    let bare = malformed(&mismatch.to_string());
    if mismatch.path.is_empty() {
        return bare;
    }
    let violation = FieldViolation::new(mismatch.path.clone(), mismatch.problem.clone());
    with_fields(info(ErrorReason::MalformedMessage, []), bare.message(), vec![violation], 0)
}

/// The status of a call whose client sends a stream over HTTP/1.1.
pub fn needs_http2() -> Status {
    let message = "this method sends and receives at the same time, which needs HTTP/2: connect with it";
    status(Code::Unimplemented, ErrorReason::NeedsHttp2, message, [])
}

/// The status of a request that a foreign web page may have sent.
pub fn host_not_allowed(reason: &str) -> Status {
    status(Code::PermissionDenied, ErrorReason::HostNotAllowed, reason, [])
}

/// The status of an internal error, whose cause is in the log.
pub fn defect() -> Status {
    status(Code::Internal, ErrorReason::Defect, "a defect of the service: see its log", [])
}

/// Adds a reason and details to a status without them, which comes from below the handlers. `path` is that of the
/// method.
pub fn add_details(bare: Status, path: &str) -> Status {
    if !bare.details().is_empty() {
        return bare;
    }
    match bare.code() {
        Code::Ok => bare,
        // tonic reports a message over the limit as OUT_OF_RANGE; the code of gRPC is RESOURCE_EXHAUSTED.
        Code::OutOfRange | Code::ResourceExhausted => size::of_message(bare.message()),
        Code::Unimplemented if bare.message().contains("compressed") => {
            let message = "the compression of the message is not supported";
            let mut unsupported = status(Code::Unimplemented, ErrorReason::UnsupportedCompression, message, []);
            if let Some(supported) = bare.metadata().get(ACCEPT_ENCODING) {
                unsupported.metadata_mut().insert(ACCEPT_ENCODING, supported.clone());
            }
            unsupported
        }
        Code::Unimplemented => unknown_method(path),
        Code::DeadlineExceeded | Code::Cancelled => status(bare.code(), ErrorReason::Deadline, bare.message(), []),
        Code::Unavailable => retry_later(ErrorReason::ShuttingDown, bare.message()),
        // The health service reports an unknown service so. Any client may send one: it is not a defect.
        Code::NotFound => status(bare.code(), ErrorReason::ResourceNotFound, bare.message(), []),
        // Statuses of this service have details. tonic reports a body that is not a sequence of whole messages so.
        Code::Internal => malformed(bare.message()),
        code => {
            tracing::warn!(?code, message = bare.message(), "a status without a reason");
            status(code, ErrorReason::Defect, bare.message(), [])
        }
    }
}

fn invalid(violations: Violations) -> Status {
    let (reason, omitted) = (violations.reason(), violations.omitted());
    let details = info(reason, violations.metadata());
    let message = message::for_violations(&violations);
    let fields = violations.into_iter().map(|violation| FieldViolation::new(violation.field, violation.description));
    with_fields(details, &message, fields.collect(), omitted)
}

fn filter(error: &FilterError) -> Status {
    let mut metadata: Vec<_> =
        error.position().map(|position| ("position", position.to_string())).into_iter().collect();
    let mut reason = ErrorReason::InvalidFilter;
    if let Some((key, name, nearest)) = error.unknown() {
        reason = ErrorReason::UnknownFilterField;
        metadata.push((key, name.to_owned()));
        metadata.extend(nearest.map(|nearest| ("nearest", nearest.to_owned())));
    }
    field_with(reason, "filter", &error.to_string(), metadata)
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

fn duplicate_meeting([name, scheme, value, other]: [String; 4]) -> Status {
    let mut message = format!("{name} has the external id {} of {scheme} already", quoted(&value));
    if !other.is_empty() {
        message.push_str(&format!(", and {other} another one of the same report: merge the two first"));
    }
    let metadata = [("name", name), ("scheme", scheme), ("value", value), ("other", other)];
    let metadata = metadata.into_iter().filter(|(_, value)| !value.is_empty());
    status(Code::AlreadyExists, ErrorReason::DuplicateMeeting, message, metadata)
}

fn unknown_method(path: &str) -> Status {
    let mut message = format!("there is no method {}", quoted(path));
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
