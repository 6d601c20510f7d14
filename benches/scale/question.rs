//! Questions of any kind: a method and its request in JSON, as one would write them for grpcurl.

use std::{fmt, time::Duration};

use prost::{Message, bytes::Bytes};
use prost_reflect::DynamicMessage;
use readout::{pb, service::codec::Codec};
use serde_json::Value;
use tonic::{Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};

/// Nothing that is measured is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer is no larger.
const MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// A call that reads.
#[derive(Debug, Clone)]
pub struct Question {
    method: &'static str,
    request: Value,
}

/// Such as `ask("MeetingService/ListMeetings", json!({"filter": "kind = TALKS"}))`.
pub fn ask(method: &'static str, request: Value) -> Question {
    Question { method, request }
}

/// An answer whose records, or rows, are only counted: the first field of the contract's answers has them.
#[derive(Message)]
pub struct Answer {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub rows: Vec<Bytes>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.request)
    }
}

impl Question {
    /// How many records or rows are answered.
    pub async fn count(&self, to: &Channel) -> Result<usize, Status> {
        let (path, mut request) = (self.path(), Request::new(self.message()?));
        request.set_timeout(PATIENCE);
        let answer = client(to).await.unary(request, path, Codec::<DynamicMessage, Answer>::default()).await?;
        Ok(answer.into_inner().rows.len())
    }

    /// The same of an answer that comes in chunks, however long that takes.
    pub async fn count_streamed(&self, to: &Channel) -> Result<usize, Status> {
        let (path, request) = (self.path(), Request::new(self.message()?));
        let codec = Codec::<DynamicMessage, Answer>::default();
        let mut chunks = client(to).await.server_streaming(request, path, codec).await?.into_inner();
        let mut count = 0;
        while let Some(chunk) = chunks.message().await? {
            count += chunk.rows.len();
        }
        Ok(count)
    }

    fn path(&self) -> PathAndQuery {
        PathAndQuery::try_from(format!("/readout.v1.{}", self.method)).expect("a path")
    }

    fn message(&self) -> Result<DynamicMessage, Status> {
        let (service, method) = self.method.split_once('/').expect("a service and its method");
        let service = pb::pool().get_service_by_name(&format!("readout.v1.{service}")).expect("it is there");
        let found = service.methods().find(|one| one.name() == method);
        let method = found.ok_or_else(|| Status::unimplemented(method))?;
        let read = DynamicMessage::deserialize(method.input(), &self.request);
        read.map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

async fn client(to: &Channel) -> Grpc<Channel> {
    let mut client = Grpc::new(to.clone()).max_decoding_message_size(MESSAGE_BYTES);
    client.ready().await.expect("connected");
    client
}
