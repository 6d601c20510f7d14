//! The limits on open connections, in total and per client address.
//!
//! A new connection beyond a limit takes the slot of one without an open call, if there is one: so connections that do
//! nothing keep nobody out.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::open_calls::OpenCalls;
use crate::{
    config::Transport,
    fairness::{Caller, held_back},
};

/// Of the connections that lost their slots, at most this fraction of the limit may still be closing.
const CLOSING_DIVISOR: usize = 8;

/// Counts open connections against the limits. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    max_total: usize,
    max_per_address: usize,
    open: Arc<Mutex<OpenConnections>>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next_id: u64,
    counted: HashMap<u64, OpenConnection>,
    /// The counted connections of each network.
    per_address: HashMap<Caller, HashSet<u64>>,
    /// The connections that lost their slots and are not closed yet.
    closing: usize,
}

#[derive(Debug)]
struct OpenConnection {
    network: Caller,
    handle: ConnectionHandle,
}

/// The state that the limiter shares with a connection. Clones share it too.
#[derive(Debug, Clone)]
pub struct ConnectionHandle {
    /// The open calls of the connection.
    pub calls: OpenCalls,
    /// Cancelled when the connection has lost its slot to a new one, and must close.
    pub evicted: CancellationToken,
}

/// One counted connection; dropping it frees the slot.
#[derive(Debug)]
pub struct ConnectionSlot {
    limit: ConnectionLimit,
    id: u64,
    handle: ConnectionHandle,
}

impl ConnectionLimit {
    /// A limiter with the configured limits.
    pub fn new(config: &Transport) -> Self {
        let max_per_address = match config.max_connections_per_address {
            0 => usize::MAX,
            limit => limit as usize,
        };
        Self { max_total: config.max_connections as usize, max_per_address, open: Arc::default() }
    }

    /// Takes a slot for a connection from this address. `None` if a limit is reached, and every connection within the
    /// limit has an open call.
    pub fn acquire(&self, address: IpAddr) -> Option<ConnectionSlot> {
        let network = Caller::at(address);
        let mut open = self.open();
        let of_network = open.per_address.get(&network).map_or(0, HashSet::len);
        if (of_network >= self.max_per_address || open.counted.len() >= self.max_total)
            && !open.evict_idle(self, (of_network >= self.max_per_address).then_some(&network))
        {
            drop(open);
            held_back::refused(&network, "connection");
            return None;
        }
        open.next_id += 1;
        let id = open.next_id;
        let handle = ConnectionHandle { calls: OpenCalls::new(), evicted: CancellationToken::new() };
        open.per_address.entry(network.clone()).or_default().insert(id);
        open.counted.insert(id, OpenConnection { network, handle: handle.clone() });
        open.record();
        Some(ConnectionSlot { limit: self.clone(), id, handle })
    }

    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// Takes the slot of a connection without an open call, of this network if one is given. False if there is none.
    fn evict_idle(&mut self, limit: &ConnectionLimit, network: Option<&Caller>) -> bool {
        let max_closing = (limit.max_total.min(limit.max_per_address) / CLOSING_DIVISOR).max(1);
        if self.closing >= max_closing {
            return false;
        }
        let idle_of = |id: &u64| self.counted.get(id)?.handle.calls.idle_now().map(|idle| (idle, *id));
        let idle = match network {
            Some(network) => self.per_address.get(network).into_iter().flatten().filter_map(idle_of).min(),
            None => self.counted.keys().filter_map(idle_of).min(),
        };
        let Some((_, id)) = idle else { return false };
        let Some(connection) = self.remove(id) else { return false };
        self.closing += 1;
        connection.handle.evicted.cancel();
        true
    }

    fn remove(&mut self, id: u64) -> Option<OpenConnection> {
        let connection = self.counted.remove(&id)?;
        if let Some(of_network) = self.per_address.get_mut(&connection.network) {
            of_network.remove(&id);
            if of_network.is_empty() {
                self.per_address.remove(&connection.network);
            }
        }
        Some(connection)
    }

    fn record(&self) {
        metrics::gauge!("readout_connections_open").set((self.counted.len() + self.closing) as f64);
    }
}

impl ConnectionSlot {
    /// The handle of the connection.
    pub fn handle(&self) -> &ConnectionHandle {
        &self.handle
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.limit.open();
        if open.remove(self.id).is_none() {
            open.closing -= 1;
        }
        open.record();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(max_connections: u32, max_connections_per_address: u32) -> ConnectionLimit {
        ConnectionLimit::new(&Transport { max_connections, max_connections_per_address, ..Default::default() })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn slots_with_open_calls_are_limited_in_total_and_per_address() {
        let limit = limit(3, 2);
        let acquire = |text: &str| {
            let slot = limit.acquire(address(text))?;
            let call = slot.handle.calls.open();
            Some((slot, call))
        };
        let first = acquire("192.0.2.1").expect("a slot");
        let _second = acquire("::ffff:192.0.2.1").expect("a slot");
        assert!(acquire("192.0.2.1").is_none());
        let _third = acquire("192.0.2.2").expect("a slot for another address");
        assert!(acquire("192.0.2.2").is_none());
        drop(first);
        let _fourth = acquire("192.0.2.1").expect("a free slot");
        drop((_second, _third, _fourth));
        let open = limit.open();
        assert!(open.per_address.is_empty() && open.counted.is_empty() && open.closing == 0);
    }

    #[test]
    fn new_connection_takes_the_slot_of_one_without_an_open_call() {
        let limit = limit(100, 3);
        let address = address("192.0.2.1");
        let slots: Vec<_> = (0..3).map(|_| limit.acquire(address).expect("a slot")).collect();
        let _open = slots[0].handle.calls.open();
        drop(slots[1].handle.calls.open());
        // The third has never had a call, the second had one.
        let fourth = limit.acquire(address).expect("the slot of the third");
        let evicted =
            |slots: &[ConnectionSlot]| slots.iter().map(|slot| slot.handle.evicted.is_cancelled()).collect::<Vec<_>>();
        assert_eq!(evicted(&slots), [false, false, true]);
        // No further slot is taken while too many connections are closing.
        assert!(limit.acquire(address).is_none());
        let mut slots = slots;
        drop(slots.pop());
        let _call = fourth.handle.calls.open();
        let _fifth = limit.acquire(address).expect("the slot of the second");
        assert_eq!(evicted(&slots), [false, true]);
    }

    #[test]
    fn limit_in_total_takes_slots_of_any_address() {
        let limit = limit(1, 0);
        let first = limit.acquire(address("192.0.2.1")).expect("a slot");
        let _second = limit.acquire(address("2001:db8::1")).expect("the slot of the first");
        assert!(first.handle.evicted.is_cancelled());
    }
}
