//! A concurrency limit with a queue in front of it. A caller waits for a limited time; the
//! number of waiting callers is not limited. A caller that waited too long is refused before it uses the database.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics::{counter, histogram};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// If the queue stays non-empty for longer than `longest_wait`, new arrivals wait at most this fraction of it. Such a
/// queue does not absorb a burst, it only delays every caller (CoDel with a bounded sojourn: B. Maurer, "Fail at
/// Scale", ACM Queue 13, 2015).
const OVERLOAD_DIVISOR: u32 = 10;

/// Admits a limited number of callers at a time, first come, first served.
#[derive(Debug, Clone)]
pub struct WaitQueue {
    /// The label `class` in metrics.
    class: &'static str,
    permits: Arc<Semaphore>,
    queue: Arc<Mutex<Queue>>,
    longest_wait: Duration,
}

/// Admission of one caller. Dropping it admits the next one.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "returned when it is dropped")] OwnedSemaphorePermit);

#[derive(Debug)]
struct Queue {
    waiting: usize,
    /// The time since which the queue is non-empty.
    non_empty_since: Instant,
}

impl WaitQueue {
    /// Creates a queue that admits `limit` callers at a time, each after `longest_wait` at most.
    pub fn new(class: &'static str, limit: usize, longest_wait: Duration) -> Self {
        let queue = Queue { waiting: 0, non_empty_since: Instant::now() };
        Self { class, permits: Arc::new(Semaphore::new(limit)), queue: Arc::new(Mutex::new(queue)), longest_wait }
    }

    /// Waits for a permit; `None` if the wait is over first.
    pub async fn acquire(&self) -> Option<Permit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(Permit(permit));
        }
        let waiting = Waiting::begin(self, Instant::now());
        let acquired = timeout(waiting.longest, Arc::clone(&self.permits).acquire_owned()).await;
        histogram!("readout_admission_wait_seconds", "class" => self.class).record(waiting.since.elapsed());
        match acquired {
            // The semaphore is never closed.
            Ok(Ok(permit)) => Some(Permit(permit)),
            _ => {
                count_shed(self.class);
                None
            }
        }
    }

    /// Takes a permit without waiting; `None` if there is none.
    pub fn try_acquire(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().inspect_err(|_| count_shed(self.class));
        permit.ok().map(Permit)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_shed(class: &'static str) {
    counter!("readout_shed_total", "class" => class).increment(1);
}

/// A caller in the queue, until it is dropped.
struct Waiting<'a> {
    queue: &'a WaitQueue,
    since: Instant,
    longest: Duration,
}

impl<'a> Waiting<'a> {
    fn begin(wait_queue: &'a WaitQueue, now: Instant) -> Self {
        let mut queue = wait_queue.queue();
        if queue.waiting == 0 {
            queue.non_empty_since = now;
        }
        queue.waiting += 1;
        let is_overloaded = now.duration_since(queue.non_empty_since) > wait_queue.longest_wait;
        drop(queue);
        let longest = wait_queue.longest_wait / if is_overloaded { OVERLOAD_DIVISOR } else { 1 };
        Self { queue: wait_queue, since: now, longest }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.queue().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn queue_sheds_late_callers_and_admits_the_others_in_order() {
        let queue = WaitQueue::new("test", 1, Duration::from_millis(10));
        let permit = queue.acquire().await.unwrap();
        assert!(queue.try_acquire().is_none());
        assert!(queue.acquire().await.is_none());
        let (mut first, mut second) = (Box::pin(queue.acquire()), Box::pin(queue.acquire()));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(permit);
        assert!((&mut second).now_or_never().is_none());
        drop(first.await.unwrap());
        assert!(second.await.is_some());
    }

    #[test]
    fn queue_shortens_waits_while_it_never_empties() {
        let longest_wait = Duration::from_secs(2);
        let (queue, start) = (WaitQueue::new("test", 1, longest_wait), Instant::now());
        let first = Waiting::begin(&queue, start);
        assert_eq!(first.longest, longest_wait);
        let second = Waiting::begin(&queue, start + longest_wait);
        assert_eq!(second.longest, longest_wait);
        drop(first);
        let later = start + longest_wait + Duration::from_millis(1);
        assert_eq!(Waiting::begin(&queue, later).longest, longest_wait / OVERLOAD_DIVISOR);
        drop(second);
        assert_eq!(Waiting::begin(&queue, later).longest, longest_wait);
    }
}
