//! Compares a pair with the stored records: others may have judged, settled or deleted its participants since.

use tonic::{Code, Status};

use crate::{
    cli::Clients,
    model::resource::Deletable,
    pb::{
        BatchGetParticipantsRequest, GetParticipantRequest, JudgeParticipantsRequest, JudgeParticipantsResponse,
        Judgement, Participant, judgement::Verdict,
    },
};

/// The reason why a pair need not be judged any more, as a sentence. `None` for a pair that is still open.
///
/// # Errors
/// The status of a call that is not repeated.
pub async fn closed(clients: &Clients, participant: &str, other: &str) -> Result<Option<String>, Status> {
    let names = vec![participant.to_owned(), other.to_owned()];
    let request = BatchGetParticipantsRequest { names, ..Default::default() };
    let read = clients.repeat(&clients.participants, &request, async |mut client, request| {
        client.batch_get_participants(request).await
    });
    let records = match read.await {
        Ok(answer) => answer.participants,
        Err(status) if status.code() == Code::NotFound => return Ok(Some("a participant does not exist".to_owned())),
        Err(status) => return Err(status),
    };
    if let Some(deleted) = records.iter().find(|record| record.is_deleted()) {
        return Ok(Some(format!("{} is deleted", deleted.name)));
    }
    if let Some(judgement) = records.first().and_then(|record| on_pair(record, participant, other)) {
        let verdict = judgement.verdict().as_str_name();
        return Ok(Some(format!("the two have been judged {verdict}: {}", judgement.reason)));
    }
    let mut persons = records.iter().map(person);
    if persons.next() == persons.next() {
        return Ok(Some("the two have been settled as one person".to_owned()));
    }
    let alias = records.iter().find(|record| !record.merged_into.is_empty());
    Ok(alias.map(|alias| format!("{} has been settled as {}", alias.name, alias.merged_into)))
}

/// The participant that a record is settled as.
fn person(record: &Participant) -> &str {
    if record.merged_into.is_empty() { &record.name } else { &record.merged_into }
}

/// The stored judgement on two participants; `None` if there is none, or the first one does not exist.
///
/// # Errors
/// The status of a call that is not repeated.
pub async fn judgement(clients: &Clients, participant: &str, other: &str) -> Result<Option<Judgement>, Status> {
    let request = GetParticipantRequest { name: participant.to_owned(), ..Default::default() };
    let read = clients
        .repeat(&clients.participants, &request, async |mut client, request| client.get_participant(request).await);
    match read.await {
        Ok(record) => Ok(on_pair(&record, participant, other).cloned()),
        // The call that judges describes a malformed name as well.
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => Ok(None),
        Err(status) => Err(status),
    }
}

fn on_pair<'a>(record: &'a Participant, participant: &str, other: &str) -> Option<&'a Judgement> {
    let pair = in_order(participant, other);
    record.judgements.iter().find(|judgement| (judgement.participant.as_str(), judgement.other.as_str()) == pair)
}

/// Two names in the order of a judgement.
pub fn in_order<'a>(participant: &'a str, other: &'a str) -> (&'a str, &'a str) {
    if participant <= other { (participant, other) } else { (other, participant) }
}

/// Judges two participants.
///
/// # Errors
/// The status of a call that is not repeated.
pub async fn judge(clients: &Clients, request: &JudgeParticipantsRequest) -> Result<JudgeParticipantsResponse, Status> {
    clients
        .repeat(&clients.participants, request, async |mut client, request| client.judge_participants(request).await)
        .await
}

/// The request for a verdict on a pair. A repetition of it is answered as the first call.
pub fn request(participant: &str, other: &str, verdict: Verdict, reason: &str) -> JudgeParticipantsRequest {
    JudgeParticipantsRequest {
        participant: participant.to_owned(),
        other: other.to_owned(),
        verdict: verdict.into(),
        reason: reason.to_owned(),
        request_id: uuid::Uuid::now_v7().to_string(),
        ..Default::default()
    }
}
