//! The call that the current task works for: its caller, and the place that it executes in.
//!
//! Tokio's task-local storage carries it, so that the queues deep inside of a call know whose call it is. A task that
//! works for a call without being a part of it must be started with [`Call::scope`].

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::FutureExt;
use tokio::task_local;

use super::{Caller, FairQueue, Permit};

task_local! {
    static CURRENT: Call;
}

/// A call in progress. Clones are the same call.
#[derive(Debug, Clone)]
pub struct Call {
    caller: Caller,
    unary: Option<Arc<Unary>>,
}

/// The permits that a unary call holds until its answer is made.
#[derive(Debug, Default)]
struct Unary {
    /// The place that it executes in; `None` while it waits for something else, or if it needs none.
    place: Mutex<Option<Permit>>,
    kept: Mutex<Vec<Permit>>,
}

impl Call {
    /// A stream. It lasts too long to keep permits.
    pub fn stream(caller: Caller) -> Self {
        Self { caller, unary: None }
    }

    /// A unary call, with the place that it executes in.
    pub fn unary(caller: Caller, place: Option<Permit>) -> Self {
        let unary = Unary { place: Mutex::new(place), kept: Mutex::default() };
        Self { caller, unary: Some(Arc::new(unary)) }
    }

    /// The call that the current task works for; a call of the service itself if there is none.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or(Self::stream(Caller::Service))
    }

    /// Whose call it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Runs a future as a part of this call.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// Runs a function as a part of this call.
    pub fn sync_scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    /// Keeps a permit until the answer to this call is made, since making it is a part of the work. A stream returns the
    /// permit at once.
    pub fn keep(&self, permit: Permit) {
        if let Some(unary) = &self.unary {
            lock(&unary.kept).push(permit);
        }
    }

    /// True if the call keeps a permit of this queue.
    pub fn holds(&self, queue: &FairQueue) -> bool {
        self.unary.as_ref().is_some_and(|unary| lock(&unary.kept).iter().any(|permit| permit.is_of(queue)))
    }

    /// Takes back a permit of this queue that the call keeps, for further work of the same kind.
    pub fn take_kept(&self, queue: &FairQueue) -> Option<Permit> {
        let mut kept = lock(&self.unary.as_ref()?.kept);
        let index = kept.iter().position(|permit| permit.is_of(queue))?;
        Some(kept.swap_remove(index))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for something that other calls decide, such as a lock or a position of the feed. The current call gives its
/// place back for that time, and waits for a place again afterwards.
pub async fn wait_outside<F: Future>(wait: F) -> F::Output {
    let mut wait = pin!(wait);
    // Most waits are over at once.
    if let Some(output) = wait.as_mut().now_or_never() {
        return output;
    }
    let call = Call::current();
    let Some(unary) = &call.unary else { return wait.await };
    let Some(place) = lock(&unary.place).take() else { return wait.await };
    let queue = place.queue().clone();
    drop(place);
    let output = wait.await;
    // The deadline of the call ends this wait too.
    let permit = queue.acquire_patiently(&call.caller, 1).await;
    *lock(&unary.place) = Some(permit);
    output
}

#[cfg(test)]
mod tests {
    use std::{future::ready, time::Duration};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn call_gives_its_place_back_while_it_waits_outside() {
        let queue = FairQueue::new("test", 1, Duration::from_secs(1));
        let caller = Caller::Named("token/a".into());
        let permit = queue.try_acquire(&caller, 1).unwrap();
        let call = Call::unary(caller.clone(), Some(permit));
        let (open, opened) = oneshot::channel();
        let work = tokio::spawn(call.scope(async move {
            wait_outside(ready(())).await;
            wait_outside(opened).await
        }));
        let other = queue.acquire(&caller, 1).await.expect("the place of the call that waits");
        open.send(7).unwrap();
        tokio::task::yield_now().await;
        assert!(!work.is_finished());
        drop(other);
        assert_eq!(work.await.unwrap(), Ok(7));
        assert!(queue.try_acquire(&caller, 1).is_some());
    }

    #[tokio::test]
    async fn task_without_a_call_works_for_the_service() {
        assert_eq!(*Call::current().caller(), Caller::Service);
        assert_eq!(wait_outside(async { 1 }).await, 1);
        let named = Caller::Named("token/a".into());
        let seen = Call::stream(named.clone()).scope(async { Call::current().caller().clone() }).await;
        assert_eq!(seen, named);
    }

    #[tokio::test]
    async fn unary_call_keeps_permits_and_takes_them_back() {
        let [pages, others] = ["pages", "others"].map(|bound| FairQueue::new(bound, 1, Duration::from_secs(1)));
        let caller = Caller::Named("token/a".into());
        let call = Call::unary(caller.clone(), None);
        call.keep(pages.try_acquire(&caller, 1).unwrap());
        assert!(call.holds(&pages) && !call.holds(&others));
        assert!(pages.try_acquire(&caller, 1).is_none());
        assert!(call.take_kept(&others).is_none());
        drop(call.take_kept(&pages).expect("the permit"));
        call.keep(pages.try_acquire(&caller, 1).expect("it was returned"));
        drop(call);
        let stream = Call::stream(caller.clone());
        stream.keep(pages.try_acquire(&caller, 1).expect("the call has ended"));
        assert!(pages.try_acquire(&caller, 1).is_some());
    }
}
