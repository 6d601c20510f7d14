//! Blocks writes just before they commit, so that a test decides their order.

use sqlx::{ConnectOptions, PgConnection};

use super::{Service, data_dir::within_timeout};

/// Blocks all writes before their commit until the connection is closed. Everything else of a write is done by then.
pub async fn block_commits(service: &Service) -> PgConnection {
    let mut connection = service.database.connect().await.unwrap();
    let lock = "select pg_advisory_lock(x'524541444f555401'::bit(64)::bigint)";
    sqlx::query(lock).execute(&mut connection).await.unwrap();
    connection
}

/// Waits until `count` transactions wait for a lock.
pub async fn waiting(service: &Service, count: i64) {
    let query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    within_timeout("transactions wait", async { while service.count(query).await < count {} }).await;
}

/// Starts the call once a transaction waits for a lock.
pub async fn after<T>(service: &Service, call: impl Future<Output = T>) -> T {
    waiting(service, 1).await;
    call.await
}
