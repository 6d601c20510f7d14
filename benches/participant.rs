//! Participants: creation in batches compared with one transaction each, reads in batches compared with one query each.

use std::time::SystemTime;

use futures_util::future::BoxFuture;
use readout::{
    model::{
        resource::{Collection, Resource},
        rules::{Check, ClearOutput},
    },
    pb::{
        CreateParticipantRequest, GetParticipantRequest, OfficeTerm, Participant, ParticipantName,
        participant_service_client::ParticipantServiceClient,
    },
    service::error::ServiceError,
    store::{
        Store,
        epoch::KnownHead,
        participant,
        write::{BatchOutcome, Put, PutParticipant, Write, commit::commit},
    },
};
use tonic::Status;
use uuid::Uuid;

use super::{
    load::{Call, IN_FLIGHT, call, compare},
    make::person,
    service::Service,
    table::{Table, Target},
    unary::{baseline, channels, echo},
};

/// A person with a unique name and a record like that of an official: some 400 bytes.
pub fn official(number: u64) -> Participant {
    let alias = ParticipantName { text: format!("K. {number}"), language_code: "az".into(), ..Default::default() };
    let office = OfficeTerm {
        title: "First Deputy Minister of Defense, Chief of the General Staff".into(),
        organization: "Ministry of Defense of the Republic of Azerbaijan".into(),
        region_code: "AZ".into(),
        ..Default::default()
    };
    Participant {
        names: vec![alias],
        offices: vec![office],
        note: "Colonel General; took part in the talks on military and technical cooperation in Baku.".into(),
        ..person(&format!("{} {}", made_up(number), made_up(!number)), "AZ")
    }
}

/// A made-up part of a name, of three syllables. People whose names share parts are compared with each other in the
/// background, and few officials have the same surname.
fn made_up(number: u64) -> String {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
    const VOWELS: &[u8; 4] = b"aeiu";
    // The constant of Fibonacci hashing: neighbouring numbers get names that differ.
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let mut name = String::new();
    for _ in 0..3 {
        name.push(char::from(CONSONANTS[(bits % 16) as usize]));
        name.push(char::from(VOWELS[(bits / 16 % 4) as usize]));
        bits /= 64;
    }
    name[..1].to_uppercase() + &name[1..] + "ev"
}

/// The request that creates an official.
pub fn create(number: u64) -> CreateParticipantRequest {
    CreateParticipantRequest { participant: Some(official(number)), ..Default::default() }
}

/// The write for such a request.
pub fn write_of(mut participant: Participant) -> Write {
    let id = Uuid::now_v7();
    participant.make_first_revision(id, SystemTime::now());
    let put = PutParticipant { put: Put::new(id, participant), former: None, absent: Vec::new() };
    Write { actor: "anonymous".into(), participants: vec![put], ..Default::default() }
}

pub async fn measure(table: &mut Table) {
    let service = Service::start().await;
    let create_call = create_with(&service).await;
    let each = one_transaction_each(Store::new(service.database.clone())).await;
    let echoed = echo(create).await;
    let [created, each, echoed] = compare(IN_FLIGHT, [&create_call, &each, &echoed]).await;
    let figure = "CreateParticipant, 64 in flight / one transaction each";
    table.add(figure, (created.summary(), each.summary()), created.speedup(&each), Target::AtLeast(3.0));
    let figure = "CreateParticipant, 64 in flight / echo";
    table.add(figure, (created.summary(), echoed.summary()), created.speedup(&echoed), Target::AtLeast(0.2));

    let participants = create_many(&service, 2_000).await;
    let names: Vec<String> = participants.iter().map(|participant| participant.name.clone()).collect();
    let request = move |number| GetParticipantRequest {
        name: names[number as usize % names.len()].clone(),
        ..Default::default()
    };
    let channels = channels(service.address).await;
    let request_of = request.clone();
    let read = call(move |number| {
        let mut client = ParticipantServiceClient::new(channels.of(number));
        let request = request_of(number);
        async move { drop(client.get_participant(request).await.expect("read")) }
    });
    let each = baseline(one_query_each(Store::new(service.database.clone())), request).await;
    let echoed = echo(move |number| participants[number as usize % participants.len()].clone()).await;
    compare_reads("GetParticipant", table, [&read, &each, &echoed]).await;
    service.stop().await;
}

/// Compares reads with one query each, and with an echo of the same answers.
pub async fn compare_reads(method: &str, table: &mut Table, calls: [&Call; 3]) {
    let [read, each, echoed] = compare(IN_FLIGHT, calls).await;
    let figure = format!("{method}, {IN_FLIGHT} in flight / echo");
    table.add(&figure, (read.summary(), echoed.summary()), read.speedup(&echoed), Target::AtLeast(0.35));
    let figure = format!("{method}, {IN_FLIGHT} in flight / one by one");
    table.add(&figure, (read.summary(), each.summary()), read.speedup(&each), Target::AtLeast(1.0));
    let [read, each] = compare(1, [calls[0], calls[1]]).await;
    let figure = format!("{method}, 1 in flight / one by one, p50");
    table.add(&figure, (read.summary(), each.summary()), read.latency_speedup(&each), Target::AtLeast(0.95));
}

/// The call that creates a participant through the service.
pub async fn create_with(service: &Service) -> Call {
    let channels = channels(service.address).await;
    call(move |number| {
        let mut client = ParticipantServiceClient::new(channels.of(number));
        async move { drop(client.create_participant(create(number)).await.expect("created")) }
    })
}

/// Creates at least this many participants.
pub async fn create_many(service: &Service, count: usize) -> Vec<Participant> {
    let mut participants = Vec::new();
    while participants.len() < count {
        let create = (0..200).map(|_| {
            let mut client = service.participants.clone();
            async move { client.create_participant(create(super::load::next_number())).await.expect("created") }
        });
        let created = futures_util::future::join_all(create).await;
        participants.extend(created.into_iter().map(tonic::Response::into_inner));
    }
    participants
}

/// The same checks, statements and lock, but one transaction for each request.
async fn one_transaction_each(store: Store) -> Call {
    let handle = move |mut request: CreateParticipantRequest| {
        let store = store.clone();
        async move {
            request.participant.iter_mut().for_each(ClearOutput::clear_output);
            request.violations().into_result().map_err(ServiceError::from)?;
            let write = write_of(request.participant.unwrap_or_default());
            match commit(store.commits(), &[&write], &KnownHead::default()).await? {
                BatchOutcome::Committed(..) => Ok(write.participants[0].put.record.clone()),
                BatchOutcome::Lost(lost) => Err(Status::aborted(format!("{lost:?}"))),
            }
        }
    };
    baseline(handle, create).await
}

/// The same checks, but one query for each request.
fn one_query_each(
    store: Store,
) -> impl Fn(GetParticipantRequest) -> BoxFuture<'static, Result<Participant, Status>> + Send + Sync {
    move |request| {
        let store = store.clone();
        Box::pin(async move {
            request.violations().into_result().map_err(ServiceError::from)?;
            let id = Collection::Participants.id(&request.name).expect("checked");
            let docs = participant::get(store.reads(), &[id]).await?;
            Ok(docs.first().ok_or_else(|| Status::not_found(request.name))?.decode()?)
        })
    }
}
