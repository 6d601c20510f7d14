//! The commands that are clients of a running service, and `completions` and `man`. Data goes to standard output,
//! everything else to standard error.
//!
//! `address` parses `--server`, `client` connects once `port_probe` has checked the port, `retry` repeats failed calls,
//! `console` writes standard error, `escape` makes text safe for terminals, and `json` reads and writes ProtoJSON.

mod address;
pub mod audit;
mod client;
mod console;
pub mod duplicates;
pub mod escape;
pub mod export;
pub mod import;
pub mod json;
pub mod manual;
mod port_probe;
mod retry;
pub mod watch;

use std::{io, time::Duration};

use anyhow::Error;
use tonic::Status;

use self::{
    client::{ClientChannel, ConnectError, Connector},
    console::Console,
    retry::CallBackoff,
};
use crate::{
    model::message_bound::MAX_MESSAGE_BYTES,
    pb::{
        article_service_client::ArticleServiceClient, audit_service_client::AuditServiceClient,
        change_service_client::ChangeServiceClient, ingest_service_client::IngestServiceClient,
        meeting_service_client::MeetingServiceClient, participant_service_client::ParticipantServiceClient,
    },
};

/// Maximum size of a message that the service accepts, in bytes.
const MESSAGE_LIMIT: usize = 8 << 20;

/// Maximum size of a response in bytes: the largest that a service can be configured to send. Release 0.1.0 sends up to
/// 8 MiB.
const DECODING_LIMIT: usize = MAX_MESSAGE_BYTES;

/// The format in the header of an export.
const EXPORT_FORMAT: &str = "readout.v1";

/// The full name of the message on each line of an export.
const EXPORT_RECORD: &str = "readout.v1.ExportRecord";

/// The gRPC clients over one connection. Clones share the connection.
#[derive(Clone)]
struct Clients {
    articles: ArticleServiceClient<ClientChannel>,
    audit: AuditServiceClient<ClientChannel>,
    changes: ChangeServiceClient<ClientChannel>,
    ingest: IngestServiceClient<ClientChannel>,
    meetings: MeetingServiceClient<ClientChannel>,
    participants: ParticipantServiceClient<ClientChannel>,
    /// The console for messages about waits.
    console: Console,
    /// The address of the service, for messages.
    service: String,
}

impl Clients {
    /// Connects. If the connection breaks later, the next call reconnects.
    async fn connect(connector: &Connector, console: &Console) -> Result<Self, ConnectError> {
        let service = connector.address().to_string();
        let channel = console.awaiting(&format!("{service}: no answer yet"), connector.connect()).await?;
        console.waited();
        macro_rules! client {
            ($client:ident) => {
                $client::new(channel.clone())
                    .max_decoding_message_size(DECODING_LIMIT)
                    .max_encoding_message_size(MESSAGE_LIMIT + (64 << 10))
            };
        }
        Ok(Self {
            articles: client!(ArticleServiceClient),
            audit: client!(AuditServiceClient),
            changes: client!(ChangeServiceClient),
            ingest: client!(IngestServiceClient),
            meetings: client!(MeetingServiceClient),
            participants: client!(ParticipantServiceClient),
            console: console.clone(),
            service,
        })
    }

    /// Connects. Transient failures are retried: the service may be starting.
    async fn connect_patiently(connector: &Connector, console: &Console) -> Result<Self, Error> {
        let service = connector.address().to_string();
        let mut backoff = CallBackoff::new(&service, console);
        loop {
            let failed = match Self::connect(connector, console).await {
                Ok(clients) => return Ok(clients),
                Err(failed) => failed,
            };
            if failed.is_transient {
                console.say_waiting(&format!("{service}: {}", failed.cause));
            }
            if !failed.is_transient || !backoff.wait(Duration::ZERO, &failed.cause).await {
                return Err(failed.into());
            }
        }
    }

    /// Returns a backoff for calls that are repeated.
    fn backoff(&self) -> CallBackoff {
        CallBackoff::new(&self.service, &self.console)
    }

    /// Awaits the response to a call. A long wait is reported on the console.
    async fn answer<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let answer = self.console.awaiting(&format!("{}: no answer yet", self.service), call).await;
        if answer.is_ok() {
            self.console.waited();
        }
        answer
    }
}

/// Returns `true` if the reader of standard output has closed it.
fn is_broken_pipe(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
