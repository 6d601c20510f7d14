//! The database stops and is restarted.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    instances::{Fleet, Own},
    run::{Outcome, Recording},
    run_options::Plan,
};
use crate::support::data_dir::signal;

/// `pg_ctl stop -m fast`: the server ends its sessions properly.
pub async fn stopped_fast(plan: Plan) -> Outcome {
    ended(plan, |cluster| signal(cluster.dir.postmaster(), "INT").expect("sh is there")).await
}

/// `pg_ctl stop -m immediate`: sessions are cut, and the next start recovers committed transactions.
pub async fn stopped_at_once(plan: Plan) -> Outcome {
    ended(plan, |cluster| signal(cluster.dir.postmaster(), "QUIT").expect("sh is there")).await
}

/// All its processes are killed with SIGKILL.
pub async fn killed(plan: Plan) -> Outcome {
    ended(plan, |cluster| cluster.dir.kill_servers()).await
}

async fn ended(plan: Plan, end: fn(&Own)) -> Outcome {
    let mut chance = plan.chance("postgres");
    let cluster = Own::start(&[]).await;
    let fleet = Fleet::at(cluster.database(), [cluster.url(), cluster.url()], &[]).await;
    let recording = Recording::begin(&fleet, plan).await;
    for _ in 0..4 {
        recording.wait_for_writes(40).await;
        sleep(Duration::from_micros(chance.below(20_000))).await;
        end(&cluster);
        // An acknowledged write shows that the database is back.
        recording.wait_for_writes(1).await;
    }
    recording.wait_for_writes(40).await;
    cluster.is_back().await;
    let outcome = recording.end().await;
    fleet.stop().await;
    cluster.stop().await;
    outcome
}
