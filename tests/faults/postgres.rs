//! The database ends, and comes back.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    fleet::{Fleet, Own},
    plan::Plan,
    recorder::{Outcome, Recording},
};
use crate::support::data_dir::signal;

/// `pg_ctl stop -m fast`: sessions are told.
pub async fn stopped_fast(plan: Plan) -> Outcome {
    ended(plan, |own| signal(own.dir.postmaster(), "INT").expect("sh is there")).await
}

/// `pg_ctl stop -m immediate`: sessions are cut, and what was committed is recovered.
pub async fn stopped_at_once(plan: Plan) -> Outcome {
    ended(plan, |own| signal(own.dir.postmaster(), "QUIT").expect("sh is there")).await
}

/// All its processes are killed.
pub async fn killed(plan: Plan) -> Outcome {
    ended(plan, |own| own.dir.kill_servers()).await
}

async fn ended(plan: Plan, end: fn(&Own)) -> Outcome {
    let mut chance = plan.chance("postgres");
    let own = Own::start(&[]).await;
    let fleet = Fleet::at(own.database(), [own.url(), own.url()], &[]).await;
    let recording = Recording::begin(&fleet, plan).await;
    for _ in 0..4 {
        recording.more(40).await;
        sleep(Duration::from_micros(chance.below(20_000))).await;
        end(&own);
        // Only the database can acknowledge anything: it is back.
        recording.more(1).await;
    }
    recording.more(40).await;
    own.is_back().await;
    let outcome = recording.end().await;
    fleet.stop().await;
    own.stop().await;
    outcome
}
