//! Locks that serialise the writes to a record within an instance. Without them, 64 concurrent reports of one meeting
//! would all be prepared on the same revision, and all but one would be stale and prepared again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::fairness::call::wait_outside;

type RecordLock = tokio::sync::Mutex<()>;

/// One lock per record that is being written, by the id of the record.
#[derive(Debug, Default, Clone)]
pub struct RecordLocks(Arc<Mutex<HashMap<Uuid, Weak<RecordLock>>>>);

impl RecordLocks {
    /// Locks a record, after the writers that hold or wait for its lock. A call that waits holds no place meanwhile.
    pub async fn lock(&self, id: Uuid) -> OwnedMutexGuard<()> {
        let lock = {
            // A poisoned lock is harmless: no code panics while it holds the map.
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() > 1_000 {
                locks.retain(|_, lock| lock.strong_count() > 0);
            }
            let existing = locks.get(&id).and_then(Weak::upgrade);
            existing.unwrap_or_else(|| {
                let lock = Arc::new(RecordLock::default());
                locks.insert(id, Arc::downgrade(&lock));
                lock
            })
        };
        wait_outside(lock.lock_owned()).await
    }

    /// Locks several records. All callers lock in the order of the ids, which avoids deadlocks.
    pub async fn lock_all(&self, ids: impl IntoIterator<Item = Uuid>) -> Vec<OwnedMutexGuard<()>> {
        let ids: BTreeSet<Uuid> = ids.into_iter().collect();
        let mut guards = Vec::with_capacity(ids.len());
        for id in ids {
            guards.push(self.lock(id).await);
        }
        guards
    }
}
