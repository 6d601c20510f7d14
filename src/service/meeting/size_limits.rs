//! The limits on the size of a meeting: of its reports, of one report, and of what is settled from them.

use prost::Message;

use crate::{
    model::{
        meeting::{MAX_REPORT_BYTES, MAX_REPORTS, settled_bytes},
        message_bound::{MessageBound, Oversize},
        report::reported_bytes,
    },
    pb::{Meeting, Report},
    service::error::ServiceError,
};

/// Rejects a meeting that would be settled on more bytes than answers can carry. A meeting that is too large already,
/// in a store of release 0.1.0 for example, may become smaller.
///
/// Only writes that add something are rejected. A retraction can make a meeting larger, because a longer value or a
/// list that a ruling replaced takes the place of another. It is accepted, as is the result of settling again after a
/// change of an article: what is wrong must be retractable, and the settler must end. Reads then name the meeting.
///
/// # Errors
/// `MeetingTooLarge`.
pub fn check_settled_size(bound: MessageBound, next: &Meeting, former: Option<&Meeting>) -> Result<(), ServiceError> {
    let (bytes, max_bytes) = (settled_bytes(next), bound.stored());
    if bytes <= max_bytes || former.is_some_and(|former| bytes <= settled_bytes(former)) {
        return Ok(());
    }
    let name = former.map(|former| former.name.clone()).unwrap_or_default();
    Err(ServiceError::MeetingTooLarge(Oversize { name, bytes, max_bytes }))
}

/// Rejects a report that no answer could carry.
///
/// # Errors
/// `ReportTooLarge`.
pub fn check_report_size(bound: MessageBound, report: &Report) -> Result<(), ServiceError> {
    let (bytes, max_bytes) = (reported_bytes(report), bound.stored());
    match bytes > max_bytes {
        true => Err(ServiceError::ReportTooLarge(Oversize { name: String::new(), bytes, max_bytes })),
        false => Ok(()),
    }
}

/// Rejects the `added` reports if the meeting would then have too many, or too many bytes of them. It has `count` reports
/// of `bytes`.
///
/// # Errors
/// `TooManyReports`, `ReportsTooLarge`.
pub fn check_report_limits<'a>(
    meeting: &str,
    (mut count, mut bytes): (usize, usize),
    added: impl IntoIterator<Item = &'a Report>,
) -> Result<(), ServiceError> {
    for report in added {
        count += 1;
        bytes += report.encoded_len();
    }
    if count > MAX_REPORTS {
        return Err(ServiceError::TooManyReports(meeting.to_owned()));
    }
    match bytes > MAX_REPORT_BYTES {
        true => Err(reports_too_large(meeting, bytes)),
        false => Ok(()),
    }
}

/// The error of a meeting that would have too many bytes of reports.
pub fn reports_too_large(meeting: &str, bytes: usize) -> ServiceError {
    ServiceError::ReportsTooLarge(Oversize { name: meeting.to_owned(), bytes, max_bytes: MAX_REPORT_BYTES })
}
