//! A rate-limited log of connections that are dropped because their clients are silent.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Port scanners connect and send nothing: they must not fill the log.
const MAX_LINES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Logs silent connections up to the rate limit, and counts the rest.
#[derive(Debug)]
pub struct DroppedConnectionLog {
    limiter: DefaultDirectRateLimiter,
    unlogged: AtomicU64,
}

impl DroppedConnectionLog {
    /// A log for one port.
    pub fn new() -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_minute(MAX_LINES_PER_MINUTE)), unlogged: AtomicU64::new(0) }
    }

    /// Logs that a connection from this address was dropped for this reason.
    pub fn log(&self, address: SocketAddr, reason: &str) {
        if self.limiter.check().is_err() {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unlogged = self.unlogged.swap(0, Ordering::Relaxed);
        tracing::info!(%address, reason, unlogged, "a connection was dropped for silence");
    }
}
