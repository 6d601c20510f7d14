//! The rate limit of each caller.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio::time;

use super::{Principal, denied::Denied};

/// The interval at which idle rate-limiter entries are evicted.
const EVICTION_PERIOD: Duration = Duration::from_secs(10);

/// A rate limiter with an entry per caller.
#[derive(Debug)]
pub struct CallerRates {
    callers: DefaultKeyedRateLimiter<Caller>,
    clock: DefaultClock,
}

/// The key of a rate limit: calls with the same key are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    /// The callers with this name.
    Named(Arc<str>),
    /// The callers without a name from this network.
    From(IpAddr),
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
    pub fn check(&self, principal: &Principal, address: IpAddr) -> Result<(), Denied> {
        let caller = match principal.is_anonymous() {
            true => Caller::From(network(address)),
            false => Caller::Named(principal.name.clone()),
        };
        self.callers
            .check_key(&caller)
            .map_err(|not_until| Denied::TooOften(not_until.wait_time_from(self.clock.now())))
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

/// The network whose calls are counted together: an IPv4 address, or an IPv6 /64. A customer has at least one /64
/// (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::role::Role;

    fn named(name: &str) -> Principal {
        Principal { name: name.into(), role: Role::Reader, is_open: false }
    }

    #[test]
    fn callers_are_counted_by_name_and_anonymous_ones_by_network() {
        let rates = CallerRates::new(1, NonZeroU32::new(2)).expect("a limit");
        let from = |text: &str| text.parse::<IpAddr>().expect("an address");
        let is_allowed = |principal: &Principal, address| rates.check(principal, from(address)).is_ok();
        let (first, second, anonymous) =
            (named("token/a"), named("token/b"), Principal::anonymous(Role::Reader, false));
        assert!(is_allowed(&first, "10.0.0.1") && is_allowed(&first, "10.0.0.2") && !is_allowed(&first, "10.0.0.3"));
        assert!(is_allowed(&second, "10.0.0.1"));
        assert!(
            is_allowed(&anonymous, "10.0.0.1")
                && is_allowed(&anonymous, "::ffff:10.0.0.1")
                && !is_allowed(&anonymous, "10.0.0.1")
        );
        assert!(is_allowed(&anonymous, "10.0.0.2"));
        assert!(
            is_allowed(&anonymous, "2001:db8::1")
                && is_allowed(&anonymous, "2001:db8::ffff:2")
                && !is_allowed(&anonymous, "2001:db8::3")
        );
        assert!(is_allowed(&anonymous, "2001:db8:0:1::1"));
    }

    #[test]
    fn caller_above_its_rate_gets_the_time_to_wait() {
        let rates = CallerRates::new(2, NonZeroU32::new(1)).expect("a limit");
        let address = IpAddr::from([127, 0, 0, 1]);
        rates.check(&named("a"), address).expect("the first");
        let Err(Denied::TooOften(wait)) = rates.check(&named("a"), address) else { panic!("the second") };
        assert!(wait <= Duration::from_millis(500) && wait > Duration::from_millis(100), "{wait:?}");
        assert!(CallerRates::new(0, None).is_none());
    }
}
