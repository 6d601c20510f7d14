//! Standard error of a command: progress on a terminal, and lines for people, each safe to print.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::escape;

/// A wait shorter than this is not worth a line.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// The time between the first two lines about a wait, which doubles up to the longest.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// The one place where the parts of a command write their lines. A clone is the same console.
#[derive(Debug, Clone)]
pub struct Console {
    bar: ProgressBar,
    wait: Arc<Mutex<Option<Wait>>>,
}

/// The lines about a wait that lasts.
#[derive(Debug)]
struct Wait {
    next_line: Instant,
    interval: Duration,
}

impl Console {
    /// One that shows nothing but lines.
    pub fn new() -> Self {
        Self { bar: ProgressBar::hidden(), wait: Arc::default() }
    }

    /// One that counts these on a terminal: "records".
    pub fn counting(what: &str) -> Self {
        // Draws nothing where standard error is not a terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template(&format!("{{elapsed}} {{human_pos}} {what}, {{per_sec}}")) {
            bar.set_style(style);
        }
        Self { bar, ..Self::new() }
    }

    /// Counts one more.
    pub fn count(&self) {
        self.bar.inc(1);
    }

    /// Ends the progress, before the last lines.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Writes a line.
    pub fn say(&self, line: &str) {
        // Nobody may read standard error any more.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{}", escape::text(line));
        });
    }

    /// Awaits what may take long; while it does, says so: "waiting for " and `what`.
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

    /// Sleeps before another attempt. Once the wait since `began` gets long, says so: "waiting for " and `what`.
    pub async fn pause(&self, what: &str, began: Instant, pause: Duration) {
        if began.elapsed() + pause > SHORT_WAIT {
            self.say_waiting(what);
        }
        sleep(pause).await;
    }

    /// Says that a wait lasts, unless that was said a short time ago, by whatever part of the command.
    pub fn say_waiting(&self, what: &str) {
        let is_due = Wait::is_due(&mut self.wait.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if is_due {
            self.say(&format!("waiting for {what}"));
        }
    }

    /// The wait is over.
    pub fn waited(&self) {
        *self.wait.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Wait {
    /// Returns `true` if a line is to be written now, and takes note of it.
    fn is_due(wait: &mut Option<Self>, now: Instant) -> bool {
        let interval = match wait {
            Some(wait) if now < wait.next_line => return false,
            Some(wait) => (2 * wait.interval).min(LONGEST_INTERVAL),
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
    fn lines_about_a_wait_get_rarer_until_it_is_over() {
        let (mut wait, began) = (None, Instant::now());
        let mut due = |seconds| Wait::is_due(&mut wait, began + Duration::from_secs(seconds));
        let lines: Vec<u64> = (0..300).filter(|seconds| due(*seconds)).collect();
        assert_eq!(lines, [0, 10, 30, 70, 130, 190, 250]);
        assert!(Wait::is_due(&mut None, began));
    }
}
