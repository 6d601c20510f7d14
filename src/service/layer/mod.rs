//! The layers that every call passes through, from the outside in:
//!
//! 1. `service::http` lets the web pages of other origins call, as configured. It converts calls of gRPC-Web and Connect to gRPC, and answers all other requests.
//! 2. `observe` gives each call a request id, a span and metrics (`request_id`, `call_metrics`).
//! 3. `error_details` adds a reason to statuses that have none, and converts panics.
//! 4. `header_limit` refuses calls with too large headers.
//! 5. `deadline` bounds the time of a call.
//! 6. `access` authenticates the caller and checks the role that the method requires.
//! 7. `admission` bounds the calls in progress, reads and checks messages (`request_body`) and sheds load.
//! 8. `same_server` refuses reads with `readout-min-position` if the database server has changed meanwhile.
//! 9. `compression` keeps small answers uncompressed.
//! 10. `json_answers` converts answers to JSON.
//!
//! `call_audit`, `call_body` and `terminate_body` are tools that several layers use.

pub mod access;
pub mod admission;
pub mod call_audit;
mod call_body;
pub mod call_metrics;
pub mod compression;
pub mod deadline;
pub mod error_details;
pub mod header_limit;
pub mod json_answers;
pub mod observe;
pub mod request_body;
pub mod request_id;
pub mod same_server;
pub mod terminate_body;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::{
    access::Access, admission::Admission, compression::Compression, deadline::Deadlines, error_details::ErrorDetails,
    header_limit::HeaderLimit, json_answers::JsonAnswers, observe::Observe, same_server::SameServer,
};
use super::http::{Http, cors::Cors, guard::Guard};
use crate::{access::Authenticator, audit::AuditLog, store::pool::server_watch::ServerWatch};

/// The limits that the layers enforce.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum time of a unary call.
    pub call_timeout: Duration,
    /// Maximum time that a call waits for admission.
    pub max_wait: Duration,
    /// Unary calls at a time.
    pub max_calls: usize,
    /// Streams at a time.
    pub max_streams: usize,
    /// Bytes of requests in flight, as they arrive and decoded.
    pub request_bytes: usize,
    /// Time that a message has to arrive, besides a second for each 64 KiB.
    pub arrival_timeout: Duration,
    /// Bytes of answers that wait to be sent.
    pub unsent_bytes: usize,
}

/// The services inside their layers.
pub type Layers = Cors<Calls>;

type Calls = Http<
    Observe<ErrorDetails<HeaderLimit<Deadlines<Access<Admission<SameServer<Compression<JsonAnswers<Routes>>>>>>>>>,
>;

/// Puts the layers around the services.
pub fn around(
    routes: Routes,
    authenticator: Arc<Authenticator>,
    limits: Limits,
    audit: AuditLog,
    stopping: CancellationToken,
    server_watch: Arc<ServerWatch>,
    guard: Guard,
) -> Layers {
    let answers = JsonAnswers::new(routes.prepare());
    let checked = SameServer::new(Compression::new(answers), server_watch);
    let admitted = Admission::new(checked, &limits, stopping);
    let bounded = Deadlines::new(Access::new(admitted, authenticator, audit), limits.call_timeout);
    let origins = guard.allowed_origins.clone();
    Cors::new(Http::new(Observe::new(ErrorDetails::new(HeaderLimit::new(bounded))), guard), &origins)
}
