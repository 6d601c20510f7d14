//! Callers, the units that have a share.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// The unit that has a share of each resource: calls with an equal caller share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    /// The service itself: background jobs.
    Service,
    /// The callers with this principal.
    Named(Arc<str>),
    /// The callers without a principal from this network.
    From(IpAddr),
}

impl Caller {
    /// The callers without a principal at an address. The network is an IPv4 address, or an IPv6 /64: a customer has at
    /// least one /64 (RFC 6177).
    pub fn at(address: IpAddr) -> Self {
        Self::From(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        })
    }
}

/// The name of the principal, the network, or `service`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service"),
            Self::Named(name) => f.write_str(name),
            Self::From(IpAddr::V6(network)) => write!(f, "{network}/64"),
            Self::From(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_without_a_principal_are_told_apart_by_network() {
        let at = |address: &str| Caller::at(address.parse().expect("an address"));
        assert_eq!(at("10.0.0.1"), at("::ffff:10.0.0.1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(
            [at("10.0.0.1"), at("2001:db8::1"), Caller::Named("token/desk".into()), Caller::Service]
                .map(|caller| caller.to_string()),
            ["10.0.0.1", "2001:db8::/64", "token/desk", "service"]
        );
    }
}
