//! What is told of a panic: where it was, and what it said if those are words of ours. Others may quote a text that
//! was being worked on.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    panic,
};

/// Has panics told in the log, with the call that they end.
pub fn log_them() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(place, words = words(info.payload()), backtrace, "a defect of the service: a panic");
    }));
}

/// Text that was not put together at run time holds nothing but what stands in the source.
fn words(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[test]
    fn only_what_stands_in_the_source_is_told_of_a_panic() {
        let words_of = |panics: fn()| words(panic::catch_unwind(panics).unwrap_err().as_ref());
        assert_eq!(words_of(|| panic!("no such thing")), Some("no such thing"));
        assert_eq!(words_of(|| panic!("no such thing: {}", std::process::id())), None);
        assert_eq!(words_of(|| panic_any(7)), None);
    }
}
