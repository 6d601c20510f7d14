//! What `grpc.health.v1` tells: each service, and the whole, serve while the database answers.

use std::time::Duration;

use metrics::gauge;
use tokio::time;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::readiness::{Readiness, State};
use crate::{
    pb,
    store::{Connections, Store},
};

/// How often the database is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// SERVING only while the database answers.
pub async fn watch(health: HealthReporter, store: Store, readiness: Readiness) {
    let mut was_up = true;
    loop {
        let is_up = store.ping().await.is_ok();
        measure(is_up, &store);
        if is_up != was_up {
            let (status, state) = match is_up {
                true => (ServingStatus::Serving, State::Ready),
                false => (ServingStatus::NotServing, State::DatabaseAway),
            };
            readiness.set(state);
            set(&health, status).await;
            tracing::warn!(is_up, "the database");
            was_up = is_up;
        }
        time::sleep(PERIOD).await;
    }
}

/// What operators see of the database.
fn measure(is_up: bool, store: &Store) {
    gauge!("readout_database_up").set(if is_up { 1.0 } else { 0.0 });
    for Connections { pool, idle, used, most } in store.connections() {
        let set = |state, count: u32| gauge!("readout_pool_connections", "pool" => pool, "state" => state).set(count);
        set("idle", idle);
        set("used", used);
        set("max", most);
    }
}

pub async fn set(health: &HealthReporter, status: ServingStatus) {
    for name in names() {
        health.set_service_status(name, status).await;
    }
}

/// Ends the streams of those who watch, which would keep the service from ending.
pub async fn end(mut health: HealthReporter) {
    for name in names() {
        health.clear_service_status(&name).await;
    }
}

/// What health is told of: each service, and the whole.
fn names() -> impl Iterator<Item = String> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    services.map(|service| service.full_name().to_owned()).chain([String::new()])
}
