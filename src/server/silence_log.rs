//! The log of connections that are dropped since their clients say nothing.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Lines a minute. Scanners of ports connect and send nothing: they must not fill the log. Evaluated by the compiler, so it
/// cannot panic.
const MOST_LINES: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Logs connections that were dropped for silence, some a minute, and counts the others.
#[derive(Debug)]
pub struct SilenceLog {
    limiter: DefaultDirectRateLimiter,
    unlogged: AtomicU64,
}

impl SilenceLog {
    /// For one port.
    pub fn new() -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_minute(MOST_LINES)), unlogged: AtomicU64::new(0) }
    }

    /// A connection from this address was dropped for this reason.
    pub fn log(&self, address: SocketAddr, reason: &str) {
        if self.limiter.check().is_err() {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unlogged = self.unlogged.swap(0, Ordering::Relaxed);
        tracing::info!(%address, reason, unlogged, "a connection was dropped for silence");
    }
}
