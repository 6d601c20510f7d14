//! External ids of meetings: a write may not give a meeting the id of another live one.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::{
    model::{
        meeting::external_ids,
        resource::{Collection, Deletable},
    },
    pb::Meeting,
    service::{Api, error::ServiceError},
    store::{meeting::find_by_external_ids, write::Write},
};

/// Rejects a write of meetings that would have external ids of other live meetings, or of each other. It may move ids
/// between its meetings. The commit checks again: a concurrent write may take an id.
///
/// Every unary write of meetings comes here. What is retracted or merged cannot be known to free an id in another way,
/// and a settled account that is computed again has the same ids.
///
/// # Errors
/// `DuplicateMeeting`, or the database fails.
pub async fn require_own_external_ids(api: &Api, write: &Write) -> Result<(), ServiceError> {
    let meetings: Vec<(Uuid, &Meeting)> = write.meetings.iter().map(|put| (put.id, &put.record)).collect();
    require_own(api, &meetings).await
}

/// As [`require_own_external_ids`], for meetings that are not to be written.
///
/// # Errors
/// `DuplicateMeeting`, or the database fails.
pub async fn require_own(api: &Api, meetings: &[(Uuid, &Meeting)]) -> Result<(), ServiceError> {
    let mut claimants: BTreeMap<(&str, &str), BTreeSet<Uuid>> = BTreeMap::new();
    for (id, meeting) in meetings.iter().filter(|(_, meeting)| !meeting.is_deleted()) {
        for held in external_ids(meeting) {
            claimants.entry(held).or_default().insert(*id);
        }
    }
    if claimants.is_empty() {
        return Ok(());
    }
    let owners = find_by_external_ids(api.store.reads(), &claimants.keys().copied().collect()).await?;
    for ((scheme, value), claimants) in claimants {
        let owner = owners.get(&(scheme.to_owned(), value.to_owned())).copied();
        let is_written = |id: Uuid| meetings.iter().any(|(written, _)| *written == id);
        let other = match owner.filter(|owner| !is_written(*owner)) {
            Some(other) => Some(other),
            // A new meeting has no name that the caller knows.
            None => owner.or(claimants.first().copied()).filter(|_| claimants.len() > 1),
        };
        if let Some(other) = other {
            let (name, scheme, value) = (Collection::Meetings.name(other), scheme.to_owned(), value.to_owned());
            return Err(ServiceError::DuplicateMeeting { name, scheme, value, other: String::new() });
        }
    }
    Ok(())
}
