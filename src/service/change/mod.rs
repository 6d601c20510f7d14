//! ChangeService: lists and watches the change feed.
//!
//! Each response carries a cursor (`cursor`), from which a client resumes after the changes that it has received.

pub mod cursor;
mod stale_evidence;

use std::{pin::Pin, sync::Arc, time::SystemTime};

use chrono::{DateTime, Utc};
use futures_util::stream;
use prost_types::Timestamp;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use self::cursor::{CursorError, Cursors};
use super::{
    Api,
    error::ServiceError,
    read::stream_lifetime::{EndReason, Ended, StreamLifetime},
};
use crate::{
    feed::{
        Feed,
        entry::FeedEntry,
        person_filter::PersonFilter,
        watch_start::{Start, StartError},
        watcher::{self, BEHIND_RETRY, BEHIND_TIMEOUT, ResumePoint, WatchError, WatchEvent, Watcher},
    },
    model::{
        change::start as start_of,
        meeting,
        message_bound::MessageBound,
        query::filter::{self, Filter},
        report,
        resource::Record,
    },
    pb::{
        self, Change, Heartbeat, ListChangesRequest, ListChangesResponse, Notice, WatchChangesRequest,
        WatchChangesResponse, change::Resource, change_service_server::ChangeService, notice,
        watch_changes_request::Start as RequestedStart, watch_changes_response,
    },
    store::{change::Position, query::list::PAGE_BYTES},
};

/// Changes in a page if the request sets no size, and at most.
const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 1_000;
/// A page ends after this many changes were scanned, even if few matched.
const MAX_SCANNED: i64 = 10_000;

#[tonic::async_trait]
impl ChangeService for Api {
    type WatchChangesStream = Pin<Box<dyn Stream<Item = Result<WatchChangesResponse, Status>> + Send>>;

    async fn watch_changes(
        &self,
        request: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let WatchChangesRequest { start, filter, include_resource } = self.read(request).await?;
        let (filter, cursors) = parse_filter(self, &filter)?;
        let start = resolve_start(self, &cursors, start, true).await?;
        let watcher = Watcher::new(&self.feed, start, filter, include_resource, self.heartbeat);
        let included = include_resource.then_some(self.message_bound);
        let pool = self.store.reads().clone();
        let (bound, lifetime) = (self.message_bound, self.stream_limits.begin());
        let changes = ChangeStream { watcher, pool, cursors, included, bound, lifetime };
        Ok(Response::new(Box::pin(stream::try_unfold(changes, |mut changes| async {
            let response = changes.next().await?;
            Ok(Some((response, changes)))
        }))))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let ListChangesRequest { start, filter, include_resource, page_size } = self.read(request).await?;
        let (filter, cursors) = parse_filter(self, &filter)?;
        let (start, _) = resolve_start(self, &cursors, start.map(start_of), false).await?;
        let size = match usize::try_from(page_size).unwrap_or(0) {
            0 => DEFAULT_SIZE,
            size => size.min(MAX_SIZE),
        };
        Ok(Response::new(page(self, start, filter, &cursors, include_resource, size).await?))
    }
}

/// The stream of one watch.
struct ChangeStream {
    watcher: Watcher,
    /// Reads the words of stale evidence.
    pool: PgPool,
    cursors: Cursors,
    /// The bound on the resource of a change; `None` without resources.
    included: Option<MessageBound>,
    bound: MessageBound,
    lifetime: StreamLifetime,
}

impl ChangeStream {
    async fn next(&mut self) -> Result<WatchChangesResponse, Status> {
        let next = tokio::select! {
            biased;
            reason = self.lifetime.ended() => return Err(self.end(reason)),
            next = self.watcher.next() => next,
        };
        let event = match next {
            Ok(event) => event,
            Err(WatchError::Stopping) => return Err(self.end(EndReason::Stopping)),
            Err(error) => return Err(self.failed(error).await),
        };
        let resume_point = self.watcher.resume_point();
        use watch_changes_response::Event as Answer;
        let notice = |kind: notice::Kind| Answer::Notice(Notice { kind: kind.into() });
        let event = match event {
            WatchEvent::Change(entry) => {
                let mut change = change(&entry, &resume_point.epoch, self.included);
                stale_evidence::add(&self.pool, &entry.change, &mut change, self.bound)
                    .await
                    .map_err(ServiceError::from)?;
                Answer::Change(change)
            }
            WatchEvent::Heartbeat => {
                let position =
                    Position { epoch: resume_point.epoch.clone(), number: resume_point.position }.to_string();
                Answer::Heartbeat(Heartbeat { position, time: Some(SystemTime::now().into()) })
            }
            WatchEvent::CaughtUp => notice(notice::Kind::CaughtUp),
            WatchEvent::FellBehind => notice(notice::Kind::FellBehind),
        };
        Ok(WatchChangesResponse { cursor: self.cursors.write(resume_point), event: Some(event) })
    }

    /// The status that ends the stream. The client resumes the watch from the cursor in it.
    fn end(&self, reason: EndReason) -> Status {
        let cursor = self.cursors.write(self.watcher.resume_point());
        ServiceError::Ended(Ended { reason, resume: Some(("cursor", cursor)) }).into()
    }

    /// The status of a watch that cannot continue, with the details that the client needs to start another.
    async fn failed(&self, error: WatchError) -> Status {
        feed_error(self.watcher.feed(), &self.cursors, self.watcher.resume_point(), error).await.into()
    }
}

/// Converts the error of a read that had begun at a valid resume point.
async fn feed_error(feed: &Feed, cursors: &Cursors, resume_point: &ResumePoint, error: WatchError) -> ServiceError {
    match error {
        WatchError::Stopping => ServiceError::Stopping,
        WatchError::Broken => ServiceError::Defect,
        WatchError::Behind(head) => ServiceError::NotReached(head.to_string()),
        WatchError::Store(error) => error.into(),
        // Starting at the resume point again returns the error with its details.
        WatchError::Expired | WatchError::EpochChanged => {
            match feed.resume_point(Start::ResumePoint(resume_point.clone()), false).await {
                Err(error) => start_error(error, cursors),
                // The read has reached another server, on which the point is valid.
                Ok(_) => ServiceError::NotReached(feed.head().to_string()),
            }
        }
    }
}

/// Parses a filter, and makes the cursors that are bound to it.
fn parse_filter(api: &Api, filter: &str) -> Result<(Filter, Cursors), ServiceError> {
    let parsed = filter::parse(&filter::CHANGES, filter).map_err(ServiceError::Filter)?;
    Ok((parsed, Cursors::of(filter, api.token_key)))
}

/// Resolves a requested start to a resume point, and returns it with the newest position of the feed. With
/// `may_be_ahead`, a server in recovery may not have the point yet.
async fn resolve_start(
    api: &Api,
    cursors: &Cursors,
    requested: Option<RequestedStart>,
    may_be_ahead: bool,
) -> Result<(ResumePoint, i64), ServiceError> {
    let start = match requested {
        Some(RequestedStart::Cursor(cursor)) => {
            Start::ResumePoint(cursors.read(&cursor).map_err(|error| match error {
                CursorError::Invalid => ServiceError::Cursor,
                CursorError::OtherFilter => ServiceError::CursorOfAnotherFilter,
            })?)
        }
        Some(RequestedStart::After(position)) => {
            Start::After(Position::parse(&position).ok_or(ServiceError::Position { field: "after", position })?)
        }
        Some(RequestedStart::StartTime(time)) => {
            let nanos = u32::try_from(time.nanos).unwrap_or(0);
            Start::Time(DateTime::<Utc>::from_timestamp(time.seconds, nanos).unwrap_or_default())
        }
        Some(RequestedStart::Origin(origin)) if origin == pb::Origin::Beginning as i32 => Start::Beginning,
        Some(RequestedStart::Origin(_)) | None => Start::Now,
    };
    api.feed.resume_point(start, may_be_ahead).await.map_err(|error| start_error(error, cursors))
}

fn start_error(error: StartError, cursors: &Cursors) -> ServiceError {
    match error {
        StartError::EpochChanged(epoch) => ServiceError::EpochChanged(epoch),
        StartError::InFuture(head) => ServiceError::InFuture(head.to_string()),
        StartError::Behind(head) => ServiceError::NotReached(head.to_string()),
        StartError::Expired(oldest, time) => ServiceError::CursorExpired {
            oldest_cursor: cursors.write(&oldest),
            oldest_time: time.map(timestamp).map(|time| time.to_string()).unwrap_or_default(),
        },
        StartError::Store(error) => error.into(),
    }
}

/// Reads a page of changes that match a filter.
async fn page(
    api: &Api,
    mut resume_point: ResumePoint,
    filter: Filter,
    cursors: &Cursors,
    include_resource: bool,
    size: usize,
) -> Result<ListChangesResponse, ServiceError> {
    let mut filter = PersonFilter::of(filter);
    let with_records = include_resource || filter.needs_record();
    let included = include_resource.then_some(api.message_bound);
    let first = resume_point.position;
    let mut answer = ListChangesResponse::default();
    let (mut bytes, mut is_full) = (0, false);
    let deadline = Instant::now() + BEHIND_TIMEOUT;
    while !is_full && resume_point.position < first + MAX_SCANNED {
        // Without a filter every change matches, so no more than the missing ones are read.
        let limit = match filter.is_everything() {
            true => (size - answer.changes.len()) as i64, // at most 1,000
            false => MAX_SIZE as i64,
        };
        let read = watcher::page(&api.feed, &resume_point, with_records, limit, PAGE_BYTES).await;
        let (mut entries, reaches_head) = match read {
            Ok(read) => read,
            Err(WatchError::Behind(_)) if !answer.changes.is_empty() => break,
            Err(WatchError::Behind(_)) if Instant::now() < deadline => {
                sleep(BEHIND_RETRY).await;
                continue;
            }
            Err(error) => return Err(feed_error(&api.feed, cursors, &resume_point, error).await),
        };
        if !entries.is_empty() {
            filter.begin(&api.feed, resume_point.position).await?;
        }
        while let Some(entry) = entries.pop_front() {
            if filter.matches(&entry) {
                let mut change = change(&entry, &resume_point.epoch, included);
                stale_evidence::add(api.store.reads(), &entry.change, &mut change, api.message_bound).await?;
                bytes += prost::Message::encoded_len(&change) + 8;
                if bytes > PAGE_BYTES as usize && !answer.changes.is_empty() {
                    is_full = true;
                    entries.push_front(entry);
                    break;
                }
                answer.changes.push(change);
            }
            resume_point.position = entry.change.position;
            resume_point.mark = entry.change.mark();
            if answer.changes.len() == size {
                is_full = true;
                break;
            }
        }
        if reaches_head && entries.is_empty() {
            answer.caught_up = true;
            break;
        }
    }
    answer.cursor = cursors.write(&resume_point);
    Ok(answer)
}

/// Converts a feed entry to its message. A resource that does not fit into a message is only named.
fn change(entry: &FeedEntry, epoch: &Arc<str>, included: Option<MessageBound>) -> Change {
    let logged = &entry.change;
    let max_bytes = included.map_or(0, MessageBound::wrapped);
    let records = entry.records.as_ref().filter(|_| included.is_some());
    Change {
        position: Position { epoch: epoch.clone(), number: logged.position }.to_string(),
        kind: logged.kind.into(),
        name: logged.collection.name(logged.id),
        revision: logged.revision,
        time: Some(timestamp(logged.time)),
        actor: logged.actor.clone(),
        request_id: logged.request_id.clone(),
        last: logged.last,
        resource: records.map(|records| match records.after.clone() {
            Record::Participant(participant) => Resource::Participant(*participant),
            Record::Article(article) => Resource::Article(*article),
            Record::Report(report) => Resource::Report(report::within(*report, max_bytes)),
            Record::Meeting(meeting) => Resource::Meeting(meeting::within(meeting::basic(*meeting), max_bytes)),
        }),
        ..Default::default()
    }
}

/// Converts a time of the database.
pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    // Subsecond nanoseconds fit into an i32.
    Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos() as i32 }
}
