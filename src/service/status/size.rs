//! Statuses of messages and records that are larger than they may be. Each names the size and the limit.

use tonic::{Code, Status};

use super::{MESSAGE_BYTES, details::status};
use crate::{
    model::{
        message_bound::Oversize,
        resource::Collection,
        rules::wire_limits::{Breach, MAX_FIELDS, MAX_ITEMS},
    },
    pb::ErrorReason,
    service::ingest::MAX_DRY_RUN_BYTES,
    store::query::former::{MAX_FORMER, TooMuchChanged},
};

/// The status of a message above the limit, from the message of tonic's status. Only that of a response that a handler
/// made too large names an encoded message.
pub fn of_message(message: &str) -> Status {
    let mut numbers = message.split(' ').filter_map(|word| word.parse().ok());
    match (message.contains("encoded message"), numbers.next(), numbers.next()) {
        (true, Some(bytes), Some(max_bytes)) => answer(Oversize { name: String::new(), bytes, max_bytes }),
        _ => request(),
    }
}

/// The status of a request above the limit. Its size is unknown: reading stops at the limit.
pub fn request() -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::MessageTooLarge,
        format!("the message is larger than {MESSAGE_BYTES} bytes"),
        [("limit_bytes", MESSAGE_BYTES.to_string())],
    )
}

/// The status of a request that is refused before it is decoded.
pub fn too_many(breach: &Breach) -> Status {
    let metadata = match breach {
        Breach::Field(_) => vec![],
        Breach::Items => vec![("limit_items", MAX_ITEMS)],
        Breach::Fields => vec![("limit_fields", MAX_FIELDS)],
        Breach::Memory { bytes, limit } => vec![("bytes", *bytes), ("limit_memory_bytes", *limit)],
    };
    let metadata = metadata.into_iter().map(|(key, value)| (key, value.to_string()));
    status(Code::ResourceExhausted, ErrorReason::MessageTooLarge, format!("the message {breach}"), metadata)
}

/// The status of a dry run that would write too much.
pub fn dry_run() -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::DryRunTooLarge,
        format!("the stories would write more than the {MAX_DRY_RUN_BYTES} bytes that a dry run keeps: divide them"),
        [("limit_bytes", MAX_DRY_RUN_BYTES.to_string())],
    )
}

/// The status of an answer above the limit: one record, or several together.
pub fn answer(Oversize { name, bytes, max_bytes }: Oversize) -> Status {
    let subject = if name.is_empty() { "the answer" } else { &name };
    let message = format!("{subject} has {bytes} bytes, and an answer at most {max_bytes}");
    message_too_large(message, name, bytes, max_bytes)
}

/// The status of an answer that would be made of more than one call may read.
pub fn sources(Oversize { name, bytes, max_bytes }: Oversize) -> Status {
    let message = format!(
        "the answer would be made of reports of {bytes} bytes, and one call reads at most {max_bytes}: ask for fewer \
         meetings, or for the BASIC view"
    );
    message_too_large(message, name, bytes, max_bytes)
}

/// The status of a query as of a time since which too much has changed.
pub fn changed(changed: &TooMuchChanged) -> Status {
    let subject = |of: Collection| ("collection", of.as_str().to_owned());
    let (message, metadata) = match changed {
        TooMuchChanged::Records(of, limit) => (
            format!("more than {limit} {} have changed since read_time: ask for a later time", of.as_str()),
            vec![subject(*of), ("limit", limit.to_string())],
        ),
        TooMuchChanged::Bytes(of, bytes) => (
            format!(
                "the {} that have changed since read_time have {bytes} bytes, and one call reads at most {}: ask for a \
                 later time",
                of.as_str(),
                MAX_FORMER.bytes
            ),
            vec![subject(*of), ("bytes", bytes.to_string()), ("limit_bytes", MAX_FORMER.bytes.to_string())],
        ),
        TooMuchChanged::Rows(limit) => (
            format!("the records that have changed since read_time add more than {limit} rows to the query"),
            vec![("limit_rows", limit.to_string())],
        ),
    };
    status(Code::ResourceExhausted, ErrorReason::TooMuchChanged, message, metadata)
}

/// The status of a report that no answer could carry.
pub fn report(Oversize { name, bytes, max_bytes }: Oversize) -> Status {
    message_too_large(
        format!("the report would have {bytes} bytes, and can have at most {max_bytes}"),
        name,
        bytes,
        max_bytes,
    )
}

fn message_too_large(message: String, name: String, bytes: usize, max_bytes: usize) -> Status {
    let name = Some(("name", name)).filter(|(_, name)| !name.is_empty());
    let sizes = [("bytes", bytes.to_string()), ("limit_bytes", max_bytes.to_string())];
    status(Code::ResourceExhausted, ErrorReason::MessageTooLarge, message, name.into_iter().chain(sizes))
}

/// The status of a meeting that would be settled on more than answers can carry.
pub fn meeting(over: Oversize) -> Status {
    let subject = if over.name.is_empty() { "the meeting" } else { &over.name };
    let Oversize { bytes, max_bytes, .. } = over;
    let message = format!("{subject} would have {bytes} settled bytes, and can have at most {max_bytes}");
    precondition(ErrorReason::MeetingTooLarge, message, over)
}

/// The status of a meeting whose reports would be too large together.
pub fn reports(over: Oversize) -> Status {
    let Oversize { name, bytes, max_bytes } = &over;
    let message = format!("{name} would have reports of {bytes} bytes, and can have at most {max_bytes}");
    precondition(ErrorReason::TooManyReports, message, over)
}

fn precondition(reason: ErrorReason, message: String, Oversize { name, bytes, max_bytes }: Oversize) -> Status {
    let metadata = [("name", name), ("bytes", bytes.to_string()), ("max_bytes", max_bytes.to_string())];
    status(Code::FailedPrecondition, reason, message, metadata)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn of_message_tells_responses_from_requests() {
        let limits = |message: &str| {
            let metadata = of_message(message).get_details_error_info().unwrap().metadata;
            (metadata.get("bytes").cloned(), metadata["limit_bytes"].clone())
        };
        let response = "Error, encoded message length too large: found 4000001 bytes, the limit is: 4000000 bytes";
        assert_eq!(limits(response), (Some("4000001".to_owned()), "4000000".to_owned()));
        let request = "Error, decoded message length too large: found 9000000 bytes, the limit is: 8388608 bytes";
        assert_eq!(limits(request), (None, "8388608".to_owned()));
    }
}
