//! Those who watch come late, are many, or are slow.

use std::time::Duration;

use readout::{
    pb::{
        ErrorReason, change_service_client::ChangeServiceClient, watch_changes_request::Start as Asked,
        watch_changes_response::Event,
    },
    store::retention::{Retention, drop_old, extend},
};
use tonic::Code;

use super::{
    fleet::{Door, Fleet},
    history::{Message, Session, Start, Told, Watcher},
    plan::Plan,
    recorder::{Outcome, Recording, Shared},
    watcher::{Pace, Recorder},
    writer::connect,
};
use crate::support::{
    follow::{all, position},
    metadata_of, reason_of,
};

/// Changes are dropped under those who read them, and some read so late that they are gone.
pub async fn outrun_by_retention(plan: Plan) -> Outcome {
    const RANGE: u32 = 40;
    let fleet = Fleet::start_with(&["--feed-range", &RANGE.to_string()]).await;
    let pool = fleet.pool().await;
    let retention = Retention { age: Duration::ZERO, bytes: u64::MAX, range: RANGE };
    let mut recording = Recording::begin(&fleet, plan).await;
    let shared = recording.shared.clone();
    for number in 0..4 {
        let chance = plan.chance(&format!("late {number}"));
        let mut late = Recorder::new(recording.shared.clone(), chance, number % 2, fleet.doors(), "");
        late.pace = Pace::Rests { after: 20, writes: 60 };
        recording.join(late.run());
    }
    recording.more(60).await;
    let mut dropped = 0;
    for _ in 0..plan.rounds(20) {
        recording.more(10).await;
        let kept = async {
            extend(&pool, retention, 0).await?;
            drop_old(&pool, retention).await
        };
        // Somebody read what was to be dropped: the next time.
        dropped += kept.await.unwrap_or(0);
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
        .require(dropped > 5, || format!("only {dropped} ranges were dropped"))
        .require(shared.too_late() > 0, || "nobody came too late".to_owned())
}

/// Calls begin at positions around the head while it moves.
pub async fn around_the_head(plan: Plan) -> Outcome {
    let mut chance = plan.chance("around the head");
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    recording.more(100).await;
    for round in 0..plan.rounds(20) {
        recording.more(3).await;
        for door in fleet.doors() {
            // Every tenth or so is at the head itself, or one beside it.
            let offset = match round % 8 {
                0 => chance.below(3) as i64 - 1,
                _ => chance.below(201) as i64 - 100,
            };
            let start = recording.shared.acknowledged() + offset;
            recording.join(begin_at(recording.shared.clone(), door, start));
        }
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Five changes after a position, unless it is yet to come.
async fn begin_at(shared: Shared, door: Door, start: i64) -> Watcher {
    let channel = connect(&door).await.expect("it listens");
    let mut watcher = Watcher::default();
    let request = all(Asked::After(shared.position(start)));
    let mut stream = match ChangeServiceClient::new(channel).watch_changes(request).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => {
            let is_in_future = (status.code(), reason_of(&status)) == (Code::OutOfRange, ErrorReason::PositionInFuture);
            if !is_in_future || position(&metadata_of(&status, "position")).1 >= start {
                shared.surprise(format!("a watch after {start} was refused: {status:?}"));
            }
            return watcher;
        }
    };
    let mut messages = Vec::new();
    let mut count = 0;
    while count < 5 {
        let message = stream.message().await.expect("it goes on").expect("it does not end");
        match message.event.expect("every message tells something") {
            Event::Change(change) => {
                messages.push(Message::Change(Told::from(change)));
                count += 1;
            }
            Event::Heartbeat(heartbeat) => {
                let number = shared.number(&heartbeat.position);
                messages.push(Message::Heartbeat(number));
                if shared.is_told(number) {
                    break;
                }
            }
            Event::Notice(_) => {}
        }
    }
    watcher.sessions.push(Session { start: Start::After(start), messages });
    watcher
}

/// A thousand watch one instance, while one of them is stuck and one reads a message a second.
pub async fn a_thousand(plan: Plan) -> Outcome {
    const PER_CONNECTION: usize = 40;
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    let doors = fleet.doors();
    for (number, pace) in [Pace::Stuck, Pace::OneEach(Duration::from_secs(1))].into_iter().enumerate() {
        let chance = plan.chance(&format!("slow {number}"));
        let mut slow = Recorder::new(recording.shared.clone(), chance, 0, doors.clone(), "");
        slow.pace = pace;
        recording.join(slow.run());
    }
    for number in 0..1_000 / PER_CONNECTION {
        let channel = connect(&doors[0]).await.expect("it listens");
        for watcher in 0..PER_CONNECTION {
            let chance = plan.chance(&format!("many {number} {watcher}"));
            let mut one = Recorder::new(recording.shared.clone(), chance, 0, doors.clone(), "");
            one.pace = Pace::Together(channel.clone());
            recording.join(one.run());
        }
    }
    recording.more(150).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}
