//! The identity of participants: aliases by the rule and by hand, and the answers that use the settled person.

mod bad_input;
mod bind;
mod by_hand;
mod common_names;
mod curator;
mod histories;
mod picture;
mod read_time;
mod recorded_answers;
mod settled;
mod similar;
mod stories;
mod upgrade;
mod watches;

use readout::pb::{
    IngestStoryRequest, IngestStoryResponse, JudgeParticipantsRequest, JudgeParticipantsResponse, ListMeetingsRequest,
    ListParticipantsRequest, MergeParticipantsRequest, Participant, ParticipantMatching, Story,
    UnmergeParticipantRequest, judgement::Verdict,
};
use tonic::Status;

use crate::support::{
    Service,
    data_dir::eventually,
    make::{ingest, story},
};

/// A request whose participants are settled.
fn settled(story: Story) -> IngestStoryRequest {
    IngestStoryRequest { participant_matching: ParticipantMatching::Settled.into(), ..ingest(story) }
}

impl Service {
    /// Ingests a story of talks between these participants.
    async fn talks_between(&self, uri: &str, participants: &[Participant]) -> IngestStoryResponse {
        self.ingest.clone().ingest_story(settled(story(uri, participants))).await.unwrap().into_inner()
    }

    /// Waits until a participant is settled as `person`; empty if it stands for itself.
    async fn await_person(&self, name: &str, person: &str) {
        let what = format!("{name} is settled as {person:?}");
        eventually(&what, async || self.participant(name).await.merged_into == person).await;
    }

    /// Waits until a meeting has this participant and not the other one.
    async fn await_meeting_of(&self, meeting: &str, participant: &str) {
        eventually(&format!("{meeting} is settled with {participant}"), async || {
            let account = self.meeting(meeting).await.account.unwrap();
            account.participations.iter().any(|participation| participation.participant == participant)
        })
        .await;
    }

    async fn merge_participants(&self, name: &str, sources: &[&str]) -> Result<Participant, Status> {
        let sources = sources.iter().map(|source| (*source).to_owned()).collect();
        let request =
            MergeParticipantsRequest { name: name.into(), sources, reason: "one man".into(), ..Default::default() };
        Ok(self.participants.clone().merge_participants(request).await?.into_inner())
    }

    async fn unmerge_participant(&self, name: &str) -> Result<Participant, Status> {
        let request = UnmergeParticipantRequest { name: name.into(), reason: "two men".into(), ..Default::default() };
        Ok(self.participants.clone().unmerge_participant(request).await?.into_inner())
    }

    async fn judge(
        &self,
        participant: &str,
        other: &str,
        verdict: Verdict,
    ) -> Result<JudgeParticipantsResponse, Status> {
        let request = JudgeParticipantsRequest {
            participant: participant.into(),
            other: other.into(),
            verdict: verdict.into(),
            reason: "known".into(),
            ..Default::default()
        };
        Ok(self.participants.clone().judge_participants(request).await?.into_inner())
    }

    /// The names of the meetings that a filter finds, sorted.
    async fn meetings_where(&self, filter: &str) -> Vec<String> {
        let request = ListMeetingsRequest { filter: filter.into(), page_size: 1_000, ..Default::default() };
        let page = self.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        page.meetings.into_iter().map(|meeting| meeting.name).collect()
    }

    /// The names of the participants that lists have.
    async fn persons(&self, show_deleted: bool) -> Vec<String> {
        let request = ListParticipantsRequest { page_size: 1_000, show_deleted, ..Default::default() };
        let page = self.participants.clone().list_participants(request).await.unwrap().into_inner();
        page.participants.into_iter().map(|participant| participant.name).collect()
    }
}
