//! `readout duplicates`: the pairs on a terminal, in a pipe, and from a file.

mod apply;
mod list;
mod review;

use readout::pb::{
    JudgeParticipantsRequest, Judgement, ListDuplicatesRequest, ListJudgementsRequest, judgement::Verdict,
    list_duplicates_response::Duplicate, participant_service_client::ParticipantServiceClient,
};
use tonic::transport::Channel;

use crate::support::{Service, data_dir::eventually, make::settled_person};

type Participants = ParticipantServiceClient<Channel>;

/// Regions of participants that have one name and are each a pair with every other.
const REGIONS: [&str; 16] =
    ["AZ", "BY", "CN", "DE", "FR", "GB", "GE", "HU", "IR", "IT", "JP", "KZ", "PL", "RU", "TR", "US"];

/// Creates participants of one name in the first `regions` regions, and waits until each two of them are a pair.
async fn create_pairs(service: &Service, regions: usize) -> Vec<Duplicate> {
    for region in &REGIONS[..regions] {
        service.create_participant(settled_person("Sergei Lavrov", region)).await;
    }
    await_pairs(&service.participants, regions * (regions - 1) / 2).await
}

/// Waits until the list has `count` pairs, and returns them.
async fn await_pairs(participants: &Participants, count: usize) -> Vec<Duplicate> {
    let mut found = Vec::new();
    eventually(&format!("there are {count} pairs"), async || {
        found = pairs(participants).await;
        found.len() == count
    })
    .await;
    found
}

async fn pairs(participants: &Participants) -> Vec<Duplicate> {
    let request = ListDuplicatesRequest { page_size: 1_000, ..Default::default() };
    participants.clone().list_duplicates(request).await.unwrap().into_inner().duplicates
}

/// The judgements that hold, as participant, other, verdict and reason.
async fn judgements(participants: &Participants) -> Vec<(String, String, Verdict, String)> {
    let request = ListJudgementsRequest { page_size: 1_000, ..Default::default() };
    let judgements = participants.clone().list_judgements(request).await.unwrap().into_inner().judgements;
    let part = |judgement: Judgement| {
        let verdict = judgement.verdict();
        (judgement.participant, judgement.other, verdict, judgement.reason)
    };
    judgements.into_iter().map(part).collect()
}

/// Judges a pair as another curator does.
async fn judge(service: &Service, (participant, other): (&str, &str), verdict: Verdict, reason: &str) {
    let request = JudgeParticipantsRequest {
        participant: participant.into(),
        other: other.into(),
        verdict: verdict.into(),
        reason: reason.into(),
        ..Default::default()
    };
    service.participants.clone().judge_participants(request).await.unwrap();
}

/// The names of a pair, in the order of a judgement.
fn names(pair: &Duplicate) -> (&str, &str) {
    let name = |participant: &Option<readout::pb::Participant>| participant.as_ref().unwrap().name.clone();
    let (first, second) = (name(&pair.participant), name(&pair.other));
    assert!(first < second);
    (&pair.participant.as_ref().unwrap().name, &pair.other.as_ref().unwrap().name)
}
