//! What the calls have in common that delete or undelete a record: they find it as it stands, in the state and
//! with the etag that the caller expects, and write its next revision.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Api, Prepared, call::Call, id, status::Refusal};
use crate::{
    model::{
        resource::{Deletable, Resource},
        rules::{Path, Violations},
    },
    store::{docs, reference, write::Write},
};

/// How many of those who name a record a refusal to delete it tells.
const MOST_NAMING: i64 = 10;

/// A record that is to be deleted: it must be live, and nobody may name it.
pub async fn to_delete<R: Deletable>(api: &Api, name: &str, etag: &str) -> Result<R, Refusal> {
    let current: R = current(api, name).await?;
    if current.is_deleted() {
        return Err(Refusal::AlreadyDeleted(name.to_owned()));
    }
    let current = with_etag(current, etag)?;
    let by = reference::naming(api.store.reads(), R::COLLECTION, id::<R>(name)?, MOST_NAMING).await?;
    if by.is_empty() { Ok(current) } else { Err(Refusal::StillNamed { name: name.to_owned(), by }) }
}

/// A record that is to be live again: it must be deleted.
pub async fn to_undelete<R: Deletable>(api: &Api, name: &str, etag: &str) -> Result<R, Refusal> {
    let current: R = current(api, name).await?;
    match current.is_deleted() {
        true => with_etag(current, etag),
        false => Err(Refusal::NotDeleted(name.to_owned())),
    }
}

async fn current<R: Resource>(api: &Api, name: &str) -> Result<R, Refusal> {
    let found = docs(api.store.reads(), R::COLLECTION, &[id::<R>(name)?]).await?;
    let doc = found.first().ok_or_else(|| Refusal::NotFound(name.to_owned()))?;
    Ok(doc.decode_to_rewrite()?)
}

fn with_etag<R: Resource>(current: R, etag: &str) -> Result<R, Refusal> {
    match etag.is_empty() || etag == current.etag() {
        true => Ok(current),
        false => Err(Refusal::EtagMismatch { name: current.name().to_owned(), etag: current.etag().to_owned() }),
    }
}

/// The answer to a call that makes a revision, and the write of it, which `put` adds the revision to. What is only
/// validated has no etag: nobody can expect it.
pub fn revised<R: Resource>(
    call: &Call,
    validate_only: bool,
    mut answer: R,
    remembered: &R,
    put: impl FnOnce(&mut Write),
) -> Prepared<R> {
    if validate_only {
        answer.marks().etag.clear();
        return Prepared::Validated(answer);
    }
    let mut write = write_of(call, remembered);
    put(&mut write);
    Prepared::Write(answer, vec![write])
}

fn write_of<R: Resource>(call: &Call, remembered: &R) -> Write {
    let answer = call.remember(remembered);
    Write { actor: call.actor.clone(), request_id: call.request_id.clone(), answer, ..Default::default() }
}

/// Refuses a place behind `next` for a record that is itself in the line behind it.
pub fn must_not_lead_back(
    line: &HashMap<Uuid, Uuid>,
    next: Uuid,
    moved: Uuid,
    at: &Path<'_>,
) -> Result<(), Violations> {
    let mut violations = Violations::default();
    if next == moved || reference::leads_back(line, next, moved) {
        violations.add(at, "must not lead back to the record itself");
    }
    violations.into_result()
}
