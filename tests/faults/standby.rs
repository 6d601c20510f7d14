//! A standby is promoted.

use futures_util::future::join_all;
use readout::pb::{
    CreateParticipantRequest, ErrorReason, change_service_client::ChangeServiceClient,
    participant_service_client::ParticipantServiceClient, watch_changes_response::Event,
};

use super::{
    instances::InstanceAddress,
    pair::Pair,
    run::{Outcome, Recording},
    run_options::Plan,
    writer::connect,
};
use crate::support::{
    data_dir::eventually,
    follow::{Watch, all, beginning, number},
    make, reason_of,
};

/// A synchronous standby takes over when the primary is killed. The epoch continues.
pub async fn promoted(plan: Plan) -> Outcome {
    let pair = Pair::start(true).await;
    let fleet = pair.fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    recording.wait_for_writes(100).await;
    pair.fail_over().await;
    recording.wait_for_writes(100).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    pair.stop().await;
    outcome
}

/// A standby without the last changes takes over, and more new changes are written at once than were lost. Watchers
/// must receive the end of the epoch, and no change that follows on lost ones.
pub async fn promoted_without_its_tail(_: Plan) -> Outcome {
    let pair = Pair::start(false).await;
    let fleet = pair.fleet().await;
    let mut watches = Vec::new();
    for address in fleet.addresses().into_iter().chain(fleet.addresses()) {
        let changes = ChangeServiceClient::new(connect(&address).await.expect("the instance listens"));
        watches.push(Watch::begin(&changes, all(beginning())).await.expect("a watch"));
    }
    let address = fleet.instances[0].address();
    write(&address, "Before", KEPT).await;
    pair.disconnect().await;
    write(&address, "Lost", LOST).await;
    for watch in &mut watches {
        watch.changes(KEPT + LOST).await;
    }
    pair.fail_over().await;
    write(&address, "After", 3 * LOST).await;

    let mut outcome = Outcome { histories: 1, changes: KEPT + 3 * LOST, failures: Vec::new() };
    for watch in &mut watches {
        let ended = loop {
            match watch.next().await {
                Ok(Event::Change(change)) => break Err(format!("{} was sent after lost changes", change.position)),
                Ok(_) => {}
                Err(status) if reason_of(&status) == ErrorReason::EpochChanged => break Ok(()),
                Err(status) => break Err(format!("a watch ended: {status:?}")),
            }
        };
        outcome.failures.extend(ended.err());
    }
    for address in fleet.addresses() {
        let changes = ChangeServiceClient::new(connect(&address).await.expect("the instance listens"));
        let mut watch = Watch::begin(&changes, all(beginning())).await.expect("a watch");
        let received: Vec<_> = watch.caught_up().await.iter().map(number).collect();
        let expected: Vec<_> = (1..=(KEPT + 3 * LOST) as i64).collect();
        outcome = outcome.require(received == expected, || format!("{received:?}"));
    }
    fleet.stop().await;
    pair.stop().await;
    outcome
}

const KEPT: usize = 40;
const LOST: usize = 10;

/// Creates this many participants at once, each with retries.
async fn write(address: &InstanceAddress, prefix: &str, count: usize) {
    let channel = connect(address).await.expect("the instance listens");
    let create = async |number| {
        let name = format!("{prefix} {number}");
        let participant = Some(make::person(&name, "AZ"));
        let request = CreateParticipantRequest { participant, request_id: name, ..Default::default() };
        eventually("the write succeeds", async || {
            ParticipantServiceClient::new(channel.clone()).create_participant(request.clone()).await.is_ok()
        })
        .await;
    };
    join_all((0..count).map(create)).await;
}
