//! Requests that were answered, so that a repeated one gets the first answer.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use sqlx::PgPool;

use super::{Answer, Claim};
use crate::store::{StoreError, Tx};

/// How long an answer is kept, at least.
pub const KEPT: Duration = Duration::from_secs(48 * 60 * 60);

/// What was answered under a request id: the hash of the request's body, and the answer's bytes.
pub async fn find(
    pool: &PgPool,
    actor: &str,
    method: &str,
    request_id: &str,
) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
    let found = sqlx::query_as(
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
    Ok(found)
}

/// Claims request ids, by actor, method and id in sorted order.
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
         select one.actor, one.method, one.request_id, one.body_hash, one.answer, now()
         from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
                  as one (actor, method, request_id, body_hash, answer)
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

/// So many are forgotten in one statement: it does not take long, however many there are.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// Forgets answers that were kept long enough.
pub async fn forget_old(pool: &PgPool) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    loop {
        let some = sqlx::query(
            "delete from request
             where ctid = any(array(
                 select ctid
                 from request
                 where create_time < now() - make_interval(secs => $1)
                 limit $2
             ))",
        )
        .bind(KEPT.as_secs_f64())
        .bind(FORGOTTEN_AT_ONCE)
        .execute(pool)
        .await?;
        forgotten += some.rows_affected();
        if some.rows_affected() == 0 {
            return Ok(forgotten);
        }
    }
}
