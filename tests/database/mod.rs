//! Errors that a client gets while the database has a fault, and recovery afterwards without a restart of the service.

mod backup;
mod batched_reads;
mod crash;
mod data_directory;
mod embedded;
mod folding;
mod migrate;
mod private_directory;
mod read_only;
mod recovery;
pub mod reindex;
mod slow;
mod standby;
mod unavailable;
mod url;

use std::time::Duration;

use readout::pb::{
    CreateParticipantRequest, ErrorReason, GetParticipantRequest, ListParticipantsRequest, Participant,
    participant_service_client::ParticipantServiceClient,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::support::{data_dir::eventually, make, reason_of};

type Client = ParticipantServiceClient<Channel>;

/// Creates a person, with the name as request id.
async fn write(client: &Client, name: &str) -> Result<Participant, Status> {
    let participant = Some(make::person(name, "AZ"));
    let request = CreateParticipantRequest { participant, request_id: name.into(), ..Default::default() };
    client.clone().create_participant(request).await.map(tonic::Response::into_inner)
}

/// Reads a participant by its resource name.
async fn read(client: &Client, participant: &Participant) -> Result<Participant, Status> {
    let request = GetParticipantRequest { name: participant.name.clone(), ..Default::default() };
    client.clone().get_participant(request).await.map(tonic::Response::into_inner)
}

/// Lists all participants.
async fn list(client: &Client) -> Result<Vec<Participant>, Status> {
    let listed = client.clone().list_participants(ListParticipantsRequest::default()).await?;
    Ok(listed.into_inner().participants)
}

/// Asserts that a refusal has this code and reason, and a retry delay.
#[track_caller]
fn assert_retryable(status: &Status, code: Code, reason: ErrorReason) {
    assert_eq!((status.code(), reason_of(status)), (code, reason), "{status:?}");
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some_and(|delay| delay > Duration::ZERO), "{status:?}");
}

/// Asserts that a call is refused because the database is unavailable.
#[track_caller]
fn assert_unavailable(status: &Status) {
    assert_retryable(status, Code::Unavailable, ErrorReason::DatabaseUnavailable);
}

/// Waits until writes, reads and lists are answered again. The write may have failed before, and is stored once.
async fn assert_recovers(client: &Client, name: &str) {
    eventually("writes are answered", async || write(client, name).await.is_ok()).await;
    let written = write(client, name).await.expect("the same answer");
    assert_eq!(read(client, &written).await.expect("the participant exists"), written);
    let listed = list(client).await.expect("a list");
    let count = listed.iter().filter(|participant| participant.display_name == name).count();
    assert_eq!(count, 1, "{listed:#?}");
}
