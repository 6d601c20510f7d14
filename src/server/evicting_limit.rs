//! The open connections of the operations port. When there are too many, one is closed for the next.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The open connections, at most `max` of them. Clones share them.
#[derive(Debug, Clone)]
pub struct OpenConnections {
    max: usize,
    open: Arc<Mutex<Connections>>,
}

#[derive(Debug, Default)]
struct Connections {
    /// Counts the openings and the requests: a larger number is later.
    clock: u64,
    by_number: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    /// The time of its last request, or of its opening.
    last_used: u64,
    closed: CancellationToken,
}

/// One of the open connections. Dropping it removes it.
#[derive(Debug)]
pub struct OpenConnection {
    connections: OpenConnections,
    number: u64,
    /// Cancelled when the connection has to make room for another one.
    pub closed: CancellationToken,
}

impl OpenConnections {
    /// No connections yet.
    pub fn new(max: usize) -> Self {
        Self { max, open: Arc::default() }
    }

    /// Adds a connection. If there are `max` already, closes one of the address that has most of them: the one whose
    /// last request is longest ago. A client with many connections so takes no place of a probe from elsewhere.
    pub fn open(&self, address: IpAddr) -> OpenConnection {
        let address = address.to_canonical();
        let mut open = self.lock();
        if open.by_number.len() >= self.max {
            open.close_one();
        }
        let number = open.tick();
        let closed = CancellationToken::new();
        open.by_number.insert(number, Entry { address, last_used: number, closed: closed.clone() });
        OpenConnection { connections: self.clone(), number, closed }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn close_one(&mut self) {
        let mut per_address = HashMap::<IpAddr, usize>::new();
        for entry in self.by_number.values() {
            *per_address.entry(entry.address).or_default() += 1;
        }
        let rank = |entry: &Entry| (per_address[&entry.address], u64::MAX - entry.last_used);
        let number = self.by_number.iter().max_by_key(|(_, entry)| rank(entry)).map(|(number, _)| *number);
        if let Some(entry) = number.and_then(|number| self.by_number.remove(&number)) {
            entry.closed.cancel();
        }
    }
}

impl OpenConnection {
    /// Records that a request has arrived on the connection.
    pub fn used(&self) {
        let mut open = self.connections.lock();
        let now = open.tick();
        if let Some(entry) = open.by_number.get_mut(&self.number) {
            entry.last_used = now;
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.lock().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(connections: &[OpenConnection]) -> Vec<usize> {
        let is_closed =
            |(index, connection): (usize, &OpenConnection)| connection.closed.is_cancelled().then_some(index);
        connections.iter().enumerate().filter_map(is_closed).collect()
    }

    #[test]
    fn connection_beyond_the_limit_closes_the_one_that_is_unused_longest() {
        let (open, address) = (OpenConnections::new(3), IpAddr::from([192, 0, 2, 1]));
        let mut connections: Vec<_> = (0..3).map(|_| open.open(address)).collect();
        assert_eq!(closed(&connections), [0; 0]);
        connections[0].used();
        connections.push(open.open(address));
        assert_eq!(closed(&connections), [1]);
        connections.push(open.open(address));
        assert_eq!(closed(&connections), [1, 2]);
        connections.push(open.open(address));
        assert_eq!(closed(&connections), [0, 1, 2]);
        connections.clear();
        assert!(open.lock().by_number.is_empty());
    }

    #[test]
    fn connection_beyond_the_limit_closes_one_of_the_address_with_most() {
        let open = OpenConnections::new(4);
        let [probe, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let oldest = open.open(probe);
        let others: Vec<_> = (0..8).map(|_| open.open(other)).collect();
        assert!(!oldest.closed.is_cancelled());
        assert_eq!(closed(&others), [0, 1, 2, 3, 4]);
        let _second = open.open(probe);
        assert!(!oldest.closed.is_cancelled());
    }
}
