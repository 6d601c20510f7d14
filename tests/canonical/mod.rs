//! Messages are compared by content, not by spelling.

mod empty_messages;
mod instants;
pub mod random;
mod resent_story;
mod respell;
mod updates;
pub mod upgrade;
mod uris;

use readout::pb::{IngestStoryRequest, IngestStoryResponse, Story, ingest_story_response::Outcome};
use tonic::Status;

use crate::support::{Service, make::ingest};

impl Service {
    async fn ingest_one(&self, story: Story) -> Result<IngestStoryResponse, Status> {
        let answer = self.ingest.clone().ingest_story(ingest(story)).await?;
        Ok(answer.into_inner())
    }

    /// Ingests a story with `allow_update`.
    async fn ingest_update(&self, story: Story) -> Result<IngestStoryResponse, Status> {
        let request = IngestStoryRequest { allow_update: true, ..ingest(story) };
        let answer = self.ingest.clone().ingest_story(request).await?;
        Ok(answer.into_inner())
    }
}

/// The answer to a repeated story whose first answer was `first`.
fn matched(mut first: IngestStoryResponse) -> IngestStoryResponse {
    first.set_article_outcome(Outcome::Matched);
    first.participants.iter_mut().for_each(|result| result.set_outcome(Outcome::Matched));
    first.meetings.iter_mut().for_each(|result| result.set_outcome(Outcome::Matched));
    first.warnings.clear();
    first
}
