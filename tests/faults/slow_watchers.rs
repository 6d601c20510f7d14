//! Watchers that start late, are many, or are slow.

use std::time::Duration;

use readout::{
    pb::{
        ErrorReason, change_service_client::ChangeServiceClient, watch_changes_request::Start as RequestStart,
        watch_changes_response::Event,
    },
    store::retention::{Retention, drop_old, extend},
};
use tonic::Code;

use super::{
    history::{Message, RecordedChange, Session, Start, Watcher},
    instances::{Fleet, InstanceAddress},
    run::{Outcome, Recording, Shared},
    run_options::Plan,
    watcher::{Pace, Recorder},
    writer::connect,
};
use crate::support::{
    follow::{all, position},
    metadata_of, reason_of,
};

/// Old changes are dropped while watchers read, and some watchers are so late that their position has expired.
pub async fn outrun_by_retention(plan: Plan) -> Outcome {
    const RANGE: u32 = 40;
    let fleet = Fleet::start_with(&["--feed-range", &RANGE.to_string()]).await;
    let pool = fleet.pool().await;
    let retention = Retention { age: Duration::ZERO, bytes: u64::MAX, range: RANGE };
    let mut recording = Recording::begin(&fleet, plan).await;
    let shared = recording.shared.clone();
    for number in 0..4 {
        let chance = plan.chance(&format!("late {number}"));
        let mut late = Recorder::new(recording.shared.clone(), chance, number % 2, fleet.addresses(), "");
        late.pace = Pace::Rests { after: 20, writes: 60 };
        recording.join(late.run());
    }
    recording.wait_for_writes(60).await;
    let mut dropped = 0;
    for _ in 0..plan.rounds(20) {
        recording.wait_for_writes(10).await;
        let kept = async {
            extend(&pool, retention, 0).await?;
            drop_old(&pool, retention).await
        };
        // Dropping fails while a watcher reads the range; the next round drops it.
        dropped += kept.await.unwrap_or(0);
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
        .require(dropped > 5, || format!("only {dropped} ranges were dropped"))
        .require(shared.expired_cursors() > 0, || "no watcher came too late".to_owned())
}

/// Calls start at positions around the head while it moves.
pub async fn around_the_head(plan: Plan) -> Outcome {
    let mut chance = plan.chance("around the head");
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    recording.wait_for_writes(100).await;
    for round in 0..plan.rounds(20) {
        recording.wait_for_writes(3).await;
        for address in fleet.addresses() {
            // One round in eight starts at the head itself or next to it.
            let offset = match round % 8 {
                0 => chance.below(3) as i64 - 1,
                _ => chance.below(201) as i64 - 100,
            };
            let start = recording.shared.acknowledged() + offset;
            recording.join(begin_at(recording.shared.clone(), address, start));
        }
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Reads five changes after a position, unless the position is in the future.
async fn begin_at(shared: Shared, address: InstanceAddress, start: i64) -> Watcher {
    let channel = connect(&address).await.expect("the instance listens");
    let mut watcher = Watcher::default();
    let request = all(RequestStart::After(shared.position(start)));
    let mut stream = match ChangeServiceClient::new(channel).watch_changes(request).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => {
            let is_in_future = (status.code(), reason_of(&status)) == (Code::OutOfRange, ErrorReason::PositionInFuture);
            if !is_in_future || position(&metadata_of(&status, "position")).1 >= start {
                shared.report_unexpected(format!("a watch after {start} was refused: {status:?}"));
            }
            return watcher;
        }
    };
    let mut messages = Vec::new();
    let mut count = 0;
    while count < 5 {
        let message = stream.message().await.expect("the watch continues").expect("the watch does not end");
        match message.event.expect("every message has an event") {
            Event::Change(change) => {
                messages.push(Message::Change(RecordedChange::from(change)));
                count += 1;
            }
            Event::Heartbeat(heartbeat) => {
                let number = shared.number(&heartbeat.position);
                messages.push(Message::Heartbeat(number));
                if shared.is_end(number) {
                    break;
                }
            }
            Event::Notice(_) => {}
        }
    }
    watcher.sessions.push(Session { start: Start::After(start), messages });
    watcher
}

/// A thousand watchers at one instance, of which one is stuck and one reads a message per second.
pub async fn run_thousand_watchers(plan: Plan) -> Outcome {
    const PER_CONNECTION: usize = 40;
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    let addresses = fleet.addresses();
    for (number, pace) in [Pace::Stuck, Pace::OneEach(Duration::from_secs(1))].into_iter().enumerate() {
        let chance = plan.chance(&format!("slow {number}"));
        let mut slow = Recorder::new(recording.shared.clone(), chance, 0, addresses.clone(), "");
        slow.pace = pace;
        recording.join(slow.run());
    }
    for number in 0..1_000 / PER_CONNECTION {
        let channel = connect(&addresses[0]).await.expect("the instance listens");
        for watcher in 0..PER_CONNECTION {
            let chance = plan.chance(&format!("many {number} {watcher}"));
            let mut recorder = Recorder::new(recording.shared.clone(), chance, 0, addresses.clone(), "");
            recorder.pace = Pace::Together(channel.clone());
            recording.join(recorder.run());
        }
    }
    recording.wait_for_writes(150).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}
