//! Sessions of the database end, hold something, or say too much.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep};

use super::{
    fleet::Fleet,
    plan::Plan,
    recorder::{Outcome, Recording},
};
use crate::support::cluster;

/// The lock of src/store/change.rs.
const FEED_LOCK: i64 = 0x5245_4144_4f55_5401;

async fn session(database: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(database).await.expect("it answers")
}

async fn execute(session: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(session).await.expect(statement);
}

/// `pg_terminate_backend` of any of them: committers, tailers, listeners, readers.
pub async fn terminated(plan: Plan) -> Outcome {
    let mut chance = plan.chance("terminated");
    let fleet = Fleet::start().await;
    let mut admin = session(&fleet.database).await;
    let recording = Recording::begin(&fleet, plan).await;
    for round in 0..plan.rounds(12) {
        recording.more(1 + chance.below(10) as usize).await;
        sleep(Duration::from_micros(chance.below(5_000))).await;
        let whose = match round % 4 {
            0 => "query ilike 'listen%'",
            1 => "query like '%left join lateral%'",
            2 => "state like 'idle in transaction%' or xact_start is not null and state = 'active'",
            _ => "random() < 0.5",
        };
        let statement = format!(
            "select count(pg_terminate_backend(pid))
             from pg_stat_activity
             where application_name = 'readout' and datname = current_database() and ({whose})"
        );
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.expect("an answer");
    }
    recording.more(50).await;
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome
}

/// Notifications that nobody meant, many times over; and none, since those who listen are cut off all the time.
pub async fn notified_wrongly(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut admin = session(&fleet.database).await;
    let recording = Recording::begin(&fleet, plan).await;
    for round in 0..plan.rounds(24) {
        recording.more(5).await;
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

/// A snapshot from before the first write, and transactions that have written and do not end, in this database and in
/// another one. None of them ends before all was told.
pub async fn held_open(plan: Plan) -> Outcome {
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
    recording.more(plan.rounds(200)).await;
    let outcome = recording.end().await;
    execute(&mut reader, "select count(*) from change").await;
    for transaction in [reader, writer, elsewhere] {
        transaction.rollback().await.expect("it went on for all that time");
    }
    fleet.stop().await;
    outcome
}

/// Somebody else takes the feed's lock for a second.
pub async fn locked_out(plan: Plan) -> Outcome {
    let fleet = Fleet::start().await;
    let mut stranger = session(&fleet.database).await;
    let recording = Recording::begin(&fleet, plan).await;
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        recording.more(60).await;
        sqlx::query("select pg_advisory_lock($1)").bind(FEED_LOCK).execute(&mut stranger).await.expect("taken");
        sleep(Duration::from_secs(1)).await;
        let given_back = Instant::now();
        sqlx::query("select pg_advisory_unlock($1)").bind(FEED_LOCK).execute(&mut stranger).await.expect("given back");
        // The first ones may have been on their way.
        recording.more(20).await;
        longest = longest.max(given_back.elapsed());
    }
    let outcome = recording.end().await;
    fleet.stop().await;
    outcome.require(longest < Duration::from_secs(5), || format!("writes went on only {longest:?} after the lock"))
}
