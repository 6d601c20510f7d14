//! Notifications between the instances of one database: of commits of this instance, and of those of others.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time;

use super::head::{Feed, FeedInner, READ_TIMEOUT, RETRY};
use crate::store::{StoreError, change};

/// Minimum pause between two notifications of other instances.
const NOTIFY_PACE: Duration = Duration::from_millis(5);
/// Maximum pause between two attempts to listen for notifications.
const MAX_LISTEN_RETRY: Duration = Duration::from_secs(5);

/// Notifies other instances of commits, several commits at a time. Without a notification they find them by polling.
pub async fn notify(feed: Feed) {
    loop {
        feed.0.notify_others.notified().await;
        let notified = time::timeout(READ_TIMEOUT, change::notify(feed.0.store.feed(), &feed.0.instance)).await;
        if let Err(error) = notified.map_err(StoreError::no_answer).flatten() {
            tracing::debug!(%error, "other instances were not notified");
        }
        time::sleep(NOTIFY_PACE).await;
    }
}

/// Wakes the tailer when another instance has committed. A lost notification only delays the change to the next poll.
pub async fn listen(feed: Feed) {
    let (mut heads, mut pause) = (feed.0.head.subscribe(), RETRY);
    loop {
        if heads.borrow_and_update().in_recovery {
            tracing::info!("a server in recovery sends no notifications: the feed is polled");
            // The sender is in `feed`, so that waiting cannot fail.
            let _ = heads.wait_for(|head| !head.in_recovery).await;
        }
        let connected = PgListener::connect_with(feed.0.store.feed()).await;
        let listened = match connected {
            Ok(mut listener) => listen_with(&feed.0, &mut listener, &mut pause).await,
            Err(error) => Err(error),
        };
        if let Err(error) = listened {
            tracing::debug!(%error, "the listener for notifications has no connection");
        }
        time::sleep(pause).await;
        pause = MAX_LISTEN_RETRY.min(2 * pause);
    }
}

async fn listen_with(shared: &FeedInner, listener: &mut PgListener, pause: &mut Duration) -> sqlx::Result<()> {
    listener.listen(change::CHANNEL).await?;
    *pause = RETRY;
    // `None`: the connection was lost, and notifications with it.
    while let Some(notification) = listener.try_recv().await? {
        if notification.payload() != shared.instance {
            shared.wake.notify_one();
        }
    }
    Ok(())
}
