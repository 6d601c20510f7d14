//! The connection between an instance and its database is cut, dead or slow.

use std::{path::PathBuf, time::Duration};

use readout::pb::{CreateParticipantRequest, participant_service_client::ParticipantServiceClient};
use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep, timeout};

use super::{
    instances::{Fleet, InstanceAddress},
    proxy::Proxy,
    run::{Outcome, Recording},
    run_options::Plan,
    writer::connect,
};
use crate::support::{cluster, data_dir::eventually, make};

/// The instance gives up a batch after 35 seconds.
const LONGEST_STRANDED: Duration = Duration::from_secs(50);

/// The path of the Unix socket of a database.
pub fn socket(database: &PgConnectOptions) -> PathBuf {
    database.get_socket().expect("a socket").join(format!(".s.PGSQL.{}", database.get_port()))
}

/// Two instances, of which the first is connected through a proxy.
async fn fleet() -> (Proxy, Fleet) {
    let database = cluster::database().await;
    let proxy = Proxy::to(socket(&database)).await;
    let url = proxy.url(database.get_database().expect("a name"));
    let direct = sqlx::ConnectOptions::to_url_lossy(&database).to_string();
    let fleet = Fleet::at(database, [&url, &direct], &[]).await;
    (proxy, fleet)
}

/// Connections are cut repeatedly, at times for a while.
pub async fn cut(plan: Plan) -> Outcome {
    let mut chance = plan.chance("cut");
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    for round in 0..plan.rounds(12) {
        recording.wait_for_writes(1 + chance.below(20) as usize).await;
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
    recording.wait_for_writes(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Nothing arrives for some seconds, and no side notices. Then the connections are cut, or the bytes arrive late.
pub async fn dead(plan: Plan) -> Outcome {
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    for is_cut in [true, false] {
        recording.wait_for_writes(50).await;
        proxy.go_dead();
        sleep(Duration::from_secs(3)).await;
        if is_cut {
            proxy.cut();
        }
        proxy.come_up();
    }
    recording.wait_for_writes(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Everything is delayed by up to 50 ms in each direction.
pub async fn slow(plan: Plan) -> Outcome {
    let mut chance = plan.chance("slow");
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    for _ in 0..plan.rounds(3) {
        proxy.slow_down(Duration::from_millis(chance.below(50)));
        recording.wait_for_writes(40).await;
    }
    proxy.come_up();
    recording.wait_for_writes(20).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// All connections are dead for good, and no side notices. The instance must give them up and open others.
pub async fn stranded(plan: Plan) -> Outcome {
    let (proxy, fleet) = fleet().await;
    let recording = Recording::begin(&fleet, plan).await;
    // On a slow wire every connection is in use.
    proxy.slow_down(Duration::from_millis(30));
    recording.wait_for_writes(50).await;
    proxy.strand();
    proxy.come_up();
    let start = Instant::now();
    let address = fleet.instances[0].address();
    eventually("the instance writes again", async || write(&address).await).await;
    let took = start.elapsed();
    recording.wait_for_writes(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(took < LONGEST_STRANDED, || format!("the instance was stranded for {took:?}"))
}

/// True if a write at the instance succeeds.
async fn write(address: &InstanceAddress) -> bool {
    let Some(channel) = connect(address).await else { return false };
    let participant = Some(make::person("Kerim Veliyev", "AZ"));
    let request = CreateParticipantRequest { participant, ..Default::default() };
    let mut client = ParticipantServiceClient::new(channel);
    timeout(Duration::from_secs(1), client.create_participant(request)).await.is_ok_and(|written| written.is_ok())
}
