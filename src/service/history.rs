//! What was: the revisions of a record.

use prost_reflect::DynamicMessage;

use super::{
    Api,
    change::timestamp,
    id,
    page::{Cursor, RevisionNumber},
    refusal::Refusal,
};
use crate::{
    model::{changed, resource::Resource},
    pb,
    store::{StoreError, change::Kind, history},
};

/// A page of the revisions of a record, and the token of the next one.
pub async fn revisions<R: Resource>(
    api: &Api,
    name: &str,
    cursor: &Cursor<RevisionNumber>,
) -> Result<(Vec<pb::Revision>, String), Refusal> {
    let (id, RevisionNumber(below)) = (id::<R>(name)?, cursor.after);
    let read = history::revisions(api.store.reads(), R::COLLECTION, id, below, cursor.size).await?;
    let Some(last) = read.last() else { return Err(Refusal::NotFound(name.to_owned())) };

    // The last one says what is different in the one after it, and is told only if there is none before it.
    let complete = if last.revision == 1 { read.len() } else { read.len() - 1 };
    let damaged = |_| StoreError::Damaged(name.to_owned());
    let records: Vec<DynamicMessage> =
        read.iter().map(|one| changed::read::<R>(&one.doc).map_err(damaged)).collect::<Result<_, _>>()?;
    let told = read.iter().zip(&records).enumerate().take(complete.min(cursor.size));
    let revisions: Vec<pb::Revision> = told
        .map(|(index, (one, record))| {
            let before = records.get(index + 1);
            revision(one, before.map(|before| changed::changed(before, record)).unwrap_or_default())
        })
        .collect();
    let next = revisions.last().map(|last| last.revision).filter(|last| *last > 1);
    let next_page_token = next.map(|last| cursor.token(RevisionNumber(last))).unwrap_or_default();
    Ok((revisions, next_page_token))
}

fn revision(read: &history::Revision, changed_fields: Vec<String>) -> pb::Revision {
    pb::Revision {
        revision: read.revision,
        update_time: Some(timestamp(read.update_time)),
        // A kind of a newer release is told as unspecified rather than not at all.
        kind: Kind::try_from(i32::from(read.change_kind)).unwrap_or(Kind::Unspecified).into(),
        actor: read.actor.clone(),
        request_id: read.request_id.clone(),
        reason: read.reason.clone(),
        changed_fields,
    }
}
