//! MeetingService: meetings, and the reports from which they are settled.
//!
//! A meeting's account is never written directly: it is settled from the meeting's active reports and rulings
//! (`settle_inputs`). `update` makes rulings, `merge` moves reports between meetings, `retract` takes reports back;
//! creating, reporting and deleting are here. `view`, `list`, `aggregate` and `statement` serve the reads.

mod aggregate;
mod bind;
mod list;
mod list_duplicate_meetings;
mod list_statements;
pub mod match_meetings;
mod merge;
pub mod retract;
pub mod settle_inputs;
pub mod size_limits;
mod update;
mod view;

use std::{pin::Pin, time::SystemTime};

use prost::Message;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::{
    list::{page, parse_query},
    settle_inputs::{ReportInput, SettleInputs, complete_report, load_inputs_to_settle, load_source},
    size_limits::check_settled_size,
    view::{read, read_full},
};
use super::{
    Api,
    error::ServiceError,
    id, ids, new_id,
    read::{
        history,
        pagination::{Cursor, chunks},
    },
    require_free,
    write::{
        WritePlan,
        idempotency::WriteCall,
        revise::{load_to_delete, load_to_undelete, plan_revision, require_active},
    },
};
use crate::{
    fairness::heavy,
    model::{
        meeting::basic,
        report,
        resource::{Collection, Deletable, Resource},
        rules::Path,
    },
    pb::{
        AddReportRequest, AggregateMeetingsRequest, AggregateMeetingsResponse, BatchGetMeetingsRequest,
        BatchGetMeetingsResponse, BindParticipationRequest, CreateMeetingRequest, DeleteMeetingRequest,
        GetMeetingRequest, GetReportRequest, ListDuplicateMeetingsRequest, ListDuplicateMeetingsResponse,
        ListMeetingRevisionsRequest, ListMeetingRevisionsResponse, ListMeetingsRequest, ListMeetingsResponse,
        ListReportsRequest, ListReportsResponse, ListStatementsRequest, ListStatementsResponse, MatchMeetingsRequest,
        MatchMeetingsResponse, Meeting, MergeMeetingsRequest, Report, RetractReportRequest, SplitMeetingRequest,
        UndeleteMeetingRequest, UpdateMeetingRequest, View, meeting::Review, meeting_service_server::MeetingService,
    },
    store::{
        StoreError, change, meeting,
        query::history::list_reports,
        report as report_store,
        write::{Put, Write},
    },
};

#[tonic::async_trait]
impl MeetingService for Api {
    async fn create_meeting(&self, request: Request<CreateMeetingRequest>) -> Result<Response<Meeting>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        self.run_write(&call, || prepare_create(self, &call, &request)).await
    }

    async fn add_report(&self, request: Request<AddReportRequest>) -> Result<Response<Report>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Meeting>(&request.meeting)?).await;
        self.run_write(&call, || prepare_report(self, &call, &request)).await
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
        let (request, budget) = self.read_query(request).await?;
        let (cursor, query, view) = parse_query(self, &request).await?;
        Ok(Response::new(page(self.clone(), budget, cursor, query, view).await?.0))
    }

    type StreamMeetingsStream = Pin<Box<dyn Stream<Item = Result<ListMeetingsResponse, Status>> + Send>>;

    async fn stream_meetings(
        &self,
        request: Request<ListMeetingsRequest>,
    ) -> Result<Response<Self::StreamMeetingsStream>, Status> {
        let (cursor, query, view) = parse_query(self, &self.read(request).await?).await?;
        let (api, budget) = (self.clone(), self.question_timeout);
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
        let page = match (time, meeting) {
            (Some(time), Some(meeting)) => {
                list_reports(self.store.reads(), meeting, article, time, (after, cursor.size)).await?
            }
            _ => report_store::list(self.store.reads(), meeting, article, after, cursor.size).await?,
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
        let (call, request) = WriteCall::read(request)?;
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
        let (request, budget) = self.read_query(request).await?;
        Ok(Response::new(aggregate::aggregate(self, &request, budget).await?))
    }

    async fn match_meetings(
        &self,
        request: Request<MatchMeetingsRequest>,
    ) -> Result<Response<MatchMeetingsResponse>, Status> {
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

async fn prepare_create(
    api: &Api,
    call: &WriteCall,
    request: &CreateMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let (meeting_id, report_id) = (new_id(&request.meeting_id), new_id(&request.report_id));
    require_free::<Meeting>(&api.store, &request.meeting_id, meeting_id).await?;
    require_free::<Report>(&api.store, &request.report_id, report_id).await?;

    let mut meeting = request.meeting.clone().unwrap_or_default();
    meeting.set_review(Review::Unreviewed);
    let source = load_source(api, &request.source_article).await?;
    let read_articles = call.scope.require(&source.article)?;
    let report = Report {
        account: meeting.account.take(),
        article: request.source_article.clone(),
        prominence: request.prominence,
        evidence: request.evidence.clone(),
        extractor: request.extractor.clone(),
        ..Default::default()
    };
    let (mut report, aliases) = complete_report(api, report, &source, &Path::ROOT.field("evidence")).await?;
    let now = SystemTime::now();
    if !request.validate_only {
        report.meeting = Collection::Meetings.name(meeting_id);
        report.make_first_revision(report_id, now);
    }
    let input = ReportInput::new(report.clone(), &source.article, source.origin());
    let inputs = SettleInputs { reports: vec![input], aliases: aliases.clone(), ..Default::default() };
    inputs.settle(&mut meeting);
    check_settled_size(api.message_bound, &meeting, None)?;
    if request.validate_only {
        meeting.name.clear();
        return Ok(WritePlan::Validated(inputs.answer(meeting, api.message_bound)));
    }
    meeting.make_first_revision(meeting_id, now);
    let answer = inputs.answer(meeting.clone(), api.message_bound);
    let write = Write {
        reports: vec![Put::new(report_id, report)],
        meetings: vec![inputs.put(meeting, change::Kind::Created)],
        aliases,
        read_articles,
        ..call.write(&answer)
    };
    Ok(WritePlan::Write(answer, vec![write]))
}

async fn prepare_report(
    api: &Api,
    call: &WriteCall,
    request: &AddReportRequest,
) -> Result<WritePlan<Report>, ServiceError> {
    let meeting_id = id::<Meeting>(&request.meeting)?;
    let report_id = new_id(&request.report_id);
    require_free::<Report>(&api.store, &request.report_id, report_id).await?;
    let sent = request.report.clone().unwrap_or_default();
    let completed = async {
        let source = load_source(api, &sent.article).await?;
        let completed = complete_report(api, sent, &source, &Path::ROOT.field("report").field("evidence")).await?;
        Ok::<_, ServiceError>((source, completed))
    };
    let (target, completed) = tokio::join!(load_target(api, request, meeting_id), completed);
    let ((former, mut inputs), (source, (mut report, aliases))) = (target?, completed?);
    inputs.aliases.extend(&aliases);
    let read_articles = call.scope.require(&source.article)?;
    report.meeting.clone_from(&request.meeting);
    let now = SystemTime::now();
    report.make_first_revision(report_id, now);
    inputs.check_limits(&request.meeting, [&report])?;
    inputs.reports.push(ReportInput::new(report.clone(), &source.article, source.origin()));
    let meeting = match &former {
        Some(former) => inputs.settled(former, now),
        None => {
            let mut meeting = Meeting { labels: request.meeting_labels.clone(), ..Default::default() };
            inputs.settle(&mut meeting);
            meeting.make_first_revision(meeting_id, now);
            meeting
        }
    };
    check_settled_size(api.message_bound, &meeting, former.as_ref())?;
    if request.validate_only {
        return Ok(WritePlan::Validated(unwritten(report)));
    }
    let meeting = match former {
        Some(_) => inputs.put(meeting, change::Kind::Reported),
        None => inputs.put(meeting, change::Kind::Created),
    };
    let reports = vec![Put::new(report_id, report.clone())];
    let write = Write { reports, meetings: vec![meeting], aliases, read_articles, ..call.write(&report) };
    Ok(WritePlan::Write(report, vec![write]))
}

/// The report of a call that only validates, without the fields that a write sets.
fn unwritten(report: Report) -> Report {
    let (name, etag) = Default::default();
    Report { name, etag, revision: 0, create_time: None, update_time: None, ..report }
}

/// Loads the meeting that a report is added to, and its reports. `None` if it does not exist and is to be created.
async fn load_target(
    api: &Api,
    request: &AddReportRequest,
    id: Uuid,
) -> Result<(Option<Meeting>, SettleInputs), ServiceError> {
    // Load the meeting before its reports: every change of its reports makes a revision, so a race becomes a conflict.
    let docs = meeting::get(api.store.reads(), &[id]).await?;
    let Some(doc) = docs.first() else {
        let missing = || ServiceError::NotFound(request.meeting.clone());
        return if request.allow_missing { Ok((None, SettleInputs::default())) } else { Err(missing()) };
    };
    let meeting: Meeting = doc.decode_to_rewrite()?;
    require_active(api, &meeting).await?;
    let inputs = load_inputs_to_settle(api, &[id]).await?.remove(&id).unwrap_or_default();
    Ok((Some(meeting), inputs))
}

async fn prepare_delete(
    api: &Api,
    call: &WriteCall,
    request: &DeleteMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let former: Meeting = load_to_delete(api, &request.name, &request.etag, None).await?;
    let next = former.deleted(SystemTime::now());
    Ok(put_next(call, request.validate_only, next, change::Kind::Deleted))
}

async fn prepare_undelete(
    api: &Api,
    call: &WriteCall,
    request: &UndeleteMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let former: Meeting = load_to_undelete(api, &request.name, &request.etag).await?;
    let next = former.undeleted(SystemTime::now());
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
