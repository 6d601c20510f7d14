//! Stored responses by request id, so that a repeated request gets the response of the first one.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use sqlx::PgPool;

use super::{Answer, Claim};
use crate::store::{StoreError, Tx};

/// Minimum time for which a response is kept.
pub const KEPT: Duration = Duration::from_secs(48 * 60 * 60);

/// The stored response to a request id: the hash of the request's body, and the encoded response.
///
/// # Errors
/// The database fails.
pub async fn find(
    pool: &PgPool,
    actor: &str,
    method: &str,
    request_id: &str,
) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
    let stored = sqlx::query_as(
        "select body_hash, answer
         from request
         where actor = $1
           and method = $2
           and request_id = $3",
    )
    .bind(actor)
    .bind(method)
    .bind(request_id)
    .fetch_optional(pool)
    .await?;
    Ok(stored)
}

/// Claims request ids, in the order of actor, method and id.
pub(in crate::store) async fn claim(
    tx: Tx<'_>,
    requests: &BTreeMap<(&str, &'static str, &str), &Answer>,
    lost: &mut HashSet<Claim>,
) -> Result<(), StoreError> {
    if requests.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&(&str, &'static str, &str)) -> String| requests.keys().map(of).collect::<Vec<_>>();
    let claimed: HashSet<(String, String, String)> = sqlx::query_as(
        "insert into request (actor, method, request_id, body_hash, answer, create_time)
         select input.actor, input.method, input.request_id, input.body_hash, input.answer, now()
         from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
                  as input (actor, method, request_id, body_hash, answer)
         on conflict on constraint request_pkey do nothing
         returning actor, method, request_id",
    )
    .bind(column(|key| key.0.to_owned()))
    .bind(column(|key| key.1.to_owned()))
    .bind(column(|key| key.2.to_owned()))
    .bind(requests.values().map(|answer| answer.body_hash.as_slice()).collect::<Vec<_>>())
    .bind(requests.values().map(|answer| answer.bytes.as_slice()).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();
    for (actor, method, id) in requests.keys() {
        if !claimed.contains(&((*actor).to_owned(), (*method).to_owned(), (*id).to_owned())) {
            lost.insert(Claim::Request((*actor).to_owned(), method, (*id).to_owned()));
        }
    }
    Ok(())
}

/// Maximum number of rows that one statement deletes, so that it stays short.
const DELETE_BATCH: i64 = 10_000;

/// Deletes the responses that are older than `KEPT`, and returns their number.
///
/// # Errors
/// The database fails.
pub async fn delete_expired(pool: &PgPool) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    loop {
        let deleted = sqlx::query(
            "delete from request
             where ctid = any(array(
                 select ctid
                 from request
                 where create_time < now() - make_interval(secs => $1)
                 limit $2
             ))",
        )
        .bind(KEPT.as_secs_f64())
        .bind(DELETE_BATCH)
        .execute(pool)
        .await?;
        forgotten += deleted.rows_affected();
        if deleted.rows_affected() == 0 {
            return Ok(forgotten);
        }
    }
}
