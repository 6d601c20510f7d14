//! Reports which callers had to wait for their share, or were refused: a metric by caller and bound, and a log line a
//! minute.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use metrics::counter;

use super::Caller;

/// The time between two log lines.
const PERIOD: Duration = Duration::from_secs(60);
/// A caller that waited for longer is logged. Shorter waits are part of normal work, and are only counted.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// Maximum number of callers that the metric names. Later ones are counted as `other`, so that the number of time
/// series is bounded.
const MAX_NAMED: usize = 64;

static LOG: LazyLock<Mutex<Log>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Log {
    named: HashSet<Caller>,
    /// The events since the last line.
    events: HashMap<(Caller, &'static str), u64>,
    last_line: Option<Instant>,
}

/// Counts a call that waited for its share of the resource `bound`.
pub fn waited(caller: &Caller, bound: &'static str, time: Duration) {
    record(caller, bound, time >= LONG_WAIT);
}

/// Counts a call that was refused because its caller had its share of the resource `bound`.
pub fn refused(caller: &Caller, bound: &'static str) {
    record(caller, bound, true);
}

fn record(caller: &Caller, bound: &'static str, is_logged: bool) {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    counter!("readout_held_back_total", "bound" => bound, "caller" => log.label(caller)).increment(1);
    let line = if is_logged { log.count(caller, bound, Instant::now()) } else { None };
    drop(log);
    if let Some((caller, bound, calls)) = line {
        tracing::warn!(%caller, bound, calls, "a caller is held back: it has its share");
    }
}

impl Log {
    fn label(&mut self, caller: &Caller) -> String {
        if self.named.len() < MAX_NAMED && !self.named.contains(caller) {
            self.named.insert(caller.clone());
        }
        if self.named.contains(caller) { caller.to_string() } else { "other".to_owned() }
    }

    /// Counts an event. Returns the most frequent one, with its count, if a line is due.
    fn count(&mut self, caller: &Caller, bound: &'static str, now: Instant) -> Option<(Caller, &'static str, u64)> {
        if self.events.len() < 4 * MAX_NAMED || self.events.contains_key(&(caller.clone(), bound)) {
            *self.events.entry((caller.clone(), bound)).or_default() += 1;
        }
        if self.last_line.is_some_and(|last| now.duration_since(last) < PERIOD) {
            return None;
        }
        self.last_line = Some(now);
        let most = self.events.drain().max_by_key(|(_, calls)| *calls);
        most.map(|((caller, bound), calls)| (caller, bound, calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_names_the_caller_that_is_held_back_most_once_a_minute() {
        let (mut log, start) = (Log::default(), Instant::now());
        let (few, many) = (Caller::Named("token/few".into()), Caller::Named("token/many".into()));
        assert_eq!(log.count(&few, "calls", start), Some((few.clone(), "calls", 1)));
        for _ in 0..3 {
            assert_eq!(log.count(&many, "streams", start + PERIOD / 2), None);
        }
        assert_eq!(log.count(&few, "calls", start + PERIOD), Some((many, "streams", 3)));
    }

    #[test]
    fn metric_names_a_bounded_number_of_callers() {
        let mut log = Log::default();
        let caller = |number: usize| Caller::Named(format!("jwt/{number}").into());
        for number in 0..MAX_NAMED {
            assert_eq!(log.label(&caller(number)), format!("jwt/{number}"));
        }
        assert_eq!(log.label(&caller(MAX_NAMED)), "other");
        assert_eq!(log.label(&caller(0)), "jwt/0");
    }
}
