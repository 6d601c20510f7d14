//! What the calls have in common that update, delete or undelete a record: they find it as it stands, in the state and
//! with the etag that the caller expects, and write its next revision.

use std::collections::HashMap;

use prost_types::FieldMask;
use uuid::Uuid;

use super::idempotency::WriteCall;
use crate::{
    model::{
        mask::Mask,
        resource::{Collection, Deletable, Resource},
        rules::{Check, Path, Violations},
    },
    service::{Api, WritePlan, error::ServiceError, id, require_live},
    store::{
        docs,
        write::{Write, reference},
    },
};

/// How many of those who name a record a refusal to delete it tells.
const MOST_NAMING: i64 = 10;

/// An update that was asked for.
#[derive(Debug)]
pub struct Update<R> {
    /// What was sent: the fields to be replaced.
    pub sent: R,
    /// Which fields these are.
    pub mask: Mask,
    /// The etag that the record must have; empty for any.
    pub etag: String,
}

impl<R: Deletable + Check> Update<R> {
    /// Reads a request to update `sent`, which came with this etag.
    pub fn read(
        request: &impl Check,
        (sent, etag): (Option<&R>, String),
        mask: Option<&FieldMask>,
    ) -> Result<Self, Violations> {
        let mut violations = request.violations();
        let mask = Mask::read::<R>(mask, &Path::ROOT.field("update_mask"), &mut violations);
        violations.into_result()?;
        Ok(Self { sent: sent.cloned().unwrap_or_default(), mask, etag })
    }

    /// The record as it stands, which must be live, and as it is to be, which must keep the rules: but for what breaks
    /// them as it stands and is not changed, such as a list that many reports together made longer than one may have it.
    /// `at` is where the request has it.
    pub async fn merge(&self, api: &Api, at: &Path<'_>) -> Result<(R, R), ServiceError> {
        let name = self.sent.name();
        let current: R = current(api, name).await?;
        require_active(api, &current).await?;
        let current = with_etag(current, &self.etag)?;
        let mask = self.mask.with_keys_meant(&current, &self.sent, &Path::ROOT.field("update_mask"))?;
        let mut merged = mask.apply(&current, &self.sent);
        merged.canonicalize();
        let mut violations = Violations::default();
        merged.check(at, &mut violations);
        if !violations.is_empty() {
            let mut before = Violations::default();
            current.check(at, &mut before);
            violations.forget(before.iter().filter(|one| !mask.names(&one.field, at)));
        }
        violations.into_result()?;
        Ok((current, merged))
    }
}

/// A record that is to be deleted: it must be live, and nobody may name it, but for those of a collection that is
/// dealt with in the same write. An empty etag is any.
pub async fn to_delete<R: Deletable>(
    api: &Api,
    name: &str,
    etag: &str,
    but_for: Option<Collection>,
) -> Result<R, ServiceError> {
    let current: R = current(api, name).await?;
    if current.is_deleted() {
        return Err(ServiceError::AlreadyDeleted(name.to_owned()));
    }
    require_active(api, &current).await?;
    let current = with_etag(current, etag)?;
    let mut by = reference::naming(api.store.reads(), R::COLLECTION, id::<R>(name)?, MOST_NAMING).await?;
    by.retain(|name| but_for.is_none_or(|of| of.id(name).is_none()));
    if by.is_empty() { Ok(current) } else { Err(ServiceError::StillNamed { name: name.to_owned(), by }) }
}

/// A record that is to be live again: it must be deleted.
pub async fn to_undelete<R: Deletable>(api: &Api, name: &str, etag: &str) -> Result<R, ServiceError> {
    let current: R = current(api, name).await?;
    match current.is_deleted() {
        true => with_etag(current, etag),
        false => Err(ServiceError::NotDeleted(name.to_owned())),
    }
}

/// A record as it stands, in order to write its next revision.
pub async fn current<R: Resource>(api: &Api, name: &str) -> Result<R, ServiceError> {
    let found = docs(api.store.reads(), R::COLLECTION, &[id::<R>(name)?]).await?;
    let doc = found.first().ok_or_else(|| ServiceError::NotFound(name.to_owned()))?;
    Ok(doc.decode_to_rewrite()?)
}

/// Records in this order, each as it stands, which must be live and not merged into another.
pub async fn standing<R: Deletable>(api: &Api, ids: &[Uuid]) -> Result<Vec<R>, ServiceError> {
    let found = docs(api.store.reads(), R::COLLECTION, ids).await?;
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        let doc = found.iter().find(|doc| doc.id == *id);
        let record: R = doc.ok_or_else(|| ServiceError::NotFound(R::COLLECTION.name(*id)))?.decode_to_rewrite()?;
        require_active(api, &record).await?;
        records.push(record);
    }
    Ok(records)
}

/// Refuses to write to a record that is deleted, or was merged into another.
pub async fn require_active<R: Deletable>(api: &Api, record: &R) -> Result<(), ServiceError> {
    if record.is_deleted() {
        return Err(ServiceError::Deleted(record.name().to_owned()));
    }
    match record.merged_into() {
        "" => Ok(()),
        into => {
            let survivor = survivor::<R>(api, into).await?;
            Err(ServiceError::MergedAway { name: record.name().to_owned(), survivor })
        }
    }
}

/// The one at the end of the line of those that were merged into another.
pub async fn survivor<R: Deletable>(api: &Api, first: &str) -> Result<String, ServiceError> {
    let mut name = first.to_owned();
    loop {
        let one: R = current(api, &name).await?;
        match one.merged_into() {
            "" => return Ok(name),
            // Only one that stood by itself was ever merged into: the line has an end.
            into => into.clone_into(&mut name),
        }
    }
}

/// Refuses a record that is not at the revision that the caller expects. An empty etag is any.
pub fn with_etag<R: Resource>(current: R, etag: &str) -> Result<R, ServiceError> {
    match etag.is_empty() || etag == current.etag() {
        true => Ok(current),
        false => Err(ServiceError::EtagMismatch { name: current.name().to_owned(), etag: current.etag().to_owned() }),
    }
}

/// The answer to a call that makes a revision, and the write of it, which `put` adds the revision to. What is only
/// validated has no etag: nobody can expect it.
pub fn revised<R: Resource>(
    call: &WriteCall,
    validate_only: bool,
    answer: R,
    put: impl FnOnce(&mut Write),
) -> WritePlan<R> {
    let write = call.write(&answer);
    revised_with(write, validate_only, answer, put)
}

/// The same with a write that remembers something else than the answer.
pub fn revised_with<R: Resource>(
    mut write: Write,
    validate_only: bool,
    mut answer: R,
    put: impl FnOnce(&mut Write),
) -> WritePlan<R> {
    if validate_only {
        answer.marks().etag.clear();
        return WritePlan::Validated(answer);
    }
    put(&mut write);
    WritePlan::Write(answer, vec![write])
}

/// The answer to a call that changes nothing, which is remembered all the same.
pub fn unchanged<R: Resource>(call: &WriteCall, validate_only: bool, answer: R) -> WritePlan<R> {
    let write = call.write(&answer);
    unchanged_with(write, validate_only, answer)
}

/// The same with a write that remembers something else than the answer.
pub fn unchanged_with<R: Resource>(write: Write, validate_only: bool, answer: R) -> WritePlan<R> {
    match (validate_only, write.is_empty()) {
        (true, _) => WritePlan::Validated(answer),
        (false, true) => WritePlan::Unchanged(answer),
        (false, false) => WritePlan::Write(answer, vec![write]),
    }
}

/// Refuses a place behind `next` for a record that is itself in the line behind it.
pub fn require_no_cycle(line: &HashMap<Uuid, Uuid>, next: Uuid, moved: Uuid, at: &Path<'_>) -> Result<(), Violations> {
    let mut violations = Violations::default();
    if next == moved || reference::leads_back(line, next, moved) {
        violations.add(at, "must not lead back to the record itself");
    }
    violations.into_result()
}

/// Refuses a place in a line that is not there, not live, or behind the record that is moved; `at` is where the request
/// has it.
pub async fn require_acyclic<R: Deletable>(
    api: &Api,
    next: &[Uuid],
    moved: Uuid,
    at: &Path<'_>,
) -> Result<(), ServiceError> {
    require_live::<R>(&api.store, next).await?;
    if let Some(&next) = next.first() {
        let line = reference::line(api.store.reads(), R::COLLECTION, &[next]).await?;
        require_no_cycle(&line, next, moved, at)?;
    }
    Ok(())
}
