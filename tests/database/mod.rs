//! What a client sees while something is wrong with the database, and that everything works again afterwards, without a
//! restart of the service.

mod away;
mod read_only;
mod slow;

use std::time::Duration;

use readout::pb::{
    CreateParticipantRequest, ErrorReason, GetParticipantRequest, ListParticipantsRequest, Participant,
    participant_service_client::ParticipantServiceClient,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::support::{data_dir::eventually, make, reason_of};

type Client = ParticipantServiceClient<Channel>;

/// Writes somebody, under a request id of their name.
async fn write(client: &Client, name: &str) -> Result<Participant, Status> {
    let participant = Some(make::person(name, "AZ"));
    let request = CreateParticipantRequest { participant, request_id: name.into(), ..Default::default() };
    client.clone().create_participant(request).await.map(tonic::Response::into_inner)
}

/// Reads somebody by name.
async fn read(client: &Client, who: &Participant) -> Result<Participant, Status> {
    let request = GetParticipantRequest { name: who.name.clone(), ..Default::default() };
    client.clone().get_participant(request).await.map(tonic::Response::into_inner)
}

/// Lists everybody.
async fn list(client: &Client) -> Result<Vec<Participant>, Status> {
    let listed = client.clone().list_participants(ListParticipantsRequest::default()).await?;
    Ok(listed.into_inner().participants)
}

/// A refusal that says when to come again.
#[track_caller]
fn comes_again(status: &Status, code: Code, reason: ErrorReason) {
    assert_eq!((status.code(), reason_of(status)), (code, reason), "{status:?}");
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some_and(|delay| delay > Duration::ZERO), "{status:?}");
}

/// The database is not there for us.
#[track_caller]
fn is_unavailable(status: &Status) {
    comes_again(status, Code::Unavailable, ErrorReason::DatabaseUnavailable);
}

/// Waits until all kinds of calls are answered again; the write is one that may have failed before.
async fn recovers(client: &Client, name: &str) {
    eventually("writes are answered", async || write(client, name).await.is_ok()).await;
    let written = write(client, name).await.expect("the same answer");
    assert_eq!(read(client, &written).await.expect("it is there"), written);
    let listed = list(client).await.expect("a list");
    let of_the_name = listed.iter().filter(|one| one.display_name == name).count();
    assert_eq!(of_the_name, 1, "{listed:#?}");
}
