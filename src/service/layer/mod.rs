//! The layers of every call, from the outside in: it is a call of gRPC, it is observed, its status is completed, its
//! time is bounded, its caller is known, it is let in when it is its turn, and only large answers are compressed.

pub mod access;
pub mod admission;
mod buffer_request;
pub mod call_metrics;
pub mod compression;
pub mod deadline;
pub mod error_details;
pub mod observe;
pub mod only_grpc;
pub mod request_id;
pub mod terminate_body;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::{
    access::Access, admission::Admission, compression::Compression, deadline::Deadlines, error_details::ErrorDetails,
    observe::Observe, only_grpc::OnlyGrpc,
};
use crate::access::Authenticator;

/// The limits that the layers enforce.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest time of a unary call.
    pub call_timeout: Duration,
    /// The longest time that a call waits for admission.
    pub max_wait: Duration,
    /// Unary calls at a time.
    pub max_calls: usize,
    /// Streams at a time.
    pub max_streams: usize,
}

/// The services as calls reach them.
pub type Layers = OnlyGrpc<Observe<ErrorDetails<Deadlines<Access<Admission<Compression<Routes>>>>>>>;

/// Puts the layers around the services.
pub fn around(routes: Routes, gate: Arc<Authenticator>, limits: Limits, stopping: CancellationToken) -> Layers {
    let admitted = Admission::new(Compression::new(routes.prepare()), &limits, stopping);
    let bounded = Deadlines::new(Access::new(admitted, gate), limits.call_timeout);
    OnlyGrpc::new(Observe::new(ErrorDetails::new(bounded)))
}
