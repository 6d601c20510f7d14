//! Standard error of a command: a progress bar on a terminal, and messages, escaped for terminals.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::escape;

/// Shorter waits are not reported.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// The time between the first two messages about a wait. It doubles up to `MAX_INTERVAL`.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// The console that the parts of a command share. Clones are the same console.
#[derive(Debug, Clone)]
pub struct Console {
    bar: ProgressBar,
    wait: Arc<Mutex<Option<Wait>>>,
}

/// The schedule of messages about a wait.
#[derive(Debug)]
struct Wait {
    next_line: Instant,
    interval: Duration,
}

impl Console {
    /// Creates a console without a progress bar.
    pub fn new() -> Self {
        Self { bar: ProgressBar::hidden(), wait: Arc::default() }
    }

    /// Creates a console with a progress bar that counts `unit`, such as "records".
    pub fn counting(unit: &str) -> Self {
        // Draws nothing if standard error is not a terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template(&format!("{{elapsed}} {{human_pos}} {unit}, {{per_sec}}")) {
            bar.set_style(style);
        }
        Self { bar, ..Self::new() }
    }

    /// Advances the progress bar by one.
    pub fn count(&self) {
        self.bar.inc(1);
    }

    /// Removes the progress bar, before the last messages.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Writes a message as one line.
    pub fn say(&self, line: &str) {
        // Standard error may be closed: the error is ignored.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{}", escape::text(line));
        });
    }

    /// Awaits a future. If that takes long, reports "waiting for " and `what`.
    pub async fn awaiting<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let mut pause = SHORT_WAIT;
        loop {
            tokio::select! {
                output = &mut future => return output,
                () = sleep(pause) => {
                    self.say_waiting(what);
                    pause = Duration::from_secs(1);
                }
            }
        }
    }

    /// Sleeps before another attempt. Once the wait since `began` is long, reports "waiting for " and `what`.
    pub async fn pause(&self, what: &str, began: Instant, pause: Duration) {
        if began.elapsed() + pause > SHORT_WAIT {
            self.say_waiting(what);
        }
        sleep(pause).await;
    }

    /// Reports a wait, unless any part of the command reported one a short time ago.
    pub fn say_waiting(&self, what: &str) {
        let is_due = Wait::is_due(&mut self.wait.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if is_due {
            self.say(&format!("waiting for {what}"));
        }
    }

    /// Ends the wait.
    pub fn waited(&self) {
        *self.wait.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Wait {
    /// Returns `true` if a message is due now, and schedules the next one.
    fn is_due(wait: &mut Option<Self>, now: Instant) -> bool {
        let interval = match wait {
            Some(wait) if now < wait.next_line => return false,
            Some(wait) => (2 * wait.interval).min(MAX_INTERVAL),
            None => FIRST_INTERVAL,
        };
        *wait = Some(Self { next_line: now + interval, interval });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_a_wait_become_rarer_up_to_one_a_minute() {
        let (mut wait, began) = (None, Instant::now());
        let mut due = |seconds| Wait::is_due(&mut wait, began + Duration::from_secs(seconds));
        let times: Vec<u64> = (0..300).filter(|seconds| due(*seconds)).collect();
        assert_eq!(times, [0, 10, 30, 70, 130, 190, 250]);
        assert!(Wait::is_due(&mut None, began));
    }
}
