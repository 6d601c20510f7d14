//! The limits on the size of a meeting: of its reports, of one report, and of what is settled from them.

use prost::Message;

use super::settle_inputs::SettleInputs;
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

/// Rejects the `added` reports if the meeting would then have too many, or too many bytes of them.
///
/// # Errors
/// `TooManyReports`, `ReportsTooLarge`.
pub fn check_report_limits<'a>(
    meeting: &str,
    inputs: &SettleInputs,
    added: impl IntoIterator<Item = &'a Report>,
) -> Result<(), ServiceError> {
    let (mut count, mut bytes) = (inputs.reports.len() + inputs.rulings.len(), inputs.bytes);
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{pb::Article, service::meeting::settle_inputs::ReportInput};

    #[test]
    fn check_report_limits_counts_only_the_bytes_of_each_part_after_a_partition() {
        let report = |name: &str| Report { name: name.into(), content_hash: "f".repeat(40), ..Default::default() };
        let input = |name| ReportInput::new(report(name), &Article::default(), Uuid::nil());
        let reports = vec![input("a"), input("b")];
        let all = SettleInputs { reports, rulings: vec![report("c")], bytes: MAX_REPORT_BYTES + 1, groups: None };
        assert!(check_report_limits("m", &all, []).is_err());
        for part in <[SettleInputs; 2]>::from(all.partition(&std::collections::BTreeSet::from(["a", "c"]))) {
            assert!((1..200).contains(&part.bytes));
            assert!(check_report_limits("m", &part, []).is_ok());
        }
    }
}
