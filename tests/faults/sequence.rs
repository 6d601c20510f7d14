//! The feed that everybody builds first, and that loses changes: numbers from a sequence are taken at the insert and
//! seen at the commit. The validator has to catch it.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::watch, time::sleep};

use super::{
    chance::Chance,
    history::{Answer, History, Message, Session, Start, Told, Watcher, Write},
    validator::{Promise, validate},
};
use crate::support::cluster;

const WRITERS: u64 = 12;
const WRITES: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_in_the_order_of_a_sequence_is_caught() {
    let seed = Chance::seed();
    eprintln!("READOUT_SEED={seed}");
    let database = cluster::empty_database().await;
    let mut connection = PgConnection::connect_with(&database).await.expect("it answers");
    sqlx::query("create table broken (seq bigserial primary key, request_id text not null)")
        .execute(&mut connection)
        .await
        .expect("a table");

    let (running, ended) = watch::channel(());
    let watcher = tokio::spawn(watch(database.clone(), ended));
    let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(write(database.clone(), number, seed))).collect();
    let mut writes = Vec::new();
    for writer in writers {
        writes.extend(writer.await.expect("it writes"));
    }
    drop(running);
    let watcher = watcher.await.expect("it reads");

    let table = after(&mut connection, 0).await;
    assert_eq!(table.len() as u64, WRITERS * WRITES);
    let history = History { writes, watchers: vec![watcher], table, ..History::default() };
    let found = validate(&history);
    assert!(found.iter().any(|violation| violation.promise == Promise::Reliable), "nothing was lost: {found:?}");
}

/// Writes a row at a time, each in a transaction that takes up to three milliseconds.
async fn write(database: PgConnectOptions, number: u64, seed: u64) -> Vec<Write> {
    let mut chance = Chance::of(seed, &format!("sequence {number}"));
    let mut connection = PgConnection::connect_with(&database).await.expect("it answers");
    let mut writes = Vec::new();
    for write in 0..WRITES {
        let request_id = format!("{number}-{write}");
        let mut tx = connection.begin().await.expect("a transaction");
        let seq = sqlx::query_scalar("insert into broken (request_id) values ($1) returning seq")
            .bind(&request_id)
            .fetch_one(&mut *tx)
            .await
            .expect("inserted");
        sleep(Duration::from_micros(chance.below(3_000))).await;
        tx.commit().await.expect("committed");
        writes.push(Write { request_id, answer: Answer::At(seq), names: Vec::new() });
    }
    writes
}

/// Asks for what comes after the highest number seen, until all have written.
async fn watch(database: PgConnectOptions, ended: watch::Receiver<()>) -> Watcher {
    let mut connection = PgConnection::connect_with(&database).await.expect("it answers");
    let mut messages = Vec::new();
    let mut last = 0;
    loop {
        let has_ended = ended.has_changed().is_err();
        let rows = after(&mut connection, last).await;
        last = rows.last().map_or(last, |row| row.position);
        messages.extend(rows.into_iter().map(Message::Change));
        if has_ended {
            return Watcher {
                sessions: vec![Session { start: Start::After(0), messages }],
                to_the_end: true,
                ..Watcher::default()
            };
        }
    }
}

async fn after(connection: &mut PgConnection, last: i64) -> Vec<Told> {
    let rows: Vec<(i64, String)> = sqlx::query_as("select seq, request_id from broken where seq > $1 order by seq")
        .bind(last)
        .fetch_all(connection)
        .await
        .expect("rows");
    let told = |(seq, request_id)| Told {
        position: seq,
        name: format!("rows/{seq}"),
        kind: 1,
        revision: 1,
        time: 0,
        request_id,
        last: true,
    };
    rows.into_iter().map(told).collect()
}
