//! How many connections there are, in all and of each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::config::Transport;

/// Room for connections; a clone is of the same room.
#[derive(Debug, Clone)]
pub struct Places {
    most: u32,
    most_of_address: u32,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: u32,
    /// Empty while an address has no bound of its own.
    of_address: HashMap<IpAddr, u32>,
}

/// Room for one connection, given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionSlot {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// As many as are configured.
    pub fn new(config: &Transport) -> Self {
        let most_of_address = config.max_connections_per_address;
        Self { most: config.max_connections, most_of_address, taken: Arc::default() }
    }

    /// Room for one more connection from this address, if there is some.
    pub fn take(&self, address: IpAddr) -> Option<ConnectionSlot> {
        // An address of version 4 is the same one, however the socket tells it.
        let address = address.to_canonical();
        let mut taken = self.taken();
        if taken.total == self.most {
            return None;
        }
        if self.most_of_address > 0 {
            let of_address = taken.of_address.entry(address).or_default();
            if *of_address == self.most_of_address {
                return None;
            }
            *of_address += 1;
        }
        taken.total += 1;
        metrics::gauge!("readout_connections_open").set(taken.total);
        Some(ConnectionSlot { places: self.clone(), address })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.total -= 1;
        metrics::gauge!("readout_connections_open").set(taken.total);
        if let Some(of_address) = taken.of_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.of_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_as_much_room_as_is_configured_in_all_and_for_each_address() {
        let places =
            Places::new(&Transport { max_connections: 3, max_connections_per_address: 2, ..Default::default() });
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().expect("an address"));
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        let first = places.take(one).expect("room");
        let _second = places.take(mapped).expect("room");
        assert!(places.take(one).is_none());
        let _third = places.take(other).expect("room for another address");
        assert!(places.take(other).is_none());
        drop(first);
        let _fourth = places.take(one).expect("room again");
        drop((_second, _third, _fourth));
        assert!(places.taken().of_address.is_empty());
    }
}
