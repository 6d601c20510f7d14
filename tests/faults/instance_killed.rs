//! An instance of the service is killed or frozen.

use std::time::Duration;

use readout::pb::{CreateParticipantRequest, participant_service_client::ParticipantServiceClient};
use sqlx::{PgPool, Row};
use tokio::time::{Instant, sleep};

use super::{
    instances::{Fleet, Instance},
    rng::Chance,
    run::{Outcome, Recording},
    run_options::Plan,
    writer::connect,
};
use crate::support::make;

/// The database ends the transaction of a frozen client after two seconds; the rest is for a busy machine.
const LONGEST_STOP: Duration = Duration::from_secs(5);
const FROZEN_FOR: Duration = Duration::from_secs(3);

/// One of the instances is killed at a random moment, repeatedly.
pub async fn killed(plan: Plan) -> Outcome {
    let mut chance = plan.chance("killed");
    let mut fleet = Fleet::start().await;
    let recording = Recording::begin(&fleet, plan).await;
    for _ in 0..plan.rounds(4) {
        recording.wait_for_writes(1 + chance.below(30) as usize).await;
        sleep(Duration::from_micros(chance.below(20_000))).await;
        let instance = &mut fleet.instances[chance.below(2) as usize];
        instance.kill().await;
        instance.restart().await;
    }
    recording.wait_for_writes(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// An instance is frozen while it holds the feed's lock. The other continues without it, and the frozen one continues
/// when it is resumed.
pub async fn frozen(plan: Plan) -> Outcome {
    let mut chance = plan.chance("frozen");
    let fleet = Fleet::start().await;
    let pool = fleet.pool().await;
    let recording = Recording::begin(&fleet, plan).await;
    let mut longest = Duration::ZERO;
    for (frozen, other) in [(0, 1), (1, 0)] {
        recording.wait_for_writes(50).await;
        freeze_with_the_lock(&fleet.instances[frozen], &pool, &mut chance).await;
        let since = Instant::now();
        while since.elapsed() < FROZEN_FOR {
            longest = longest.max(write_latency(&fleet.instances[other]).await);
        }
        fleet.instances[frozen].thaw();
    }
    recording.wait_for_writes(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(longest < LONGEST_STOP, || format!("a frozen instance stopped the other for {longest:?}"))
}

/// Freezes an instance repeatedly, until it is in a transaction that holds the feed's lock.
async fn freeze_with_the_lock(instance: &Instance, pool: &PgPool, chance: &mut Chance) {
    const HOLDERS: &str = "
        select activity.pid
        from pg_locks as lock
        join pg_stat_activity as activity using (pid)
        where lock.locktype = 'advisory'
          and lock.granted
          and activity.datname = current_database()
          and activity.state like 'idle in transaction%'";
    for _ in 0..500 {
        sleep(Duration::from_micros(chance.below(10_000))).await;
        instance.freeze();
        // The other instance releases the lock soon: a session that holds it a moment later is frozen.
        let first = sqlx::query(HOLDERS).fetch_optional(pool).await.expect("an answer");
        sleep(Duration::from_millis(10)).await;
        let second = sqlx::query(HOLDERS).fetch_optional(pool).await.expect("an answer");
        if let (Some(first), Some(second)) = (first, second)
            && first.get::<i32, _>(0) == second.get::<i32, _>(0)
        {
            return;
        }
        instance.thaw();
    }
    panic!("the instance was never frozen with the lock");
}

/// Measures one write.
async fn write_latency(instance: &Instance) -> Duration {
    let start = Instant::now();
    let channel = connect(&instance.address()).await.expect("the instance listens");
    let participant = Some(make::person("Kerim Veliyev", "AZ"));
    let request = CreateParticipantRequest { participant, ..Default::default() };
    ParticipantServiceClient::new(channel).create_participant(request).await.expect("created");
    start.elapsed()
}
