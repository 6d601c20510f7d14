//! A database url reaches the primary and a standby in turn, and the standby is behind.

use std::time::Duration;

use readout::pb::{change_service_client::ChangeServiceClient, watch_changes_response::Event};
use tokio::{sync::watch, time::sleep};

use super::{
    pair::Pair,
    run::{Outcome, Recording},
    run_options::Plan,
    writer::connect,
};
use crate::support::follow::{Watch, all, beginning, number};

/// The pause between two cuts, after which new connections are made.
const PAUSE: Duration = Duration::from_millis(500);
/// Longer than an instance waits for the primary before it uses the standby.
const PRIMARY_AWAY: Duration = Duration::from_secs(4);

/// The replay of the standby is paused. Connections reach both servers, then only the standby, then both again. Nothing
/// is lost, so that the epoch continues, and no watch ends.
pub async fn mixed_in(plan: Plan) -> Outcome {
    let pair = Pair::start(false).await;
    let fleet = pair.fleet_of_primary().await;
    pair.pause_replay().await;
    let (goal, goals) = watch::channel(None);
    let mut watches = Vec::new();
    for address in fleet.addresses() {
        let changes = ChangeServiceClient::new(connect(&address).await.expect("the instance listens"));
        let watch = Watch::begin(&changes, all(beginning())).await.expect("a watch");
        watches.push(tokio::spawn(follow(watch, goals.clone())));
    }
    let recording = Recording::begin(&fleet, plan).await;
    recording.wait_for_writes(50).await;
    pair.mix();
    for _ in 0..if plan.is_long { 70 } else { 4 } {
        pair.cut();
        recording.wait_for_writes(5).await;
        sleep(PAUSE).await;
    }
    for _ in 0..plan.rounds(1) {
        pair.lead_to_standby();
        sleep(PRIMARY_AWAY).await;
        pair.mix();
        pair.cut();
        recording.wait_for_writes(50).await;
    }
    goal.send_replace(Some(recording.shared.acknowledged()));
    let mut outcome = recording.end().await;
    for watch in watches {
        outcome.failures.extend(watch.await.expect("no panic").err());
    }
    fleet.stop().await;
    pair.stop().await;
    outcome
}

/// Reads the feed without a gap until the goal is reached.
async fn follow(mut watch: Watch, goal: watch::Receiver<Option<i64>>) -> Result<(), String> {
    let mut last = 0;
    while goal.borrow().is_none_or(|goal| last < goal) {
        match watch.next().await {
            Ok(Event::Change(change)) if number(&change) == last + 1 => last += 1,
            Ok(Event::Change(change)) => return Err(format!("a watch received {} after {last}", change.position)),
            Ok(_) => {}
            Err(status) => return Err(format!("a watch ended after {last}: {status:?}")),
        }
    }
    Ok(())
}
