//! The lifetime of streams. A stream ends when the service stops or after a bounded time; the client then resumes it
//! on a new connection, possibly to another instance.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The limits of the streams of a service.
#[derive(Debug, Clone)]
pub struct StreamLimits {
    /// Cancelled when the service stops.
    pub stopping: CancellationToken,
    /// Maximum age of a stream, plus up to a tenth at random; zero: no limit.
    pub longest: Duration,
}

/// The lifetime of one stream.
#[derive(Debug, Clone)]
pub struct StreamLifetime {
    stopping: CancellationToken,
    end: Option<Instant>,
}

/// The reason why the service ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The service is stopping.
    Stopping,
    /// The stream reached its maximum age.
    LifetimeOver,
}

/// A stream that the service ended before its result was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The reason.
    pub reason: EndReason,
    /// The point where the client can resume, as a key and value of the error's metadata.
    pub resume: Option<(&'static str, String)>,
}

impl StreamLimits {
    /// Starts the lifetime of a stream.
    pub fn begin(&self) -> StreamLifetime {
        let random = Uuid::now_v7().as_bytes()[15];
        let end = self.length(random).and_then(|length| Instant::now().checked_add(length));
        StreamLifetime { stopping: self.stopping.clone(), end }
    }

    /// Spreads the ends of streams that began together, such as after a restart.
    fn length(&self, random: u8) -> Option<Duration> {
        let extra = self.longest.mul_f64(0.1 * f64::from(random) / 255.0);
        Some(self.longest.saturating_add(extra)).filter(|length| !length.is_zero())
    }
}

impl StreamLifetime {
    /// Waits for the end of the stream's life.
    pub async fn ended(&self) -> EndReason {
        let expired = async {
            match self.end {
                Some(end) => sleep_until(end).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => EndReason::Stopping,
            () = expired => EndReason::LifetimeOver,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_length_varies_by_up_to_a_tenth_and_is_unlimited_for_zero() {
        let limits =
            |longest| StreamLimits { stopping: CancellationToken::new(), longest: Duration::from_secs(longest) };
        let hundred = limits(100);
        assert_eq!(hundred.length(0), Some(Duration::from_secs(100)));
        assert_eq!(hundred.length(255), Some(Duration::from_secs(110)));
        assert_eq!(limits(0).length(255), None);
    }
}
