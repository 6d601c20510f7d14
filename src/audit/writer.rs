//! The task that stores the events that wait.

use std::{mem, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;

use super::AuditLog;
use crate::{
    model::resource::Collection,
    store::{Store, StoreError, audit_event, origin::NewEvent},
};

/// Interval between runs.
const PERIOD: Duration = Duration::from_millis(500);
/// The principal of events of the service itself.
const SERVICE: &str = "readout";

/// Stores the events of calls until `stopping` is cancelled, and then those that still wait. Refusals and first uses of
/// tokens are stored again after an error; reads are dropped.
pub async fn run(log: AuditLog, store: Store, stopping: CancellationToken) {
    let mut is_failing = false;
    loop {
        let is_last = tokio::select! {
            () = time::sleep(PERIOD) => false,
            () = log.shared.wake.notified() => false,
            () = stopping.cancelled() => true,
        };
        let stored = store_waiting(&log, &store).await;
        log.waiting().refusals.print_grown(is_last);
        match stored {
            Ok(()) => is_failing = false,
            // A standby cannot store them: only the lines of the log have them.
            Err(error) if !mem::replace(&mut is_failing, true) => {
                tracing::warn!(%error, "audit events could not be stored, and are stored later or dropped");
            }
            Err(_) => {}
        }
        if is_last {
            return;
        }
    }
}

async fn store_waiting(log: &AuditLog, store: &Store) -> Result<(), StoreError> {
    let (token_uses, reads, unstored) = {
        let mut waiting = log.waiting();
        (mem::take(&mut waiting.token_uses), mem::take(&mut waiting.reads), waiting.refusals.unstored())
    };
    let stored_reads = insert_reads(log, store, &reads).await;
    let mut uses = token_uses.into_iter();
    while let Some(token_use) = uses.next() {
        match audit_event::insert_first_use(store.feed(), token_use.token, &token_use.event).await {
            Ok(true) => token_use.event.print(),
            Ok(false) => {}
            Err(error) => {
                log.waiting().token_uses.extend([token_use].into_iter().chain(uses));
                return Err(error);
            }
        }
    }
    if !unstored.new.is_empty() {
        let (kinds, events): (Vec<_>, Vec<_>) = unstored.new.into_iter().unzip();
        let keys = audit_event::insert(store.feed(), &events).await?;
        let mut waiting = log.waiting();
        for ((kind, event), key) in kinds.iter().zip(&events).zip(keys) {
            waiting.refusals.note_stored(kind, key, event.count);
        }
    }
    if !unstored.grown.is_empty() {
        let (kinds, grown): (Vec<_>, Vec<_>) =
            unstored.grown.into_iter().map(|(kind, key, event)| (kind, (key, event))).unzip();
        audit_event::update_refusals(store.feed(), &grown).await?;
        let mut waiting = log.waiting();
        for (kind, (key, event)) in kinds.iter().zip(&grown) {
            waiting.refusals.note_stored(kind, *key, event.count);
        }
    }
    log.waiting().refusals.forget_stored();
    stored_reads?;
    store_dropped(log, store).await
}

async fn insert_reads(log: &AuditLog, store: &Store, reads: &[NewEvent]) -> Result<(), StoreError> {
    for batch in reads.chunks(super::READS_BATCH) {
        if let Err(error) = audit_event::insert(store.feed(), batch).await {
            // The bound of a batch is small: the cast cannot overflow.
            log.waiting().dropped_reads += batch.len() as i64;
            return Err(error);
        }
        batch.iter().for_each(print_read);
    }
    Ok(())
}

/// Prints a read to the log, with the names that are those of records: a request can have any text in their place.
fn print_read(event: &NewEvent) {
    let names = || event.names.split(',').filter(|name| Collection::of(name).is_some()).collect::<Vec<_>>().join(",");
    tracing::debug!(
        target: "readout::audit",
        principal = event.principal,
        peer = event.peer,
        method = event.method,
        names = names(),
        outcome = event.outcome,
        request_id = event.request_id,
        "read"
    );
}

/// Stores the numbers of events that were dropped.
async fn store_dropped(log: &AuditLog, store: &Store) -> Result<(), StoreError> {
    for (kind, outcome) in [("read", "READS_DROPPED"), ("refusal", "REFUSALS_DROPPED")] {
        let count = mem::take(log.waiting().dropped(kind));
        if count == 0 {
            continue;
        }
        let (principal, method) = (SERVICE.to_owned(), "readout/DropEvents".to_owned());
        let event = NewEvent { principal, method, outcome: outcome.to_owned(), count, ..Default::default() };
        if let Err(error) = audit_event::insert(store.feed(), &[event]).await {
            *log.waiting().dropped(kind) += count;
            return Err(error);
        }
        metrics::counter!("readout_audit_dropped_total", "kind" => kind).increment(count.unsigned_abs());
        tracing::warn!(count, kind, "audit events were dropped");
    }
    Ok(())
}
