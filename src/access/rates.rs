//! The rate limit of each caller.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio::time;

use super::denied::Denied;
use crate::fairness::Caller;

/// The interval at which idle rate-limiter entries are evicted.
const EVICTION_PERIOD: Duration = Duration::from_secs(10);

/// A rate limiter with an entry per caller.
#[derive(Debug)]
pub struct CallerRates {
    callers: DefaultKeyedRateLimiter<Caller>,
    clock: DefaultClock,
}

impl CallerRates {
    /// A limiter for `rate` calls per second and bursts of `burst` calls (default: `rate`). `None` if `rate` is 0,
    /// which means no limit.
    pub fn new(rate: u32, burst: Option<NonZeroU32>) -> Option<Self> {
        let rate = NonZeroU32::new(rate)?;
        let quota = Quota::per_second(rate).allow_burst(burst.unwrap_or(rate));
        Some(Self { callers: RateLimiter::keyed(quota), clock: DefaultClock::default() })
    }

    /// Counts a call.
    ///
    /// # Errors
    /// The caller exceeds its rate: `TooOften`, with the time to wait.
    pub fn check(&self, caller: &Caller) -> Result<(), Denied> {
        self.callers.check_key(caller).map_err(|not_until| Denied::TooOften(not_until.wait_time_from(self.clock.now())))
    }

    /// Evicts idle callers periodically. Never returns.
    pub async fn evict_idle(&self) {
        loop {
            time::sleep(EVICTION_PERIOD).await;
            self.callers.retain_recent();
            self.callers.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Caller {
        Caller::Named(name.into())
    }

    #[test]
    fn each_caller_has_a_rate_of_its_own() {
        let rates = CallerRates::new(1, NonZeroU32::new(2)).expect("a limit");
        let is_allowed = |caller: &Caller| rates.check(caller).is_ok();
        let anonymous = Caller::at("10.0.0.1".parse().expect("an address"));
        for caller in [named("token/a"), named("token/b"), anonymous] {
            assert!(is_allowed(&caller) && is_allowed(&caller) && !is_allowed(&caller), "{caller}");
        }
    }

    #[test]
    fn caller_above_its_rate_gets_the_time_to_wait() {
        let rates = CallerRates::new(2, NonZeroU32::new(1)).expect("a limit");
        rates.check(&named("a")).expect("the first");
        let Err(Denied::TooOften(wait)) = rates.check(&named("a")) else { panic!("the second") };
        assert!(wait <= Duration::from_millis(500) && wait > Duration::from_millis(100), "{wait:?}");
        assert!(CallerRates::new(0, None).is_none());
    }
}
