//! The service is killed, or frozen.

use std::time::Duration;

use readout::pb::{CreateParticipantRequest, participant_service_client::ParticipantServiceClient};
use sqlx::{PgPool, Row};
use tokio::time::{Instant, sleep};

use super::{
    chance::Chance,
    fleet::{Fleet, Instance},
    plan::Plan,
    recorder::{Outcome, Recording},
    writer::connect,
};
use crate::support::make;

/// The database lets go of a transaction of somebody who is frozen after two seconds; the machine may be busy.
const LONGEST_STOP: Duration = Duration::from_secs(5);
const FROZEN_FOR: Duration = Duration::from_secs(3);

/// Killed without notice at any moment, again and again, one instance or the other.
pub async fn killed(plan: Plan) -> Outcome {
    let mut chance = plan.chance("killed");
    let mut fleet = Fleet::start().await;
    let recording = Recording::begin(&fleet, plan).await;
    for _ in 0..plan.rounds(4) {
        recording.more(1 + chance.below(30) as usize).await;
        sleep(Duration::from_micros(chance.below(20_000))).await;
        let instance = &mut fleet.instances[chance.below(2) as usize];
        instance.kill().await;
        instance.start_again().await;
    }
    recording.more(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Frozen while it holds the feed's lock: the others go on without it, and so does it when it is back.
pub async fn frozen(plan: Plan) -> Outcome {
    let mut chance = plan.chance("frozen");
    let fleet = Fleet::start().await;
    let pool = fleet.pool().await;
    let recording = Recording::begin(&fleet, plan).await;
    let mut longest = Duration::ZERO;
    for (frozen, other) in [(0, 1), (1, 0)] {
        recording.more(50).await;
        freeze_with_the_lock(&fleet.instances[frozen], &pool, &mut chance).await;
        let since = Instant::now();
        while since.elapsed() < FROZEN_FOR {
            longest = longest.max(time_of_a_write(&fleet.instances[other]).await);
        }
        fleet.instances[frozen].thaw();
    }
    recording.more(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(longest < LONGEST_STOP, || format!("a frozen instance stopped the other for {longest:?}"))
}

/// Freezes an instance, again and again until it is caught in a transaction that has the feed's lock.
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
        // The other one moves on: who still holds it a moment later is frozen.
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
    panic!("never caught with the lock");
}

/// How long one write takes.
async fn time_of_a_write(instance: &Instance) -> Duration {
    let begun = Instant::now();
    let channel = connect(&instance.door()).await.expect("it listens");
    let participant = Some(make::person("Somebody", "AZ"));
    let request = CreateParticipantRequest { participant, ..Default::default() };
    ParticipantServiceClient::new(channel).create_participant(request).await.expect("created");
    begun.elapsed()
}
