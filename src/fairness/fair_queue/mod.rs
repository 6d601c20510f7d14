//! A bounded resource with a queue for each caller in front of it.
//!
//! The resource has a shared part and a reserve. A caller alone may hold the whole shared part. From the reserve a
//! caller may take while it would hold at most half of what is free of both parts: so callers that hold much take
//! nothing from it, and some of it is always left for the next new caller (a dynamic threshold: A. Choudhury and
//! E. Hahne, "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM ToN 6, 1998).
//!
//! The number of waiting calls is not bounded here. A call that waited too long is refused.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::HashMap;
use metrics::{counter, histogram};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{Caller, held_back};

/// The reserve is this fraction of the shared part, and at least 1.
const RESERVE_DIVISOR: u64 = 8;
/// If the queue of a caller stays non-empty for longer than `longest_wait`, its new calls wait at most this fraction of
/// it. Such a queue does not absorb a burst, it only delays every call (CoDel with a bounded sojourn: B. Maurer, "Fail
/// at Scale", ACM Queue 13, 2015).
const OVERLOAD_DIVISOR: u32 = 10;

/// Divides a resource among callers. Clones share it.
#[derive(Debug, Clone)]
pub struct FairQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The name of the resource: a label in metrics.
    bound: &'static str,
    shared: u64,
    /// The shared part and the reserve.
    total: u64,
    longest_wait: Duration,
    /// `State::held`, to be read without the lock.
    held: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: u64,
    callers: HashMap<Caller, Share>,
    /// The callers with waiting calls, in the order in which they are served.
    waiting: BTreeSet<Turn>,
    /// Counts tickets and grants.
    clock: u64,
}

#[derive(Debug)]
struct Share {
    held: u64,
    /// The time of the last grant, or of the first call that waits for one: of callers that hold the same, the one with
    /// the earliest time is next.
    served: u64,
    waiting: VecDeque<Waiting>,
    /// The time since which calls wait.
    waiting_since: Instant,
}

/// The place of a caller in the order of service.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    held: u64,
    served: u64,
    caller: Caller,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    amount: u64,
    grant: oneshot::Sender<Permit>,
}

/// An amount of the resource that a caller holds. Dropping it returns the amount.
#[derive(Debug)]
pub struct Permit {
    queue: FairQueue,
    caller: Caller,
    amount: u64,
}

impl FairQueue {
    /// A resource of `shared` units and a reserve of an eighth more. A call waits for it at most `longest_wait`.
    pub fn new(bound: &'static str, shared: usize, longest_wait: Duration) -> Self {
        let shared = u64::try_from(shared).unwrap_or(u64::MAX / 2);
        let total = shared + reserve(shared);
        Self(Arc::new(Shared { bound, shared, total, longest_wait, held: AtomicU64::new(0), state: Mutex::default() }))
    }

    /// The units that can be held at a time: the shared part and the reserve.
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// Waits until the caller may hold `amount` more, which counts as at most the shared part. `None` if the wait is
    /// too long.
    pub async fn acquire(&self, caller: &Caller, amount: u64) -> Option<Permit> {
        let (ticket, longest, granted) = match self.enter(caller, amount) {
            Ok(permit) => return Some(permit),
            Err(entered) => entered,
        };
        let begun = Instant::now();
        let place = InQueue { queue: self, caller, ticket };
        let granted = timeout(longest, granted).await;
        drop(place);
        let waited = begun.elapsed();
        histogram!("readout_admission_wait_seconds", "class" => self.0.bound).record(waited);
        match granted {
            Ok(Ok(permit)) => {
                held_back::waited(caller, self.0.bound, waited);
                Some(permit)
            }
            _ => {
                self.count_refused(caller);
                None
            }
        }
    }

    /// As [`acquire`](Self::acquire), for as long as it takes.
    pub async fn acquire_patiently(&self, caller: &Caller, amount: u64) -> Permit {
        loop {
            let (ticket, granted) = match self.enter(caller, amount) {
                Ok(permit) => return permit,
                Err((ticket, _, granted)) => (ticket, granted),
            };
            let _place = InQueue { queue: self, caller, ticket };
            // A call leaves the queue only with a grant, or when it is dropped.
            if let Ok(permit) = granted.await {
                return permit;
            }
        }
    }

    /// As [`acquire`](Self::acquire), without waiting.
    pub fn try_acquire(&self, caller: &Caller, amount: u64) -> Option<Permit> {
        let permit = self.try_acquire_quietly(caller, amount);
        if permit.is_none() {
            self.count_refused(caller);
        }
        permit
    }

    /// As [`try_acquire`](Self::try_acquire), for a caller that waits for the resource by itself: a failure is not
    /// counted as a refused call.
    pub fn try_acquire_quietly(&self, caller: &Caller, amount: u64) -> Option<Permit> {
        let (mut state, amount) = (self.state(), amount.min(self.0.shared));
        let may_take = state.may_take(&self.0, caller, amount);
        may_take.then(|| state.take(self, caller, amount))
    }

    /// Takes the amount even if the caller then holds more than its share: for an amount that is known only once it is in
    /// memory.
    pub fn charge(&self, caller: &Caller, amount: u64) -> Permit {
        self.change(|state| state.take(self, caller, amount))
    }

    /// True if at least half of the shared part is held. Below that no caller has more than its share.
    pub fn is_half_held(&self) -> bool {
        self.0.held.load(Ordering::Relaxed) >= self.0.shared.div_ceil(2)
    }

    /// Takes the amount, or a ticket in the queue of the caller, with the longest wait.
    fn enter(&self, caller: &Caller, amount: u64) -> Result<Permit, (u64, Duration, oneshot::Receiver<Permit>)> {
        let (mut state, amount) = (self.state(), amount.min(self.0.shared));
        if state.may_take(&self.0, caller, amount) {
            return Ok(state.take(self, caller, amount));
        }
        let now = Instant::now();
        state.clock += 1;
        let ticket = state.clock;
        let (grant, granted) = oneshot::channel();
        let State { callers, waiting, .. } = &mut *state;
        let share = callers.entry(caller.clone()).or_insert_with(|| Share { served: ticket, ..Share::new(now) });
        if share.waiting.is_empty() {
            share.waiting_since = now;
            waiting.insert(share.turn(caller));
        }
        let is_overloaded = now.duration_since(share.waiting_since) > self.0.longest_wait;
        share.waiting.push_back(Waiting { ticket, amount, grant });
        let longest = self.0.longest_wait / if is_overloaded { OVERLOAD_DIVISOR } else { 1 };
        Err((ticket, longest, granted))
    }

    /// Changes the state, and grants what became free by it. The grants are sent without the lock, since a receiver
    /// that is gone returns its permit.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        let grants = state.grants(self);
        drop(state);
        for (grant, permit) in grants {
            let _ = grant.send(permit);
        }
        result
    }

    fn count_refused(&self, caller: &Caller) {
        counter!("readout_shed_total", "class" => self.0.bound).increment(1);
        held_back::refused(caller, self.0.bound);
    }

    /// The lock is never poisoned: no code that holds it panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reserve(shared: u64) -> u64 {
    (shared / RESERVE_DIVISOR).max(1)
}

impl State {
    /// True if the caller may take the amount now: it is free for the caller, and no call that waits comes first.
    fn may_take(&self, queue: &Shared, caller: &Caller, amount: u64) -> bool {
        let share = self.callers.get(caller);
        let (held, served) = share.map_or((0, u64::MAX), |share| (share.held, share.served));
        let is_first = self.waiting.first().is_none_or(|first| (held, served) < (first.held, first.served));
        is_first && share.is_none_or(|share| share.waiting.is_empty()) && self.fits(queue, held, amount)
    }

    /// True if a caller that holds `held` may hold `amount` more.
    fn fits(&self, queue: &Shared, held: u64, amount: u64) -> bool {
        let free = queue.total.saturating_sub(self.held);
        self.held + amount <= queue.shared || amount <= free && held + amount <= free.div_ceil(2)
    }

    fn take(&mut self, queue: &FairQueue, caller: &Caller, amount: u64) -> Permit {
        self.held += amount;
        queue.0.held.store(self.held, Ordering::Relaxed);
        self.clock += 1;
        let served = self.clock;
        if self.callers.contains_key(caller) {
            self.change_share(caller, |share| (share.held, share.served) = (share.held + amount, served));
        } else {
            let share = Share { held: amount, served, ..Share::new(Instant::now()) };
            self.callers.insert(caller.clone(), share);
        }
        Permit { queue: queue.clone(), caller: caller.clone(), amount }
    }

    /// Returns an amount that a caller holds.
    fn give_back(&mut self, queue: &Shared, caller: &Caller, amount: u64) {
        self.held -= amount;
        queue.held.store(self.held, Ordering::Relaxed);
        let is_gone = self.change_share(caller, |share| {
            share.held -= amount;
            share.held == 0 && share.waiting.is_empty()
        });
        if is_gone == Some(true) {
            self.callers.remove(caller);
        }
    }

    /// Changes what a caller holds, and its place in the order if it waits.
    fn change_share<T>(&mut self, caller: &Caller, change: impl FnOnce(&mut Share) -> T) -> Option<T> {
        let share = self.callers.get_mut(caller)?;
        if share.waiting.is_empty() {
            return Some(change(share));
        }
        self.waiting.remove(&share.turn(caller));
        let result = change(share);
        self.waiting.insert(share.turn(caller));
        Some(result)
    }

    /// Takes what the waiting calls may hold now, in their order.
    fn grants(&mut self, queue: &FairQueue) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut grants = Vec::new();
        while let Some(first) = self.waiting.first()
            && let Some(share) = self.callers.get(&first.caller)
            && let Some(amount) = share.waiting.front().map(|next| next.amount)
            && self.fits(&queue.0, share.held, amount)
            && let Some(turn) = self.waiting.pop_first()
            && let Some(share) = self.callers.get_mut(&turn.caller)
            && let Some(next) = share.waiting.pop_front()
        {
            grants.push((next.grant, self.take(queue, &turn.caller, amount)));
        }
        grants
    }

    /// Removes a call from the queue; nothing if it is not there any more.
    fn leave(&mut self, caller: &Caller, ticket: u64) {
        let Some(share) = self.callers.get_mut(caller) else { return };
        let Ok(index) = share.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket) else { return };
        share.waiting.remove(index);
        if share.waiting.is_empty() {
            self.waiting.remove(&share.turn(caller));
            if share.held == 0 {
                self.callers.remove(caller);
            }
        }
    }
}

impl Share {
    fn new(now: Instant) -> Self {
        Self { held: 0, served: 0, waiting: VecDeque::new(), waiting_since: now }
    }

    fn turn(&self, caller: &Caller) -> Turn {
        Turn { held: self.held, served: self.served, caller: caller.clone() }
    }
}

/// A call in the queue, until it is dropped.
struct InQueue<'a> {
    queue: &'a FairQueue,
    caller: &'a Caller,
    ticket: u64,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.queue.change(|state| state.leave(self.caller, self.ticket));
    }
}

impl Permit {
    /// The queue that gave the permit.
    pub fn queue(&self) -> &FairQueue {
        &self.queue
    }

    /// True if this queue gave the permit.
    pub fn is_of(&self, queue: &FairQueue) -> bool {
        Arc::ptr_eq(&self.queue.0, &queue.0)
    }

    /// The amount that the permit holds.
    pub fn amount(&self) -> u64 {
        self.amount
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.change(|state| state.give_back(&self.queue.0, &self.caller, self.amount));
    }
}

#[cfg(test)]
mod tests;
