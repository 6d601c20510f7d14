//! How long a stream lives: until the service stops, or until it has had its time and its client goes on elsewhere.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What bounds the streams of a service.
#[derive(Debug, Clone)]
pub struct StreamLimits {
    /// The service stops.
    pub stopping: CancellationToken,
    /// A stream lives so long, up to a tenth more; zero is for ever.
    pub longest: Duration,
}

/// The life of one stream.
#[derive(Debug, Clone)]
pub struct Life {
    stopping: CancellationToken,
    end: Option<Instant>,
}

/// Why a stream ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The service stops.
    Stopping,
    /// It has had its time.
    Life,
}

/// The end of a stream before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub why: EndReason,
    /// Where its client goes on, as the metadata of the reason say it.
    pub resume: Option<(&'static str, String)>,
}

impl StreamLimits {
    /// A stream begins.
    pub fn begin(&self) -> Life {
        let random = Uuid::now_v7().as_bytes()[15];
        let end = self.length(random).and_then(|length| Instant::now().checked_add(length));
        Life { stopping: self.stopping.clone(), end }
    }

    /// Streams that began together, after a restart say, do not end together.
    fn length(&self, random: u8) -> Option<Duration> {
        let more = self.longest.mul_f64(0.1 * f64::from(random) / 255.0);
        Some(self.longest.saturating_add(more)).filter(|length| !length.is_zero())
    }
}

impl Life {
    /// Waits for the end.
    pub async fn ended(&self) -> EndReason {
        let had_its_time = async {
            match self.end {
                Some(end) => sleep_until(end).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => EndReason::Stopping,
            () = had_its_time => EndReason::Life,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_begin_together_end_within_a_tenth_of_their_life() {
        let lives =
            |longest| StreamLimits { stopping: CancellationToken::new(), longest: Duration::from_secs(longest) };
        let hundred = lives(100);
        assert_eq!(hundred.length(0), Some(Duration::from_secs(100)));
        assert_eq!(hundred.length(255), Some(Duration::from_secs(110)));
        assert_eq!(lives(0).length(255), None);
    }
}
