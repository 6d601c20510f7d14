//! Database sessions end, hold a lock or snapshot, or send spurious notifications.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep};

use super::{
    instances::Fleet,
    run::{Outcome, Recording},
    run_options::Plan,
};
use crate::support::cluster;

/// The lock in src/store/change.rs.
const FEED_LOCK: i64 = 0x5245_4144_4f55_5401;

async fn session(database: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(database).await.expect("the database answers")
}

async fn execute(session: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(session).await.expect(statement);
}

/// `pg_terminate_backend` of any session: committers, tailers, listeners, readers.
pub async fn terminated(plan: Plan) -> Outcome {
    let mut chance = plan.chance("terminated");
    let fleet = Fleet::start().await;
    let mut admin = session(&fleet.database).await;
    let recording = Recording::begin(&fleet, plan).await;
    for round in 0..plan.rounds(12) {
        recording.wait_for_writes(1 + chance.below(10) as usize).await;
        sleep(Duration::from_micros(chance.below(5_000))).await;
        let condition = match round % 4 {
            0 => "query ilike 'listen%'",
            1 => "query like '%left join lateral%'",
            2 => "state like 'idle in transaction%' or xact_start is not null and state = 'active'",
            _ => "random() < 0.5",
        };
        let statement = format!(
            "select count(pg_terminate_backend(pid))
             from pg_stat_activity
             where application_name = 'readout' and datname = current_database() and ({condition})"
        );
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.expect("an answer");
    }
    recording.wait_for_writes(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Many spurious notifications; and lost ones, because listeners are terminated repeatedly.
pub async fn notified_wrongly(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut admin = session(&fleet.database).await;
    let recording = Recording::begin(&fleet, plan).await;
    for round in 0..plan.rounds(24) {
        recording.wait_for_writes(5).await;
        match round % 2 {
            0 => {
                execute(&mut admin, "select pg_notify('readout_change', i::text) from generate_series(1, 2000) as i")
                    .await
            }
            _ => {
                execute(
                    &mut admin,
                    "select pg_terminate_backend(pid)
                     from pg_stat_activity
                     where datname = current_database() and query ilike 'listen%'",
                )
                .await;
            }
        }
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// A snapshot from before the first write, and open transactions with writes, in this database and in another one. They
/// stay open until the watchers have received everything.
pub async fn run_session_held_open(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let (mut reader, mut writer) = (session(&fleet.database).await, session(&fleet.database).await);
    let mut elsewhere = session(&cluster::database().await).await;
    let mut reader = reader.begin_with("begin isolation level repeatable read").await.expect("begun");
    execute(&mut reader, "select count(*) from change").await;
    let (mut writer, mut elsewhere) = (writer.begin().await.expect("begun"), elsewhere.begin().await.expect("begun"));
    for transaction in [&mut writer, &mut elsewhere] {
        execute(transaction, "insert into participant_key values ('nobody', 1)").await;
    }

    let recording = Recording::begin(&fleet, plan).await;
    recording.wait_for_writes(plan.rounds(200)).await;
    let outcome = recording.end().await;
    execute(&mut reader, "select count(*) from change").await;
    for transaction in [reader, writer, elsewhere] {
        transaction.rollback().await.expect("the transaction stayed open");
    }
    fleet.stop().await;
    outcome
}

/// A foreign session takes the feed's lock for a second.
pub async fn locked_out(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut foreign = session(&fleet.database).await;
    let recording = Recording::begin(&fleet, plan).await;
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        recording.wait_for_writes(60).await;
        sqlx::query("select pg_advisory_lock($1)").bind(FEED_LOCK).execute(&mut foreign).await.expect("taken");
        sleep(Duration::from_secs(1)).await;
        let released = Instant::now();
        sqlx::query("select pg_advisory_unlock($1)").bind(FEED_LOCK).execute(&mut foreign).await.expect("released");
        // The first writes may have been in progress.
        recording.wait_for_writes(20).await;
        longest = longest.max(released.elapsed());
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(longest < Duration::from_secs(5), || format!("writes continued only {longest:?} after the lock"))
}
