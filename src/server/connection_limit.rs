//! The limits on open connections, in total and per client address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::config::Transport;

/// Counts open connections against the limits. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    max_total: u32,
    max_per_address: u32,
    open: Arc<Mutex<OpenConnections>>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: u32,
    /// Empty if there is no limit per address.
    per_address: HashMap<IpAddr, u32>,
}

/// One counted connection; dropping it frees the slot.
#[derive(Debug)]
pub struct ConnectionSlot {
    limit: ConnectionLimit,
    address: IpAddr,
}

impl ConnectionLimit {
    /// A limiter with the configured limits.
    pub fn new(config: &Transport) -> Self {
        let max_per_address = config.max_connections_per_address;
        Self { max_total: config.max_connections, max_per_address, open: Arc::default() }
    }

    /// Takes a slot for a connection from this address. `None` if a limit is reached.
    pub fn acquire(&self, address: IpAddr) -> Option<ConnectionSlot> {
        // A dual-stack socket reports IPv4 addresses as IPv4-mapped IPv6 ones: count them together.
        let address = address.to_canonical();
        let mut open = self.open();
        if open.total == self.max_total {
            return None;
        }
        if self.max_per_address > 0 {
            let per_address = open.per_address.entry(address).or_default();
            if *per_address == self.max_per_address {
                return None;
            }
            *per_address += 1;
        }
        open.total += 1;
        metrics::gauge!("readout_connections_open").set(open.total);
        Some(ConnectionSlot { limit: self.clone(), address })
    }

    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.limit.open();
        open.total -= 1;
        metrics::gauge!("readout_connections_open").set(open.total);
        if let Some(per_address) = open.per_address.get_mut(&self.address) {
            *per_address -= 1;
            if *per_address == 0 {
                open.per_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_limited_in_total_and_per_address() {
        let limit = ConnectionLimit::new(&Transport {
            max_connections: 3,
            max_connections_per_address: 2,
            ..Default::default()
        });
        let [first_address, second_address]: [IpAddr; 2] =
            ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().expect("an address"));
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        let first = limit.acquire(first_address).expect("a slot");
        let _second = limit.acquire(mapped).expect("a slot");
        assert!(limit.acquire(first_address).is_none());
        let _third = limit.acquire(second_address).expect("a slot for another address");
        assert!(limit.acquire(second_address).is_none());
        drop(first);
        let _fourth = limit.acquire(first_address).expect("a free slot");
        drop((_second, _third, _fourth));
        assert!(limit.open().per_address.is_empty());
    }
}
