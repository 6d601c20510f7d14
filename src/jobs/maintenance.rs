//! What a service does by the way: it forgets old answers to requests, and drops old changes.

use std::time::Duration;

use tokio::time;

use crate::store::{
    Store, StoreError,
    retention::{self, Retention},
    write::idempotency,
};

/// How often old answers are forgotten.
const FORGET_PERIOD: Duration = Duration::from_secs(60 * 60);
/// How often old changes are dropped.
const RETAIN_PERIOD: Duration = Duration::from_secs(60);

/// Forgets what was answered long ago.
pub async fn forget(store: Store) {
    loop {
        match idempotency::forget_old(store.writes()).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::debug!(forgotten, "old answers to requests"),
            Err(error) => tracing::warn!(%error, "old answers to requests were not forgotten"),
        }
        time::sleep(FORGET_PERIOD).await;
    }
}

/// Makes room for changes ahead, and drops those that need not be kept.
pub async fn retain(store: Store, retention: Retention) {
    loop {
        let kept = async {
            let made = retention::extend(store.feed(), retention, 0).await?;
            Ok::<_, StoreError>((made, retention::drop_old(store.feed(), retention).await?))
        };
        match kept.await {
            Ok((0, 0)) => {}
            Ok((made, dropped)) => tracing::info!(made, dropped, "ranges of the change log"),
            // Somebody reads what is to be dropped, say: the next time.
            Err(error) => tracing::warn!(%error, "the change log was not tidied up"),
        }
        time::sleep(RETAIN_PERIOD).await;
    }
}
