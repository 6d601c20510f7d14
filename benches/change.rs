//! The cost of a change: bytes on disk, and processor time compared with the same batches without the feed's part.

use readout::{
    model::{identity::door_keys, resource::CONTRACT_VERSION},
    store::{
        Store,
        epoch::KnownHead,
        retention::{Retention, extend},
        write::{BatchOutcome, Write, commit::commit},
    },
};
use sqlx::{Connection, PgPool};

use super::{
    cluster::{connect, database, number, processor_seconds},
    load::{median, next_number},
    participant::{official, write_of},
    table::{Table, Target},
};

const ROUNDS: usize = 5;
const BATCHES: usize = 100;
/// Writes in a batch: about as many as arrive while the previous batch is flushed.
const BATCH: usize = 64;

const BYTES: &str = "
    select sum(pg_total_relation_size(relid))::bigint
    from pg_partition_tree('change')
    where isleaf";

pub async fn measure(table: &mut Table) {
    let database = database().await;
    let store = Store::new(database.clone());
    extend(store.writes(), Retention::default(), 0).await.expect("ranges");
    let mut connection = connect(&database).await;
    let empty = number(&mut connection, BYTES).await;

    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (full, bare) = (microseconds(&store, true).await, microseconds(&store, false).await);
        // The first round only warms up.
        if round > 0 {
            with.push(full);
            without.push(bare);
        }
    }
    let count = number(&mut connection, "select count(*) from change").await;
    let bytes = number(&mut connection, BYTES).await - empty;
    connection.close().await.expect("closed");
    store.close().await;

    table.report(
        "a change on disk, index included",
        format!("{:.0} bytes", bytes as f64 / count as f64),
        format!("{count} changes"),
    );
    let ratio = median(with.iter().zip(&without).map(|(with, without)| with / without).collect());
    let (with, without) = (median(with), median(without));
    let figures = (format!("{with:.0} us a write"), format!("{without:.0} us without the feed's part"));
    table.add(&format!("processor time of commits of {BATCH}"), figures, ratio, Target::Any);
}

/// Processor time per write in batches, of service and database together.
async fn microseconds(store: &Store, with_feed: bool) -> f64 {
    let batches: Vec<Vec<Write>> =
        (0..BATCHES).map(|_| (0..BATCH).map(|_| write_of(official(next_number()))).collect()).collect();
    let begin = processor_seconds().await;
    for batch in &batches {
        let batch: Vec<&Write> = batch.iter().collect();
        match with_feed {
            true => assert!(matches!(
                commit(store.commits(), &batch, &KnownHead::default()).await,
                Ok(BatchOutcome::Committed(..))
            )),
            false => commit_bare(store.writes(), &batch).await.expect("committed"),
        }
    }
    (processor_seconds().await - begin) * 1e6 / (BATCHES * BATCH) as f64
}

/// The statements of `commit` for new participants, without the lock, positions and changes.
async fn commit_bare(pool: &PgPool, batch: &[&Write]) -> sqlx::Result<()> {
    let participants: Vec<_> = batch.iter().flat_map(|write| &write.participants).map(|write| &write.put).collect();
    let names: Vec<_> =
        participants.iter().flat_map(|put| door_keys(&put.record).into_iter().map(|key| (key, put.id))).collect();
    let (keys, ids): (Vec<_>, Vec<_>) = names.iter().cloned().unzip();
    let mut sorted = keys.clone();
    sorted.sort_unstable();

    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    sqlx::query(
        "insert into participant_key (key, version)
         select input.key, 1
         from unnest($1::text[]) as input (key)
         on conflict on constraint participant_key_pkey do update
         set version = participant_key.version + 1",
    )
    .bind(sorted)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "insert into participant (id, revision, contract, doc, kind, region_code, create_time)
         select input.*
         from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::text[],
                     $7::timestamptz[])
                  as input (id, revision, contract, doc, kind, region_code, create_time)
         on conflict on constraint participant_pkey do nothing
         returning id",
    )
    .bind(participants.iter().map(|put| put.id).collect::<Vec<_>>())
    .bind(participants.iter().map(|put| put.record.revision).collect::<Vec<_>>())
    .bind(vec![CONTRACT_VERSION; participants.len()])
    .bind(participants.iter().map(|put| put.doc.as_slice()).collect::<Vec<_>>())
    .bind(participants.iter().map(|put| put.record.kind as i16).collect::<Vec<_>>())
    .bind(participants.iter().map(|put| put.record.region_code.as_str()).collect::<Vec<_>>())
    .bind(vec![chrono::Utc::now(); participants.len()])
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query(
        "insert into participant_name (key, participant, person)
          select input.key, input.participant, input.participant
          from unnest($1::text[], $2::uuid[]) as input (key, participant)",
    )
    .bind(keys)
    .bind(ids)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
