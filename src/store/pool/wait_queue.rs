//! A gate in front of what only so many can use at a time. Who waits at it is bounded by time and not by number: what is
//! let in is worth doing, and the database never feels the rest.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics::{counter, histogram};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// While somebody always waits, nobody waits longer than this part of the longest wait. Such a queue does not take up a
/// burst, it only makes everybody late (CoDel with a bounded sojourn: B. Maurer, "Fail at Scale", ACM Queue 13, 2015).
const HURRY: u32 = 10;

/// Lets in so many at a time, in the order in which they came.
#[derive(Debug, Clone)]
pub struct WaitQueue {
    /// As it stands in metrics.
    class: &'static str,
    room: Arc<Semaphore>,
    queue: Arc<Mutex<Queue>>,
    longest: Duration,
}

/// One who was let in, until it is dropped.
#[derive(Debug)]
pub struct Pass(#[expect(dead_code, reason = "is given back when it is dropped")] OwnedSemaphorePermit);

#[derive(Debug)]
struct Queue {
    waiting: usize,
    /// Since when there is one.
    since: Instant,
}

impl WaitQueue {
    /// Lets in so many, each after the longest wait at most.
    pub fn new(class: &'static str, room: usize, longest: Duration) -> Self {
        let queue = Queue { waiting: 0, since: Instant::now() };
        Self { class, room: Arc::new(Semaphore::new(room)), queue: Arc::new(Mutex::new(queue)), longest }
    }

    /// Waits to be let in; `None`: for too long.
    pub async fn enter(&self) -> Option<Pass> {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            return Some(Pass(room));
        }
        let waiting = Waiting::begin(self, Instant::now());
        let let_in = timeout(waiting.patience, Arc::clone(&self.room).acquire_owned()).await;
        histogram!("readout_admission_wait_seconds", "class" => self.class).record(waiting.begun.elapsed());
        match let_in {
            // It is never closed.
            Ok(Ok(room)) => Some(Pass(room)),
            _ => {
                shed(self.class);
                None
            }
        }
    }

    /// The same, without waiting.
    pub fn enter_at_once(&self) -> Option<Pass> {
        let room = Arc::clone(&self.room).try_acquire_owned().inspect_err(|_| shed(self.class));
        room.ok().map(Pass)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who was sent away.
fn shed(class: &'static str) {
    counter!("readout_shed_total", "class" => class).increment(1);
}

/// One who waits.
struct Waiting<'a> {
    gate: &'a WaitQueue,
    begun: Instant,
    patience: Duration,
}

impl<'a> Waiting<'a> {
    fn begin(gate: &'a WaitQueue, begun: Instant) -> Self {
        let mut queue = gate.queue();
        if queue.waiting == 0 {
            queue.since = begun;
        }
        queue.waiting += 1;
        let is_standing = begun.duration_since(queue.since) > gate.longest;
        let patience = if is_standing { gate.longest / HURRY } else { gate.longest };
        drop(queue);
        Self { gate, begun, patience }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gate.queue().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_too_long_is_sent_away_and_the_others_come_in_turn() {
        let gate = WaitQueue::new("test", 1, Duration::from_millis(10));
        let inside = gate.enter().await.unwrap();
        assert!(gate.enter_at_once().is_none());
        assert!(gate.enter().await.is_none());
        let (mut first, mut second) = (Box::pin(gate.enter()), Box::pin(gate.enter()));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(inside);
        assert!((&mut second).now_or_never().is_none());
        drop(first.await.unwrap());
        assert!(second.await.is_some());
    }

    #[test]
    fn a_queue_that_never_empties_is_waited_in_for_less() {
        let longest = Duration::from_secs(2);
        let (gate, begun) = (WaitQueue::new("test", 1, longest), Instant::now());
        let first = Waiting::begin(&gate, begun);
        assert_eq!(first.patience, longest);
        let second = Waiting::begin(&gate, begun + longest);
        assert_eq!(second.patience, longest);
        drop(first);
        let later = begun + longest + Duration::from_millis(1);
        assert_eq!(Waiting::begin(&gate, later).patience, longest / HURRY);
        drop(second);
        assert_eq!(Waiting::begin(&gate, later).patience, longest);
    }
}
