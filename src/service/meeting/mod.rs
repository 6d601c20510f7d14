//! MeetingService: meetings, and the reports from which they are settled.
//!
//! A meeting's account is never written directly: it is settled from the meeting's active reports and rulings
//! (`settle_inputs`). `update` makes rulings, `merge` moves reports between meetings, `retract` takes reports back;
//! creating, reporting and deleting are here. `view`, `list`, `aggregate` and `statement` serve the reads.

mod aggregate;
mod aggregate_statements;
mod bind;
mod create;
pub mod external_ids;
mod links;
mod list;
mod list_duplicate_meetings;
mod list_statements;
pub mod match_meetings;
mod meeting_search;
mod merge;
mod new_report;
pub mod retract;
pub mod settle_inputs;
pub mod size_limits;
mod statements_as_of;
mod update;
mod view;

use std::pin::Pin;

use prost::Message;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::{
    list::{page, parse_query},
    view::{read, read_full},
};
use super::{
    Api,
    error::ServiceError,
    id, ids,
    read::{
        history,
        pagination::{Cursor, chunks},
    },
    write::{
        WritePlan,
        idempotency::WriteCall,
        revise::{load_to_delete, load_to_undelete, plan_revision},
    },
};
use crate::{
    fairness::heavy,
    model::{
        canonical::Canonical,
        meeting::basic,
        report,
        resource::{Collection, Deletable, Resource},
        story::account_ids::complete_ids,
    },
    pb::{
        AddReportRequest, AggregateMeetingsRequest, AggregateMeetingsResponse, AggregateStatementsRequest,
        AggregateStatementsResponse, BatchGetMeetingsRequest, BatchGetMeetingsResponse, BindParticipationRequest,
        CreateMeetingRequest, DeleteMeetingRequest, GetMeetingRequest, GetReportRequest, ListDuplicateMeetingsRequest,
        ListDuplicateMeetingsResponse, ListMeetingRevisionsRequest, ListMeetingRevisionsResponse, ListMeetingsRequest,
        ListMeetingsResponse, ListReportsRequest, ListReportsResponse, ListStatementsRequest, ListStatementsResponse,
        MatchMeetingsRequest, MatchMeetingsResponse, Meeting, MergeMeetingsRequest, Report, RetractReportRequest,
        SplitMeetingRequest, UndeleteMeetingRequest, UpdateMeetingRequest, View,
        meeting_service_server::MeetingService,
    },
    store::{
        StoreError, change,
        query::history::list_reports,
        report as report_store,
        write::{Put, clock},
    },
};

#[tonic::async_trait]
impl MeetingService for Api {
    async fn create_meeting(&self, request: Request<CreateMeetingRequest>) -> Result<Response<Meeting>, Status> {
        let (call, request) = WriteCall::read_completed(request, |request: &mut CreateMeetingRequest| {
            request.meeting.iter_mut().filter_map(|meeting| meeting.account.as_mut()).for_each(complete_ids);
        })?;
        self.run_write(&call, || create::prepare(self, &call, &request)).await
    }

    async fn add_report(&self, request: Request<AddReportRequest>) -> Result<Response<Report>, Status> {
        let (call, request) = WriteCall::read_completed(request, |request: &mut AddReportRequest| {
            request.report.iter_mut().filter_map(|report| report.account.as_mut()).for_each(complete_ids);
        })?;
        let _lock = self.record_locks.lock(id::<Meeting>(&request.meeting)?).await;
        self.run_write(&call, || create::prepare_report(self, &call, &request)).await
    }

    async fn get_meeting(&self, request: Request<GetMeetingRequest>) -> Result<Response<Meeting>, Status> {
        let (request, time) = self.read_at(request).await?;
        let id = id::<Meeting>(&request.name)?;
        let meeting = match (time, request.view()) {
            (Some(time), view) => view::as_of(self, &[id], view, time).await?.pop(),
            (None, View::Basic) => read_basic(self, id).await?,
            (None, _) => read_full(self, id).await?,
        };
        meeting.map(Response::new).ok_or_else(|| ServiceError::NotFound(request.name).into())
    }

    async fn batch_get_meetings(
        &self,
        request: Request<BatchGetMeetingsRequest>,
    ) -> Result<Response<BatchGetMeetingsResponse>, Status> {
        let (request, time) = self.read_at(request).await?;
        let ids = ids::<Meeting>(&request.names);
        let meetings = match time {
            Some(time) => view::as_of(self, &ids, request.view(), time).await?,
            None => read(self, &ids, request.view()).await?,
        };
        Ok(Response::new(BatchGetMeetingsResponse { meetings }))
    }

    async fn list_meetings(
        &self,
        request: Request<ListMeetingsRequest>,
    ) -> Result<Response<ListMeetingsResponse>, Status> {
        let (request, budget, time) = self.read_query_at(request).await?;
        let (cursor, query, view) = parse_query(self, &request, budget, time).await?;
        Ok(Response::new(page(self.clone(), budget, cursor, query, view).await?.0))
    }

    type StreamMeetingsStream = Pin<Box<dyn Stream<Item = Result<ListMeetingsResponse, Status>> + Send>>;

    async fn stream_meetings(
        &self,
        request: Request<ListMeetingsRequest>,
    ) -> Result<Response<Self::StreamMeetingsStream>, Status> {
        let (request, time) = self.read_at(request).await?;
        let (api, budget) = (self.clone(), self.question_timeout);
        let (cursor, query, view) = parse_query(self, &request, budget, time).await?;
        let page = move |cursor| page(api.clone(), budget, cursor, query.clone(), view);
        let chunks = chunks(self, cursor.in_chunks(), page);
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn get_report(&self, request: Request<GetReportRequest>) -> Result<Response<Report>, Status> {
        let (request, time) = self.read_at(request).await?;
        if let Some(time) = time {
            return Ok(Response::new(history::record(self, id::<Report>(&request.name)?, time).await?));
        }
        let report = read_report(self, &request.name).await?.ok_or(ServiceError::NotFound(request.name))?;
        self.require_fits(report.encoded_len(), || report.name.clone())?;
        Ok(Response::new(report))
    }

    async fn list_reports(
        &self,
        request: Request<ListReportsRequest>,
    ) -> Result<Response<ListReportsResponse>, Status> {
        let (request, time) = self.read_at(request).await?;
        let cursor = Cursor::of(&request, self.token_key, self.feed.head())?;
        let (meeting, article) = (Collection::Meetings.id(&request.meeting), Collection::Articles.id(&request.article));
        let after = cursor.after.unwrap_or_default();
        let page = match time {
            Some(time) => list_reports(self.store.reads(), meeting, article, time, (after, cursor.size)).await?,
            None => report_store::list(self.store.reads(), meeting, article, after, cursor.size).await?,
        };
        let next_page_token = page.next().map(|last| cursor.token(last.id)).unwrap_or_default();
        let as_of = cursor.as_of.to_string();
        let within = |report| report::within(report, self.message_bound.wrapped());
        let reports = page.docs.iter().map(|doc| Ok(within(doc.decode()?))).collect::<Result<_, StoreError>>()?;
        Ok(Response::new(ListReportsResponse { reports, next_page_token, as_of }))
    }

    async fn list_statements(
        &self,
        request: Request<ListStatementsRequest>,
    ) -> Result<Response<ListStatementsResponse>, Status> {
        Ok(Response::new(list_statements::list(self, request).await?))
    }

    async fn update_meeting(&self, request: Request<UpdateMeetingRequest>) -> Result<Response<Meeting>, Status> {
        let (call, mut request) = WriteCall::read(request)?;
        request.meeting.iter_mut().filter_map(|meeting| meeting.account.as_mut()).for_each(complete_ids);
        let validate_only = request.validate_only;
        let update = update::MeetingUpdate::read(request).map_err(ServiceError::from)?;
        let _lock = self.record_locks.lock(update.meeting()?).await;
        self.run_write(&call, || update::prepare(self, &call, &update, validate_only)).await
    }

    async fn bind_participation(&self, request: Request<BindParticipationRequest>) -> Result<Response<Report>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _locks = match read_report(self, &request.report).await? {
            Some(report) => self.record_locks.lock_all(Collection::Meetings.id(&report.meeting)).await,
            None => Vec::new(),
        };
        self.run_write(&call, || bind::prepare(self, &call, &request)).await
    }

    async fn retract_report(&self, request: Request<RetractReportRequest>) -> Result<Response<Report>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _locks = match read_report(self, &request.name).await? {
            Some(report) => self.record_locks.lock_all(Collection::Meetings.id(&report.meeting)).await,
            None => Vec::new(),
        };
        self.run_write(&call, || retract::prepare(self, &call, &request)).await
    }

    async fn merge_meetings(&self, request: Request<MergeMeetingsRequest>) -> Result<Response<Meeting>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let meetings = ids::<Meeting>(&request.sources).into_iter().chain(Collection::Meetings.id(&request.name));
        let _locks = self.record_locks.lock_all(meetings).await;
        self.run_write(&call, || merge::prepare_merge(self, &call, &request)).await
    }

    async fn split_meeting(&self, request: Request<SplitMeetingRequest>) -> Result<Response<Meeting>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let meetings = [&request.name, &request.into].into_iter().filter_map(|name| Collection::Meetings.id(name));
        let _locks = self.record_locks.lock_all(meetings).await;
        self.run_write(&call, || merge::prepare_split(self, &call, &request)).await
    }

    async fn delete_meeting(&self, request: Request<DeleteMeetingRequest>) -> Result<Response<Meeting>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Meeting>(&request.name)?).await;
        self.run_write(&call, || prepare_delete(self, &call, &request)).await
    }

    async fn undelete_meeting(&self, request: Request<UndeleteMeetingRequest>) -> Result<Response<Meeting>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Meeting>(&request.name)?).await;
        self.run_write(&call, || prepare_undelete(self, &call, &request)).await
    }

    async fn list_meeting_revisions(
        &self,
        request: Request<ListMeetingRevisionsRequest>,
    ) -> Result<Response<ListMeetingRevisionsResponse>, Status> {
        let request = self.read(request).await?;
        let cursor = Cursor::of(&request, self.token_key, self.feed.head())?;
        let (revisions, next_page_token) = history::revisions::<Meeting>(self, &request.name, &cursor).await?;
        let as_of = cursor.as_of.to_string();
        Ok(Response::new(ListMeetingRevisionsResponse { revisions, next_page_token, as_of }))
    }

    async fn aggregate_meetings(
        &self,
        request: Request<AggregateMeetingsRequest>,
    ) -> Result<Response<AggregateMeetingsResponse>, Status> {
        let (request, budget, time) = self.read_query_at(request).await?;
        Ok(Response::new(aggregate::aggregate(self, &request, budget, time).await?))
    }

    async fn aggregate_statements(
        &self,
        request: Request<AggregateStatementsRequest>,
    ) -> Result<Response<AggregateStatementsResponse>, Status> {
        let (request, budget, time) = self.read_query_at(request).await?;
        Ok(Response::new(aggregate_statements::aggregate(self, &request, budget, time).await?))
    }

    async fn match_meetings(
        &self,
        mut request: Request<MatchMeetingsRequest>,
    ) -> Result<Response<MatchMeetingsResponse>, Status> {
        // The account is the one that a write would store.
        if let Some(account) = &mut request.get_mut().account {
            account.canonicalize();
            complete_ids(account);
        }
        let (request, budget) = self.read_query(request).await?;
        Ok(Response::new(match_meetings::match_meetings(self, request, budget).await?))
    }

    async fn list_duplicate_meetings(
        &self,
        request: Request<ListDuplicateMeetingsRequest>,
    ) -> Result<Response<ListDuplicateMeetingsResponse>, Status> {
        let (request, budget) = self.read_query(request).await?;
        Ok(Response::new(list_duplicate_meetings::list(self, &request, budget).await?))
    }
}

async fn prepare_delete(
    api: &Api,
    call: &WriteCall,
    request: &DeleteMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let former: Meeting = load_to_delete(api, &request.name, &request.etag, None).await?;
    let next = former.deleted(clock::now());
    Ok(put_next(call, request.validate_only, next, change::Kind::Deleted))
}

async fn prepare_undelete(
    api: &Api,
    call: &WriteCall,
    request: &UndeleteMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let former: Meeting = load_to_undelete(api, &request.name, &request.etag).await?;
    let next = former.undeleted(clock::now());
    Ok(put_next(call, request.validate_only, next, change::Kind::Undeleted))
}

fn put_next(call: &WriteCall, validate_only: bool, next: Meeting, kind: change::Kind) -> WritePlan<Meeting> {
    let answer = basic(next.clone());
    plan_revision(call, validate_only, answer, |write| {
        write.meetings.push(Put::next(next.id().unwrap_or_default(), next, kind));
    })
}

/// Reads a meeting in the BASIC view.
async fn read_basic(api: &Api, id: Uuid) -> Result<Option<Meeting>, ServiceError> {
    let Some(doc) = api.store.by_id().meetings.get(id).await? else { return Ok(None) };
    heavy::begin(doc.bytes.len()).await;
    // The BASIC view can fit where the record does not.
    let meeting = basic(doc.decode()?);
    api.require_fits(meeting.encoded_len(), || meeting.name.clone())?;
    Ok(Some(meeting))
}

/// Reads a report.
async fn read_report(api: &Api, name: &str) -> Result<Option<Report>, ServiceError> {
    let doc = api.store.by_id().reports.get(id::<Report>(name)?).await?;
    heavy::begin(doc.as_ref().map_or(0, |doc| doc.bytes.len())).await;
    Ok(doc.map(|doc| doc.decode()).transpose()?)
}
