//! ParticipantService: participants with their external ids and parents.
//!
//! `counterpart` and `find_path` serve the queries about who met whom. Reads, lists and writes are here.

mod by_hand;
mod find_path;
pub mod identity;
mod list_counterparts;
pub mod persons;
mod similar;

use std::{pin::Pin, time::Duration};

use chrono::{DateTime, Utc};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api,
    error::ServiceError,
    id, ids, in_order, new_id,
    read::{
        as_of::with_former,
        history,
        pagination::{Cursor, chunks},
        snippets::{SearchedText, snippets},
    },
    require_free, require_live,
    write::{
        WritePlan,
        idempotency::WriteCall,
        revise::{Update, load_to_delete, load_to_undelete, plan_revision, plan_unchanged, require_acyclic},
    },
};
use crate::{
    model::{
        canonical::is_same,
        query::{filter, order, search::SearchQuery},
        resource::{Collection, Deletable, Resource},
        rules::{ClearOutput, Path},
    },
    pb::{
        BatchGetParticipantsRequest, BatchGetParticipantsResponse, CompareParticipantsRequest,
        CompareParticipantsResponse, CreateParticipantRequest, DeleteParticipantRequest, FindPathRequest,
        FindPathResponse, GetParticipantRequest, JudgeParticipantsRequest, JudgeParticipantsResponse,
        ListCounterpartsRequest, ListCounterpartsResponse, ListDuplicatesRequest, ListDuplicatesResponse,
        ListJudgementsRequest, ListJudgementsResponse, ListParticipantRevisionsRequest,
        ListParticipantRevisionsResponse, ListParticipantsRequest, ListParticipantsResponse, MatchParticipantsRequest,
        MatchParticipantsResponse, MergeParticipantsRequest, Participant, UndeleteParticipantRequest,
        UnmergeParticipantRequest, UpdateParticipantRequest, participant_service_server::ParticipantService,
        snippet::Source,
    },
    store::{
        change, participant,
        query::{
            QueryClass,
            list::{Keyset, ListQuery, list},
        },
        write::{Put, PutParticipant, Write, clock},
    },
};

#[tonic::async_trait]
impl ParticipantService for Api {
    async fn create_participant(
        &self,
        request: Request<CreateParticipantRequest>,
    ) -> Result<Response<Participant>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        self.run_write(&call, || prepare_create(self, &call, &request)).await
    }

    async fn get_participant(&self, request: Request<GetParticipantRequest>) -> Result<Response<Participant>, Status> {
        let (request, time) = self.read_at(request).await?;
        let id = id::<Participant>(&request.name)?;
        if let Some(time) = time {
            return Ok(Response::new(history::record(self, id, time).await?));
        }
        let doc = self.store.by_id().participants.get(id).await.map_err(ServiceError::from)?;
        let doc = doc.ok_or(ServiceError::NotFound(request.name))?;
        Ok(Response::new(doc.decode()?))
    }

    async fn batch_get_participants(
        &self,
        request: Request<BatchGetParticipantsRequest>,
    ) -> Result<Response<BatchGetParticipantsResponse>, Status> {
        let (request, time) = self.read_at(request).await?;
        let ids = ids::<Participant>(&request.names);
        if let Some(time) = time {
            let participants = history::records(self, &ids, time).await?;
            return Ok(Response::new(BatchGetParticipantsResponse { participants }));
        }
        let docs = participant::get(self.store.reads(), &ids).await?;
        self.require_docs_fit(Collection::Participants, &ids, &docs)?;
        Ok(Response::new(BatchGetParticipantsResponse { participants: in_order(&ids, &docs)? }))
    }

    async fn list_participants(
        &self,
        request: Request<ListParticipantsRequest>,
    ) -> Result<Response<ListParticipantsResponse>, Status> {
        let (request, budget, time) = self.read_query_at(request).await?;
        let (cursor, query) = parse_query(self, &request, budget, time).await?;
        Ok(Response::new(page(self.clone(), budget, cursor, query).await?.0))
    }

    type StreamParticipantsStream = Pin<Box<dyn Stream<Item = Result<ListParticipantsResponse, Status>> + Send>>;

    async fn stream_participants(
        &self,
        request: Request<ListParticipantsRequest>,
    ) -> Result<Response<Self::StreamParticipantsStream>, Status> {
        let (request, time) = self.read_at(request).await?;
        let (api, budget) = (self.clone(), self.question_timeout);
        let (cursor, query) = parse_query(self, &request, budget, time).await?;
        let page = move |cursor| page(api.clone(), budget, cursor, query.clone());
        let chunks = chunks(self, cursor.in_chunks(), page);
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn update_participant(
        &self,
        request: Request<UpdateParticipantRequest>,
    ) -> Result<Response<Participant>, Status> {
        let (call, mut request) = WriteCall::read(request)?;
        let mut etag = String::new();
        if let Some(participant) = &mut request.participant {
            etag = std::mem::take(&mut participant.etag);
            participant.clear_output();
        }
        let update = Update::read(&request, (request.participant.as_ref(), etag), request.update_mask.as_ref());
        let update = update.map_err(ServiceError::from)?;
        let _lock = self.record_locks.lock(id::<Participant>(&update.sent.name)?).await;
        self.run_write(&call, || prepare_update(self, &call, &update, request.validate_only)).await
    }

    async fn delete_participant(
        &self,
        request: Request<DeleteParticipantRequest>,
    ) -> Result<Response<Participant>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Participant>(&request.name)?).await;
        self.run_write(&call, || prepare_delete(self, &call, &request)).await
    }

    async fn undelete_participant(
        &self,
        request: Request<UndeleteParticipantRequest>,
    ) -> Result<Response<Participant>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Participant>(&request.name)?).await;
        self.run_write(&call, || prepare_undelete(self, &call, &request)).await
    }

    async fn list_participant_revisions(
        &self,
        request: Request<ListParticipantRevisionsRequest>,
    ) -> Result<Response<ListParticipantRevisionsResponse>, Status> {
        let request = self.read(request).await?;
        let cursor = Cursor::of(&request, self.token_key, self.feed.head())?;
        let (revisions, next_page_token) = history::revisions::<Participant>(self, &request.name, &cursor).await?;
        let as_of = cursor.as_of.to_string();
        Ok(Response::new(ListParticipantRevisionsResponse { revisions, next_page_token, as_of }))
    }

    async fn list_counterparts(
        &self,
        request: Request<ListCounterpartsRequest>,
    ) -> Result<Response<ListCounterpartsResponse>, Status> {
        let (request, budget, time) = self.read_query_at(request).await?;
        Ok(Response::new(list_counterparts::list(self, &request, budget, time).await?))
    }

    async fn compare_participants(
        &self,
        request: Request<CompareParticipantsRequest>,
    ) -> Result<Response<CompareParticipantsResponse>, Status> {
        let request = self.read(request).await?;
        Ok(Response::new(similar::compare_sent(&request)))
    }

    async fn match_participants(
        &self,
        request: Request<MatchParticipantsRequest>,
    ) -> Result<Response<MatchParticipantsResponse>, Status> {
        let request = self.read(request).await?;
        Ok(Response::new(similar::find_matches(self, &request).await?))
    }

    async fn merge_participants(
        &self,
        request: Request<MergeParticipantsRequest>,
    ) -> Result<Response<Participant>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let names = [&request.name].into_iter().chain(&request.sources);
        let _locks = self.record_locks.lock_all(names.filter_map(|name| Collection::Participants.id(name))).await;
        self.run_write(&call, || by_hand::prepare_merge(self, &call, &request)).await
    }

    async fn unmerge_participant(
        &self,
        request: Request<UnmergeParticipantRequest>,
    ) -> Result<Response<Participant>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let _lock = self.record_locks.lock(id::<Participant>(&request.name)?).await;
        self.run_write(&call, || by_hand::prepare_unmerge(self, &call, &request)).await
    }

    async fn judge_participants(
        &self,
        request: Request<JudgeParticipantsRequest>,
    ) -> Result<Response<JudgeParticipantsResponse>, Status> {
        let (call, request) = WriteCall::read_checked(request)?;
        let names = [&request.participant, &request.other];
        let ids = names.into_iter().filter_map(|name| Collection::Participants.id(name));
        let _locks = self.record_locks.lock_all(ids).await;
        self.run_write(&call, || by_hand::prepare_judge(self, &call, &request)).await
    }

    async fn list_judgements(
        &self,
        request: Request<ListJudgementsRequest>,
    ) -> Result<Response<ListJudgementsResponse>, Status> {
        let request = self.read(request).await?;
        Ok(Response::new(similar::judgements(self, &request).await?))
    }

    async fn list_duplicates(
        &self,
        request: Request<ListDuplicatesRequest>,
    ) -> Result<Response<ListDuplicatesResponse>, Status> {
        let (request, budget) = self.read_query(request).await?;
        Ok(Response::new(similar::duplicates(self, &request, budget).await?))
    }

    async fn find_path(&self, request: Request<FindPathRequest>) -> Result<Response<FindPathResponse>, Status> {
        let (request, budget, time) = self.read_query_at(request).await?;
        Ok(Response::new(find_path::find(self, &request, budget, time).await?))
    }
}

async fn prepare_create(
    api: &Api,
    call: &WriteCall,
    request: &CreateParticipantRequest,
) -> Result<WritePlan<Participant>, ServiceError> {
    let id = new_id(&request.participant_id);
    require_free::<Participant>(&api.store, &request.participant_id, id).await?;
    let mut participant = request.participant.clone().unwrap_or_default();
    require_own_ids(api, &participant, id).await?;
    require_live::<Participant>(&api.store, &parent(&participant)).await?;
    if request.validate_only {
        participant.name.clear();
        return Ok(WritePlan::Validated(participant, Vec::new()));
    }
    participant.make_first_revision(id, clock::now());
    let put = PutParticipant { put: Put::new(id, participant), absent: Vec::new(), former: None };
    let answer = put.put.record.clone();
    let write = Write { participants: vec![put], ..call.write(&answer) };
    Ok(WritePlan::Write(answer, vec![write]))
}

async fn prepare_update(
    api: &Api,
    call: &WriteCall,
    update: &Update<Participant>,
    validate_only: bool,
) -> Result<WritePlan<Participant>, ServiceError> {
    let at = Path::ROOT.field("participant");
    let (former, mut next) = update.merge(api, &at).await?;
    if is_same(&next, &former) {
        return Ok(plan_unchanged(call, validate_only, former));
    }
    let id = id::<Participant>(&former.name)?;
    require_own_ids(api, &next, id).await?;
    if next.parent != former.parent {
        require_acyclic::<Participant>(api, &parent(&next), id, &at.field("parent")).await?;
    }
    next.make_next_revision(&former, clock::now());
    Ok(put_next(call, validate_only, next, former, change::Kind::Updated))
}

async fn prepare_delete(
    api: &Api,
    call: &WriteCall,
    request: &DeleteParticipantRequest,
) -> Result<WritePlan<Participant>, ServiceError> {
    let former: Participant = load_to_delete(api, &request.name, &request.etag, None).await?;
    let next = former.deleted(clock::now());
    Ok(put_next(call, request.validate_only, next, former, change::Kind::Deleted))
}

async fn prepare_undelete(
    api: &Api,
    call: &WriteCall,
    request: &UndeleteParticipantRequest,
) -> Result<WritePlan<Participant>, ServiceError> {
    let former: Participant = load_to_undelete(api, &request.name, &request.etag).await?;
    require_own_ids(api, &former, id::<Participant>(&request.name)?).await?;
    require_live::<Participant>(&api.store, &parent(&former)).await?;
    let next = former.undeleted(clock::now());
    Ok(put_next(call, request.validate_only, next, former, change::Kind::Undeleted))
}

fn put_next(
    call: &WriteCall,
    validate_only: bool,
    next: Participant,
    former: Participant,
    kind: change::Kind,
) -> WritePlan<Participant> {
    plan_revision(call, validate_only, next.clone(), |write| {
        let id = next.id().unwrap_or_default();
        let put = PutParticipant { put: Put::next(id, next, kind), absent: Vec::new(), former: Some(former) };
        write.participants.push(put);
    })
}

/// Rejects external ids that another participant has.
async fn require_own_ids(api: &Api, participant: &Participant, id: Uuid) -> Result<(), ServiceError> {
    let ids: Vec<_> = participant.external_ids.iter().map(|id| (id.scheme.as_str(), id.value.as_str())).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let owners = participant::find_by_external_ids(api.store.reads(), &ids).await?;
    let others = owners.into_iter().filter(|(_, owner)| owner.id != id);
    match others.min_by(|a, b| a.0.cmp(&b.0)) {
        Some(((scheme, value), owner)) => {
            Err(ServiceError::DuplicateExternalId { name: Collection::Participants.name(owner.id), scheme, value })
        }
        None => Ok(()),
    }
}

/// The participant that this one is part of.
fn parent(participant: &Participant) -> Vec<Uuid> {
    Collection::Participants.id(&participant.parent).into_iter().collect()
}

/// Parses a request into the start of its page and the query.
async fn parse_query(
    api: &Api,
    request: &ListParticipantsRequest,
    budget: Duration,
    time: Option<DateTime<Utc>>,
) -> Result<(Cursor, ListQuery), ServiceError> {
    let filter = filter::parse(filter::PARTICIPANTS, &request.filter).map_err(ServiceError::Filter)?;
    let question = SearchQuery::of_names(&request.query);
    let order = order::parse_with_query(order::PARTICIPANTS, &request.order_by, question.is_some());
    let order = order.map_err(ServiceError::Order)?;
    let cursor = Cursor::of(request, api.token_key, api.feed.head())?;
    let mut query = ListQuery { filter, question, show_deleted: request.show_deleted, order, former: None };
    if let Some(time) = time {
        let mut db = api.store.bounded_query(QueryClass::Page, budget).await?;
        let _permit = api.begin_former().await;
        api.resolve_names_at(&mut db, &mut query.filter, time).await?;
        query = with_former(api, &mut db, Collection::Participants, query, time).await?;
    }
    Ok((cursor, query))
}

/// Reads a page, and returns it with the keyset of its last record if there are more.
async fn page(
    api: Api,
    budget: Duration,
    cursor: Cursor,
    query: ListQuery,
) -> Result<(ListParticipantsResponse, Option<Keyset>), ServiceError> {
    let mut db = api.store.bounded_query(cursor.class, budget).await?;
    let page = list(&mut db, Collection::Participants, &query, cursor.after, cursor.size).await?;
    let next = page.next();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let as_of = cursor.as_of.to_string();
    let participants: Vec<Participant> = page.docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    let snippets = match &query.question {
        Some(question) => snippets(&mut db, question, &participants.iter().map(names).collect::<Vec<_>>()).await?,
        None => Vec::new(),
    };
    Ok((ListParticipantsResponse { participants, next_page_token, as_of, snippets }, next))
}

/// The names of a participant, which are searched.
fn names(participant: &Participant) -> Vec<SearchedText<'_>> {
    let own = SearchedText::new(Source::DisplayName, &participant.display_name, "");
    let others = participant
        .names
        .iter()
        .enumerate()
        .map(|(index, name)| SearchedText { index, ..SearchedText::new(Source::OtherName, &name.text, "") });
    std::iter::once(own).chain(others).collect()
}
