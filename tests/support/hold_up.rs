//! Writes that are held up just before they commit, so that a test says which of them comes first.

use sqlx::{ConnectOptions, PgConnection};

use super::{Service, data_dir::patiently};

/// Holds up all writes at their end, when they have done all but commit, until it is closed.
pub async fn hold_up(service: &Service) -> PgConnection {
    let mut connection = service.database.connect().await.unwrap();
    let lock = "select pg_advisory_lock(x'524541444f555401'::bit(64)::bigint)";
    sqlx::query(lock).execute(&mut connection).await.unwrap();
    connection
}

/// Waits until so many transactions wait for another one.
pub async fn waiting(service: &Service, count: i64) {
    let query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    patiently("others wait", async { while service.count(query).await < count {} }).await;
}

/// Begins when somebody waits already.
pub async fn after<T>(service: &Service, call: impl Future<Output = T>) -> T {
    waiting(service, 1).await;
    call.await
}
