//! The audit log. `write::append` inserts the events of writes; this file inserts the others, and reads and deletes.
//!
//! Each event is also a line of the log. The lines show what happens; the table is the record.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    StoreError, Tx, change,
    from_row::from_row,
    origin::NewEvent,
    query::{BoundedQuery, filter, list::PAGE_BYTES},
};
use crate::model::query::filter::Filter;

/// Maximum number of events that a page examines.
pub const MAX_EXAMINED: usize = 100_000;
/// A bound on the bytes of the time and the numbers of an event in a response.
const OTHER_BYTES: usize = 64;
/// Maximum number of rows that one statement deletes.
const DELETE_BATCH: i64 = 10_000;

/// The key of an event. Keys increase in the order in which events become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    pub time: DateTime<Utc>,
    pub id: i64,
}

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    pub time: DateTime<Utc>,
    pub id: i64,
    pub principal: String,
    pub peer: String,
    pub method: String,
    pub names: Vec<String>,
    pub reason: String,
    pub outcome: String,
    pub request_id: String,
    pub count: i64,
}

from_row!(AuditEvent { time, id, principal, peer, method, names, reason, outcome, request_id, count });
from_row!(EventKey { time, id });

impl AuditEvent {
    /// Its key.
    pub fn key(&self) -> EventKey {
        EventKey { time: self.time, id: self.id }
    }
}

/// SQL: the time of the next event. It does not decrease, even if the clock is set back.
pub(super) const NEXT_TIME: &str =
    "greatest(clock_timestamp(), (select time from audit_event order by time desc, id desc limit 1))";

/// Inserts events, and returns their keys in their order.
///
/// # Errors
/// `Contention` if the feed's lock is not obtained in time, or the database fails.
pub async fn insert(pool: &PgPool, events: &[NewEvent]) -> Result<Vec<EventKey>, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let keys = insert_in(&mut tx, events).await?;
    tx.commit().await?;
    Ok(keys)
}

async fn insert_in(tx: Tx<'_>, events: &[NewEvent]) -> Result<Vec<EventKey>, StoreError> {
    let column = |of: fn(&NewEvent) -> &str| events.iter().map(of).collect::<Vec<_>>();
    // The lock makes the events visible in the order of their keys.
    change::lock(tx).await?;
    let keys = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "with now as materialized (select {NEXT_TIME} as time)
         insert into audit_event (time, principal, peer, method, names, reason, outcome, request_id, count)
         select now.time, input.principal, input.peer, input.method, string_to_array(input.names, ','), '',
                input.outcome, input.request_id, input.count
         from now,
              unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
                  with ordinality
                  as input (principal, peer, method, names, outcome, request_id, count, number)
         order by input.number
         returning time, id"
    )))
    .bind(column(|event| &event.principal))
    .bind(column(|event| &event.peer))
    .bind(column(|event| &event.method))
    .bind(column(|event| &event.names))
    .bind(column(|event| &event.outcome))
    .bind(column(|event| &event.request_id))
    .bind(events.iter().map(|event| event.count).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?;
    Ok(keys)
}

/// Sets the counts and the names of stored refusals.
///
/// # Errors
/// The database fails.
pub async fn update_refusals(pool: &PgPool, grown: &[(EventKey, NewEvent)]) -> Result<(), StoreError> {
    sqlx::query(
        "update audit_event
         set count = input.count,
             names = string_to_array(input.names, ',')
         from unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::text[]) as input (time, id, count, names)
         where audit_event.time = input.time
           and audit_event.id = input.id",
    )
    .bind(grown.iter().map(|(key, _)| key.time).collect::<Vec<_>>())
    .bind(grown.iter().map(|(key, _)| key.id).collect::<Vec<_>>())
    .bind(grown.iter().map(|(_, event)| event.count).collect::<Vec<_>>())
    .bind(grown.iter().map(|(_, event)| event.names.as_str()).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}

/// Records the first use of a token, once for all instances. Returns false if it was recorded before.
///
/// # Errors
/// `Contention` if the feed's lock is not obtained in time, or the database fails.
pub async fn insert_first_use(pool: &PgPool, token: Uuid, event: &NewEvent) -> Result<bool, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let marked = sqlx::query("update token set first_use_time = now() where id = $1 and first_use_time is null")
        .bind(token)
        .execute(&mut *tx)
        .await?;
    let is_first = marked.rows_affected() > 0;
    if is_first {
        insert_in(&mut tx, std::slice::from_ref(event)).await?;
    }
    tx.commit().await?;
    Ok(is_first)
}

/// Records a command that works on the database, in the transaction of its effect. Its caller is the role in the
/// database. Returns the event, to be printed after the commit.
pub(super) async fn insert_command(tx: Tx<'_>, method: &str, names: &[String]) -> Result<NewEvent, StoreError> {
    change::lock(tx).await?;
    let (principal, peer): (String, String) = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into audit_event (time, principal, peer, method, names, reason, outcome, request_id)
         values ({NEXT_TIME}, 'database/' || session_user, coalesce(host(inet_client_addr()), ''), $1, $2, '', 'OK', '')
         returning principal, peer"
    )))
    .bind(method)
    .bind(names)
    .fetch_one(tx)
    .await?;
    let (method, names) = (method.to_owned(), names.join(","));
    Ok(NewEvent { principal, peer, method, names, outcome: "OK".to_owned(), request_id: String::new(), count: 1 })
}

/// A page of events, and the key after which the next page begins, if there is one.
#[derive(Debug)]
pub struct EventPage {
    pub events: Vec<AuditEvent>,
    pub next: Option<EventKey>,
}

/// Reads a page of the events that the filter matches. It examines at most [`MAX_EXAMINED`] events, so it can have
/// fewer than `limit` events before the end.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn list(
    bounded: &mut BoundedQuery,
    filter: &Filter,
    is_descending: bool,
    after: Option<EventKey>,
    limit: usize,
) -> Result<EventPage, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select * from (");
    push_examined(&mut query, "*", filter, is_descending, after);
    query.push(" limit ").push_bind(MAX_EXAMINED as i64).push(") as audit_event where ");
    filter::push(&mut query, filter);
    query.push(order(is_descending)).push(" limit ").push_bind(limit as i64 + 1);
    let mut events: Vec<AuditEvent> = bounded.fetch_all(query.build_query_as()).await?;
    let fitting = fitting(&events).min(limit);
    if fitting < events.len() {
        events.truncate(fitting);
        let next = events.last().map(AuditEvent::key);
        return Ok(EventPage { events, next });
    }
    let mut query = QueryBuilder::<Postgres>::new("");
    push_examined(&mut query, "time, id", filter, is_descending, after);
    query.push(" offset ").push_bind(MAX_EXAMINED as i64 - 1).push(" limit 1");
    let end: Vec<EventKey> = bounded.fetch_all(query.build_query_as()).await?;
    // Events that were inserted between the two statements move the end towards the newest ones, at most before events
    // of this page.
    let last = events.last().map(AuditEvent::key);
    let next = end.first().map(|end| match last {
        Some(last) if is_descending => last.min(*end),
        Some(last) => last.max(*end),
        None => *end,
    });
    Ok(EventPage { events, next })
}

/// The number of events that a response of [`PAGE_BYTES`] holds; at least the first.
fn fitting(events: &[AuditEvent]) -> usize {
    let size = |event: &AuditEvent| {
        let AuditEvent { principal, peer, method, reason, outcome, request_id, .. } = event;
        let texts = [principal, peer, method, reason, outcome, request_id].into_iter().chain(&event.names);
        // A field has a tag and a length.
        texts.map(|text| text.len() + 4).sum::<usize>() + OTHER_BYTES
    };
    let mut bytes = 0;
    let fits = |event| {
        bytes += size(event);
        bytes <= PAGE_BYTES as usize
    };
    events.iter().map(fits).take_while(|fits| *fits).count().max(1)
}

/// Appends the select statement of the events that a page may examine.
fn push_examined(
    query: &mut QueryBuilder<Postgres>,
    columns: &'static str,
    filter: &Filter,
    is_descending: bool,
    after: Option<EventKey>,
) {
    query.push("select ").push(columns).push(" from audit_event where ");
    filter::push(query, &filter.times_of_events());
    if let Some(EventKey { time, id }) = after {
        query.push(if is_descending { " and (time, id) < (" } else { " and (time, id) > (" });
        query.push_bind(time).push(", ").push_bind(id).push(")");
    }
    query.push(order(is_descending));
}

fn order(is_descending: bool) -> &'static str {
    if is_descending { " order by time desc, id desc" } else { " order by time, id" }
}

/// Deletes the events that are older than `age`, in short statements, and returns their number.
///
/// # Errors
/// The database fails.
pub async fn delete_expired(pool: &PgPool, age: Duration) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let deleted = sqlx::query(
            "delete from audit_event
             where ctid = any(array(
                 select ctid
                 from audit_event
                 where time < now() - make_interval(secs => $1)
                 order by time, id
                 limit $2
             ))",
        )
        .bind(age.as_secs_f64())
        .bind(DELETE_BATCH)
        .execute(pool)
        .await?;
        total += deleted.rows_affected();
        if deleted.rows_affected() == 0 {
            return Ok(total);
        }
    }
}
