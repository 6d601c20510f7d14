//! Writes to one record take turns within an instance: 64 concurrent reports of one meeting would otherwise all be
//! prepared on the same revision, and all but one of them again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

type Turn = tokio::sync::Mutex<()>;

/// Who is writing to which record.
#[derive(Debug, Default, Clone)]
pub struct RecordLocks(Arc<Mutex<HashMap<Uuid, Weak<Turn>>>>);

impl RecordLocks {
    /// Waits for the others who write to this record; they come after whoever holds the guard.
    pub async fn take(&self, id: Uuid) -> OwnedMutexGuard<()> {
        let turn = {
            // Nothing panics while the map is held.
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() > 1_000 {
                turns.retain(|_, turn| turn.strong_count() > 0);
            }
            let known = turns.get(&id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::new(Turn::default());
                turns.insert(id, Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }

    /// The same for several, in one order for all, so that no two can wait for each other.
    pub async fn take_all(&self, ids: impl IntoIterator<Item = Uuid>) -> Vec<OwnedMutexGuard<()>> {
        let ids: BTreeSet<Uuid> = ids.into_iter().collect();
        let mut turns = Vec::with_capacity(ids.len());
        for id in ids {
            turns.push(self.take(id).await);
        }
        turns
    }
}
