//! What was: the revisions of a record, and records as of a time.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use tonic::Request;
use uuid::Uuid;

use super::pagination::{Cursor, RevisionNumber};
use crate::{
    model::{
        mask::diff,
        resource::Resource,
        rules::{Check, Path, Violations},
    },
    pb::{
        self, BatchGetArticlesRequest, BatchGetMeetingsRequest, BatchGetParticipantsRequest, GetArticleRequest,
        GetMeetingRequest, GetParticipantRequest, GetReportRequest, ListReportsRequest,
    },
    service::{Api, change::timestamp, error::ServiceError, id, in_order, require_fits},
    store::{StoreError, change::Kind, query::history},
};

/// A request that may ask for what was.
pub trait AtTime: Check {
    /// As of when; none for what is.
    fn read_time(&self) -> Option<&Timestamp>;
}

macro_rules! at_time {
    ($($request:ident),+) => {
        $(impl AtTime for $request {
            fn read_time(&self) -> Option<&Timestamp> {
                self.read_time.as_ref()
            }
        })+
    };
}

at_time!(GetArticleRequest, BatchGetArticlesRequest, GetParticipantRequest, BatchGetParticipantsRequest);
at_time!(GetMeetingRequest, BatchGetMeetingsRequest, GetReportRequest, ListReportsRequest);

impl Api {
    /// The request of a read, as `read` has it, and the time that it asks for, if it does.
    pub async fn read_at<R: AtTime>(&self, request: Request<R>) -> Result<(R, Option<DateTime<Utc>>), ServiceError> {
        let request = self.reached(request).await?;
        let mut violations = request.violations();
        let time = request.read_time().and_then(|asked| time(asked, Utc::now(), &mut violations));
        violations.into_result()?;
        Ok((request, time))
    }
}

/// The time that was asked for, which must not be later than now. What is no time is refused by the rules.
fn time(asked: &Timestamp, now: DateTime<Utc>, out: &mut Violations) -> Option<DateTime<Utc>> {
    let time = DateTime::from_timestamp(asked.seconds, u32::try_from(asked.nanos).ok()?)?;
    if time > now {
        let sent = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        out.add(&Path::ROOT.field("read_time"), format!("must not be in the future, not {sent}"));
    }
    Some(time)
}

/// A record as of a time.
pub async fn record<R: Resource>(api: &Api, id: Uuid, time: DateTime<Utc>) -> Result<R, ServiceError> {
    let records = records(api, &[id], time).await?;
    records.into_iter().next().ok_or_else(|| ServiceError::NotThen(R::COLLECTION.name(id)))
}

/// Records as of a time, in this order.
pub async fn records<R: Resource>(api: &Api, ids: &[Uuid], time: DateTime<Utc>) -> Result<Vec<R>, ServiceError> {
    let docs = history::docs(api.store.reads(), R::COLLECTION, ids, time).await?;
    let sizes: HashMap<Uuid, usize> = docs.iter().map(|doc| (doc.id, doc.bytes.len() + 16)).collect();
    if let Some(missing) = ids.iter().find(|id| !sizes.contains_key(id)) {
        return Err(ServiceError::NotThen(R::COLLECTION.name(*missing)));
    }
    require_fits(ids.iter().map(|id| sizes[id]).sum())?;
    in_order(ids, &docs)
}

/// The bytes that records take in a response.
pub fn bytes(records: &[impl Message]) -> usize {
    records.iter().map(|one| one.encoded_len() + 16).sum()
}

/// A page of the revisions of a record, and the token of the next one.
pub async fn revisions<R: Resource>(
    api: &Api,
    name: &str,
    cursor: &Cursor<RevisionNumber>,
) -> Result<(Vec<pb::Revision>, String), ServiceError> {
    let (id, below) = (id::<R>(name)?, cursor.after.map_or(i64::MAX, |RevisionNumber(last)| last));
    let read = history::revisions(api.store.reads(), R::COLLECTION, id, below, cursor.size).await?;
    let Some(last) = read.last() else { return Err(ServiceError::NotFound(name.to_owned())) };

    // The last one says what is different in the one after it, and is told only if there is none before it.
    let complete = if last.revision == 1 { read.len() } else { read.len() - 1 };
    let damaged = |_| StoreError::Damaged(name.to_owned());
    let records: Vec<DynamicMessage> =
        read.iter().map(|one| diff::read::<R>(&one.doc).map_err(damaged)).collect::<Result<_, _>>()?;
    let told = read.iter().zip(&records).enumerate().take(complete.min(cursor.size));
    let revisions: Vec<pb::Revision> = told
        .map(|(index, (one, record))| {
            let before = records.get(index + 1);
            revision(one, before.map(|before| diff::changed(before, record)).unwrap_or_default())
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
