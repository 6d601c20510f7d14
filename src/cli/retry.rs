//! Classifies failed calls, repeats those that may succeed later with exponential backoff, and describes failures.

use std::{error::Error, time::Duration};

use anyhow::anyhow;
use tokio::time::Instant;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::{Clients, console::Console};
use crate::{error_chain, pb::ErrorReason};

/// Maximum number of retries: about half a minute, enough for a restart.
const MAX_RETRIES: u32 = 10;

/// Maximum pause between calls, even if the service asks for a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Exponential backoff. Counts consecutive failures.
#[derive(Debug)]
pub struct CallBackoff {
    failures: u32,
    max_failures: u32,
    /// The time of the first failure.
    began: Option<Instant>,
    console: Console,
    /// The address of the service, for messages.
    service: String,
}

impl CallBackoff {
    /// Gives up after half a minute.
    pub fn new(service: &str, console: &Console) -> Self {
        Self {
            failures: 0,
            max_failures: MAX_RETRIES,
            began: None,
            console: console.clone(),
            service: service.to_owned(),
        }
    }

    /// Never gives up on transient failures.
    pub fn endless(service: &str, console: &Console) -> Self {
        Self { max_failures: u32::MAX, ..Self::new(service, console) }
    }

    /// Records a success.
    pub fn reset(&mut self) {
        self.failures = 0;
        self.began = None;
        self.console.waited();
    }

    /// Waits before the next attempt after a failed call. Returns the status as an error if it is not transient, or
    /// after too many failures.
    pub async fn after(&mut self, status: Status) -> Result<(), Status> {
        match is_transient(&status) && self.wait(requested_pause(&status), &describe(&status)).await {
            true => Ok(()),
            false => Err(status),
        }
    }

    /// Waits before the next attempt after a transient failure with this cause. Returns `false` after too many
    /// failures.
    pub async fn wait(&mut self, at_least: Duration, cause: &str) -> bool {
        if self.failures == self.max_failures {
            return false;
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let pause = pause(self.failures).max(at_least.min(MAX_PAUSE));
        self.console.pause(&format!("{}: {cause}", self.service), began, pause).await;
        self.failures += 1;
        true
    }
}

/// The pause after a number of failures: 0.1 s, doubled for each failure, at most 5 s.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(6)).min(Duration::from_secs(5))
}

/// The pause that a status asks for (`google.rpc.RetryInfo`); zero if it asks for none.
fn requested_pause(status: &Status) -> Duration {
    status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap_or_default()
}

impl Clients {
    /// Makes a call, and repeats it while its failure is transient.
    pub async fn repeat<C: Clone, Q: Clone, A>(
        &self,
        client: &C,
        request: &Q,
        call: impl AsyncFn(C, Q) -> Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        let mut backoff = self.backoff();
        loop {
            match self.answer(call(client.clone(), request.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => backoff.after(status).await?,
            }
        }
    }
}

/// Returns `true` if the same call may succeed later: the service is unreachable, or states when to call again.
pub fn is_transient(status: &Status) -> bool {
    is_unreachable(status) || status.code() == Code::Aborted || status.get_details_retry_info().is_some()
}

/// Returns `true` if the service, or its database, is unreachable. A status with a source is not from the service: the
/// client made it from a broken connection.
pub fn is_unreachable(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// Returns `true` if every other call would fail for the same reason.
pub fn is_fatal(status: &Status) -> bool {
    is_unreachable(status)
        || status.get_details_retry_info().is_some()
        || matches!(status.code(), Code::Unauthenticated | Code::Unimplemented)
        // Another article can be in the caller's scope, and need not hide its text.
        || status.code() == Code::PermissionDenied
            && ![ErrorReason::OutOfScope, ErrorReason::TextHidden].map(|of| of.as_str_name()).contains(&reason(status).as_str())
}

/// Converts a fatal status to the error that ends a command. The error is no longer a `Status`, so that callers do not
/// retry it.
pub fn given_up(status: Status) -> anyhow::Error {
    anyhow!("the service cannot be used: {}", describe(&status))
}

/// The reason of a status from its details (`google.rpc.ErrorInfo`), else its code.
pub fn reason(status: &Status) -> String {
    match status.get_details_error_info() {
        Some(info) => info.reason,
        None => format!("{:?}", status.code()),
    }
}

/// Describes a status in one line: its reason, then each invalid field with its fault, or the message if no field is
/// named.
pub fn describe(status: &Status) -> String {
    let reason = reason(status);
    let violations = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
    let faults: Vec<String> = violations
        .iter()
        .map(|violation| format!("{} {}", violation.field, violation.description).trim().to_owned())
        .collect();
    let text = match faults.is_empty() {
        true => message(status, &reason),
        false => faults.join("; "),
    };
    format!("{reason}: {text}")
}

/// The message of a status without a leading reason, with the causes of a broken connection.
fn message(status: &Status, reason: &str) -> String {
    let message = status.message();
    let message = message.strip_prefix(reason).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message);
    let mut line = message.to_owned();
    error_chain::append(&mut line, status.source());
    line
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn invalid(message: &str) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info("INVALID_FIELD", "readout.v1", HashMap::new());
        details.add_bad_request_violation("story.article.uri", "is required");
        details.add_bad_request_violation("story.reports[0].key", "is required");
        Status::with_error_details(Code::InvalidArgument, message, details)
    }

    #[test]
    fn description_has_the_reason_and_each_fault_once() {
        for message in ["2 fields are wrong", "story.article.uri is required", "INVALID_FIELD: story.article.uri: …"]
        {
            assert_eq!(
                describe(&invalid(message)),
                "INVALID_FIELD: story.article.uri is required; story.reports[0].key is required"
            );
        }
        assert_eq!(describe(&Status::internal("oh")), "Internal: oh");
    }

    #[test]
    fn description_does_not_repeat_a_reason_that_begins_the_message() {
        let details = ErrorDetails::with_error_info("ARTICLE_DIFFERS", "readout.v1", HashMap::new());
        let status = Status::with_error_details(Code::AlreadyExists, "ARTICLE_DIFFERS: it is there", details);
        assert_eq!(describe(&status), "ARTICLE_DIFFERS: it is there");
    }

    #[test]
    fn description_has_the_cause_of_a_broken_connection_once() {
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert_eq!(describe(&broken).matches("connection reset").count(), 1, "{}", describe(&broken));
    }

    #[test]
    fn transient_failures_are_those_that_may_succeed_later() {
        let retry = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let rate_limited = Status::with_error_details(Code::ResourceExhausted, "too often", retry);
        assert_eq!(requested_pause(&rate_limited), Duration::from_secs(3));
        for status in [Status::unavailable(""), Status::aborted(""), rate_limited] {
            assert!(is_transient(&status), "{status}");
        }
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert!(is_transient(&broken), "{broken}");
        for status in [
            Status::invalid_argument(""),
            Status::internal(""),
            Status::unimplemented(""),
            Status::resource_exhausted("too large"),
        ] {
            assert!(!is_transient(&status), "{status}");
        }
    }

    #[test]
    fn pauses_grow_up_to_five_seconds_and_last_half_a_minute() {
        let total: Duration = (0..MAX_RETRIES).map(pause).sum();
        assert!((20..40).contains(&total.as_secs()), "{total:?}");
        assert_eq!(pause(MAX_RETRIES), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn pause_is_at_least_as_long_as_the_status_asks() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(300)));
        let status = Status::with_error_details(Code::Unavailable, "later", details);
        let began = Instant::now();
        let mut backoff = CallBackoff::new("the service", &Console::new());
        backoff.after(status).await.expect("it may pass");
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
}
