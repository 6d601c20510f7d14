//! The status that `grpc.health.v1` reports: each service, and the server as a whole, is SERVING while the database
//! answers.

use std::time::Duration;

use metrics::gauge;
use tokio::time;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::readiness::{Readiness, State};
use crate::{
    pb,
    store::{Connections, Store},
};

/// The pause between two checks of the database.
const PERIOD: Duration = Duration::from_secs(1);

/// Checks the database periodically, and sets the health status, the readiness and the metrics. Never returns.
pub async fn watch(health: HealthReporter, store: Store, readiness: Readiness) {
    let mut was_up = true;
    loop {
        let is_up = store.ping().await.is_ok();
        record_metrics(is_up, &store);
        if is_up != was_up {
            let (status, state) = match is_up {
                true => (ServingStatus::Serving, State::Ready),
                false => (ServingStatus::NotServing, State::DatabaseUnavailable),
            };
            readiness.set(state);
            set(&health, status).await;
            tracing::warn!(is_up, "the availability of the database changed");
            was_up = is_up;
        }
        time::sleep(PERIOD).await;
    }
}

/// Records the metrics of the database and its connection pools.
fn record_metrics(is_up: bool, store: &Store) {
    gauge!("readout_database_up").set(if is_up { 1.0 } else { 0.0 });
    for Connections { pool, idle, used, most } in store.connections() {
        let set = |state, count: u32| gauge!("readout_pool_connections", "pool" => pool, "state" => state).set(count);
        set("idle", idle);
        set("used", used);
        set("max", most);
    }
}

/// Sets the status of every service.
pub async fn set(health: &HealthReporter, status: ServingStatus) {
    for name in service_names() {
        health.set_service_status(name, status).await;
    }
}

/// Ends the open health watches, which would otherwise keep the service from stopping.
pub async fn end(mut health: HealthReporter) {
    for name in service_names() {
        health.clear_service_status(&name).await;
    }
}

/// The names with a status: each service of the API, and the empty name for the server as a whole.
fn service_names() -> impl Iterator<Item = String> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    services.map(|service| service.full_name().to_owned()).chain([String::new()])
}
