//! The steps shared by updates, deletions and undeletions: load the current record, check its state and etag, and plan
//! the write of its next revision.

use std::collections::HashMap;

use prost_types::FieldMask;
use uuid::Uuid;

use super::{WritePlan, idempotency::WriteCall};
use crate::{
    model::{
        mask::Mask,
        resource::{Collection, Deletable, Resource},
        rules::{Check, Path, Violations},
    },
    service::{Api, error::ServiceError, id, require_live},
    store::{
        docs,
        write::{Write, reference},
    },
};

/// Maximum number of referring records that the error of a refused deletion names.
const MAX_REFERRERS: i64 = 10;

/// A requested update.
#[derive(Debug)]
pub struct Update<R> {
    /// The record as sent, with the values of the fields to replace.
    pub sent: R,
    /// The fields to replace.
    pub mask: Mask,
    /// The etag that the current record must have; empty for any.
    pub etag: String,
}

impl<R: Deletable + Check> Update<R> {
    /// Checks a request to update a record to `sent`, provided that it has this etag.
    ///
    /// # Errors
    /// The broken rules: of the contract, and of the mask.
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

    /// Loads the current record and applies the update. Returns both.
    ///
    /// The merged record must keep the rules. Violations that the current record has too are tolerated in fields that
    /// the mask does not name: a list may have grown past its bound through many reports, for example. `at` is the
    /// record's path in the request.
    ///
    /// # Errors
    /// `NotFound`, `Deleted`, `MergedAway`, `EtagMismatch`, and `Invalid` for broken rules.
    pub async fn merge(&self, api: &Api, at: &Path<'_>) -> Result<(R, R), ServiceError> {
        let name = self.sent.name();
        let current: R = load_current(api, name).await?;
        require_active(api, &current).await?;
        let current = with_etag(current, &self.etag)?;
        let mask = self.mask.with_resolved_keys(&current, &self.sent, &Path::ROOT.field("update_mask"))?;
        let mut merged = mask.apply(&current, &self.sent);
        merged.canonicalize();
        let mut violations = Violations::default();
        merged.check(at, &mut violations);
        if !violations.is_empty() {
            let mut existing = Violations::default();
            current.check(at, &mut existing);
            violations.remove(existing.iter().filter(|violation| !mask.names(&violation.field, at)));
        }
        violations.into_result()?;
        Ok((current, merged))
    }
}

/// Loads a record for deletion. It must be live, and no record may refer to it, except for those in `ignored`, which
/// the same write takes care of. An empty etag matches any.
///
/// # Errors
/// `NotFound`, `AlreadyDeleted`, `MergedAway`, `EtagMismatch`, `StillNamed`.
pub async fn load_to_delete<R: Deletable>(
    api: &Api,
    name: &str,
    etag: &str,
    ignored: Option<Collection>,
) -> Result<R, ServiceError> {
    let current: R = load_current(api, name).await?;
    if current.is_deleted() {
        return Err(ServiceError::AlreadyDeleted(name.to_owned()));
    }
    require_active(api, &current).await?;
    let current = with_etag(current, etag)?;
    let mut by = reference::referrers(api.store.reads(), R::COLLECTION, id::<R>(name)?, MAX_REFERRERS).await?;
    by.retain(|referrer| ignored.is_none_or(|collection| collection.id(referrer).is_none()));
    if by.is_empty() { Ok(current) } else { Err(ServiceError::StillNamed { name: name.to_owned(), by }) }
}

/// Loads a deleted record, to make it live again.
///
/// # Errors
/// `NotFound`, `NotDeleted`, `EtagMismatch`.
pub async fn load_to_undelete<R: Deletable>(api: &Api, name: &str, etag: &str) -> Result<R, ServiceError> {
    let current: R = load_current(api, name).await?;
    match current.is_deleted() {
        true => with_etag(current, etag),
        false => Err(ServiceError::NotDeleted(name.to_owned())),
    }
}

/// Loads the current revision of a record, to write the next one.
///
/// # Errors
/// `NotFound`, and `NewerContract` if a newer release wrote it with fields that this one would lose.
pub async fn load_current<R: Resource>(api: &Api, name: &str) -> Result<R, ServiceError> {
    let found = docs(api.store.reads(), R::COLLECTION, &[id::<R>(name)?]).await?;
    let doc = found.first().ok_or_else(|| ServiceError::NotFound(name.to_owned()))?;
    Ok(doc.decode_to_rewrite()?)
}

/// Loads the current revisions of records, in the order of the ids. Each must be live and not merged into another.
///
/// # Errors
/// `NotFound`, `Deleted`, `MergedAway`, `NewerContract`.
pub async fn load_active<R: Deletable>(api: &Api, ids: &[Uuid]) -> Result<Vec<R>, ServiceError> {
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

/// Rejects a record that is deleted or was merged into another.
///
/// # Errors
/// `Deleted`, `MergedAway`.
pub async fn require_active<R: Deletable>(api: &Api, record: &R) -> Result<(), ServiceError> {
    if record.is_deleted() {
        return Err(ServiceError::Deleted(record.name().to_owned()));
    }
    match record.merged_into() {
        "" => Ok(()),
        into => {
            let survivor = find_survivor::<R>(api, into).await?;
            Err(ServiceError::MergedAway { name: record.name().to_owned(), survivor })
        }
    }
}

/// Follows a chain of merges to the record that exists at its end.
///
/// # Errors
/// `NotFound`, `NewerContract`.
pub async fn find_survivor<R: Deletable>(api: &Api, first: &str) -> Result<String, ServiceError> {
    let mut name = first.to_owned();
    loop {
        let record: R = load_current(api, &name).await?;
        match record.merged_into() {
            "" => return Ok(name),
            // A merge only accepts a survivor that is not merged away itself: the chain ends.
            into => into.clone_into(&mut name),
        }
    }
}

/// Rejects a record whose etag is not the one that the caller expects. An empty etag matches any.
///
/// # Errors
/// `EtagMismatch`.
pub fn with_etag<R: Resource>(current: R, etag: &str) -> Result<R, ServiceError> {
    match etag.is_empty() || etag == current.etag() {
        true => Ok(current),
        false => Err(ServiceError::EtagMismatch { name: current.name().to_owned(), etag: current.etag().to_owned() }),
    }
}

/// Plans the write of a revision, which `put` adds to the write. A validated answer has no etag, because that revision
/// is never stored.
pub fn plan_revision<R: Resource>(
    call: &WriteCall,
    validate_only: bool,
    answer: R,
    put: impl FnOnce(&mut Write),
) -> WritePlan<R> {
    let write = call.write(&answer);
    plan_revision_with(write, validate_only, answer, put)
}

/// As `plan_revision`, for a write that stores another form of the answer.
pub fn plan_revision_with<R: Resource>(
    mut write: Write,
    validate_only: bool,
    mut answer: R,
    put: impl FnOnce(&mut Write),
) -> WritePlan<R> {
    put(&mut write);
    if validate_only {
        answer.service_fields().etag.clear();
        return WritePlan::Validated(answer, vec![write]);
    }
    WritePlan::Write(answer, vec![write])
}

/// Plans the answer to a call that changes nothing. The answer is stored if the call has a request id.
pub fn plan_unchanged<R: Resource>(call: &WriteCall, validate_only: bool, answer: R) -> WritePlan<R> {
    let write = call.write(&answer);
    plan_unchanged_with(write, validate_only, answer)
}

/// As `plan_unchanged`, for a write that stores another form of the answer.
pub fn plan_unchanged_with<R: Resource>(write: Write, validate_only: bool, answer: R) -> WritePlan<R> {
    match (validate_only, write.is_empty()) {
        (true, _) => WritePlan::Validated(answer, Vec::new()),
        (false, true) => WritePlan::Unchanged(answer),
        (false, false) => WritePlan::Write(answer, vec![write]),
    }
}

/// Rejects a parent that would create a cycle. `ancestry` maps records to their parents, from `parent` upwards.
///
/// # Errors
/// A violation at `at`, if there would be a cycle.
pub fn require_no_cycle(
    ancestry: &HashMap<Uuid, Uuid>,
    parent: Uuid,
    child: Uuid,
    at: &Path<'_>,
) -> Result<(), Violations> {
    let mut violations = Violations::default();
    if parent == child || reference::is_ancestor(ancestry, parent, child) {
        violations.add(at, "must not lead back to the record itself");
    }
    violations.into_result()
}

/// Rejects a parent that does not exist, is deleted, or would create a cycle. `parent` has at most one id; `at` is its
/// path in the request.
///
/// # Errors
/// `NotFound`, `Deleted`, and `Invalid` for a cycle.
pub async fn require_acyclic<R: Deletable>(
    api: &Api,
    parent: &[Uuid],
    child: Uuid,
    at: &Path<'_>,
) -> Result<(), ServiceError> {
    require_live::<R>(&api.store, parent).await?;
    if let Some(&parent) = parent.first() {
        let ancestry = reference::ancestors(api.store.reads(), R::COLLECTION, &[parent]).await?;
        require_no_cycle(&ancestry, parent, child, at)?;
    }
    Ok(())
}
