//! Work that takes a processor for long: the coding of large messages.
//!
//! A task that is ready to run waits behind all others that are. So only few tasks with heavy work may be ready at a
//! time; the others wait in a fair queue, and light work waits for few of them at most.

use std::{sync::LazyLock, time::Duration};

use super::{Call, FairQueue, Permit};

/// Messages of this size and more, in bytes, are heavy work: about a millisecond of a processor.
pub const MIN_BYTES: usize = 128 * 1024;
/// Number of tasks with heavy work at a time. More than there are processors would not make it faster.
const MAX_TASKS: usize = 4;

static TASKS: LazyLock<FairQueue> = LazyLock::new(|| FairQueue::new("heavy", MAX_TASKS, Duration::MAX));

/// The queue of tasks with heavy work.
pub fn tasks() -> &'static FairQueue {
    &TASKS
}

/// Waits until the current call may work on messages of `bytes` in total, if that is heavy work. The call keeps the
/// permit until it is answered.
pub async fn begin(bytes: usize) {
    let call = Call::current();
    if bytes >= MIN_BYTES && !call.holds(&TASKS) {
        let permit: Permit = TASKS.acquire_patiently(call.caller(), 1).await;
        call.keep(permit);
    }
}
