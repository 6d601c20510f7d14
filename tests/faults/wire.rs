//! The wire between an instance and its database is cut, goes dead, or is slow.

use std::{path::PathBuf, time::Duration};

use readout::pb::{CreateParticipantRequest, participant_service_client::ParticipantServiceClient};
use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep, timeout};

use super::{
    fleet::{Door, Fleet},
    plan::Plan,
    proxy::Proxy,
    recorder::{Outcome, Recording},
    writer::connect,
};
use crate::support::{cluster, data_dir::eventually, make};

/// A batch is given up after 35 seconds.
const LONGEST_STRANDED: Duration = Duration::from_secs(50);

/// The socket of a database.
pub fn socket(database: &PgConnectOptions) -> PathBuf {
    database.get_socket().expect("it has one").join(format!(".s.PGSQL.{}", database.get_port()))
}

/// Two instances, of which the first has a wire.
async fn fleet() -> (Proxy, Fleet) {
    let database = cluster::database().await;
    let proxy = Proxy::to(socket(&database)).await;
    let url = proxy.url(database.get_database().expect("it has a name"));
    let direct = sqlx::ConnectOptions::to_url_lossy(&database).to_string();
    let fleet = Fleet::at(database, [&url, &direct], &[]).await;
    (proxy, fleet)
}

/// Cut again and again, at times for a while.
pub async fn cut(plan: Plan) -> Outcome {
    let mut chance = plan.chance("cut");
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    for round in 0..plan.rounds(12) {
        recording.more(1 + chance.below(20) as usize).await;
        sleep(Duration::from_micros(chance.below(5_000))).await;
        match round % 4 {
            3 => {
                proxy.go_down();
                sleep(Duration::from_millis(chance.below(500))).await;
                proxy.come_up();
            }
            _ => proxy.cut(),
        }
    }
    recording.more(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Dead: nothing arrives for some seconds, and nobody is told. Then it is cut, or what was sent arrives after all.
pub async fn dead(plan: Plan) -> Outcome {
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    for is_cut in [true, false] {
        recording.more(50).await;
        proxy.go_dead();
        sleep(Duration::from_secs(3)).await;
        if is_cut {
            proxy.cut();
        }
        proxy.come_up();
    }
    recording.more(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Everything takes up to 50 ms longer, each way.
pub async fn slow(plan: Plan) -> Outcome {
    let mut chance = plan.chance("slow");
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    for _ in 0..plan.rounds(3) {
        proxy.slow_down(Duration::from_millis(chance.below(50)));
        recording.more(40).await;
    }
    proxy.come_up();
    recording.more(20).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// All connections go dead for good, and nobody is told: the instance gives them up and makes others.
pub async fn stranded(plan: Plan) -> Outcome {
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    // On a slow wire everybody is in the middle of something.
    proxy.slow_down(Duration::from_millis(30));
    recording.more(50).await;
    proxy.strand();
    proxy.come_up();
    let begun = Instant::now();
    let door = fleet.instances[0].door();
    eventually("the instance writes again", async || write(&door).await).await;
    let took = begun.elapsed();
    recording.more(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(took < LONGEST_STRANDED, || format!("the instance was stranded for {took:?}"))
}

/// Whether an instance writes.
async fn write(door: &Door) -> bool {
    let Some(channel) = connect(door).await else { return false };
    let participant = Some(make::person("Somebody", "AZ"));
    let request = CreateParticipantRequest { participant, ..Default::default() };
    let mut client = ParticipantServiceClient::new(channel);
    timeout(Duration::from_secs(1), client.create_participant(request)).await.is_ok_and(|written| written.is_ok())
}
