//! The commands that are clients of a running service. Data goes to standard output, all else to standard error.

pub mod export;
pub mod import;
pub mod json;
mod retry;
pub mod watch;

use std::{io, time::Duration};

use anyhow::{Context, Error, Result, anyhow};
use tonic::transport::{Channel, Endpoint};

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
    articles: ArticleServiceClient<Channel>,
    changes: ChangeServiceClient<Channel>,
    ingest: IngestServiceClient<Channel>,
    meetings: MeetingServiceClient<Channel>,
    participants: ParticipantServiceClient<Channel>,
}

impl Clients {
    /// Connects to `http://host:port`, or `host:port`. A connection that breaks later is made again by the next call.
    async fn connect(server: &str) -> Result<Self> {
        let url = match server.contains("://") {
            true => server.to_owned(),
            false => format!("http://{server}"),
        };
        let channel = Endpoint::from_shared(url)
            .map(|endpoint| {
                endpoint
                    .connect_timeout(Duration::from_secs(10))
                    // Else a server that vanished without a word would be waited for without end.
                    .http2_keep_alive_interval(Duration::from_secs(20))
            })
            .with_context(|| format!("{server} is not the address of a service"))?
            .connect()
            .await
            // Of its layers only the innermost says something.
            .map_err(|error| anyhow!("no connection to {server}: {}", Error::new(error).root_cause()))?;
        macro_rules! client {
            ($client:ident) => {
                $client::new(channel.clone())
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
        })
    }
}

/// Whether nobody reads standard output any more.
fn is_broken_pipe(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
