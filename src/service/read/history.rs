//! Reads of the past: the revisions of a record, and records as of a time.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use tokio::time::sleep;
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
        self, AggregateMeetingsRequest, AggregateStatementsRequest, BatchGetArticlesRequest, BatchGetMeetingsRequest,
        BatchGetParticipantsRequest, FindPathRequest, GetArticleRequest, GetMeetingRequest, GetParticipantRequest,
        GetReportRequest, ListArticlesRequest, ListCounterpartsRequest, ListMeetingsRequest, ListParticipantsRequest,
        ListReportsRequest, ListStatementsRequest,
    },
    service::{Api, change::timestamp, error::ServiceError, id, in_order},
    store::{
        BATCH_TIMEOUT, StoreError,
        change::{self, Kind},
        query::{history, list::PAGE_BYTES},
    },
};

/// A request with an optional `read_time`.
pub trait AtTime: Check {
    /// The time to read as of; `None` for the current state.
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
at_time!(ListArticlesRequest, ListParticipantsRequest, ListMeetingsRequest, AggregateMeetingsRequest);
at_time!(ListCounterpartsRequest, ListStatementsRequest, AggregateStatementsRequest, FindPathRequest);

/// The time that passes between two times up to which the past is closed. Closing refuses the writes that are about to
/// be committed, which are prepared again. Reads that follow each other closely must not refuse them again and again.
const MIN_BETWEEN_CLOSINGS: TimeDelta = TimeDelta::milliseconds(500);
/// A write is committed before it is this old, or not at all. A standby, where nothing can be closed, answers for times
/// that are older.
const MAX_WRITE_AGE: TimeDelta = TimeDelta::seconds(2 * BATCH_TIMEOUT.as_secs() as i64);

impl Api {
    /// As `read`, with the time in the past that the request asks for.
    ///
    /// # Errors
    /// Those of [`Api::read`], and `Invalid` for a time in the future.
    pub async fn read_at<R: AtTime>(&self, request: Request<R>) -> Result<(R, Option<DateTime<Utc>>), ServiceError> {
        let request = self.await_min_position(request).await?;
        let mut violations = request.violations();
        let time = request.read_time().and_then(|timestamp| past_time(timestamp, Utc::now(), &mut violations));
        violations.into_result()?;
        if let Some(time) = time {
            self.close_past(time).await?;
        }
        Ok((request, time))
    }

    /// As `read_query`, with the time in the past that the request asks for.
    ///
    /// # Errors
    /// Those of [`read_at`](Self::read_at).
    pub async fn read_query_at<R: AtTime>(
        &self,
        request: Request<R>,
    ) -> Result<(R, Duration, Option<DateTime<Utc>>), ServiceError> {
        let budget = self.query_budget(&request);
        let (request, time) = self.read_at(request).await?;
        Ok((request, budget, time))
    }

    /// Makes sure that no revision is written any more with an update time up to `time`, so that each later read as of
    /// this time returns the same.
    async fn close_past(&self, time: DateTime<Utc>) -> Result<(), ServiceError> {
        loop {
            let closed = change::read_time(self.store.reads()).await?;
            if closed.is_some_and(|closed| closed.trunc_subsecs(6) >= time.trunc_subsecs(6)) {
                return Ok(());
            }
            // The clocks of instances differ.
            let now = Utc::now().max(time);
            match closed.map(|closed| now - closed).filter(|age| *age < MIN_BETWEEN_CLOSINGS) {
                Some(age) => sleep((MIN_BETWEEN_CLOSINGS - age).to_std().unwrap_or_default()).await,
                None => match change::close_past(self.store.reads(), now).await {
                    Err(StoreError::ReadOnly(_)) if time < now - MAX_WRITE_AGE => return Ok(()),
                    closed => return Ok(closed?),
                },
            }
        }
    }
}

/// Converts a `read_time`, which must not be in the future. The contract's rules reject a malformed one.
fn past_time(timestamp: &Timestamp, now: DateTime<Utc>, out: &mut Violations) -> Option<DateTime<Utc>> {
    let time = DateTime::from_timestamp(timestamp.seconds, u32::try_from(timestamp.nanos).ok()?)?;
    if time > now {
        let sent = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        out.add(&Path::ROOT.field("read_time"), format!("must not be in the future, not {sent}"));
    }
    Some(time)
}

/// Reads a record as of a time.
///
/// # Errors
/// Those of [`records`].
pub async fn record<R: Resource>(api: &Api, id: Uuid, time: DateTime<Utc>) -> Result<R, ServiceError> {
    let records = records(api, &[id], time).await?;
    records.into_iter().next().ok_or_else(|| ServiceError::NotThen(R::COLLECTION.name(id)))
}

/// Reads records as of a time, in the order of the ids.
///
/// # Errors
/// `NotThen` for an id that had no record at the time, `AnswerTooLarge`.
pub async fn records<R: Resource>(api: &Api, ids: &[Uuid], time: DateTime<Utc>) -> Result<Vec<R>, ServiceError> {
    let docs = history::docs(api.store.reads(), R::COLLECTION, ids, time).await?;
    let found: HashSet<Uuid> = docs.iter().map(|doc| doc.id).collect();
    if let Some(missing) = ids.iter().find(|id| !found.contains(id)) {
        return Err(ServiceError::NotThen(R::COLLECTION.name(*missing)));
    }
    api.require_docs_fit(R::COLLECTION, ids, &docs)?;
    in_order(ids, &docs)
}

/// Reads a page of the revisions of a record, newest first, and the token of the next page.
///
/// # Errors
/// `NotFound`, and `Damaged` for a revision that cannot be decoded.
pub async fn revisions<R: Resource>(
    api: &Api,
    name: &str,
    cursor: &Cursor<RevisionNumber>,
) -> Result<(Vec<pb::Revision>, String), ServiceError> {
    let (id, below) = (id::<R>(name)?, cursor.after.map_or(i64::MAX, |RevisionNumber(last)| last));
    let read = history::revisions(api.store.reads(), R::COLLECTION, id, below, cursor.size).await?;
    let Some(last) = read.last() else { return Err(ServiceError::NotFound(name.to_owned())) };

    // One revision more than the page is read, since each is compared with the one before it. The extra one is only
    // returned if it is the first revision of the record.
    let comparable = if last.revision == 1 { read.len() } else { read.len() - 1 };
    let damaged = |_| StoreError::Damaged(name.to_owned());
    let records: Vec<DynamicMessage> =
        read.iter().map(|revision| diff::read::<R>(&revision.doc).map_err(damaged)).collect::<Result<_, _>>()?;
    let page = read.iter().zip(&records).enumerate().take(comparable.min(cursor.size));
    let (mut revisions, mut bytes) = (Vec::new(), 0);
    for (index, (stored, record)) in page {
        let before = records.get(index + 1);
        let revision = revision(stored, before.map(|before| diff::changed_paths(before, record)).unwrap_or_default());
        bytes += revision.encoded_len();
        // Small records can have long reasons, and many labels that change.
        if bytes > PAGE_BYTES as usize && !revisions.is_empty() {
            break;
        }
        revisions.push(revision);
    }
    let next = revisions.last().map(|last: &pb::Revision| last.revision).filter(|last| *last > 1);
    let next_page_token = next.map(|last| cursor.token(RevisionNumber(last))).unwrap_or_default();
    Ok((revisions, next_page_token))
}

fn revision(stored: &history::Revision, changed_fields: Vec<String>) -> pb::Revision {
    pb::Revision {
        revision: stored.revision,
        update_time: Some(timestamp(stored.update_time)),
        // A kind that only a newer release knows becomes unspecified, so that the revision can still be listed.
        kind: Kind::try_from(i32::from(stored.change_kind)).unwrap_or(Kind::Unspecified).into(),
        actor: stored.actor.clone(),
        request_id: stored.request_id.clone(),
        reason: stored.reason.clone(),
        changed_fields,
    }
}
