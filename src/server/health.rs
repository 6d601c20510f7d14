//! What `grpc.health.v1` tells: each service, and the whole, serve while the database answers.

use std::time::Duration;

use tokio::time;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::readiness::{Readiness, State};
use crate::{pb, store::Store};

/// How often the database is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// SERVING only while the database answers.
pub async fn watch(health: HealthReporter, store: Store, readiness: Readiness) {
    let mut was_up = true;
    loop {
        time::sleep(PERIOD).await;
        let is_up = store.ping().await.is_ok();
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
    }
}

pub async fn set(health: &HealthReporter, status: ServingStatus) {
    for name in names() {
        health.set_service_status(name, status).await;
    }
}

/// Tells those who watch, and ends their streams, which would keep the service from ending.
pub async fn end(mut health: HealthReporter) {
    set(&health, ServingStatus::NotServing).await;
    for name in names() {
        health.clear_service_status(&name).await;
    }
}

/// What health is told of: each service, and the whole.
fn names() -> impl Iterator<Item = String> {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    services.map(|service| service.full_name().to_owned()).chain([String::new()])
}
