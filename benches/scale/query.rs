//! Calls of any read method, with the request in JSON as for grpcurl.

use std::{fmt, time::Duration};

use prost::{Message, bytes::Bytes};
use prost_reflect::DynamicMessage;
use readout::{pb, service::codec::Codec};
use serde_json::Value;
use tonic::{Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};

/// The deadline of a call.
const PATIENCE: Duration = Duration::from_secs(30);
/// The size limit of a response.
const MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// A call that reads.
#[derive(Debug, Clone)]
pub struct Query {
    method: &'static str,
    request: Value,
}

/// A response whose records or rows are only counted: they are the first field of every response in the contract.
#[derive(Message)]
pub struct Answer {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub rows: Vec<Bytes>,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.request)
    }
}

impl Query {
    /// A call such as `Query::new("MeetingService/ListMeetings", json!({"filter": "kind = TALKS"}))`.
    pub fn new(method: &'static str, request: Value) -> Self {
        Self { method, request }
    }

    /// Calls the method and counts the records or rows of the response.
    pub async fn count(&self, channel: &Channel) -> Result<usize, Status> {
        let (path, mut request) = (self.path(), Request::new(self.message()?));
        request.set_timeout(PATIENCE);
        let answer = client(channel).await.unary(request, path, Codec::<DynamicMessage, Answer>::default()).await?;
        Ok(answer.into_inner().rows.len())
    }

    /// Calls a streaming method without a deadline, and counts the records of all chunks.
    pub async fn count_streamed(&self, channel: &Channel) -> Result<usize, Status> {
        let (path, request) = (self.path(), Request::new(self.message()?));
        let codec = Codec::<DynamicMessage, Answer>::default();
        let mut chunks = client(channel).await.server_streaming(request, path, codec).await?.into_inner();
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
        let service = pb::pool().get_service_by_name(&format!("readout.v1.{service}")).expect("a service");
        let descriptor = service.methods().find(|descriptor| descriptor.name() == method);
        let method = descriptor.ok_or_else(|| Status::unimplemented(method))?;
        let read = DynamicMessage::deserialize(method.input(), &self.request);
        read.map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

async fn client(channel: &Channel) -> Grpc<Channel> {
    let mut client = Grpc::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES);
    client.ready().await.expect("connected");
    client
}
