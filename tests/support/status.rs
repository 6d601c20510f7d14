//! The details of an error status.

use readout::pb::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The parts of a status that a client acts on.
#[derive(Debug, PartialEq)]
pub struct Refused {
    pub code: Code,
    pub reason: ErrorReason,
    /// Paths of the invalid fields.
    pub fields: Vec<String>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let violations = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
        Self {
            code: status.code(),
            reason: reason_of(&status),
            fields: violations.into_iter().map(|violation| violation.field).collect(),
        }
    }
}

impl Refused {
    /// INVALID_ARGUMENT, INVALID_FIELD for these fields.
    pub fn invalid<const N: usize>(fields: [&str; N]) -> Self {
        Self::fields(ErrorReason::InvalidField, fields)
    }

    /// INVALID_ARGUMENT with this reason for these fields.
    pub fn fields<const N: usize>(reason: ErrorReason, fields: [&str; N]) -> Self {
        Self { code: Code::InvalidArgument, reason, fields: fields.map(str::to_owned).into() }
    }

    /// An error without invalid fields.
    pub fn with(code: Code, reason: ErrorReason) -> Self {
        Self { code, reason, fields: Vec::new() }
    }
}

/// The reason of a status. Every status of the service has one.
#[track_caller]
pub fn reason_of(status: &Status) -> ErrorReason {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason in {status:?}"));
    assert_eq!(info.domain, "readout.v1");
    ErrorReason::from_str_name(&info.reason).unwrap_or_else(|| panic!("unknown reason {}", info.reason))
}

/// One metadata entry of the reason of a status.
#[track_caller]
pub fn metadata_of(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason in {status:?}"));
    info.metadata.get(key).cloned().unwrap_or_else(|| panic!("no {key} in {:?}", info.metadata))
}

/// Asserts that a status is this error for one resource, which its metadata names.
#[track_caller]
pub fn refused(status: Status, code: Code, reason: ErrorReason, name: &str) {
    assert_eq!(metadata_of(&status, "name"), name);
    assert_eq!(Refused::from(status), Refused::with(code, reason));
}
