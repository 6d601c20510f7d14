//! The reaction of a client to a failed call: a pause and a repetition, or an end; and the failure in words.

use std::{error::Error, time::Duration};

use anyhow::anyhow;
use tokio::time::Instant;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::{Clients, console::Console};
use crate::error_chain;

/// How often a call is repeated before the service is given up: about half a minute, so that it may restart.
const MOST: u32 = 10;

/// A service that asks for a longer pause is asked again after this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Counts the failures in a row.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    most: u32,
    /// When the first of them was.
    began: Option<Instant>,
    console: Console,
    /// The service, as people know it.
    service: String,
}

impl Backoff {
    /// Gives up after half a minute.
    pub fn new(service: &str, console: &Console) -> Self {
        Self { failures: 0, most: MOST, began: None, console: console.clone(), service: service.to_owned() }
    }

    /// Never gives up on what may pass.
    pub fn endless(service: &str, console: &Console) -> Self {
        Self { most: u32::MAX, ..Self::new(service, console) }
    }

    /// Something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
        self.began = None;
        self.console.waited();
    }

    /// Waits until it is worth trying again, and says so if that takes long. An error, with the same status: it is not.
    pub async fn after(&mut self, status: Status) -> Result<(), Status> {
        match may_pass(&status) && self.wait(asked_pause(&status), &describe(&status)).await {
            true => Ok(()),
            false => Err(status),
        }
    }

    /// The same for a failure that may pass, with this cause. `false`: there were too many.
    pub async fn wait(&mut self, at_least: Duration, cause: &str) -> bool {
        if self.failures == self.most {
            return false;
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let pause = pause(self.failures).max(at_least.min(LONGEST_PAUSE));
        self.console.pause(&format!("{}: {cause}", self.service), began, pause).await;
        self.failures += 1;
        true
    }
}

/// 0.1 s, twice that each time, at most 5 s.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(6)).min(Duration::from_secs(5))
}

/// The pause that an answer asks for (`google.rpc.RetryInfo`); zero without one.
fn asked_pause(status: &Status) -> Duration {
    status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap_or_default()
}

impl Clients {
    /// Makes a call, again while its failure may pass.
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

/// Returns `true` if the same call may succeed later: the service is out of reach, or says when to call again.
pub fn may_pass(status: &Status) -> bool {
    is_lost(status) || status.code() == Code::Aborted || status.get_details_retry_info().is_some()
}

/// Whether the service, or its database, is out of reach. A status with a source was not answered but made here, of
/// a broken connection.
pub fn is_lost(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// Whether every other call would fail alike.
pub fn is_hopeless(status: &Status) -> bool {
    is_lost(status)
        || status.get_details_retry_info().is_some()
        || matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented)
}

/// The end of a command: no further call would do better. Not a `Status` any more.
pub fn given_up(status: Status) -> anyhow::Error {
    anyhow!("the service cannot be used: {}", describe(&status))
}

/// The reason of a status, as its details have it; else its code.
pub fn reason(status: &Status) -> String {
    match status.get_details_error_info() {
        Some(info) => info.reason,
        None => format!("{:?}", status.code()),
    }
}

/// A status in one line: its reason, and then each field with its fault; its message, where no field is at fault.
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

/// The message of a status without its reason, which may stand before it; with the causes of a broken connection.
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
    fn a_description_has_the_reason_and_each_fault_once() {
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
    fn a_reason_that_begins_the_message_is_not_repeated() {
        let details = ErrorDetails::with_error_info("ARTICLE_DIFFERS", "readout.v1", HashMap::new());
        let status = Status::with_error_details(Code::AlreadyExists, "ARTICLE_DIFFERS: it is there", details);
        assert_eq!(describe(&status), "ARTICLE_DIFFERS: it is there");
    }

    #[test]
    fn a_broken_connection_is_described_with_its_cause_once() {
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert_eq!(describe(&broken).matches("connection reset").count(), 1, "{}", describe(&broken));
    }

    #[test]
    fn only_failures_that_may_pass_are_repeated() {
        let retry = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let rate_limited = Status::with_error_details(Code::ResourceExhausted, "too often", retry);
        assert_eq!(asked_pause(&rate_limited), Duration::from_secs(3));
        for status in [Status::unavailable(""), Status::aborted(""), rate_limited] {
            assert!(may_pass(&status), "{status}");
        }
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert!(may_pass(&broken), "{broken}");
        for status in [
            Status::invalid_argument(""),
            Status::internal(""),
            Status::unimplemented(""),
            Status::resource_exhausted("too large"),
        ] {
            assert!(!may_pass(&status), "{status}");
        }
    }

    #[test]
    fn pauses_grow_up_to_five_seconds() {
        let total: Duration = (0..MOST).map(pause).sum();
        assert!((20..40).contains(&total.as_secs()), "{total:?}");
        assert_eq!(pause(MOST), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_pause_is_at_least_as_long_as_the_answer_asks() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(300)));
        let status = Status::with_error_details(Code::Unavailable, "later", details);
        let began = Instant::now();
        let mut backoff = Backoff::new("the service", &Console::new());
        backoff.after(status).await.expect("it may pass");
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
}
