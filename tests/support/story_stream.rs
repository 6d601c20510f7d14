//! Streams of stories.

use prost::Message;
use readout::pb::{
    IngestStoriesRequest, IngestStoriesResponse, IngestStoryResponse, Story,
    ingest_service_client::IngestServiceClient, ingest_stories_response::Outcome,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

use super::make::streamed;

/// Sends all requests in one stream and returns all responses.
pub async fn ingest_all(
    client: &IngestServiceClient<Channel>,
    requests: impl IntoIterator<Item = IngestStoriesRequest, IntoIter: Send + 'static>,
) -> Vec<IngestStoriesResponse> {
    let requests = tokio_stream::iter(requests);
    let mut stream = client.clone().ingest_stories(requests).await.expect("a stream").into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await.expect("the stream continues") {
        answers.push(answer);
    }
    answers
}

/// The result of one story of a stream.
pub fn outcome(answer: IngestStoriesResponse) -> Result<IngestStoryResponse, Status> {
    match answer.outcome.expect("an outcome") {
        Outcome::Result(result) => Ok(result),
        Outcome::Status(status) => {
            let details = status.encode_to_vec().into();
            Err(Status::with_details(Code::from_i32(status.code), status.message, details))
        }
    }
}

/// A stream in which each story waits for the answer to the one before.
pub struct Dialogue {
    requests: mpsc::Sender<IngestStoriesRequest>,
    answers: Streaming<IngestStoriesResponse>,
}

impl Dialogue {
    pub async fn begin(client: &IngestServiceClient<Channel>) -> Self {
        let (requests, outgoing) = mpsc::channel(1);
        let answers = client.clone().ingest_stories(ReceiverStream::new(outgoing)).await.expect("a stream");
        Self { requests, answers: answers.into_inner() }
    }

    pub async fn send(&mut self, request: IngestStoriesRequest) -> Result<IngestStoryResponse, Status> {
        self.requests.send(request).await.expect("the stream is open");
        outcome(self.answers.message().await.expect("the stream continues").expect("an answer"))
    }

    /// Sends a story. The error is that of the stream.
    pub async fn try_send(
        &mut self,
        request: IngestStoriesRequest,
    ) -> Result<Result<IngestStoryResponse, Status>, Status> {
        self.requests.send(request).await.expect("the stream is open");
        Ok(outcome(self.answers.message().await?.expect("an answer")))
    }

    pub async fn send_story(&mut self, story: Story) -> Result<IngestStoryResponse, Status> {
        self.send(streamed(story)).await
    }
}
