//! What a client does about a failed call: which ones to repeat, how long to wait, and how to tell of it.

use std::{error::Error, time::Duration};

use anyhow::anyhow;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// How often a call is repeated before the service is given up: about half a minute, so that it may restart.
const MOST: u32 = 10;

/// Counts the failures in a row.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    most: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { failures: 0, most: MOST }
    }
}

impl Backoff {
    /// Never gives up on what may pass.
    pub fn endless() -> Self {
        Self { failures: 0, most: u32::MAX }
    }

    /// Something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits until it is worth trying again. An error, with the same status: it is not.
    pub async fn after(&mut self, status: Status) -> Result<(), Status> {
        if !is_passing(&status) || self.failures == self.most {
            return Err(status);
        }
        tokio::time::sleep(pause(self.failures)).await;
        self.failures += 1;
        Ok(())
    }
}

/// 0.1 s, twice that each time, at most 5 s.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(6)).min(Duration::from_secs(5))
}

/// Makes a call, again while its failure may pass.
pub async fn repeat<C: Clone, Q: Clone, A>(
    client: &C,
    request: &Q,
    call: impl AsyncFn(C, Q) -> Result<Response<A>, Status>,
) -> Result<A, Status> {
    let mut backoff = Backoff::default();
    loop {
        match call(client.clone(), request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => backoff.after(status).await?,
        }
    }
}

/// Whether the same call may succeed later.
pub fn is_passing(status: &Status) -> bool {
    is_lost(status) || status.code() == Code::Aborted
}

/// Whether the service, or its database, is out of reach. A status with a source was not answered but made here, of
/// a broken connection.
pub fn is_lost(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// Whether every other call would fail alike.
pub fn is_hopeless(status: &Status) -> bool {
    is_lost(status) || matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented)
}

/// The end of a command: no further call would do better. Not a `Status` any more.
pub fn given_up(status: Status) -> anyhow::Error {
    anyhow!("the service cannot be used: {}", describe(&status))
}

/// A status in one line: its reason, its message, and each field with what is wrong there.
pub fn describe(status: &Status) -> String {
    let reason = match status.get_details_error_info() {
        Some(info) => info.reason,
        None => format!("{:?}", status.code()),
    };
    let mut text = format!("{reason}: {}", status.message());
    for violation in status.get_details_bad_request().into_iter().flat_map(|request| request.field_violations) {
        text.push_str(&format!("; {} {}", violation.field, violation.description));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_status_is_told_with_its_reason_and_all_fields() {
        let mut details = ErrorDetails::new();
        details.set_error_info("INVALID_FIELD", "readout.v1", HashMap::new());
        details.add_bad_request_violation("story.article.uri", "is required");
        details.add_bad_request_violation("story.reports[0].key", "is required");
        let status = Status::with_error_details(Code::InvalidArgument, "2 fields are wrong", details);
        assert_eq!(
            describe(&status),
            "INVALID_FIELD: 2 fields are wrong; story.article.uri is required; story.reports[0].key is required"
        );
        assert_eq!(describe(&Status::internal("oh")), "Internal: oh");
    }

    #[test]
    fn only_failures_that_may_pass_are_repeated() {
        for status in [Status::unavailable(""), Status::aborted("")] {
            assert!(is_passing(&status), "{status}");
        }
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert!(is_passing(&broken), "{broken}");
        for status in [Status::invalid_argument(""), Status::internal(""), Status::unimplemented("")] {
            assert!(!is_passing(&status), "{status}");
        }
    }

    #[test]
    fn pauses_grow_up_to_five_seconds() {
        let total: Duration = (0..MOST).map(pause).sum();
        assert!((20..40).contains(&total.as_secs()), "{total:?}");
        assert_eq!(pause(MOST), Duration::from_secs(5));
    }
}
