//! Work that waits for a batch: a queue for each caller, served in turn.

use std::collections::{HashMap, VecDeque};

use super::Caller;

/// Items in a queue for each caller.
#[derive(Debug)]
pub struct Backlog<T> {
    queues: HashMap<Caller, VecDeque<T>>,
    /// The callers with items, in the order in which they are served.
    turns: VecDeque<Caller>,
}

impl<T> Backlog<T> {
    /// True if there is no item.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Adds an item at the end of its caller's queue.
    pub fn push(&mut self, caller: Caller, item: T) {
        let queue = self.queues.entry(caller.clone()).or_default();
        if queue.is_empty() {
            self.turns.push_back(caller);
        }
        queue.push_back(item);
    }

    /// Takes the next item, and lets the next caller have its turn. `None` without an item, or if the next one is not
    /// accepted: it keeps its turn.
    pub fn pop_if(&mut self, is_accepted: impl FnOnce(&T) -> bool) -> Option<T> {
        let caller = self.turns.front()?;
        let queue = self.queues.get_mut(caller)?;
        let item = queue.pop_front_if(|item| is_accepted(item))?;
        let caller = self.turns.pop_front()?;
        match queue.is_empty() {
            true => drop(self.queues.remove(&caller)),
            false => self.turns.push_back(caller),
        }
        Some(item)
    }
}

/// No items.
impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), turns: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_served_in_turn_and_the_items_of_each_in_order() {
        let mut backlog = Backlog::default();
        let [many, few] = ["many", "few"].map(|name| Caller::Named(name.into()));
        for item in [1, 2, 3] {
            backlog.push(many.clone(), item);
        }
        for item in [10, 11] {
            backlog.push(few.clone(), item);
        }
        assert_eq!(backlog.pop_if(|_| false), None);
        let mut taken = Vec::new();
        while let Some(item) = backlog.pop_if(|_| true) {
            taken.push(item);
            if item == 2 {
                backlog.push(many.clone(), 4);
            }
        }
        assert_eq!(taken, [1, 10, 2, 11, 3, 4]);
        assert!(backlog.is_empty() && backlog.queues.is_empty());
    }
}
