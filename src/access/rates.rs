//! How often a caller may call.

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

/// How often those are forgotten who have not called for so long that they may call as often as anybody.
const FORGET_PERIOD: Duration = Duration::from_secs(10);

/// How often each caller has called.
#[derive(Debug)]
pub struct Rates {
    callers: DefaultKeyedRateLimiter<Caller>,
    clock: DefaultClock,
}

/// Whose calls are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    /// All who have this name.
    Named(Arc<str>),
    /// All without a name who come from there.
    From(IpAddr),
}

impl Rates {
    /// So many calls a second, and so many at once (default: as many as in a second); none: no limit.
    pub fn new(rate: u32, burst: Option<NonZeroU32>) -> Option<Self> {
        let rate = NonZeroU32::new(rate)?;
        let quota = Quota::per_second(rate).allow_burst(burst.unwrap_or(rate));
        Some(Self { callers: RateLimiter::keyed(quota), clock: DefaultClock::default() })
    }

    /// Counts a call.
    pub fn check(&self, principal: &Principal, address: IpAddr) -> Result<(), Denied> {
        let caller = match principal.is_anonymous() {
            true => Caller::From(network(address)),
            false => Caller::Named(principal.name.clone()),
        };
        self.callers
            .check_key(&caller)
            .map_err(|not_until| Denied::TooOften(not_until.wait_time_from(self.clock.now())))
    }

    /// Forgets callers. Does not end.
    pub async fn keep(&self) {
        loop {
            time::sleep(FORGET_PERIOD).await;
            self.callers.retain_recent();
            self.callers.shrink_to_fit();
        }
    }
}

/// One customer of a provider has at least a /64 of IPv6 addresses (RFC 6177).
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
    fn callers_are_counted_by_name_and_those_without_by_where_they_come_from() {
        let rates = Rates::new(1, NonZeroU32::new(2)).expect("a limit");
        let from = |text: &str| text.parse::<IpAddr>().expect("an address");
        let may = |principal: &Principal, address| rates.check(principal, from(address)).is_ok();
        let (one, other, nobody) = (named("token/a"), named("token/b"), Principal::anonymous(Role::Reader, false));
        assert!(may(&one, "10.0.0.1") && may(&one, "10.0.0.2") && !may(&one, "10.0.0.3"));
        assert!(may(&other, "10.0.0.1"));
        assert!(may(&nobody, "10.0.0.1") && may(&nobody, "::ffff:10.0.0.1") && !may(&nobody, "10.0.0.1"));
        assert!(may(&nobody, "10.0.0.2"));
        assert!(may(&nobody, "2001:db8::1") && may(&nobody, "2001:db8::ffff:2") && !may(&nobody, "2001:db8::3"));
        assert!(may(&nobody, "2001:db8:0:1::1"));
    }

    #[test]
    fn whoever_calls_too_often_is_told_how_long_to_wait() {
        let rates = Rates::new(2, NonZeroU32::new(1)).expect("a limit");
        let address = IpAddr::from([127, 0, 0, 1]);
        rates.check(&named("a"), address).expect("the first");
        let Err(Denied::TooOften(wait)) = rates.check(&named("a"), address) else { panic!("the second") };
        assert!(wait <= Duration::from_millis(500) && wait > Duration::from_millis(100), "{wait:?}");
        assert!(Rates::new(0, None).is_none());
    }
}
