//! A curator who knows little: random decisions on random records, and their undoing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use readout::pb::{
    BindParticipationRequest, ErrorReason, JudgeParticipantsRequest, ListJudgementsRequest, ListMeetingsRequest,
    ListParticipantsRequest, ListReportsRequest, MergeParticipantsRequest, Participant, Report,
    UnmergeParticipantRequest, judgement::Verdict, meeting_service_client::MeetingServiceClient,
    participant_service_client::ParticipantServiceClient,
};
use tokio::time::sleep;
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt;

use super::histories::{is_passing, try_connect};
use crate::{
    faults::{instances::InstanceAddress, rng::Chance},
    support::Service,
};

/// The reasons for which such a decision is refused.
fn is_refusal(status: &Status) -> bool {
    use ErrorReason::{JudgedDifferent, MergeCycle, MergedAway, MergedByHand, NotBound, NotMerged};
    let reason = status.get_details_error_info().and_then(|info| ErrorReason::from_str_name(&info.reason));
    reason.is_some_and(|reason| {
        [JudgedDifferent, MergeCycle, MergedAway, MergedByHand, NotBound, NotMerged].contains(&reason)
    })
}

/// Makes and undoes decisions until the end. Returns the number of each outcome.
pub async fn curate(
    addresses: Vec<InstanceAddress>,
    mut chance: Chance,
    is_over: Arc<AtomicBool>,
) -> BTreeMap<&'static str, usize> {
    let mut outcomes = BTreeMap::new();
    while !is_over.load(Ordering::Relaxed) {
        let address = *addresses[chance.below(2) as usize].borrow();
        let Some(channel) = try_connect(address).await else { continue };
        let result = decide(channel, &mut chance).await;
        let outcome = match result {
            Ok(decision) => decision,
            Err(status) if is_passing(&status) => "failed",
            Err(status) if is_refusal(&status) => "refused",
            Err(status) => panic!("{status:?}"),
        };
        *outcomes.entry(outcome).or_default() += 1;
        sleep(Duration::from_millis(chance.below(30))).await;
    }
    outcomes
}

/// Makes one decision. Returns its name.
async fn decide(channel: Channel, chance: &mut Chance) -> Result<&'static str, Status> {
    let mut client = ParticipantServiceClient::new(channel.clone());
    let all = ListParticipantsRequest { page_size: 1_000, show_deleted: true, ..Default::default() };
    let participants = client.list_participants(all).await?.into_inner().participants;
    if participants.len() < 4 {
        return Ok("waited");
    }
    let mut random = || &participants[chance.below(participants.len() as u64) as usize].name;
    let (a, b, c) = (random(), random(), random());
    let merged = participants.iter().find(|participant| participant.merge.is_some());
    match chance.below(8) {
        0..3 if a != b && a != c && b != c => {
            let sources = [b, c].into_iter().take(1 + chance.below(2) as usize).cloned().collect();
            let (name, reason) = (a.clone(), "perhaps one".into());
            let request = MergeParticipantsRequest { name, sources, reason, ..Default::default() };
            client.merge_participants(request).await.map(|_| "merged")
        }
        3..5 => match merged {
            Some(Participant { name, .. }) => {
                let request =
                    UnmergeParticipantRequest { name: name.clone(), reason: "two".into(), ..Default::default() };
                client.unmerge_participant(request).await.map(|_| "unmerged")
            }
            None => Ok("waited"),
        },
        5..7 if a != b => {
            let verdict = if chance.once_in(2) { Verdict::Same } else { Verdict::Different };
            judge(&mut client, a, b, verdict).await.map(|()| "judged")
        }
        _ => bind(channel, a, chance).await,
    }
}

async fn judge(
    client: &mut ParticipantServiceClient<Channel>,
    participant: &str,
    other: &str,
    verdict: Verdict,
) -> Result<(), Status> {
    let request = JudgeParticipantsRequest {
        participant: participant.into(),
        other: other.into(),
        verdict: verdict.into(),
        reason: "perhaps".into(),
        ..Default::default()
    };
    client.judge_participants(request).await.map(drop)
}

/// Binds the first participation of some report to a participant, or withdraws the binding.
async fn bind(channel: Channel, participant: &str, chance: &mut Chance) -> Result<&'static str, Status> {
    let mut client = MeetingServiceClient::new(channel);
    let all = ListMeetingsRequest { page_size: 1_000, ..Default::default() };
    let meetings = client.list_meetings(all).await?.into_inner().meetings;
    if meetings.is_empty() {
        return Ok("waited");
    }
    let meeting = meetings[chance.below(meetings.len() as u64) as usize].name.clone();
    let request = ListReportsRequest { meeting, ..Default::default() };
    let reports = client.list_reports(request).await?.into_inner().reports;
    let Some(report) = reports.first() else { return Ok("waited") };
    let participant = if chance.once_in(3) { "" } else { participant };
    client.bind_participation(binding(report, "p0", participant)).await.map(|_| "bound")
}

fn binding(report: &Report, participation: &str, participant: &str) -> BindParticipationRequest {
    BindParticipationRequest {
        report: report.name.clone(),
        participation: participation.into(),
        participant: participant.into(),
        reason: "perhaps".into(),
        ..Default::default()
    }
}

impl Service {
    /// Undoes all merges, judgements and bindings.
    pub async fn undo_all_decisions(&self) {
        let all = ListJudgementsRequest { page_size: 1_000, ..Default::default() };
        let judgements = self.participants.clone().list_judgements(all).await.unwrap().into_inner().judgements;
        for judgement in judgements {
            let mut client = self.participants.clone();
            judge(&mut client, &judgement.participant, &judgement.other, Verdict::Withdrawn).await.expect("withdrawn");
        }
        for participant in self.all_participants().await {
            if participant.merge.is_some() {
                self.unmerge_participant(&participant.name).await.expect("undone");
            }
        }
        for report in self.contents().await.reports {
            for bound in &report.bindings {
                let request = binding(&report, &bound.participation, "");
                self.meetings.clone().bind_participation(request).await.expect("withdrawn");
            }
        }
    }
}
