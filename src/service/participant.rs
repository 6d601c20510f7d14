//! ParticipantService.

use std::{pin::Pin, time::SystemTime};

use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Api, Prepared,
    call::{Call, check},
    id, ids, in_order, must_be_free, must_exist, new_id,
    page::{Cursor, chunks},
    status::{MESSAGE_BYTES, Refusal},
};
use crate::{
    model::{
        filter::{self, Filter},
        resource::{Collection, Resource},
        rules::ClearOutput,
    },
    pb::{
        BatchGetParticipantsRequest, BatchGetParticipantsResponse, CreateParticipantRequest, GetParticipantRequest,
        ListParticipantsRequest, ListParticipantsResponse, Participant, participant_service_server::ParticipantService,
    },
    store::{
        list::list,
        participant,
        write::{Put, PutParticipant, Write},
    },
};

#[tonic::async_trait]
impl ParticipantService for Api {
    async fn create_participant(
        &self,
        request: Request<CreateParticipantRequest>,
    ) -> Result<Response<Participant>, Status> {
        let mut request = request.into_inner();
        let call = Call::new(
            "readout.v1.ParticipantService/CreateParticipant",
            (&request.request_id, request.validate_only),
            &request,
        );
        if let Some(participant) = &mut request.participant {
            participant.clear_output();
        }
        check(&request).map_err(Refusal::from)?;
        self.respond(|| call.once(&self.store, prepare(self, &call, &request))).await
    }

    async fn get_participant(&self, request: Request<GetParticipantRequest>) -> Result<Response<Participant>, Status> {
        let request = request.into_inner();
        check(&request).map_err(Refusal::from)?;
        let id = id::<Participant>(&request.name)?;
        let doc = self.store.by_id().participants.get(id).await.map_err(Refusal::from)?;
        let doc = doc.ok_or(Refusal::NotFound(request.name))?;
        Ok(Response::new(doc.decode()?))
    }

    async fn batch_get_participants(
        &self,
        request: Request<BatchGetParticipantsRequest>,
    ) -> Result<Response<BatchGetParticipantsResponse>, Status> {
        let request = request.into_inner();
        check(&request).map_err(Refusal::from)?;
        let ids = ids::<Participant>(&request.names);
        let docs = participant::get(self.store.reads(), &ids).await?;
        if docs.iter().map(|doc| doc.bytes.len() + 16).sum::<usize>() > MESSAGE_BYTES {
            return Err(Refusal::TooLarge.into());
        }
        Ok(Response::new(BatchGetParticipantsResponse { participants: in_order(&ids, &docs)? }))
    }

    async fn list_participants(
        &self,
        request: Request<ListParticipantsRequest>,
    ) -> Result<Response<ListParticipantsResponse>, Status> {
        let (cursor, filter) = question(self, &request.into_inner())?;
        Ok(Response::new(page(self.clone(), cursor, filter).await?.0))
    }

    type StreamParticipantsStream = Pin<Box<dyn Stream<Item = Result<ListParticipantsResponse, Status>> + Send>>;

    async fn stream_participants(
        &self,
        request: Request<ListParticipantsRequest>,
    ) -> Result<Response<Self::StreamParticipantsStream>, Status> {
        let (cursor, filter) = question(self, &request.into_inner())?;
        let api = self.clone();
        let chunks = chunks(self, cursor, move |cursor| page(api.clone(), cursor, filter.clone()));
        Ok(Response::new(Box::pin(chunks)))
    }
}

async fn prepare(api: &Api, call: &Call, request: &CreateParticipantRequest) -> Result<Prepared<Participant>, Refusal> {
    let id = new_id(&request.participant_id);
    must_be_free::<Participant>(&api.store, &request.participant_id, id).await?;
    let mut participant = request.participant.clone().unwrap_or_default();
    let external_ids: Vec<_> =
        participant.external_ids.iter().map(|id| (id.scheme.as_str(), id.value.as_str())).collect();
    if !external_ids.is_empty() {
        let owners = participant::find_by_external_ids(api.store.reads(), &external_ids).await?;
        if let Some(((scheme, value), owner)) = owners.into_iter().min_by(|a, b| a.0.cmp(&b.0)) {
            return Err(Refusal::DuplicateExternalId { name: Collection::Participants.name(owner.id), scheme, value });
        }
    }
    must_exist::<Participant>(
        &api.store,
        &Collection::Participants.id(&participant.parent).into_iter().collect::<Vec<_>>(),
    )
    .await?;
    if request.validate_only {
        participant.name.clear();
        return Ok(Prepared::Validated(participant));
    }
    participant.begin(id, SystemTime::now());
    let put = PutParticipant { put: Put::new(id, participant), absent: Vec::new() };
    let answer = put.put.record.clone();
    let write = Write {
        actor: call.actor.clone(),
        request_id: call.request_id.clone(),
        answer: call.remember(&answer),
        participants: vec![put],
        ..Default::default()
    };
    Ok(Prepared::Write(answer, vec![write]))
}

fn question(api: &Api, request: &ListParticipantsRequest) -> Result<(Cursor, Filter), Refusal> {
    check(request)?;
    let filter = filter::parse(filter::PARTICIPANTS, &request.filter).map_err(Refusal::Filter)?;
    Ok((Cursor::of(request, api.token_key)?, filter))
}

/// A page, and after which id the next one begins, if there is one.
async fn page(api: Api, cursor: Cursor, filter: Filter) -> Result<(ListParticipantsResponse, Option<Uuid>), Refusal> {
    let page = list(api.store.reads(), Collection::Participants, &filter, cursor.after, cursor.size).await?;
    let next = page.next();
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let participants = page.docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    Ok((ListParticipantsResponse { participants, next_page_token }, next))
}
