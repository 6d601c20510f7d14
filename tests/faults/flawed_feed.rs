//! A common but wrong design of a feed: numbers from a sequence are assigned at the insert and become visible at the
//! commit, so that readers miss changes. The validator must detect it.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::watch, time::sleep};

use super::{
    history::{Answer, History, Message, RecordedChange, Session, Start, Watcher, Write},
    rng::Chance,
    validator::{Promise, validate},
};
use crate::support::cluster;

const WRITERS: u64 = 12;
const WRITES: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn validator_rejects_a_feed_ordered_by_a_sequence() {
    let seed = Chance::seed();
    eprintln!("READOUT_SEED={seed}");
    let database = cluster::empty_database().await;
    let mut connection = PgConnection::connect_with(&database).await.expect("the database answers");
    sqlx::query("create table broken (seq bigserial primary key, request_id text not null)")
        .execute(&mut connection)
        .await
        .expect("a table");

    let (running, ended) = watch::channel(());
    let watcher = tokio::spawn(watch(database.clone(), ended));
    let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(write(database.clone(), number, seed))).collect();
    let mut writes = Vec::new();
    for writer in writers {
        writes.extend(writer.await.expect("no panic"));
    }
    drop(running);
    let watcher = watcher.await.expect("no panic");

    let table = after(&mut connection, 0).await;
    assert_eq!(table.len() as u64, WRITERS * WRITES);
    let history = History { writes, watchers: vec![watcher], table, ..History::default() };
    let found = validate(&history);
    assert!(found.iter().any(|violation| violation.promise == Promise::Reliable), "nothing was lost: {found:?}");
}

/// Writes a row at a time, each in a transaction that takes up to three milliseconds.
async fn write(database: PgConnectOptions, number: u64, seed: u64) -> Vec<Write> {
    let mut chance = Chance::of(seed, &format!("sequence {number}"));
    let mut connection = PgConnection::connect_with(&database).await.expect("the database answers");
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

/// Reads the rows after the highest number seen, until all writers have ended.
async fn watch(database: PgConnectOptions, ended: watch::Receiver<()>) -> Watcher {
    let mut connection = PgConnection::connect_with(&database).await.expect("the database answers");
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
                reads_to_end: true,
                ..Watcher::default()
            };
        }
    }
}

async fn after(connection: &mut PgConnection, last: i64) -> Vec<RecordedChange> {
    let rows: Vec<(i64, String)> = sqlx::query_as("select seq, request_id from broken where seq > $1 order by seq")
        .bind(last)
        .fetch_all(connection)
        .await
        .expect("rows");
    let change = |(seq, request_id)| RecordedChange {
        position: seq,
        name: format!("rows/{seq}"),
        kind: 1,
        revision: 1,
        time: 0,
        request_id,
        last: true,
    };
    rows.into_iter().map(change).collect()
}
