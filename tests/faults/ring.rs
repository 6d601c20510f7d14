//! More and larger records than the service keeps in memory for watchers.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use readout::pb::{CreateParticipantRequest, Participant, participant_service_client::ParticipantServiceClient};
use tokio::time::sleep;

use super::{
    instances::{Fleet, InstanceAddress},
    rng::Chance,
    run::{Outcome, Recording},
    run_options::Plan,
    watcher::{Pace, Recorder},
    writer::connect,
};
use crate::support::make;

/// Terminates the sessions that read records for watchers.
const CUT_OFF: &str = "
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where datname = current_database()
      and application_name = 'readout'
      and state = 'active'
      and query like '%superseded%'";

/// A watcher is stuck until its position has left the ring buffer, and continues from the database.
pub async fn run_watcher_falls_behind(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    let shared = recording.shared.clone();
    recording.join(with_resources(&recording, &fleet, plan, Pace::Stuck).run());
    recording.wait_for_writes(1).await;
    write_large_records(&fleet.instances[0].address(), 3_000).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(shared.fell_behind() > 0, || "no watcher fell behind".to_owned())
}

/// Sessions that read records are terminated repeatedly; at times that of the tailer, between two parts of a page.
pub async fn cut_off(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut recording = Recording::begin(&fleet, plan).await;
    recording.join(with_resources(&recording, &fleet, plan, Pace::Eager).run());
    // For a stuck watcher the tailer reads records in any case.
    recording.join(with_resources(&recording, &fleet, plan, Pace::Stuck).run());
    recording.wait_for_writes(1).await;
    let address = fleet.instances[0].address();
    tokio::select! {
        () = write_large_records(&address, 3_000) => {}
        () = terminate_readers(&fleet, plan.chance("cut off")) => {}
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// A watcher that asks for the resources too.
fn with_resources(recording: &Recording, fleet: &Fleet, plan: Plan, pace: Pace) -> Recorder {
    let recorder = Recorder::new(recording.shared.clone(), plan.chance("with resources"), 0, fleet.addresses(), "");
    Recorder { pace, include_resource: true, ..recorder }
}

/// Creates this many participants with a long note.
async fn write_large_records(address: &InstanceAddress, count: usize) {
    const CONCURRENT: usize = 48;
    let channel = connect(address).await.expect("the instance listens");
    let add = |number: usize| {
        let mut client = ParticipantServiceClient::new(channel.clone());
        let note = "x".repeat(4_000);
        let participant = Some(Participant { note, ..make::person(&format!("Crowd {number}"), "AZ") });
        let request = CreateParticipantRequest { participant, ..Default::default() };
        // Failures are ignored: the table has the participants that were created.
        async move { client.create_participant(request).await.is_ok() }
    };
    stream::iter((0..count).map(add)).buffer_unordered(CONCURRENT).collect::<Vec<_>>().await;
}

async fn terminate_readers(fleet: &Fleet, mut chance: Chance) {
    let pool = fleet.pool().await;
    loop {
        sleep(Duration::from_millis(10 * chance.below(4))).await;
        sqlx::query(CUT_OFF).execute(&pool).await.expect("an answer");
    }
}
