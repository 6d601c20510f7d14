//! The last statement of a write transaction: it appends the changes to the log, at the next positions, and the events
//! to the audit log.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    model::resource::Collection,
    store::{
        StoreError, Tx,
        change::{Appended, IS_JUDGED, IS_SYNCHRONOUS, Kind},
        origin::{MAX_NAMES, NewEvent, Origin},
    },
};

/// A change of one record by a write.
#[derive(Debug, Clone, Copy)]
pub struct NewChange {
    pub collection: Collection,
    pub id: Uuid,
    pub kind: Kind,
    /// The revision that the write gives the record.
    pub revision: i64,
}

/// The changes of one write, in the order of their positions.
#[derive(Debug)]
pub struct WriteChanges<'a> {
    /// The caller.
    pub actor: &'a str,
    /// The caller's id for the request.
    pub request_id: &'a str,
    /// The origin in the audit log, if the write has an event there.
    pub audit: Option<&'a Origin>,
    /// The changes; empty if the write only stores a response.
    pub entries: Vec<NewChange>,
}

impl<'a> WriteChanges<'a> {
    /// The first names of the related record and the changed ones, joined by commas.
    fn names(&self, related: Option<(Collection, Uuid)>) -> String {
        let changed = self.entries.iter().map(|entry| (entry.collection, entry.id));
        let related = related.filter(|related| changed.clone().all(|changed| changed != *related));
        let mut names = String::new();
        for (index, (collection, id)) in related.into_iter().chain(changed).take(MAX_NAMES).enumerate() {
            let separator = if index == 0 { "" } else { "," };
            // Writing to a string does not fail.
            let _ = write!(names, "{separator}{}/{}", collection.as_str(), id.hyphenated());
        }
        names
    }

    /// The event in the audit log, and the reason of the caller. The principal is empty for a command.
    fn event(&self) -> Option<(NewEvent, &'a str)> {
        let origin = self.audit?;
        let request_id = if self.request_id.is_empty() { &origin.call_id } else { self.request_id };
        let event = NewEvent {
            principal: origin.principal.to_string(),
            peer: origin.peer.map(|address| address.to_canonical().to_string()).unwrap_or_default(),
            method: origin.method.to_owned(),
            names: self.names(origin.related),
            outcome: if self.entries.is_empty() { "UNCHANGED" } else { "OK" }.to_owned(),
            request_id: request_id.to_owned(),
            count: 1,
        };
        Some((event, &origin.reason))
    }
}

/// Assigns the next positions to the changes. The transaction holds the feed's lock, and must commit next. Returns also
/// the events, to be printed after the commit.
///
/// The lock needs a statement of its own: under READ COMMITTED a statement takes its snapshot when it begins, and the
/// highest position must be read after the lock was obtained.
///
/// # Errors
/// `NoRange` if the log has no partition for a position, or the database fails.
pub async fn append(tx: Tx<'_>, writes: &[WriteChanges<'_>]) -> Result<(Appended, Vec<NewEvent>), StoreError> {
    let count = writes.iter().map(|write| write.entries.len()).sum();
    let (mut collections, mut ids, mut kinds) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut revisions, mut actors, mut request_ids, mut lasts) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    for write in writes {
        for (index, entry) in write.entries.iter().enumerate() {
            collections.push(entry.collection as i16);
            ids.push(entry.id);
            // The contract has few kinds: the cast cannot overflow.
            kinds.push(entry.kind as i16);
            revisions.push(entry.revision);
            actors.push(write.actor);
            request_ids.push(write.request_id);
            lasts.push(index + 1 == write.entries.len());
        }
    }

    let (mut events, reasons): (Vec<_>, Vec<_>) = writes.iter().filter_map(WriteChanges::event).unzip();
    let column = |of: fn(&NewEvent) -> &str| events.iter().map(of).collect::<Vec<_>>();
    type Row = (String, i64, bool, bool, String, Option<DateTime<Utc>>);
    let (epoch, head, is_judged, is_synchronous, command, read_time): Row = sqlx::query_as(AssertSqlSafe(format!(
        "with head as (
             select greatest(coalesce(max(position), 0), (select floor from feed)) as position,
                    greatest(clock_timestamp(), (select time from change order by position desc limit 1)) as time
             from change
         ),
         appended as (
             insert into change (position, collection, id, kind, revision, time, actor, request_id, last)
             select head.position + entry.number, entry.collection, entry.id, entry.kind, entry.revision, head.time,
                    entry.actor, entry.request_id, entry.last
             from head,
                  unnest($1::smallint[], $2::uuid[], $3::smallint[], $4::bigint[], $5::text[], $6::text[], $7::boolean[])
                      with ordinality as entry (collection, id, kind, revision, actor, request_id, last, number)
         ),
         audited as (
             insert into audit_event (time, principal, peer, method, names, reason, outcome, request_id)
             select greatest(head.time, (select time from audit_event order by time desc, id desc limit 1)),
                    coalesce(nullif(event.principal, ''), 'database/' || session_user), event.peer, event.method,
                    string_to_array(event.names, ','), event.reason, event.outcome, event.request_id
             from head,
                  unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
                      as event (principal, peer, method, names, reason, outcome, request_id)
         )
         select feed.epoch, head.position, {IS_JUDGED} and feed.synchronous = {IS_SYNCHRONOUS}, {IS_SYNCHRONOUS},
                'database/' || session_user, feed.read_time
         from feed, head"
    )))
    .bind(collections)
    .bind(ids)
    .bind(kinds)
    .bind(revisions)
    .bind(actors)
    .bind(request_ids)
    .bind(lasts)
    .bind(column(|event| &event.principal))
    .bind(column(|event| &event.peer))
    .bind(column(|event| &event.method))
    .bind(column(|event| &event.names))
    .bind(reasons)
    .bind(column(|event| &event.outcome))
    .bind(column(|event| &event.request_id))
    .fetch_one(&mut *tx)
    .await?;

    let mut number = head;
    let numbers = writes.iter().map(|write| {
        // A batch is bounded: the cast cannot overflow.
        number += write.entries.len() as i64;
        number
    });
    let appended =
        Appended { epoch: epoch.into(), head, numbers: numbers.collect(), is_judged, is_synchronous, read_time };
    for event in events.iter_mut().filter(|event| event.principal.is_empty()) {
        event.principal.clone_from(&command);
    }
    Ok((appended, events))
}
