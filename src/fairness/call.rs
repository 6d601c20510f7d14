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
    place: Option<Arc<Place>>,
}

/// The place that a call executes in, in the queue that gave it.
#[derive(Debug)]
struct Place {
    queue: FairQueue,
    /// `None` while the call waits for something else.
    permit: Mutex<Option<Permit>>,
}

impl Call {
    /// A call that has no place to give back while it waits, such as a stream.
    pub fn new(caller: Caller) -> Self {
        Self { caller, place: None }
    }

    /// A call that executes with a permit of `queue`.
    pub fn with_place(caller: Caller, queue: FairQueue, permit: Permit) -> Self {
        Self { caller, place: Some(Arc::new(Place { queue, permit: Mutex::new(Some(permit)) })) }
    }

    /// The call that the current task works for; a call of the service itself if there is none.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or(Self::new(Caller::Service))
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
}

/// Waits for something that other calls decide, such as a lock or a position of the feed. The current call gives its
/// place back for that time, and waits for a place again afterwards.
pub async fn wait_outside<F: Future>(wait: F) -> F::Output {
    let mut wait = pin!(wait);
    // Most waits are over at once.
    if let Some(output) = wait.as_mut().now_or_never() {
        return output;
    }
    let Some(place) = Call::current().place else { return wait.await };
    let caller = Call::current().caller;
    drop(place.permit().take());
    let output = wait.await;
    // The deadline of the call ends this wait too.
    let permit = place.queue.acquire_patiently(&caller, 1).await;
    *place.permit() = Some(permit);
    output
}

impl Place {
    fn permit(&self) -> MutexGuard<'_, Option<Permit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let call = Call::with_place(caller.clone(), queue.clone(), permit);
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
        let seen = Call::new(named.clone()).scope(async { Call::current().caller().clone() }).await;
        assert_eq!(seen, named);
    }
}
