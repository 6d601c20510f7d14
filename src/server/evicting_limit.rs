//! A limit that refuses nobody: one more takes the place of another one.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// At most `max` slots, one for each connection that needs one. Clones share them.
#[derive(Debug, Clone)]
pub struct EvictingLimit {
    max: usize,
    open: Arc<Mutex<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Counts the openings and the uses of slots: a larger number is later.
    clock: u64,
    by_number: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    /// The time of its last use, or of its opening.
    last_used: u64,
    evicted: CancellationToken,
}

/// A slot of a connection. Dropping it frees the slot.
#[derive(Debug)]
pub struct Slot {
    limit: EvictingLimit,
    number: u64,
    /// Cancelled when another connection has taken the slot.
    pub evicted: CancellationToken,
}

impl EvictingLimit {
    /// A limit with free slots only.
    pub fn new(max: usize) -> Self {
        Self { max, open: Arc::default() }
    }

    /// Takes a slot. If none is free, takes one of the address that has most of them: the one whose last use is longest
    /// ago. So a client with many connections takes no slot of a client with few.
    pub fn open(&self, address: IpAddr) -> Slot {
        let address = address.to_canonical();
        let mut open = self.lock();
        if open.by_number.len() >= self.max {
            open.evict_one();
        }
        let number = open.tick();
        let evicted = CancellationToken::new();
        open.by_number.insert(number, Entry { address, last_used: number, evicted: evicted.clone() });
        Slot { limit: self.clone(), number, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn evict_one(&mut self) {
        let mut per_address = HashMap::<IpAddr, usize>::new();
        for entry in self.by_number.values() {
            *per_address.entry(entry.address).or_default() += 1;
        }
        let rank = |entry: &Entry| (per_address[&entry.address], u64::MAX - entry.last_used);
        let number = self.by_number.iter().max_by_key(|(_, entry)| rank(entry)).map(|(number, _)| *number);
        if let Some(entry) = number.and_then(|number| self.by_number.remove(&number)) {
            entry.evicted.cancel();
        }
    }
}

impl Slot {
    /// Records that the connection is in use.
    pub fn used(&self) {
        let mut open = self.limit.lock();
        let now = open.tick();
        if let Some(entry) = open.by_number.get_mut(&self.number) {
            entry.last_used = now;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.limit.lock().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evicted(slots: &[Slot]) -> Vec<usize> {
        let is_evicted = |(index, slot): (usize, &Slot)| slot.evicted.is_cancelled().then_some(index);
        slots.iter().enumerate().filter_map(is_evicted).collect()
    }

    #[test]
    fn slot_beyond_the_limit_evicts_the_one_that_is_unused_longest() {
        let (open, address) = (EvictingLimit::new(3), IpAddr::from([192, 0, 2, 1]));
        let mut slots: Vec<_> = (0..3).map(|_| open.open(address)).collect();
        assert_eq!(evicted(&slots), [0; 0]);
        slots[0].used();
        slots.push(open.open(address));
        assert_eq!(evicted(&slots), [1]);
        slots.push(open.open(address));
        assert_eq!(evicted(&slots), [1, 2]);
        slots.push(open.open(address));
        assert_eq!(evicted(&slots), [0, 1, 2]);
        slots.clear();
        assert!(open.lock().by_number.is_empty());
    }

    #[test]
    fn slot_beyond_the_limit_evicts_one_of_the_address_with_most() {
        let open = EvictingLimit::new(4);
        let [probe, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let oldest = open.open(probe);
        let others: Vec<_> = (0..8).map(|_| open.open(other)).collect();
        assert!(!oldest.evicted.is_cancelled());
        assert_eq!(evicted(&others), [0, 1, 2, 3, 4]);
        let _second = open.open(probe);
        assert!(!oldest.evicted.is_cancelled());
    }
}
