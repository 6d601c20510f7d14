//! The path of a read, from the request to the query.
//!
//! Every read begins with one of four methods of [`Api`], which differ in what they add to the checked request:
//! [`read`](Api::read) nothing, [`read_query`](Api::read_query) a time limit for the query, and
//! [`read_at`](Api::read_at) (in `history`) the time in the past that the caller asks for, and
//! [`read_query_at`](Api::read_query_at) both. All of them first wait for
//! the position in `readout-min-position`, so that a client can read its own writes from any instance.
//!
//! `as_of` has the queries as of a time, `pagination` page tokens and streamed results, `snippets` the excerpts that show
//! search matches, and `stream_lifetime` the end of long streams.

pub mod as_of;
pub mod history;
pub mod pagination;
pub mod snippets;
pub mod stream_lifetime;

use std::time::Duration;

use tonic::Request;

use super::{Api, check, error::ServiceError, metadata};
use crate::{feed::head::Reached, model::rules::Check, store::change::Position};

/// Request metadata: the position that the read must include.
pub const MIN_POSITION: &str = "readout-min-position";
/// Maximum wait for that position.
const MIN_POSITION_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum wait for the first read of the feed after connections have reached another server.
pub const NEW_SERVER_TIMEOUT: Duration = Duration::from_secs(1);

impl Api {
    /// Reads and checks a request, once reads include the position that the caller requires.
    ///
    /// # Errors
    /// `Invalid` for broken rules, and those of the required position: `Position`, `NotReached`, `EpochChanged`.
    pub async fn read<R: Check>(&self, request: Request<R>) -> Result<R, ServiceError> {
        let request = self.await_min_position(request).await?;
        check(&request)?;
        Ok(request)
    }

    /// As `read`, with the time limit of the query: the caller's remaining time, or `question_timeout` if that is less.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub async fn read_query<R: Check>(&self, request: Request<R>) -> Result<(R, Duration), ServiceError> {
        let budget = self.query_budget(&request);
        Ok((self.read(request).await?, budget))
    }

    /// The time limit of a query.
    fn query_budget<R>(&self, request: &Request<R>) -> Duration {
        let remaining = metadata::remaining_time(request.metadata());
        remaining.unwrap_or(self.question_timeout).min(self.question_timeout)
    }

    /// Takes the message out of a request, once reads include the position that the caller requires.
    async fn await_min_position<R>(&self, request: Request<R>) -> Result<R, ServiceError> {
        if let Some(position) = request.metadata().get(MIN_POSITION) {
            let text = String::from_utf8_lossy(position.as_bytes()).into_owned();
            let Some(position) = Position::parse(&text) else {
                return Err(ServiceError::Position { field: MIN_POSITION, position: text });
            };
            self.reach(&position).await?;
        }
        // A read is as of the head, so the head must come from the server that answers.
        self.feed.await_current_head(NEW_SERVER_TIMEOUT).await;
        Ok(request.into_inner())
    }

    /// Waits until reads include a position.
    async fn reach(&self, position: &Position) -> Result<(), ServiceError> {
        match self.feed.reach(position, MIN_POSITION_TIMEOUT).await? {
            Reached::Included => Ok(()),
            Reached::NotYet(head) => Err(ServiceError::NotReached(head.to_string())),
            Reached::OtherEpoch(head) => Err(ServiceError::EpochChanged(head.epoch.to_string())),
        }
    }
}
