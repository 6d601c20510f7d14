//! The commands that are clients of a running service. Data goes to standard output, all else to standard error.

mod address;
mod client;
mod console;
pub mod escape;
pub mod export;
pub mod import;
pub mod json;
pub mod manual;
mod probe;
mod retry;
mod time;
pub mod watch;

use std::io;

use anyhow::Error;
use tonic::Status;

use self::{
    client::{ConnectError, Connector, Wire},
    console::Console,
    retry::Backoff,
};
use crate::pb::{
    article_service_client::ArticleServiceClient, change_service_client::ChangeServiceClient,
    ingest_service_client::IngestServiceClient, meeting_service_client::MeetingServiceClient,
    participant_service_client::ParticipantServiceClient,
};

/// The largest message that the service takes.
const MESSAGE_LIMIT: usize = 8 << 20;

/// An answer may be a resource of that size and a little around it.
const DECODING_LIMIT: usize = MESSAGE_LIMIT + (64 << 10);

/// The first line of an export.
const EXPORT_FORMAT: &str = "readout.v1";

/// The full name of what the other lines hold.
const EXPORT_RECORD: &str = "readout.v1.ExportRecord";

/// The services, over one connection; a clone shares it.
#[derive(Clone)]
struct Clients {
    articles: ArticleServiceClient<Wire>,
    changes: ChangeServiceClient<Wire>,
    ingest: IngestServiceClient<Wire>,
    meetings: MeetingServiceClient<Wire>,
    participants: ParticipantServiceClient<Wire>,
    /// The place for lines about waits.
    console: Console,
    /// The address of the service, for people.
    service: String,
}

impl Clients {
    /// Connects. A connection that breaks later is made again by the next call.
    async fn connect(connector: &Connector, console: &Console) -> Result<Self, ConnectError> {
        let service = connector.address().to_string();
        let wire = console.awaiting(&format!("{service}: no answer yet"), connector.connect()).await?;
        console.waited();
        macro_rules! client {
            ($client:ident) => {
                $client::new(wire.clone())
                    .max_decoding_message_size(DECODING_LIMIT)
                    .max_encoding_message_size(DECODING_LIMIT)
            };
        }
        Ok(Self {
            articles: client!(ArticleServiceClient),
            changes: client!(ChangeServiceClient),
            ingest: client!(IngestServiceClient),
            meetings: client!(MeetingServiceClient),
            participants: client!(ParticipantServiceClient),
            console: console.clone(),
            service,
        })
    }

    /// Counts the failures of calls that are repeated.
    fn backoff(&self) -> Backoff {
        Backoff::new(&self.service, &self.console)
    }

    /// Awaits the answer to a call, and says so if that takes long.
    async fn answer<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let answer = self.console.awaiting(&format!("{}: no answer yet", self.service), call).await;
        if answer.is_ok() {
            self.console.waited();
        }
        answer
    }
}

/// Whether nobody reads standard output any more.
fn is_broken_pipe(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
