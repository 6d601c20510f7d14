//! More, and larger, records than the service keeps at hand for those who watch.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use readout::pb::{CreateParticipantRequest, Participant, participant_service_client::ParticipantServiceClient};
use tokio::time::sleep;

use super::{
    chance::Chance,
    fleet::{Door, Fleet},
    plan::Plan,
    recorder::{Outcome, Recording},
    watcher::{Pace, Recorder},
    writer::connect,
};
use crate::support::make;

/// Ends whoever reads records for those who watch.
const CUT_OFF: &str = "
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where datname = current_database()
      and application_name = 'readout'
      and state = 'active'
      and query like '%superseded%'";

/// One is stuck for longer than the service keeps changes at hand, and reads on from the database.
pub async fn fallen_behind(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    let shared = recording.shared.clone();
    recording.join(with_resources(&recording, &fleet, plan, Pace::Stuck).run());
    recording.more(1).await;
    crowd(&fleet.instances[0].door(), 3_000).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(shared.fell_behind() > 0, || "nobody fell behind".to_owned())
}

/// Whoever reads records is cut off again and again: at times the tailer, between two parts of what it has read.
pub async fn cut_off(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    recording.join(with_resources(&recording, &fleet, plan, Pace::Eager).run());
    // For this one the tailer reads records in any case.
    recording.join(with_resources(&recording, &fleet, plan, Pace::Stuck).run());
    recording.more(1).await;
    let door = fleet.instances[0].door();
    tokio::select! {
        () = crowd(&door, 3_000) => {}
        () = cut_off_always(&fleet, plan.chance("cut off")) => {}
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// One who wants the resources too.
fn with_resources(recording: &Recording, fleet: &Fleet, plan: Plan, pace: Pace) -> Recorder {
    let recorder = Recorder::new(recording.shared.clone(), plan.chance("with resources"), 0, fleet.doors(), "");
    Recorder { pace, include_resource: true, ..recorder }
}

/// So many people of whom there is much to say.
async fn crowd(door: &Door, count: usize) {
    const AT_A_TIME: usize = 48;
    let channel = connect(door).await.expect("it listens");
    let add = |number: usize| {
        let mut client = ParticipantServiceClient::new(channel.clone());
        let note = "x".repeat(4_000);
        let participant = Some(Participant { note, ..make::person(&format!("Crowd {number}"), "AZ") });
        let request = CreateParticipantRequest { participant, ..Default::default() };
        // Whether it is there is for the table to say.
        async move { client.create_participant(request).await.is_ok() }
    };
    stream::iter((0..count).map(add)).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await;
}

async fn cut_off_always(fleet: &Fleet, mut chance: Chance) {
    let pool = fleet.pool().await;
    loop {
        sleep(Duration::from_millis(10 * chance.below(4))).await;
        sqlx::query(CUT_OFF).execute(&pool).await.expect("an answer");
    }
}
