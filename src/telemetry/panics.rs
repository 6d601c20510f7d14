//! Logs panics: the location, and the message if it is a literal of the source. A formatted message may quote data that
//! was being processed.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    panic,
};

/// Installs a panic hook that writes to the log, with the span of the call that panicked.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(place, words = literal_message(info.payload()), backtrace, "a defect of the service: a panic");
    }));
}

/// The message, if it was not formatted at run time: a literal holds no data.
fn literal_message(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[test]
    fn only_literal_panic_messages_are_logged() {
        let message_of = |panics: fn()| literal_message(panic::catch_unwind(panics).unwrap_err().as_ref());
        assert_eq!(message_of(|| panic!("no such thing")), Some("no such thing"));
        assert_eq!(message_of(|| panic!("no such thing: {}", std::process::id())), None);
        assert_eq!(message_of(|| panic_any(7)), None);
    }
}
