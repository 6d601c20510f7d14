//! ChangeService.

pub mod cursor;

use std::{pin::Pin, time::SystemTime};

use chrono::{DateTime, Utc};
use futures_util::stream;
use prost_types::Timestamp;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use self::cursor::{CursorError, Cursors};
use super::{
    Api,
    error::ServiceError,
    read::stream_lifetime::{EndReason, Ended, Life},
    status::MESSAGE_BYTES,
};
use crate::{
    feed::{
        entry::FeedEntry,
        start::{Start, StartError},
        watcher::{self, FollowError, ResumePoint, WatchEvent, Watcher},
    },
    model::{
        change::start as start_of,
        meeting::basic,
        query::filter::{self, Filter},
        resource::Record,
    },
    pb::{
        self, Change, Heartbeat, ListChangesRequest, ListChangesResponse, Notice, WatchChangesRequest,
        WatchChangesResponse, change::Resource, change_service_server::ChangeService, notice,
        watch_changes_request::Start as Asked, watch_changes_response,
    },
    store::{change::Position, query::list::PAGE_BYTES},
};

const DEFAULT_SIZE: usize = 50;
const LARGEST_SIZE: usize = 1_000;
/// A page of changes ends when so many were looked at.
const MOST_SCANNED: i64 = 10_000;

#[tonic::async_trait]
impl ChangeService for Api {
    type WatchChangesStream = Pin<Box<dyn Stream<Item = Result<WatchChangesResponse, Status>> + Send>>;

    async fn watch_changes(
        &self,
        request: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let WatchChangesRequest { start, filter, include_resource } = self.read(request).await?;
        let (filter, cursors) = question(self, &filter)?;
        let place = place(self, &cursors, start).await?;
        let follower = Watcher::new(&self.feed, place, filter, include_resource, self.heartbeat);
        let watch = ChangeStream { follower, cursors, include_resource, life: self.stream_limits.begin() };
        Ok(Response::new(Box::pin(stream::try_unfold(watch, |mut watch| async {
            let response = watch.next().await?;
            Ok(Some((response, watch)))
        }))))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let ListChangesRequest { start, filter, include_resource, page_size } = self.read(request).await?;
        let (filter, cursors) = question(self, &filter)?;
        let (place, _) = place(self, &cursors, start.map(start_of)).await?;
        let size = match usize::try_from(page_size).unwrap_or(0) {
            0 => DEFAULT_SIZE,
            size => size.min(LARGEST_SIZE),
        };
        Ok(Response::new(page(self, place, &filter, &cursors, include_resource, size).await?))
    }
}

/// One who watches.
struct ChangeStream {
    follower: Watcher,
    cursors: Cursors,
    include_resource: bool,
    life: Life,
}

impl ChangeStream {
    async fn next(&mut self) -> Result<WatchChangesResponse, Status> {
        let next = tokio::select! {
            biased;
            why = self.life.ended() => return Err(self.is_over(why)),
            next = self.follower.next() => next,
        };
        let event = match next {
            Ok(event) => event,
            Err(FollowError::Stopping) => return Err(self.is_over(EndReason::Stopping)),
            Err(error) => return Err(self.ended(error).await),
        };
        let place = self.follower.place();
        use watch_changes_response::Event as Answer;
        let notice = |kind: notice::Kind| Answer::Notice(Notice { kind: kind.into() });
        let event = match event {
            WatchEvent::Change(told) => Answer::Change(change(&told, &place.epoch, self.include_resource)),
            WatchEvent::Heartbeat => {
                let position = Position { epoch: place.epoch.clone(), number: place.position }.to_string();
                Answer::Heartbeat(Heartbeat { position, time: Some(SystemTime::now().into()) })
            }
            WatchEvent::CaughtUp => notice(notice::Kind::CaughtUp),
            WatchEvent::FellBehind => notice(notice::Kind::FellBehind),
        };
        Ok(WatchChangesResponse { cursor: self.cursors.write(place), event: Some(event) })
    }

    /// The end of the stream, not of the watch: it goes on after what was sent.
    fn is_over(&self, why: EndReason) -> Status {
        let cursor = self.cursors.write(self.follower.place());
        ServiceError::Ended(Ended { why, resume: Some(("cursor", cursor)) }).into()
    }

    /// Why a watch cannot go on, with what the client needs to know in order to begin again.
    async fn ended(&self, error: FollowError) -> Status {
        ended(self.follower.feed(), &self.cursors, self.follower.place(), error).await.into()
    }
}

/// The refusal of a place that was good before.
async fn ended(feed: &crate::feed::Feed, cursors: &Cursors, place: &ResumePoint, error: FollowError) -> ServiceError {
    match error {
        FollowError::Stopping => ServiceError::Stopping,
        FollowError::Broken => ServiceError::Defect,
        FollowError::Store(error) => error.into(),
        // Beginning there again says what is wrong with it.
        FollowError::Expired | FollowError::EpochChanged => match feed.place(Start::ResumePoint(place.clone())).await {
            Err(error) => start_refused(error, cursors),
            Ok(_) => ServiceError::Contention,
        },
    }
}

fn question(api: &Api, filter: &str) -> Result<(Filter, Cursors), ServiceError> {
    let parsed = filter::parse(&filter::CHANGES, filter).map_err(ServiceError::Filter)?;
    Ok((parsed, Cursors::of(filter, api.token_key)))
}

async fn place(api: &Api, cursors: &Cursors, asked: Option<Asked>) -> Result<(ResumePoint, i64), ServiceError> {
    let start = match asked {
        Some(Asked::Cursor(cursor)) => Start::ResumePoint(cursors.read(&cursor).map_err(|error| match error {
            CursorError::Invalid => ServiceError::Cursor,
            CursorError::OtherFilter => ServiceError::CursorOfAnotherFilter,
        })?),
        Some(Asked::After(position)) => {
            Start::After(Position::parse(&position).ok_or(ServiceError::Position { field: "after", position })?)
        }
        Some(Asked::StartTime(time)) => {
            let nanos = u32::try_from(time.nanos).unwrap_or(0);
            Start::Time(DateTime::<Utc>::from_timestamp(time.seconds, nanos).unwrap_or_default())
        }
        Some(Asked::Origin(origin)) if origin == pb::Origin::Beginning as i32 => Start::Beginning,
        Some(Asked::Origin(_)) | None => Start::Now,
    };
    api.feed.place(start).await.map_err(|error| start_refused(error, cursors))
}

fn start_refused(error: StartError, cursors: &Cursors) -> ServiceError {
    match error {
        StartError::EpochChanged(epoch) => ServiceError::EpochChanged(epoch),
        StartError::InFuture(head) => ServiceError::InFuture(head.to_string()),
        StartError::Expired(oldest, time) => ServiceError::CursorExpired {
            oldest_cursor: cursors.write(&oldest),
            oldest_time: time.map(timestamp).map(|time| time.to_string()).unwrap_or_default(),
        },
        StartError::Store(error) => error.into(),
    }
}

async fn page(
    api: &Api,
    mut place: ResumePoint,
    filter: &Filter,
    cursors: &Cursors,
    include_resource: bool,
    size: usize,
) -> Result<ListChangesResponse, ServiceError> {
    let with_records = include_resource || filter.needs_record();
    let first = place.position;
    let mut answer = ListChangesResponse::default();
    let (mut bytes, mut is_full) = (0, false);
    while !is_full && place.position < first + MOST_SCANNED {
        // Without a filter, no more than what is wanted.
        let most = match *filter == Filter::EVERYTHING {
            true => (size - answer.changes.len()) as i64, // at most 1,000: it fits
            false => LARGEST_SIZE as i64,
        };
        let read = watcher::page(&api.feed, &place, with_records, most, PAGE_BYTES).await;
        let (mut told, reaches_head) = match read {
            Ok(read) => read,
            Err(error) => return Err(ended(&api.feed, cursors, &place, error).await),
        };
        while let Some(one) = told.pop_front() {
            if one.matches(filter) {
                let change = change(&one, &place.epoch, include_resource);
                bytes += prost::Message::encoded_len(&change) + 8;
                if bytes > MESSAGE_BYTES.min(PAGE_BYTES as usize) && !answer.changes.is_empty() {
                    is_full = true;
                    told.push_front(one);
                    break;
                }
                answer.changes.push(change);
            }
            place.position = one.change.position;
            place.mark = one.change.mark();
            if answer.changes.len() == size {
                is_full = true;
                break;
            }
        }
        if reaches_head && told.is_empty() {
            answer.caught_up = true;
            break;
        }
    }
    answer.cursor = cursors.write(&place);
    Ok(answer)
}

fn change(told: &FeedEntry, epoch: &std::sync::Arc<str>, include_resource: bool) -> Change {
    let logged = &told.change;
    let records = told.records.as_ref().filter(|_| include_resource);
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
            Record::Report(report) => Resource::Report(*report),
            Record::Meeting(meeting) => Resource::Meeting(basic(*meeting)),
        }),
    }
}

/// A time of the database as a message.
pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    // Nanoseconds of a second fit.
    Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos() as i32 }
}
